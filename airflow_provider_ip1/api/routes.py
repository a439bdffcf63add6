# SPDX-License-Identifier: Apache-2.0
"""Which way a message went, and who is on the other side, without decoding the whole message."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import msgspec

from airflow_provider_ip1.api.json_fields import Fields
from airflow_provider_ip1.api.json_text import UNDECODABLE, BytesLike
from airflow_provider_ip1.api.messages import Scalar
from airflow_provider_ip1.api.page_body import MessageHead


class Route(NamedTuple):
    """
    Which way a message went.

    :param direction: ``mt``, ``mo``, or an undocumented text of iP.1's; ``None`` if unknown.
    :param participant: the other side of the conversation; ``None`` if unknown.
    """

    direction: str | None
    participant: str | None


_HEAD = msgspec.json.Decoder(MessageHead)


def routes_of(raws: Sequence[BytesLike], *, participant: str | None, direction: str | None) -> list[Route]:
    """
    Return the route of each message.

    :param raws: one JSON object per message.
    :param participant: whose conversation was read; ``None`` for the messages of a batch.
    :param direction: ``mt`` or ``mo`` if all messages have this direction, unless their own texts differ.
    :return: the routes, in the same order. Each contains ``participant`` if it is given.
    :raises IP1ResponseError: a message is not an object, or has no usable id.
    """
    other_side = None if participant is None else normalize_address(participant)
    return [_route(raw, participant, other_side, direction) for raw in raws]


def _route(raw: BytesLike, participant: str | None, other_side: str | None, endpoint: str | None) -> Route:
    value, sender, recipient = _addresses(raw)
    direction = direction_of(value, endpoint, other_side, sender, recipient)
    return Route(direction, other_side_of(direction, sender, recipient) if participant is None else participant)


def _addresses(raw: BytesLike) -> tuple[Scalar | None, str | None, str | None]:
    try:
        head = _HEAD.decode(raw)
        return head.direction, head.sender, head.recipient
    except UNDECODABLE:
        pass
    fields = Fields(raw, "A message", odd=set())
    fields.id()  # raises without one
    return fields.scalar("direction"), fields.text("sender"), fields.text("recipient")


def other_side_of(direction: str | None, sender: str | None, recipient: str | None) -> str | None:
    """Return the recipient of a sent message and the sender of a received one; ``None`` if the direction is unknown."""
    if direction == "mt":
        return recipient
    return sender if direction == "mo" else None


def direction_of(
    value: Scalar | None, endpoint: str | None, other_side: str | None, sender: str | None, recipient: str | None
) -> str | None:
    """
    Determine the direction of a message, as :class:`~airflow_provider_ip1.api.messages.Message` documents it.

    :param value: iP.1's value.
    :param endpoint: ``mt`` or ``mo`` if the endpoint returns only these.
    :param other_side: the participant of the conversation, from :func:`normalize_address`.
    :param sender: the message's sender.
    :param recipient: the message's recipient.
    """
    if isinstance(value, str) and value and not value.isdigit():
        known = value.casefold()
        return known if known in ("mt", "mo") else value
    if endpoint is not None:
        return endpoint
    if other_side is not None:
        is_recipient = recipient is not None and normalize_address(recipient) == other_side
        is_sender = sender is not None and normalize_address(sender) == other_side
        if is_recipient != is_sender:
            return "mt" if is_recipient else "mo"
    return None


@lru_cache(maxsize=1024)
def normalize_address(text: str) -> str:
    """
    Return the form in which different spellings of one number or name are equal.

    :param text: a phone number or an alphanumeric name.
    """
    digits = re.sub(r"[\s().\-/+]", "", text)
    return digits.removeprefix("00") if digits.isdigit() else text.strip().casefold()
