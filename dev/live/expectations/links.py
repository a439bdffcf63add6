# SPDX-License-Identifier: Apache-2.0
"""What is expected of the Link header."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import parse_qs, urlsplit

from dev.live.exchange import Exchange, link_form
from dev.live.expectations.expectation import Problems, of_each
from dev.live.expectations.same_list import ends_there, same_list, total_of


@of_each("link-form", "A Link header has the form of RFC 8288", "Introduction; RFC 8288")
def _(each: Exchange, _: Sequence[Exchange]) -> Problems:
    if each.rows:
        yield None if link_form(each.headers.get("link")) == "RFC 8288" else link_form(each.headers.get("link"))


@of_each("link-target", "Links point to the same list on the same server, with start, limit and order", "Introduction")
def _(each: Exchange, _: Sequence[Exchange]) -> Problems:
    for url in re.findall(r"<([^<>]*)>", each.headers.get("link", "")):
        parts, asked = urlsplit(url), urlsplit(each.url)
        same = (parts.scheme, parts.netloc, parts.path) == (asked.scheme, asked.netloc, asked.path)
        named = parse_qs(parts.query)
        if not same:
            yield "a different server or list"
        elif {"start", "limit", "order"} - set(named):
            yield "start, limit or order is missing"
        else:
            yield (None if [value.upper() for value in named["order"]] == [each.order.upper()] else "a different order")


@of_each("link-next", "There is a next link if, and only if, more messages follow", "Introduction; assumed in part")
def _(each: Exchange, exchanges: Sequence[Exchange]) -> Problems:
    if each.rows:
        follows = each.start + len(each.rows) < total_of(same_list(exchanges, each))
        if ("next" in each.links) == follows:
            yield None
        elif follows:
            yield "next is missing"
        elif ends_there(exchanges, each):
            yield "next, although nothing follows"


@of_each("link-numbers", "next continues after the page, and last points to the last page", "offset, from Introduction")
def _(each: Exchange, exchanges: Sequence[Exchange]) -> Problems:
    if not each.rows:
        return
    total = total_of(same_list(exchanges, each))
    following, last = each.links.get("next"), each.links.get("last")
    if following is not None:
        off = None if following.start is None else following.start - (each.start + len(each.rows))
        yield None if off == 0 else "next has no start" if off is None else f"next is off by {off}"
    if last is not None and ends_there(exchanges, each):
        is_last = last.start is not None and last.limit is not None and last.start < total <= last.start + last.limit
        yield None if is_last else "last does not contain the last message"
