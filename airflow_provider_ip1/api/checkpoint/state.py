# SPDX-License-Identifier: Apache-2.0
"""What a checkpoint holds, and its JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

import msgspec

from airflow_provider_ip1.api.json_text import UNDECODABLE

#: The version of the JSON. A provider reads the versions up to its own.
VERSION: Final = 1

Time = Annotated[datetime, msgspec.Meta(tz=True)]


class Remembered(msgspec.Struct, frozen=True, omit_defaults=True):
    """
    A message whose status may still change, or a batch that had no messages yet.

    :param status: its latest status code; ``None`` without one.
    :param since: when an export first saw this status.
    :param first_seen: when an export first saw the message.
    :param batch: the id of its batch. Only an export of the account needs it.
    :param closes: the end of the batch's delivery windows, if that is known.
    :param looks: how often the message was looked at again, although its status is final.
    """

    status: int | None
    since: Time
    first_seen: Time
    batch: str = ""
    closes: Time | None = None
    looks: int = 0


class State(msgspec.Struct, frozen=True, omit_defaults=True):
    """
    How far the exports of one conversation, or of the account, got.

    :param position: what changed at this time or later may be missing in the objects so far; ``None`` before the first
        export.
    :param known: the ids of the newest messages of a conversation, or batches of the account, newest first.
    :param listed: when a batch was first listed, for those of the last hour.
    :param young: ids of batches that may still get messages.
    :param unsettled: id -> a message whose status may still change.
    """

    position: Time | None = None
    known: list[str] = []
    listed: dict[str, Time] = {}
    young: list[str] = []
    unsettled: dict[str, Remembered] = {}


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """
    The JSON object of a checkpoint.

    :param ip1_checkpoint: the version of the format.
    :param base_url: iP.1's base URL.
    :param source: the collection that is read.
    :param direction: ``"mt"``, ``"mo"``, or ``None`` for both.
    :param redact_key: the fingerprint of the key with which the participants are hashed; ``None`` if they are not.
    :param states: participant, or its hash -> state. The account has a single state.
    """

    ip1_checkpoint: int = VERSION
    base_url: str
    source: str
    direction: str | None
    redact_key: str | None
    states: dict[str, State]

    def encode(self) -> bytes:
        """Return the JSON, indented for people."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1)


class _Version(msgspec.Struct):
    ip1_checkpoint: Annotated[int, msgspec.Meta(ge=1)]


def decode_document(body: bytes, uri: str) -> Document:
    """
    Read the JSON object of a checkpoint.

    :param body: the JSON.
    :param uri: the object's address, for errors.
    :raises ValueError: it is not a checkpoint, or a newer version wrote it. The message says what to do.
    """
    try:
        version = msgspec.json.decode(body, type=_Version).ip1_checkpoint
        if version <= VERSION:
            return msgspec.json.decode(body, type=Document)
    except UNDECODABLE:
        version = None
    if version is None:
        raise ValueError(
            f"checkpoint: {uri} is not a checkpoint that this provider wrote, and was left unchanged. Use another key "
            "for the checkpoint, or delete the object if nothing needs it."
        )
    raise ValueError(
        f"checkpoint: {uri} was written by a newer version of this provider (format {version}). Update the provider "
        "here."
    )
