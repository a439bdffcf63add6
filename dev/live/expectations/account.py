# SPDX-License-Identifier: Apache-2.0
"""What is expected of the lists of the account: batches, senders and the blacklist."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from dev.live.exchange import Exchange, shape, time_of
from dev.live.expectations.expectation import Problems, of_all, of_each


@of_each("control", "The lists of batches and senders are JSON arrays", "Batches; trusting a 404 relies on them")
def _(each: Exchange, _: Sequence[Exchange]) -> Problems:
    if each.method == "GET" and (each.is_batches or each.path.endswith("/v2/me/senders")):
        yield None if each.status == 200 and isinstance(each.json, list) else f"{each.status}, {shape(each)}"


@of_each("batch-order", "Batches are listed by creation", "Batches; that ids begin with the time is assumed")
def _(each: Exchange, _: Sequence[Exchange]) -> Problems:
    seconds = [int(an_id[:8], 16) for an_id in _batch_ids(each)]
    steps = [(one > other) == (each.order == "DESC") for one, other in pairwise(seconds) if one != other]
    if steps:
        # The time in an id is the time of its creation only as far as we know, so single exceptions do not count.
        yield None if sum(steps) > 0.9 * len(steps) else "a different order"


@of_all("received-batches", "The batches of received messages are listed, too", "Batches")
def _(exchanges: Sequence[Exchange]) -> Problems:
    listed = max((_batch_ids(each) for each in exchanges if each.order == "DESC"), key=len, default=[])
    for each in exchanges:
        if each.path.endswith("/mo") and listed:
            batches = [str(message.get("batchId")) for message in each.messages]
            # The list may be limited to the newest batches.
            missing = [an_id for an_id in batches if an_id >= min(listed) and an_id not in listed]
            yield f"{len(missing)} of {len(batches)} are not" if missing else None


@of_each("batch-direction", "A listed batch says MT or MO as its direction", "example of Batches")
def _(each: Exchange, _: Sequence[Exchange]) -> Problems:
    for row in _account_rows(each, "/v2/batches"):
        value = row.get("direction")
        good = isinstance(value, str) and value.upper() in ("MT", "MO")
        yield None if good else f"another {type(value).__name__}"


@of_all("direction-filter", "The list of batches ignores a parameter direction", "assumed, as none is documented")
def _(exchanges: Sequence[Exchange]) -> Problems:
    whole = max((_batch_ids(each) for each in exchanges if each.order == "DESC"), key=len, default=[])
    for each in exchanges:
        if each.is_batches and "direction" in each.query and whole:
            found = _batch_ids(each)
            directions = {str(row.get("direction")).upper() for row in _account_rows(each, "/v2/batches")}
            if each.status == 200 and found == whole[: len(found)] and found:
                yield None
            else:
                yield "it filters" if directions == {"MO"} else f"status {each.status}, and other batches"


# The account


@of_each("senders", "Registered senders have a name and a time, and are listed alphabetically", "Register sender")
def _(each: Exchange, _: Sequence[Exchange]) -> Problems:
    if rows := _account_rows(each, "/v2/me/senders"):
        names = [str(row.get("sender")) for row in rows]
        if not all(isinstance(row.get("sender"), str) and isinstance(row.get("created"), str) for row in rows):
            yield "sender or created is missing"
        else:
            # iP.1 does not say where lower case belongs.
            yield None if names in (sorted(names), sorted(names, key=str.casefold)) else "a different order"


@of_each("blacklist", "The blacklist is an array of numbers in digits, with a time", "Managing black list")
def _(each: Exchange, _: Sequence[Exchange]) -> Problems:
    if each.path.endswith("/v2/blacklist") and each.key == "right":
        rows = _account_rows(each, "/v2/blacklist")
        if each.status != 200 or not isinstance(each.json, list):
            yield f"{each.status}, {shape(each)}"
        else:
            good = all(str(row.get("msisdn")).isdecimal() and isinstance(row.get("created"), str) for row in rows)
            yield None if good else "msisdn or created in a different form"


@of_each("blacklist-order", "The blacklist is in the order of its times", "assumed by the sandbox")
def _(each: Exchange, _: Sequence[Exchange]) -> Problems:
    times = [str(row.get("created")) for row in _account_rows(each, "/v2/blacklist")]
    if len(times) > 1:
        yield None if times == sorted(times) else "a different order"


@of_all(
    "blacklist-status",
    "A message to a number gets the status 405 after the number was added to the blacklist",
    "assumed; the name of 405 is from iP.1's list for e-mail",
)
def _(exchanges: Sequence[Exchange]) -> Problems:
    added = {
        str(row.get("msisdn")): time_of(row.get("created"))
        for each in exchanges
        for row in _account_rows(each, "/v2/blacklist")
    }
    for each in exchanges:
        since = added.get(each.participant or "")
        if since is None or not each.path.endswith("/mt"):
            continue
        for status in (status for message in each.messages for status in message.get("statuses") or ()):
            code, reported = status.get("code"), time_of(status.get("created"))
            if isinstance(code, int) and reported is not None and reported >= since:
                yield None if code == 405 else f"status {code}"


def _account_rows(each: Exchange, path: str) -> list[dict[str, Any]]:
    if not each.path.endswith(path) or each.status != 200 or not isinstance(each.json, list):
        return []
    return [row for row in each.json if isinstance(row, dict)]


def _batch_ids(each: Exchange) -> list[str]:
    """Return the ids in a list of batches if all of them have the known form."""
    rows = each.json if each.is_batches and each.status == 200 and isinstance(each.json, list) else []
    ids = [str(row.get("id")) for row in rows if isinstance(row, dict)]
    return ids if all(re.fullmatch(r"[0-9a-f]{24}", an_id) for an_id in ids) else []
