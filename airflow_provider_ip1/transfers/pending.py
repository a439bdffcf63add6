# SPDX-License-Identifier: Apache-2.0
"""Finds messages whose status can still change, without decoding every message."""

from __future__ import annotations

from typing import Final

from airflow_provider_ip1.api.decoding import decode_message
from airflow_provider_ip1.api.json_text import BytesLike
from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.api.status import status_category
from airflow_provider_ip1.exceptions import IP1ResponseError

_FINAL_CODES: Final = frozenset(code for code in range(1000) if status_category(code) != "pending")


def pending_indexes(page: Page) -> list[int]:
    """
    Find the sent messages whose latest status is of the category ``pending``.

    Most messages have one final status. Only the others are decoded.

    :param page: a page.
    :return: the indexes of these messages. A message whose status is missing or unreadable is not among them.
    """
    codes = page.status_codes or (None,) * len(page)
    if _FINAL_CODES.issuperset(codes):
        return []
    return [
        index for index, code in enumerate(codes) if code not in _FINAL_CODES and _is_pending(page, page.raws[index])
    ]


def _is_pending(page: Page, raw: BytesLike) -> bool:
    try:
        message = decode_message(raw, participant=page.participant, direction=page.direction)
    except IP1ResponseError:
        return False
    return message.status_category == "pending" and message.direction != "mo"
