# SPDX-License-Identifier: Apache-2.0
"""Where an export writes to. An export knows a store only by :class:`Store`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Protocol

from airflow_provider_ip1.transfers.replacing import ObjectState


class Store(Protocol):
    """One object in a store, such as :class:`~airflow_provider_ip1.transfers.stores.s3.S3Store`."""

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

        :param chunks: the bytes, cut anywhere. They are consumed while they are written.
        :param replaces: what must be there instead; unknown for anything that the credentials do not show.
        :param conflict: the error to raise if something else is there.
        :param metadata: returns the object's metadata. Called with true if all chunks were consumed before.
        :return: number of bytes written.
        """

    def remove_leftovers(self, before: datetime) -> None:
        """Remove what a killed try of the same task left behind before this time."""
