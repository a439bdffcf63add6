# SPDX-License-Identifier: Apache-2.0
"""Pages of messages for the formats, without a server."""

from __future__ import annotations

from collections.abc import Iterable

from airflow_provider_ip1.api.page_body import split_page
from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.api.requests import Direction


def page_of(raws: Iterable[bytes], *, participant: str | None = None, direction: Direction | None = None) -> Page:
    """Make a page of messages, each the bytes of one JSON object."""
    body = split_page(b"[" + b",".join(raws) + b"]")
    return Page(
        participant=participant,
        direction=direction,
        number=0,
        start=0,
        ids=tuple(body.ids),
        raws=tuple(body.raws),
        total_hint=None,
        modified_values=tuple(body.modified),
        status_codes=tuple(body.status_codes),
    )
