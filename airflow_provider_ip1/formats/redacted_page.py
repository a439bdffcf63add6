# SPDX-License-Identifier: Apache-2.0
"""A page of redacted messages, and what their own fields no longer reveal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from airflow_provider_ip1.api.messages import Message
from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.api.routes import Route, other_side_of


@dataclass(frozen=True)
class RedactedPage:
    """
    The messages of a page after redaction.

    :param original: the page before redaction.
    :param raws: the redacted JSON object of each message.
    :param redact_participant: redacts the other side of the conversation; returns ``None`` to drop it.
    :param hides_direction: the direction is redacted, so it must not be derived from the addresses either.
    :param drops_ids: the messages have no ids.
    """

    original: Page = field(repr=False)
    raws: Sequence[bytes] = field(repr=False)
    redact_participant: Callable[[str], str | None] = field(repr=False)
    hides_direction: bool = False
    drops_ids: bool = False

    @cached_property
    def raws_with_ids(self) -> Sequence[bytes]:
        """The redacted messages in a form that can be decoded, with a placeholder for an id that was dropped."""
        if not self.drops_ids:
            return self.raws
        return [b'{"id":"-"' + (raw[1:] if raw == b"{}" else b"," + raw[1:]) for raw in self.raws]

    @cached_property
    def routes(self) -> list[Route]:
        """The redacted route of each message, which redacted addresses no longer reveal."""
        return [
            Route(
                direction if direction in ("mt", "mo") and not self.hides_direction else None,
                None if participant is None else self.redact_participant(participant),
            )
            for direction, participant in self.original.routes
        ]


def participant_of(message: Message, participant: str | None) -> str | None:
    """
    Return the other side of a message's conversation.

    :param message: the message.
    :param participant: whose conversation was read; ``None`` for the messages of a batch.
    :return: ``participant`` if it is given; otherwise the recipient of a sent message and the sender of a received
        one; ``None`` if the direction is unknown.
    """
    return other_side_of(message.direction, message.sender, message.recipient) if participant is None else participant
