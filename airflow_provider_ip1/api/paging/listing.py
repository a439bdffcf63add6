# SPDX-License-Identifier: Apache-2.0
"""Which lists to read, and how."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, TypeAlias, cast

from airflow_provider_ip1.api.batches import Batch
from airflow_provider_ip1.api.requests import (
    Direction,
    Order,
    Request,
    batch_messages_request,
    batches_request,
    conversation_request,
    normalize_participants,
)
from airflow_provider_ip1.api.settings import check_argument

#: Batches per request while the account is read. iP.1's documentation requests as many rows in its examples.
BATCHES_PER_PAGE: Final = 200


@dataclass(frozen=True, slots=True)
class Listing:
    """
    One paginated list of iP.1.

    :param request: the request for the list, without paging.
    :param participant: whose conversation it is, normalized; ``None`` for a list that is not a conversation.
    :param direction: ``"mt"`` or ``"mo"`` if the list has only these; ``None`` for both, or if unknown.
    :param order: by creation, ``"ASC"`` (oldest first) or ``"DESC"``.
    :param page_size: rows to request per page, from 1; ``None`` for the connection's setting, or the growing default.
    :param batch: the batch whose messages it lists, if it was found in the list of batches.
    """

    request: Request
    participant: str | None = field(default=None, repr=False)
    direction: Direction | None = None
    order: Order = "ASC"
    page_size: int | None = None
    batch: Batch | None = None


@dataclass(frozen=True, slots=True)
class AccountMessages:
    """
    All messages of the account, batch by batch.

    :param batches: the list of batches.
    :param direction: ``"mt"`` or ``"mo"`` to leave out batches of the other direction; ``None`` for all.
    :param page_size: messages to request per page, from 1; ``None`` for the connection's setting.
    :param since: about where the reader stops, for the log; aware. ``None`` if every batch is read.
    """

    batches: Listing
    direction: Direction | None = None
    page_size: int | None = None
    since: datetime | None = None

    def lists_of(self, batches: Iterable[Batch]) -> Iterator[Listing]:
        """
        Return the list of messages of each batch, oldest first.

        :param batches: some of the batches. A batch of unknown direction is always among those to read.
        """
        for batch in batches:
            known = batch.direction if batch.direction in ("mt", "mo") else None
            if self.direction is None or known is None or known == self.direction:
                yield Listing(
                    request=batch_messages_request(batch.id),
                    direction=check_direction(known),
                    page_size=self.page_size,
                    batch=batch,
                )


Lists: TypeAlias = Sequence[Listing] | AccountMessages
"""What one read reads: lists that are known, or those that the list of batches leads to."""


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class PageRequest:
    """
    A page that should be requested now.

    :param listing: the list it belongs to.
    :param start: offset in rows, from 0.
    :param limit: rows, from 2.
    :param order: of the rows. Rows that are missing are also looked for in the other order.
    :param is_trial: whether a server may refuse it. Then it is not repeated after a 5xx.
    """

    listing: Listing
    start: int
    limit: int
    order: Order
    is_trial: bool = False

    @property
    def request(self) -> Request:
        """The request to send."""
        request = self.listing.request.page(self.start, self.limit, self.order)
        return replace(request, retry="unless_sent") if self.is_trial else request


def conversation_lists(
    participants: Iterable[str], *, direction: str | None = None, order: str = "ASC", page_size: int | None = None
) -> list[Listing]:
    """
    Describe the conversations with these participants.

    :param participants: phone numbers with country code, or sender names.
    :param direction: ``"mt"`` for messages that you sent, ``"mo"`` for messages that you received, ``None`` for both.
    :param order: ``"ASC"`` or ``"DESC"``.
    :param page_size: messages per request, 1 to 10000; ``None`` for the connection's setting.
    :return: one list per participant, in the same order.
    :raises IP1ParticipantError: a participant cannot be used.
    :raises ValueError: another argument is out of range; the message names the argument.
    """
    checked_direction, checked_order = check_direction(direction), check_order(order)
    size = check_argument("page_size", page_size)
    return [
        Listing(
            request=conversation_request(participant, checked_direction),
            participant=participant,
            direction=checked_direction,
            order=checked_order,
            page_size=size,
        )
        for participant in normalize_participants(participants)
    ]


def batch_message_list(batch_id: str, *, order: str = "ASC", page_size: int | None = None) -> Listing:
    """
    Describe the messages of a batch.

    :param batch_id: id of the batch.
    :param order: ``"ASC"`` or ``"DESC"``.
    :param page_size: messages per request, 1 to 10000; ``None`` for the connection's setting.
    :raises ValueError: an argument is out of range; the message names the argument.
    """
    return account_list(batch_messages_request(batch_id), order=order, page_size=page_size)


def batch_list(*, order: str = "DESC", page_size: int | None = None) -> Listing:
    """
    Describe the batches of the account.

    :param order: ``"ASC"`` or ``"DESC"``.
    :param page_size: batches per request, 1 to 10000; ``None`` for the connection's setting.
    :raises ValueError: an argument is out of range; the message names the argument.
    """
    return account_list(batches_request(), order=order, page_size=page_size)


def account_list(request: Request, *, order: str = "ASC", page_size: int | None = None) -> Listing:
    """
    Describe a list that belongs to the account, such as its senders.

    :param request: the request for the list.
    :param order: ``"ASC"`` or ``"DESC"``.
    :param page_size: rows per request, 1 to 10000; ``None`` for the connection's setting.
    :raises ValueError: an argument is out of range; the message names the argument.
    """
    return Listing(request=request, order=check_order(order), page_size=check_argument("page_size", page_size))


def account_messages(
    *, direction: str | None = None, order: str = "ASC", page_size: int | None = None
) -> AccountMessages:
    """
    Describe the messages of all batches of the account.

    :param direction: ``"mt"`` or ``"mo"`` to leave out batches of the other direction, ``None`` for all.
    :param order: of the batches, ``"ASC"`` (oldest first) or ``"DESC"``.
    :param page_size: messages per request, 1 to 10000; ``None`` for the connection's setting.
    :raises ValueError: an argument is out of range; the message names the argument.
    """
    return AccountMessages(
        batch_list(order=order, page_size=BATCHES_PER_PAGE),
        check_direction(direction),
        check_argument("page_size", page_size),
    )


def check_direction(direction: str | None) -> Direction | None:
    """
    Check a direction and return it in lower case.

    :param direction: ``"mt"``, ``"mo"``, in any case, or ``None``.
    :raises ValueError: it is neither.
    """
    checked = direction.lower() if isinstance(direction, str) else direction
    if checked not in (None, "mt", "mo"):
        raise ValueError("direction must be None, 'mt' (sent by you) or 'mo' (received by you)")
    return cast("Direction | None", checked)


def check_order(order: str) -> Order:
    """
    Check an order and return it in upper case.

    :param order: ``"ASC"`` or ``"DESC"``, in any case.
    :raises ValueError: it is neither.
    """
    checked = order.upper() if isinstance(order, str) else order
    if checked not in ("ASC", "DESC"):
        raise ValueError("order must be 'ASC' (oldest first) or 'DESC' (newest first)")
    return cast("Order", checked)
