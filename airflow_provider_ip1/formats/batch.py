# SPDX-License-Identifier: Apache-2.0
"""What the formats are given: some messages of one conversation."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from airflow_provider_ip1.api.decoding import decode_messages
from airflow_provider_ip1.api.messages import DOCUMENTED_FIELDS, BytesLike, Message
from airflow_provider_ip1.exceptions import IP1ResponseError


class Batch:
    """
    Messages on their way into a file.

    :param raws: the bytes of one JSON object each.
    :param participant: whose conversation they are from, to tell their direction.
    :param direction: ``mt`` or ``mo`` where the endpoint gives only these.
    """

    def __init__(
        self, raws: Sequence[BytesLike], *, participant: str | None = None, direction: str | None = None
    ) -> None:
        self.raws = raws
        self._participant = participant
        self._direction = direction

    def read(self) -> Iterator[tuple[Message, dict[str, Any]]]:
        """
        Read the messages.

        :return: each message, and what stood in a documented field but is not of its type, as JSON values under iP.1's
            names: one odd value must not keep a conversation out of the lake.
        :raises IP1ResponseError: one of them cannot be a message at all.
        """
        return _read(self.raws, self._participant, self._direction)


def _read(
    raws: Sequence[BytesLike], participant: str | None, direction: str | None
) -> Iterator[tuple[Message, dict[str, Any]]]:
    try:
        messages = decode_messages(raws, participant=participant, direction=direction)
    except IP1ResponseError:
        messages = []
    if len(messages) == len(raws):
        for message in messages:
            yield message, {}
        return
    for raw in raws:
        yield _read_leniently(raw, participant, direction)


def _read_leniently(raw: BytesLike, participant: str | None, direction: str | None) -> tuple[Message, dict[str, Any]]:
    def readable(value: BytesLike | dict[str, Any]) -> bool:
        try:
            Message.from_json(value, participant=participant, direction=direction)
        except IP1ResponseError:
            return False
        return True

    if readable(raw):
        return Message.from_json(raw, participant=participant, direction=direction), {}
    fields: dict[str, Any] = json.loads(bytes(raw))
    odd = {
        name: fields.pop(name)
        for name in sorted(DOCUMENTED_FIELDS & fields.keys() - {"id"})
        if not readable({"id": fields["id"], name: fields[name]})
    }
    return Message.from_json(fields, participant=participant, direction=direction), odd
