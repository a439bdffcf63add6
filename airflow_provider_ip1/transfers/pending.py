# SPDX-License-Identifier: Apache-2.0
"""Finds messages whose status can still change, without decoding every message."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from airflow_provider_ip1.api.decoding import decode_message
from airflow_provider_ip1.api.json_text import UNDECODABLE, BytesLike
from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.api.status import status_category
from airflow_provider_ip1.exceptions import IP1ResponseError


class _Report(msgspec.Struct, gc=False):
    code: int


class _Probe(msgspec.Struct, gc=False):
    statuses: list[_Report] = []


_decode = msgspec.json.Decoder(_Probe).decode
_FINAL_CODES: Final = frozenset(code for code in range(1000) if status_category(code) != "pending")


def pending_indexes(page: Page) -> list[int]:
    """
    Find the sent messages whose latest status is of the category ``pending``.

    Most messages have one final status. Reading only the codes costs about 0.5 microseconds per message, 4 % of an
    export to JSON Lines. Only messages with another code are decoded completely.

    :param page: a page.
    :return: the indexes of these messages. A message whose status is missing or unreadable is not among them.
    """
    try:
        statuses = [_decode(raw).statuses for raw in page.raws]
    except UNDECODABLE:
        candidates: Iterable[int] = range(len(page))
    else:
        candidates = [
            index
            for index, reports in enumerate(statuses)
            if not (len(reports) == 1 and reports[0].code in _FINAL_CODES) and reports
        ]
    return [index for index in candidates if _is_pending(page, page.raws[index])]


def _is_pending(page: Page, raw: BytesLike) -> bool:
    try:
        message = decode_message(raw, participant=page.participant, direction=page.direction)
    except IP1ResponseError:
        return False
    return message.status_category == "pending" and message.direction != "mo"
