# SPDX-License-Identifier: Apache-2.0
"""
The batch that was sent, as far as iP.1's response to ``POST /v2/batches`` tells.

iP.1 does not document that response. Accepted are a batch as ``GET`` returns it, a list of one batch, and a
``Location`` header. Any other response, an empty one included, leaves the id unknown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import msgspec

from airflow_provider_ip1.api.batches import Batch
from airflow_provider_ip1.api.call import Response
from airflow_provider_ip1.api.decoding import decode_batch
from airflow_provider_ip1.api.json_text import UNDECODABLE, BytesLike
from airflow_provider_ip1.api.sending import OutgoingBatch
from airflow_provider_ip1.exceptions import IP1ResponseError

# iP.1's ids have 24 hexadecimal digits.
_ID: Final = re.compile(r"[0-9A-Za-z_\-]{1,64}")
_BATCH_PATH: Final = re.compile(r"/batches/([^/]+)/?")


@dataclass(frozen=True, slots=True)
class SentBatch:
    """
    A batch that iP.1 has accepted.

    :param batch: the batch. If iP.1's response contained no more than an id, the other fields are those that were sent.
    :param reused: whether an earlier try had sent it, so that nothing was sent now.
    """

    batch: Batch
    reused: bool


class _Listed(msgspec.Struct, gc=False):
    id: str
    reference: Any = None


_LISTED = msgspec.json.Decoder(_Listed)


def read_sent_batch(response: Response, outgoing: OutgoingBatch) -> Batch | None:
    """
    Read the response to a batch.

    :param response: with a status from 200 to 299.
    :param outgoing: what was sent.
    :return: the batch, or ``None`` if the response does not tell its id.
    """
    return _batch_in(response.body, outgoing) or _batch_at(response.headers.get("location", ""), outgoing)


def find_batch(raws: Iterable[BytesLike], outgoing: OutgoingBatch) -> Batch | None:
    """
    Find a batch by its reference.

    :param raws: JSON objects of batches.
    :param outgoing: the batch to look for.
    :return: the first batch with the same reference; ``None`` without one.
    """
    for raw in raws:
        try:
            listed = _LISTED.decode(raw)
        except UNDECODABLE:
            continue
        if listed.id and str(listed.reference) == outgoing.reference:
            return _decode(raw, listed.id, outgoing)
    return None


def _batch_in(body: bytes, outgoing: OutgoingBatch) -> Batch | None:
    try:
        raw = msgspec.json.decode(body, type=msgspec.Raw)
        listed = msgspec.json.decode(raw, type=_Listed | list[msgspec.Raw])
        if isinstance(listed, list):
            (raw,) = listed
            listed = _LISTED.decode(raw)
    except UNDECODABLE:
        return None
    # A batch with another reference is not the one that was sent.
    has_other_reference = listed.reference is not None and str(listed.reference) != outgoing.reference
    if not _ID.fullmatch(listed.id) or has_other_reference:
        return None
    return _decode(raw, listed.id, outgoing)


def _batch_at(location: str, outgoing: OutgoingBatch) -> Batch | None:
    try:
        path = urlsplit(location).path
    except ValueError:
        return None
    found = _BATCH_PATH.search(path)
    batch_id = unquote(found[1]) if found else ""
    return _known_batch(batch_id, outgoing) if _ID.fullmatch(batch_id) else None


def _decode(raw: BytesLike, batch_id: str, outgoing: OutgoingBatch) -> Batch:
    # The SMS are sent: a field in an unexpected form must not look like a failure.
    try:
        return decode_batch(raw)
    except IP1ResponseError:
        return _known_batch(batch_id, outgoing)


def _known_batch(batch_id: str, outgoing: OutgoingBatch) -> Batch:
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
