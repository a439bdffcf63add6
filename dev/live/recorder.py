# SPDX-License-Identifier: Apache-2.0
"""Call a hook and record its exchanges in memory."""

from __future__ import annotations

import atexit
import json
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import vcr
from vcr.persisters.filesystem import CassetteNotFoundError

from airflow_provider_ip1.exceptions import IP1Error
from dev import stack
from dev.live.cassettes import BASE_URL, Call, Interaction, is_kept


class _Memory:
    """Keeps what vcrpy records in memory, so that personal data never reaches the disk."""

    def __init__(self) -> None:
        self.interactions: list[Interaction] = []

    @staticmethod
    def load_cassette(*_where: object, **_how: object) -> Any:
        raise CassetteNotFoundError

    def save_cassette(self, _path: object, recorded: Mapping[str, Any], **_how: object) -> None:
        for request, response in zip(recorded["requests"], recorded["responses"], strict=True):
            self.interactions.append(
                Interaction(
                    request.uri,
                    response["status"]["code"],
                    response["status"]["message"],
                    response["headers"],
                    response["body"]["string"],
                    request.method,
                    request.body,
                )
            )


def _only_get(request: Any) -> Any:
    if request.method != "GET":
        raise RuntimeError(f"A recording only sends GET, not {request.method}.")
    return request


def prepare_airflow() -> None:
    """Give this program a temporary AIRFLOW_HOME, unless it has already imported Airflow."""
    if "airflow" in sys.modules:
        return
    home = Path(tempfile.mkdtemp(prefix="ip1-record-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    os.environ.update(stack.airflow_environment(home))


@contextmanager
def connection(base_url: str, key: str) -> Iterator[str]:
    """Create an Airflow connection in this process until the block ends, and return its id."""
    name = "AIRFLOW_CONN_IP1_RECORDING"
    os.environ[name] = json.dumps({"conn_type": "ip1", "host": base_url, "password": key})
    try:
        yield "ip1_recording"
    finally:
        del os.environ[name]


def record(
    call: Call, base_url: str, key: str, *, requests_per_second: float = 0, may_send: bool = False
) -> tuple[list[Interaction], str, list[Any]]:
    """
    Make a call and record its exchanges, which still contain personal data.

    :param call: the call.
    :param base_url: the server's base URL.
    :param key: the right API key.
    :param requests_per_second: the highest rate; 0 (default) means no limit.
    :param may_send: whether requests other than GET are allowed; default False.
    :return: the exchanges, ``ok`` or the class of the error, and the call's results.
    """
    prepare_airflow()
    from airflow_provider_ip1.hooks.ip1 import IP1Hook

    # vcrpy logs complete responses.
    logging.getLogger("vcr").setLevel(logging.CRITICAL)
    memory = _Memory()
    recorder = vcr.VCR(
        record_mode="all", decode_compressed_response=True, before_record_request=None if may_send else _only_get
    )
    recorder.register_persister(memory)
    outcome, results = "ok", []
    sent_key = "not-the-right-key" if call.key == "wrong" else key
    with connection(base_url, sent_key) as conn_id, recorder.use_cassette("memory"):
        hook = IP1Hook(conn_id, **call.hook_arguments | {"requests_per_second": requests_per_second})
        if call.key == "missing":
            hook.get_conn().auth = _without_key
        try:
            results = call.run(hook)
        except IP1Error as error:
            outcome = type(error).__name__
        finally:
            hook.close()
    return memory.interactions, outcome, results


def _without_key(request: Any) -> Any:
    return request


def tidy(interactions: Iterable[Interaction], base_url: str) -> list[Interaction]:
    """Remove the headers that cassettes do not keep, and replace the local server's URL with iP.1's."""
    return [
        Interaction(
            each.url.replace(base_url, BASE_URL),
            each.status,
            each.reason,
            {
                name: [value.replace(base_url, BASE_URL) for value in values]
                for name, values in each.headers.items()
                if is_kept(name)
            },
            each.body.replace(base_url.encode(), BASE_URL.encode()),
            each.method,
            each.request_body,
        )
        for each in interactions
    ]
