# SPDX-License-Identifier: Apache-2.0
"""
What stores with conditional writes have in common: failed requests are repeated, and a repeated write knows itself.

Each write has a random id, which the store keeps with the object. If the response to a write was lost, the repetition
would conflict with the write itself. The id shows that it has succeeded.
"""

from __future__ import annotations

import secrets
import time
from abc import abstractmethod
from collections.abc import Callable
from itertools import count
from typing import ClassVar, Final, TypeVar

from airflow_provider_ip1.api.call import RetryPolicy
from airflow_provider_ip1.transfers.stores import ObjectState, Store

T = TypeVar("T")

#: The name of a write's id in the metadata of an object.
UPLOAD: Final = "ip1-upload"
#: How often a request is sent unless the connection says otherwise.
DEFAULT_ATTEMPTS: Final = 5
TRANSIENT_STATUSES: Final = frozenset((408, 429, 500, 502, 503, 504))


class ConditionalWriteStore(Store):
    """A store whose requests can have conditions."""

    _errors: ClassVar[tuple[type[Exception], ...]]
    """What a failed request raises."""
    _attempts = DEFAULT_ATTEMPTS

    def __init__(self) -> None:
        self._upload = secrets.token_hex(8)

    @abstractmethod
    def _may_pass(self, error: Exception) -> bool:
        """Return whether the same request may succeed a little later."""

    @abstractmethod
    def _is_conflict(self, error: Exception) -> bool:
        """Return whether the condition of a request was not met."""

    def _repeat(self, send: Callable[[], T], is_done: Callable[[], bool] | None = None) -> T | None:
        """
        Send a request, and repeat it while its failure may pass.

        :param send: sends the request once.
        :param is_done: asked before each attempt, if given. Returns whether an attempt before has succeeded.
        :return: what ``send`` returns; ``None`` if an attempt before has succeeded.
        """
        for attempt in count(1):
            if is_done is not None and is_done():
                break
            try:
                return send()
            except self._errors as error:
                if attempt >= self._attempts or not self._may_pass(error):
                    raise
            time.sleep(RetryPolicy().backoff(attempt))
        return None

    def _make_visible(self, send: Callable[[], object], replaces: ObjectState, conflict: Exception) -> None:
        """
        Send the request after which readers see the object.

        :param send: sends the request once, on condition that the existing object is what it was.
        :param replaces: see :meth:`.Store.write`.
        :param conflict: see :meth:`.Store.write`.
        """

        def is_written() -> bool:
            now = self.head()
            if now.metadata.get(UPLOAD) == self._upload:
                return True
            # This comparison protects the object in stores without conditions. An object that the credentials show only
            # now has appeared, and one that they no longer show is gone.
            if now.etag != replaces.etag:
                raise conflict
            return False

        try:
            self._repeat(send, is_written)
        except self._errors as error:
            # The response may have been lost after the store wrote the object, here or in the hook of the user.
            if is_written():
                return
            if self._is_conflict(error):
                raise conflict from error
            raise
