# SPDX-License-Identifier: Apache-2.0
"""A clock for the sandbox in tests that run a whole DAG."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_ip1.sandbox.request_log import RequestRecord


class FromFirstPoll:
    """
    A clock that stands still until the sandbox gets the first poll, so that the first poll is never too late.

    :param path: part of the paths of polls.
    """

    def __init__(self, path: str) -> None:
        #: The sandbox's requests.
        self.requests: list[RequestRecord] = []
        self._path = path
        self._stands = time.time()

    def __call__(self) -> float:
        if not any(request.method == "GET" and self._path in request.path for request in self.requests):
            self._stands = time.time() - 0.001
            return 1_800_000_000.0
        return 1_800_000_000.0 + time.time() - self._stands
