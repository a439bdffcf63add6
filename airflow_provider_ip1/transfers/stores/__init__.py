# SPDX-License-Identifier: Apache-2.0
"""Where an export writes to. An export knows a store only by :class:`Store`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from airflow_provider_ip1.exceptions import IP1ConnectionError

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

    @property
    def link(self) -> str:
        """A URL at which a person can look at the object."""

    def check(self) -> None:
        """Check that the object can be written, before anything is read from iP.1."""

    def head(self) -> ObjectState:
        """Return the current state of the object."""

    def write(
        self,
        chunks: Iterable[bytes],
        *,
        replaces: ObjectState,
        conflict: Exception,
        metadata: Callable[[bool], Mapping[str, str]],
    ) -> int:
        """
        Write the object, completely or not at all, if the existing one is still what it was.

        An exception that arrives anywhere leaves the existing object, unless the store had already received the last
        request. A write whose response was lost has succeeded.

        :param chunks: the bytes, cut anywhere. They are consumed while they are written. An error that they raise
            propagates, and nothing is written.
        :param replaces: what must be there instead; unknown for anything that the credentials do not show.
        :param conflict: the error to raise if something else is there.
        :param metadata: returns the object's metadata. Called with true if all chunks were consumed before.
        :return: number of bytes written.
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
        Return the current ETag of the object and its content; no ETag and nothing if there is no object.

        :raises ValueError: the credentials do not show the object.
        """

    def put(self, body: bytes, *, replaces: ObjectState, conflict: Exception) -> None:
        """
        Write a small object like :meth:`write`, without making it an output of the task. May be called repeatedly.

        :param body: its content.
        :param replaces: what must be there instead.
        :param conflict: the error to raise if something else is there.
        """

    def remove_leftovers(self) -> None:
        """Remove what killed tries of the same task left behind. Unfinished writes of others fail."""
