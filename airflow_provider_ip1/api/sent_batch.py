# SPDX-License-Identifier: Apache-2.0
"""
The batch that was sent: in iP.1's response to ``POST /v2/batches``, or among the batches of the account.

iP.1 does not document that response. Accepted are a batch as ``GET`` returns it, a list of one batch, and a
``Location`` header. Any other response, an empty one included, leaves the id unknown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from airflow_provider_ip1.api.batches import Batch
from airflow_provider_ip1.api.call import Response
from airflow_provider_ip1.api.decoding import decode_batch
from airflow_provider_ip1.api.json_text import UNDECODABLE, BytesLike
from airflow_provider_ip1.api.messages import Message
from airflow_provider_ip1.api.routes import normalize_address
from airflow_provider_ip1.api.segments import count_segments
from airflow_provider_ip1.api.sending import MAX_REFERENCE, OutgoingBatch
from airflow_provider_ip1.exceptions import IP1ResponseError

# iP.1's ids have 24 hexadecimal digits.
_ID: Final = re.compile(r"[0-9A-Za-z_\-]{1,64}")
_BATCH_PATH: Final = re.compile(r"[^?#]*?/batches/([^/?#]+)")
#: iP.1's status code of what was canceled.
CANCELED: Final = 203


@dataclass(frozen=True, slots=True)
class SendResult:
    """
    An SMS that iP.1 has accepted.

    :param batch: the batch. If iP.1's response contained no more than an id, the other fields are those that were sent.
    :param recipients: how many recipients it has.
    :param segments: how many SMS each of them gets, at most.
    :param reused: whether an earlier try had sent it, so that nothing was sent now.
    """

    batch: Batch
    recipients: int
    segments: int
    reused: bool = False


class _Head(msgspec.Struct, gc=False):
    # A batch that was sent must be found, even if its other fields are odd.
    id: str
    reference: Any = None
    sender: Any = None
    status: Any = None
    body: Any = None


_HEAD = msgspec.json.Decoder(_Head)


def read_sent_batch(response: Response, outgoing: OutgoingBatch) -> Batch | None:
    """
    Read the response to a batch.

    :param response: with a status from 200 to 299.
    :param outgoing: what was sent.
    :return: the batch, even if its reference differs; ``None`` if the response does not contain its id.
    """
    try:
        raw = msgspec.json.decode(response.body, type=msgspec.Raw)
        listed = msgspec.json.decode(raw, type=_Head | list[msgspec.Raw])
        if isinstance(listed, list):
            (raw,) = listed
            listed = _HEAD.decode(raw)
        if _ID.fullmatch(listed.id):
            return _decode(raw, listed.id, outgoing)
    except UNDECODABLE:
        pass
    found = _BATCH_PATH.match(response.headers.get("location", ""))
    batch_id = unquote(found[1]) if found else ""
    return known_batch(batch_id, outgoing) if _ID.fullmatch(batch_id) else None


@dataclass(frozen=True, slots=True)
class Candidate:
    """
    A batch of the account that may be the one to look for, or shows that it must not be sent.

    :param head: the fields to compare.
    :param raw: its JSON object.
    :param outgoing: the batch to look for.
    """

    head: _Head = field(repr=False)
    raw: BytesLike = field(repr=False)
    outgoing: OutgoingBatch

    def difference(self, *, is_mapped: bool) -> str | None:
        """
        Compare the batch with the one to look for, without its messages.

        :param is_mapped: whether other tasks may have sent other texts with the reference.
        :return: why it is another batch, to complete "that batch ..."; ``None`` if it seems to be the one.
        """
        head, outgoing = self.head, self.outgoing
        if _is_canceled(head):
            return "was canceled"
        if str(head.reference) != outgoing.reference:
            if outgoing.covers_recipients:
                return "was sent by this task to other recipients"
            return "has only the beginning of the reference, as if iP.1 had cut it"
        if head.sender is not None and normalize_address(str(head.sender)) != normalize_address(outgoing.sender):
            return "has another sender"
        return "has another text" if is_mapped and head.body != outgoing.body else None

    def difference_of(self, messages: Sequence[Message]) -> str | None:
        """
        Compare the messages of the batch with the one to look for.

        :param messages: all messages that iP.1 lists.
        :return: as :meth:`difference`.
        """
        if messages and all(message.status_code == CANCELED for message in messages):
            return "was canceled"
        recipients = {normalize_address(message.recipient or "") for message in messages}
        is_same = self.outgoing.covers_recipients or recipients == set(self.outgoing.recipients)
        return None if is_same else "has other recipients"

    def result(self, messages: Sequence[Message]) -> SendResult:
        """
        Return the batch as the one that was sent.

        :param messages: all messages that iP.1 lists. An earlier try may have sent another text.
        """
        segments = [message.segments or count_segments(message.body or "") for message in messages]
        return SendResult(
            _decode(self.raw, self.head.id, self.outgoing),
            recipients=len(self.outgoing.recipients),
            segments=max(segments, default=self.outgoing.segments),
        )


def candidates(raws: Iterable[BytesLike], outgoing: OutgoingBatch, *, is_mapped: bool) -> Iterator[Candidate]:
    """
    Yield the batches with the reference of the one to look for.

    If iP.1 may have cut the reference, these include batches with its beginning. For a task that is not mapped and has
    the default reference, they include what the task has sent to other recipients.

    :param raws: JSON objects of batches.
    :param outgoing: the batch to look for.
    :param is_mapped: whether the task is mapped, so that the other recipients are those of its other instances.
    """
    for head, raw in _heads(raws):
        reference = str(head.reference)
        is_like = reference == outgoing.reference or (
            len(reference) >= MAX_REFERENCE and outgoing.reference.startswith(reference)
        )
        if outgoing.covers_recipients and not is_mapped and not is_like:
            is_like = reference.startswith(outgoing.task_part) and not _is_canceled(head)
        if _ID.fullmatch(head.id) and is_like:
            yield Candidate(head, raw, outgoing)


def has_reference(raws: Iterable[BytesLike], reference: str) -> bool:
    """
    Return whether one of the batches has a reference and was not canceled.

    :param raws: JSON objects of batches.
    :param reference: the reference, of at most :data:`~airflow_provider_ip1.api.sending.MAX_REFERENCE` characters.
    """
    return any(head.reference == reference and not _is_canceled(head) for head, _ in _heads(raws))


def _heads(raws: Iterable[BytesLike]) -> Iterator[tuple[_Head, BytesLike]]:
    for raw in raws:
        try:
            head = _HEAD.decode(raw)
        except UNDECODABLE:
            continue
        yield head, raw


def _is_canceled(head: _Head) -> bool:
    return str(head.status).casefold() in (str(CANCELED), "canceled")


def _decode(raw: BytesLike, batch_id: str, outgoing: OutgoingBatch) -> Batch:
    # The SMS are sent: a field in an unexpected form must not look like a failure.
    try:
        return decode_batch(raw)
    except IP1ResponseError:
        return known_batch(batch_id, outgoing)


def known_batch(batch_id: str, outgoing: OutgoingBatch) -> Batch:
    """
    Return a batch of which only the id is known.

    :param batch_id: the id.
    :param outgoing: what was sent. The other fields come from it.
    """
    return Batch(
        id=batch_id,
        sender=outgoing.sender,
        direction="mt",
        type=outgoing.type,
        datacoding=outgoing.datacoding,
        priority=outgoing.priority,
        templated=outgoing.is_templated,
        reference=outgoing.reference,
        tags=outgoing.tags,
    )
