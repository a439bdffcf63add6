# SPDX-License-Identifier: Apache-2.0
"""What is expected of responses that belong together: the pages of a list, both directions and the summary."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from airflow_provider_ip1.api.participant_search import STATUS_LOOKBACK
from airflow_provider_ip1.api.timestamps import is_plausible
from dev.live.exchange import Exchange, created_at, time_of
from dev.live.expectations.expectation import Problems, of_all, of_each
from dev.live.expectations.same_list import lists_of, offsets_of, same_list, total_of


@of_all("offsets", "start counts rows from 0, and a row has the same offset in every page", "older docs; assumed")
def _(exchanges: Sequence[Exchange]) -> Problems:
    for orders in lists_of(exchanges).values():
        for responses in orders.values():
            offsets = offsets_of(responses)
            places = [an_id for ids in offsets.values() for an_id in ids]
            for ids in offsets.values():
                yield None if len(ids) == 1 else "several messages at one offset"
            if len(set(places)) != len(places):
                yield "one message at several offsets"


@of_all("order", "DESC is the reverse of ASC", "Introduction")
def _(exchanges: Sequence[Exchange]) -> Problems:
    for orders in lists_of(exchanges).values():
        if {"ASC", "DESC"} <= set(orders):
            total = total_of(response for responses in orders.values() for response in responses)
            ascending, descending = offsets_of(orders["ASC"]), offsets_of(orders["DESC"])
            for offset, ids in descending.items():
                mirrored = ascending.get(total - 1 - offset)
                if mirrored is not None:
                    yield None if mirrored == ids else "a different order"


@of_all("directions", "/mt and /mo together make up the conversation", "Conversations")
def _(exchanges: Sequence[Exchange]) -> Problems:
    lists = lists_of(exchanges)
    for path in lists:
        if f"{path}/mt" in lists and f"{path}/mo" in lists:
            whole, sent, received = (
                {an_id for response in lists[each]["ASC"] for an_id in response.ids}
                for each in (path, f"{path}/mt", f"{path}/mo")
            )
            yield None if whole == sent | received and not sent & received else "they do not"


@of_each("direction", "direction is 0 or mt for sent messages, 1 or mo for received ones", "assumed by the sandbox")
def _(each: Exchange, _: Sequence[Exchange]) -> Problems:
    for path, values in (("mt", ("0", "mt")), ("mo", ("1", "mo"))):
        if each.path.endswith(f"/{path}"):
            for message in each.messages:
                yield None if str(message.get("direction")).lower() in values else f"/{path} has other values"


@of_all("summary-count", "The summary and the list have the same number of messages", "Conversations")
def _(exchanges: Sequence[Exchange]) -> Problems:
    lists = lists_of(exchanges)
    for each in exchanges:
        path = each.path.removesuffix("/summary")
        if each.is_summary and each.status == 200 and isinstance(each.json, dict) and path in lists:
            counted = each.json.get("totalMessageCount")
            yield None if counted == total_of(lists[path]["ASC"]) else "they have different numbers"


@of_each("no-messages", "A conversation without messages, and its summary, return 404", "GetConversationMessages")
def _(each: Exchange, _: Sequence[Exchange]) -> Problems:
    if each.is_summary and isinstance(each.json, dict) and each.json.get("totalMessageCount") == 0:
        yield "a summary of zero messages"
    if each.is_list and each.key == "right" and each.start == 0 and each.limit > 0:
        if each.status == 404:
            yield None
        elif each.rows == []:
            yield "200 with an empty list"


@of_each("past-end", "A start after the last message returns an empty list", "assumed")
def _(each: Exchange, exchanges: Sequence[Exchange]) -> Problems:
    total = total_of(same_list(exchanges, each))
    if each.is_list and each.key == "right" and total and each.start >= total:
        yield None if each.rows == [] else f"status {each.status}"


@of_each("invalid-participant", "An invalid participant returns 400", "GetConversationMessages")
def _(each: Exchange, _: Sequence[Exchange]) -> Problems:
    if each.participant is not None and re.search(r"[^\w +.\-]", each.participant) and each.key == "right":
        yield None if each.status == 400 else f"status {each.status}"


def _dated(exchanges: Sequence[Exchange]) -> Iterator[tuple[dict[str, Any], datetime, datetime]]:
    """Return each listed message with the time of its creation and the time of the response."""
    for each in exchanges:
        for message in each.rows or ():
            created = created_at(message)
            if created is not None and each.date is not None:
                yield message, created, each.date


@of_all("plausible-times", "Times are between the year 2000 and tomorrow", "assumed")
def _(exchanges: Sequence[Exchange]) -> Problems:
    for message, _, now in _dated(exchanges):
        for text in (message.get("modified"), *(status.get("created") for status in message.get("statuses") or ())):
            if (time := time_of(text)) is not None:
                yield None if is_plausible(time, now + timedelta(days=1)) else f"the year {time.year}"


@of_all("last-change", "The last change of a message comes within 3 days of its creation, not before it", "assumed")
def _(exchanges: Sequence[Exchange]) -> Problems:
    # The time in an id has whole seconds.
    earliest, latest = timedelta(seconds=-1), STATUS_LOOKBACK
    days = [
        modified - created
        for message, created, _ in _dated(exchanges)
        if (modified := time_of(message.get("modified"))) is not None
    ]
    outside = [each for each in days if not earliest <= each <= latest]
    if outside:
        yield f"{len(outside)} of {len(days)} after {min(outside).days} to {max(outside).days} days"
    elif days:
        yield None


@of_all("open-statuses", "No message has a status 1xx a week after its creation", "assumed")
def _(exchanges: Sequence[Exchange]) -> Problems:
    for message, created, now in _dated(exchanges):
        codes = [status.get("code") for status in message.get("statuses") or ()][-1:]
        if codes and isinstance(codes[0], int) and now - created > timedelta(weeks=1):
            yield None if codes[0] >= 200 else f"status {codes[0]}"
