# SPDX-License-Identifier: Apache-2.0
"""Which way a message went, and who is on the other side, without decoding the whole message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from airflow_provider_ip1.api.decoding import decode_leniently
from airflow_provider_ip1.api.enums import direction_of, normalize_address
from airflow_provider_ip1.api.json_text import UNDECODABLE, BytesLike
from airflow_provider_ip1.api.messages import Message
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
    message: MessageHead | Message
    try:
        message = _HEAD.decode(raw)
    except UNDECODABLE:
        message, _ = decode_leniently(raw)
    direction = direction_of(message.direction, endpoint, other_side, message.sender, message.recipient)
    if participant is None:
        participant = other_side_of(direction, message.sender, message.recipient)
    return Route(direction, participant)


def other_side_of(direction: str | None, sender: str | None, recipient: str | None) -> str | None:
    """Return the recipient of a sent message and the sender of a received one; ``None`` if the direction is unknown."""
    if direction == "mt":
        return recipient
    return sender if direction == "mo" else None
