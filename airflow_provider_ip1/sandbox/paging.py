# SPDX-License-Identifier: Apache-2.0
"""Paging as iP.1 documents it: ``start``, ``limit`` and ``order``, and the ``Link`` header."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from airflow_provider_ip1.sandbox.faults import Hits
from airflow_provider_ip1.sandbox.responses import Refused, raw_json_response

DEFAULT_LIMIT = 50
MAX_LIMIT = 10_000

_LINK_FORMS = {
    "no-semicolon": '{target} rel="{rel}"',
    "swallowed": '; rel="{rel}"',
    "uppercase": '{target}; REL="{upper}"',
}


@dataclass(frozen=True)
class PageQuery:
    """
    The rows that a client asked for, and how the server counts them.

    :param start: the first row, counted from 0.
    :param limit: the most rows to return.
    :param asked_limit: the limit in the request, which the server may have lowered.
    :param descending: whether rows are counted from the newest.
    :param order: the order in the request.
    :param base: what the first row is called in URLs: 0, or 1 with the fault ``start=1-based``.
    """

    start: int
    limit: int
    asked_limit: int
    descending: bool
    order: str
    base: int

    @classmethod
    def from_query(cls, query: Mapping[str, str], hits: Hits) -> PageQuery:
        """
        Read the query of a list call.

        :raises Refused: with 400 if a parameter is invalid.
        """
        base = 1 if hits.value("start") == "1-based" else 0
        asked_start = _natural(query, "start", default=0, least=0)
        asked_limit = _natural(query, "limit", default=DEFAULT_LIMIT, least=1)
        order = query.get("order", "ASC").upper()
        if order not in ("ASC", "DESC"):
            raise Refused(400, order="The order must be ASC or DESC.")
        return cls(
            start=0 if "ignore-start" in hits else max(asked_start - base, 0),
            limit=min(asked_limit, MAX_LIMIT, *(int(fault.value) for fault in hits.all("clamp"))),
            asked_limit=asked_limit,
            descending=order == "DESC" and "ignore-order" not in hits,
            order=order,
            base=base,
        )

    def slice(self, total: int) -> slice:
        """Return the part of a list of ``total`` rows, oldest first, that is the page; it may have to be reversed."""
        stop = min(self.start + self.limit, total)
        return slice(total - stop, total - self.start) if self.descending else slice(self.start, stop)


def list_response(request: web.Request, hits: Hits, total: int, read: Callable[[slice], list[bytes]]) -> web.Response:
    """
    Return one page of a list.

    :param total: the number of rows in the list.
    :param read: returns the rows of a slice of the list, oldest first, each as JSON.
    :raises Refused: with 400 if a parameter is invalid, or with 404 as the fault ``past-end=404`` wants.
    """
    page = PageQuery.from_query(request.query, hits)
    if "empty-list" in hits:
        return raw_json_response(b"[]")
    if page.start >= total:
        if hits.value("past-end") == "404":
            raise Refused(404, "There are no messages to list.")
        rows = []
    else:
        rows = read(page.slice(total))
    response = raw_json_response(b"[" + b",".join(reversed(rows) if page.descending else rows) + b"]")
    link = _link_header(f"{request.scheme}://{request.host}{request.rel_url.raw_path}", page, total, hits)
    if link:
        response.headers["Link"] = link
    return response


def _link_header(url: str, page: PageQuery, total: int, hits: Hits) -> str:
    style = hits.value("link") or "rfc8288"
    if style == "none":
        return ""
    if style == "garbage":
        return "<<>;;, next"
    limit = page.asked_limit if style == "requested-limit" else page.limit
    starts = {"first": 0}
    if page.start > 0:
        starts["prev"] = max(page.start - limit, 0)
    if page.start + limit < total:
        starts["next"] = page.start + limit + (1 if style == "off-by-one" else 0)
    starts["last"] = (total - 1) // limit * limit
    if style == "self":
        starts = {"self": page.start} | starts
    if style in ("relative", "foreign"):
        origin = hits.option("link", "to", "https://elsewhere.example") if style == "foreign" else ""
        url = f"{origin}/{url.split('/', 3)[3]}"
    form = _LINK_FORMS.get(style, '{target}; rel="{rel}"')
    return ", ".join(
        form.format(
            target=f"<{url}?start={start + page.base}&limit={limit}&order={page.order}>", rel=rel, upper=rel.upper()
        )
        for rel, start in starts.items()
    )


def _natural(query: Mapping[str, str], name: str, *, default: int, least: int) -> int:
    text = query.get(name, str(default))
    if not re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) or int(text) < least:
        raise Refused(400, **{name: f"The value of {name} must be a whole number from {least}."})
    return int(text)
