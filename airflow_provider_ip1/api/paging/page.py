# SPDX-License-Identifier: Apache-2.0
"""A page of messages, as the hooks hand it out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any, TypeVar

from airflow_provider_ip1.api.batches import Batch
from airflow_provider_ip1.api.decoding import decode_batch, decode_messages
from airflow_provider_ip1.api.messages import Message
from airflow_provider_ip1.api.requests import Direction
from airflow_provider_ip1.api.routes import Route, routes_of
from airflow_provider_ip1.api.timestamps import earliest_and_latest, read_timestamps

T = TypeVar("T")


@dataclass(frozen=True)
class Page:
    """
    Messages that one response of iP.1 added. None of them was in an earlier page of the same read.

    :param participant: whose conversation it is, normalized; ``None`` for the messages of a batch.
    :param direction: ``"mt"`` or ``"mo"`` if the list has only these; ``None`` for both, or if unknown.
    :param number: how many pages came before it, from 0, counted per conversation or batch.
    :param start: the requested offset, in rows.
    :param ids: the messages' ids, in the order of the list.
    :param raws: the messages as iP.1 sent them, each the bytes of one JSON object.
    :param total_hint: about how many messages the list has, rounded up to a whole page, according to a ``Link``
        header; ``None`` without one.
    :param modified_values: each message's ``modified`` as iP.1 sent it, for :attr:`modified`.
    :param batch: the batch that the messages belong to, if it was found in the list of batches.
    :param is_late: whether these messages belong among those of earlier pages: they arrived, or changed places, while
        the list was read, or only the count of the list revealed them.
    :param status_codes: the code of each message's status; ``None`` for a message that does not have exactly one. Empty
        if they were not read.
    """

    participant: str | None = field(repr=False)
    direction: Direction | None
    number: int
    start: int
    ids: tuple[str, ...]
    raws: tuple[Any, ...] = field(repr=False)
    total_hint: int | None
    modified_values: tuple[Any, ...] = field(default=(), repr=False)
    batch: Batch | None = None
    status_codes: tuple[int | None, ...] = ()
    is_late: bool = False

    @cached_property
    def modified(self) -> tuple[datetime | None, ...]:
        """When each message last changed, in UTC; ``None`` where iP.1 sent no readable time."""
        return tuple(read_timestamps(self.modified_values))

    @cached_property
    def modified_range(self) -> tuple[datetime, datetime] | None:
        """The earliest and the latest time in :attr:`modified`; ``None`` if iP.1 sent no readable time."""
        if (found := earliest_and_latest(self.modified_values)) is not None:
            return found
        times = [time for time in self.modified if time is not None]
        return (min(times), max(times)) if times else None

    @cached_property
    def messages(self) -> tuple[Message, ...]:
        """
        The messages, decoded from :attr:`raws` on first use.

        :raises IP1ResponseError: one of them cannot be a message; the error names its field and id.
        """
        return tuple(decode_messages(self.raws, participant=self.participant, direction=self.direction))

    @cached_property
    def routes(self) -> list[Route]:
        """
        The direction and the other side of each message, decoded from :attr:`raws` on first use.

        :raises IP1ResponseError: one of them is not an object, or has no usable id.
        """
        return routes_of(self.raws, participant=self.participant, direction=self.direction)

    @cached_property
    def batches(self) -> tuple[Batch, ...]:
        """
        The batches of a list of batches, decoded from :attr:`raws` on first use.

        Odd values count as missing, because the messages of the batch do not depend on them.

        :raises IP1ResponseError: one of them is not an object, or has no usable id.
        """
        return tuple([decode_batch(raw, odd=set()) for raw in self.raws])

    def only(self, positions: Sequence[int]) -> Page:
        """
        Return the page with just some of its messages.

        :param positions: positions of the messages to keep, from 0, ascending.
        """
        if len(positions) == len(self.ids):
            return self
        return replace(
            self,
            ids=values_at(positions, self.ids),
            raws=values_at(positions, self.raws),
            modified_values=values_at(positions, self.modified_values),
            status_codes=values_at(positions, self.status_codes),
        )

    def __len__(self) -> int:
        return len(self.ids)


def values_at(positions: Sequence[int], values: Sequence[T]) -> tuple[T, ...]:
    """Return the values at these positions, or an empty tuple if there are no values."""
    if isinstance(positions, range):
        return tuple(values[positions.start : positions.stop])
    return tuple(values[position] for position in positions) if values else ()


def once_each(ids: Sequence[str], positions: Sequence[int]) -> Sequence[int]:
    """Leave out positions whose id appears again later. Positions are ascending."""
    if len(set(ids)) == len(ids):
        return positions
    return sorted({ids[position]: position for position in positions}.values())
