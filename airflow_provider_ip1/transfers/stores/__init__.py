# SPDX-License-Identifier: Apache-2.0
"""
Where an export writes to. An export knows a store only by :class:`Store`.

All stores have conditional writes in common: failed requests are repeated, and a repeated write knows itself. Each
write has a random id, which the store keeps with the object. If the response to a write was lost, the repetition would
conflict with the write itself. The id shows that it has succeeded.
"""

from __future__ import annotations

import re
import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import ClassVar, Final, Protocol, TypeVar

from airflow_provider_ip1.exceptions import IP1ConnectionError

T = TypeVar("T")

#: The name of a write's id in the metadata of an object.
UPLOAD: Final = "ip1-upload"
#: How often a request is sent unless the connection says otherwise.
DEFAULT_ATTEMPTS: Final = 5

#: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
_MAX_NAME_BYTES: Final = 1024
# Names that cannot be used, or that some stores would change, and why.
_BAD_NAMES: Final = (
    (r"\s*|.*/", "is empty or ends with a slash. Name an object."),
    ("/.*", "begins with a slash, and would be in a folder without a name. Leave the slash out."),
    (r".*\{%.*", "contains a template that was not rendered."),
    (
        r".*\\.*|(.*/)?\.{0,2}(/.*)?",
        "contains a backslash, or an empty part, . or .. between slashes. Some stores would change the name.",
    ),
    (r".*[\ud800-\udfff].*", "contains a character that is not valid in Unicode."),
    (r".*[\x00-\x1f\x7f-\x9f].*", "contains a control character, such as a line break."),
)


def refuse_ip1(conn_type: str | None, argument: str, conn_id: str | None) -> None:
    """
    Refuse a connection to iP.1, whose API key must not reach another service.

    :param conn_type: the connection's type.
    :param argument: the argument that names it.
    :param conn_id: its id.
    :raises IP1ConnectionError: the connection is one to iP.1.
    """
    if conn_type == "ip1":
        raise IP1ConnectionError(
            f"{argument}: connection {conn_id!r} has the type 'ip1', so its password is an API key of iP.1. It was not "
            f"sent anywhere. Give {argument} a connection to the store."
        )


def check_name(name: str, argument: str) -> None:
    """
    Check that a store keeps the name of an object as it is written.

    :param name: the name, such as the key of an S3 object.
    :param argument: the argument that it comes from, for the error.
    :raises ValueError: the name cannot be used. The message names the argument.
    """
    for pattern, problem in _BAD_NAMES:
        if re.fullmatch(pattern, name, re.DOTALL):
            raise ValueError(f"{argument}: {problem}")
    if len(name.encode()) > _MAX_NAME_BYTES:
        raise ValueError(f"{argument}: is longer than {_MAX_NAME_BYTES} bytes, the most that stores accept.")


@dataclass(frozen=True)
class ObjectState:
    """
    An object in the store, or its absence.

    :param is_known: false if the credentials may not see whether the object exists.
    :param etag: the object's ETag as the store writes it; ``None`` if there is no object.
    :param size: its size in bytes.
    :param metadata: its metadata, with names in lower case.
    """

    is_known: bool = True
    etag: str | None = None
    size: int = 0
    metadata: Mapping[str, str] = field(default_factory=dict)


class WriteConflict(Exception):
    """The object is not what the write was to replace, so nothing was written."""


class Store(Protocol):
    """One object in a store, such as :class:`~airflow_provider_ip1.transfers.stores.s3.S3Store`."""

    argument: str
    """The operator's argument that names the object, for errors."""
    reading_rights: str
    """What the store must grant to the credentials to look at the object, for errors."""
    uri: str
    """The object's address."""
    dataset: tuple[str, str]
    """Namespace and name of the object in OpenLineage."""
    _errors: ClassVar[tuple[type[Exception], ...]]
    """What a failed request raises."""
    _attempts: int
    """How often a request is sent."""
    _upload: str
    """The id of the current write. Each write has another one, because an earlier one must not be taken for it."""

    @property
    def link(self) -> str:
        """A URL at which a person can look at the object."""

    def check(self) -> None:
        """Check that the object can be written, before anything is read from iP.1."""

    def head(self) -> ObjectState:
        """Return the current state of the object."""

    def write(
        self, chunks: Iterable[bytes], *, replaces: ObjectState, metadata: Callable[[bool], Mapping[str, str]]
    ) -> int:
        """
        Write the object, completely or not at all, if the existing one is still what it was.

        An exception that arrives anywhere leaves the existing object, unless the store had already received the last
        request. A write whose response was lost has succeeded.

        :param chunks: the bytes, cut anywhere. They are consumed while they are written. An error that they raise
            propagates, and nothing is written.
        :param replaces: what must be there instead; unknown for anything that the credentials do not show.
        :param metadata: returns the object's metadata. Called with true if all chunks were consumed before.
        :return: number of bytes written.
        :raises WriteConflict: something else is there.
        """

    def beside(self, address: str, argument: str) -> Store:
        """
        Return another object, for small data of the export.

        :param address: its name in the same bucket or container, or its URL.
        :param argument: the argument that gives the address, for errors.
        :raises ValueError: the address does not name an object.
        """

    def read(self) -> tuple[ObjectState, bytes]:
        """
        Return the current ETag of the object, and its content.

        Without an object, there is no ETag. It is unknown whether there is one if the credentials do not show it.
        """

    def put(self, body: bytes, *, replaces: ObjectState) -> None:
        """
        Write a small object like :meth:`write`, without making it an output of the task. May be called repeatedly.

        :param body: its content.
        :param replaces: what must be there instead.
        :raises WriteConflict: something else is there.
        """

    def remove_leftovers(self) -> None:
        """Remove what killed tries of the same task left behind. Unfinished writes of others fail."""

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
        from airflow_provider_ip1.api.call import RetryPolicy

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

    def _make_visible(self, send: Callable[[], object], replaces: ObjectState) -> None:
        """
        Send the request after which readers see the object.

        :param send: sends the request once, on condition that the existing object is what it was.
        :param replaces: see :meth:`write`.
        :raises WriteConflict: see :meth:`write`.
        """

        def is_written() -> bool:
            now = self.head()
            if now.metadata.get(UPLOAD) == self._upload:
                return True
            # This comparison protects the object in stores without conditions. An object that the credentials show only
            # now has appeared, and one that they no longer show is gone.
            if now.etag != replaces.etag:
                raise WriteConflict
            return False

        try:
            self._repeat(send, is_written)
        except self._errors as error:
            # The response may have been lost after the store wrote the object, here or in the hook of the user.
            if is_written():
                return
            if self._is_conflict(error):
                raise WriteConflict from error
            raise
