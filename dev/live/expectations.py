# SPDX-License-Identifier: Apache-2.0
"""
What this provider expects of iP.1's responses, one check per expectation.

The same checks judge the recordings, the sandbox and the real API, because they only look at exchanges. No text in here
and no verdict contains personal data.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jsonschema

from airflow_provider_ip1.api.status import KNOWN_CODES
from dev.live.exchange import Exchange, link_form, shape

SCHEMA: Mapping[str, Any] = json.loads(
    files("airflow_provider_ip1.api").joinpath("schema/conversation_messages.json").read_text()
)
_ENUMS = ("direction", "type", "datacoding", "priority", "duration")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,7})?(Z|[+-][0-9]{2}:[0-9]{2})")


Problems = Iterator[str | None]
"""For each part that a check looked at: ``None`` if it is as expected, otherwise what is wrong."""


@dataclass(frozen=True)
class Expectation:
    """
    Something that must be true of iP.1's responses.

    :param name: a short name for notes and tests.
    :param text: what must be true.
    :param source: iP.1's page or the RFC that says so, or "assumed" if no public document does.
    :param check: looks at all exchanges with one server.
    """

    name: str
    text: str
    source: str
    check: Callable[[Sequence[Exchange]], Problems] = field(repr=False)


@dataclass(frozen=True)
class Verdict:
    """The result of one check: how many parts it looked at, and what was wrong."""

    expectation: Expectation
    seen: int
    problems: tuple[str, ...]

    @property
    def differs(self) -> bool:
        return bool(self.problems)


EXPECTATIONS: list[Expectation] = []


def _of_all(name: str, text: str, source: str) -> Callable[[Callable[[Sequence[Exchange]], Problems]], None]:
    def add(check: Callable[[Sequence[Exchange]], Problems]) -> None:
        EXPECTATIONS.append(Expectation(name, text, source, check))

    return add


def _of_each(name: str, text: str, source: str) -> Callable[[Callable[[Exchange, Sequence[Exchange]], Problems]], None]:
    def add(check: Callable[[Exchange, Sequence[Exchange]], Problems]) -> None:
        def check_all(exchanges: Sequence[Exchange]) -> Problems:
            for each in exchanges:
                yield from check(each, exchanges)

        EXPECTATIONS.append(Expectation(name, text, source, check_all))

    return add


def judge(exchanges: Sequence[Exchange]) -> list[Verdict]:
    """
    Check all expectations.

    :param exchanges: exchanges with one server, in any number.
    """
    verdicts = []
    for expectation in EXPECTATIONS:
        found = list(expectation.check(exchanges))
        problems = tuple(sorted({problem for problem in found if problem is not None}))
        verdicts.append(Verdict(expectation, len(found), problems))
    return verdicts


def differing(exchanges: Sequence[Exchange]) -> list[str]:
    """Return the names of the expectations that these exchanges do not meet."""
    return [verdict.expectation.name for verdict in judge(exchanges) if verdict.differs]


# Single responses


@_of_each("status", "Responses to GET have the status 200, 400, 401 or 404", "GetConversationMessages; 401 assumed")
def _(each: Exchange, _: Sequence[Exchange]) -> Problems:
    if each.method != "GET":
        return
    yield None if each.status in (200, 400, 401, 404) else f"status {each.status}"


@_of_each("key", "401 if, and only if, the key is missing or wrong", "assumed")
def _(each: Exchange, _: Sequence[Exchange]) -> Problems:
    yield None if (each.status == 401) == (each.key != "right") else f"{each.key} key: status {each.status}"


@_of_each("error-body", "An error is a JSON object with a title", "assumed")
def _(each: Exchange, _: Sequence[Exchange]) -> Problems:
    if each.status >= 400:
        good = isinstance(each.json, dict) and isinstance(each.json.get("title"), str)
        yield None if good else f"status {each.status}: {shape(each)}"


@_of_each("json", "A 200 is JSON and has its content type", "GetConversationMessages; RFC 8259")
def _(each: Exchange, _: Sequence[Exchange]) -> Problems:
    if each.status == 200:
        media = each.headers.get("content-type", "").partition(";")[0].strip().lower()
        yield None if media == "application/json" and each.json is not None else shape(each)


def _schema_problems(each: Exchange) -> Iterator[tuple[str, str]]:
    instance = each.json if each.is_list else [each.json]
    for error in jsonschema.Draft4Validator(SCHEMA).iter_errors(instance):
        names = [part for part in error.absolute_path if isinstance(part, str)]
        yield (names[-1] if names else "the list"), str(error.validator)


def _documented(each: Exchange) -> bool:
    return each.status == 200 and (each.is_list or each.is_message) and each.json is not None


@_of_all("schema", "Lists and messages have the fields and types of the documented schema", "GetConversationMessages")
def _(exchanges: Sequence[Exchange]) -> Problems:
    for each in filter(_documented, exchanges):
        yield None
        for name, rule in _schema_problems(each):
            # Another check covers enumerations.
            if name not in (*_ENUMS, "code") or (name == "code" and rule != "enum"):
                yield f"{name}: {rule}"


@_of_all("fields", "Messages have no other fields", "GetConversationMessages")
def _(exchanges: Sequence[Exchange]) -> Problems:
    documented = SCHEMA["items"]["properties"]
    for each in exchanges:
        for message in each.messages:
            unknown = set(message) - set(documented)
            yield f"{len(unknown)} other fields" if unknown else None


@_of_all("enums", f"{', '.join(_ENUMS)} are the documented integers", "GetConversationMessages")
def _(exchanges: Sequence[Exchange]) -> Problems:
    for each in filter(_documented, exchanges):
        yield None
        for name, rule in _schema_problems(each):
            if name in _ENUMS:
                yield f"{name}: {rule}"


@_of_each("codes", "Status codes are those of the schema, or 114", "GetConversationMessages; Status codes")
def _(each: Exchange, _: Sequence[Exchange]) -> Problems:
    for message in each.messages:
        for status in message.get("statuses") or ():
            code = status.get("code")
            yield None if code in KNOWN_CODES else f"code {code if isinstance(code, int) else type(code).__name__}"


@_of_each("times", "Times have a zone and at most 7 digits of a second", "example of Reading messages")
def _(each: Exchange, _: Sequence[Exchange]) -> Problems:
    for message in each.messages:
        for value in (message.get("modified"), *(each.get("created") for each in message.get("statuses") or ())):
            if value is not None:
                yield None if isinstance(value, str) and _TIME.fullmatch(value) else "a time in a different form"


@_of_each("ids", "Every message has an id that is unique in its page", "Reading messages")
def _(each: Exchange, _: Sequence[Exchange]) -> Problems:
    if each.rows is not None:
        good = all(isinstance(an_id, str) and an_id for an_id in each.ids) and len(set(each.ids)) == len(each.ids)
        yield None if good else "an id is missing or not unique"


@_of_each("limit", "A page has as many messages as the limit, or all that follow start", "Introduction")
def _(each: Exchange, exchanges: Sequence[Exchange]) -> Problems:
    if each.rows is not None:
        total = _total(_same_list(exchanges, each))
        wanted = max(min(each.limit, total - each.start), 0)
        got = len(each.rows)
        yield None if got == wanted else f"limit {each.limit}: {got} messages instead of {wanted}"


@_of_each("one-status", "A list shows one status per message", "Reading messages, for batches")
def _(each: Exchange, _: Sequence[Exchange]) -> Problems:
    for row in each.rows or ():
        count = len(row.get("statuses") or ())
        yield None if count == 1 else f"{count} statuses"


@_of_each("history", "A single message shows its statuses, oldest first", "Reading messages; the order is assumed")
def _(each: Exchange, _: Sequence[Exchange]) -> Problems:
    if each.is_message:
        for message in each.messages:
            times = [status.get("created") or "" for status in message.get("statuses") or ()]
            yield None if times and times == sorted(times) else f"{len(times)} statuses, in a different order"


@_of_each("summary", "The totals of a summary are the sums over both directions", "example of Conversations")
def _(each: Exchange, _: Sequence[Exchange]) -> Problems:
    if each.is_summary and each.status == 200:
        yield _summary_problem(each.json)


def _summary_problem(summary: Any) -> str | None:
    if not isinstance(summary, dict) or not isinstance(summary.get("participant"), str):
        return "no participant"
    for total, counted in (("totalMessageCount", "messages"), ("totalSmsCount", "sms")):
        counts = [
            count.get(counted)
            for direction in ("mobileTerminatedMessages", "mobileOriginatedMessages")
            for count in (summary.get(direction) or {}).values()
        ]
        if None in counts or summary.get(total) != sum(counts):
            return f"{total} is not the sum"
    return None


# The list of batches


@_of_each("control", "The lists of batches and senders are JSON arrays", "Batches; trusting a 404 relies on them")
def _(each: Exchange, _: Sequence[Exchange]) -> Problems:
    if each.method == "GET" and (each.is_batches or each.path.endswith("/v2/me/senders")):
        yield None if each.status == 200 and isinstance(each.json, list) else f"{each.status}, {shape(each)}"


@_of_each("batch-order", "Batches are listed by creation", "Batches; that ids begin with the time is assumed")
def _(each: Exchange, _: Sequence[Exchange]) -> Problems:
    seconds = [int(an_id[:8], 16) for an_id in _batch_ids(each)]
    steps = [(one > other) == (each.order == "DESC") for one, other in pairwise(seconds) if one != other]
    if steps:
        # The time in an id is the time of its creation only as far as we know, so single exceptions do not count.
        yield None if sum(steps) > 0.9 * len(steps) else "a different order"


@_of_all("received-batches", "The batches of received messages are listed, too", "Batches")
def _(exchanges: Sequence[Exchange]) -> Problems:
    listed = max((_batch_ids(each) for each in exchanges if each.order == "DESC"), key=len, default=[])
    for each in exchanges:
        if each.path.endswith("/mo") and listed:
            batches = [str(message.get("batchId")) for message in each.messages]
            # The list may be limited to the newest batches.
            missing = [an_id for an_id in batches if an_id >= min(listed) and an_id not in listed]
            yield f"{len(missing)} of {len(batches)} are not" if missing else None


@_of_each("batch-direction", "A listed batch says MT or MO as its direction", "example of Batches")
def _(each: Exchange, _: Sequence[Exchange]) -> Problems:
    for row in _account_rows(each, "/v2/batches"):
        value = row.get("direction")
        good = isinstance(value, str) and value.upper() in ("MT", "MO")
        yield None if good else f"another {type(value).__name__}"


@_of_all("direction-filter", "The list of batches ignores a parameter direction", "assumed, as none is documented")
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


@_of_each("senders", "Registered senders have a name and a time, and are listed alphabetically", "Register sender")
def _(each: Exchange, _: Sequence[Exchange]) -> Problems:
    if rows := _account_rows(each, "/v2/me/senders"):
        names = [str(row.get("sender")) for row in rows]
        if not all(isinstance(row.get("sender"), str) and isinstance(row.get("created"), str) for row in rows):
            yield "sender or created is missing"
        else:
            # iP.1 does not say where lower case belongs.
            yield None if names in (sorted(names), sorted(names, key=str.casefold)) else "a different order"


@_of_each("blacklist", "The blacklist is an array of numbers in digits, with a time", "Managing black list")
def _(each: Exchange, _: Sequence[Exchange]) -> Problems:
    if each.path.endswith("/v2/blacklist") and each.key == "right":
        rows = _account_rows(each, "/v2/blacklist")
        if each.status != 200 or not isinstance(each.json, list):
            yield f"{each.status}, {shape(each)}"
        else:
            good = all(str(row.get("msisdn")).isdecimal() and isinstance(row.get("created"), str) for row in rows)
            yield None if good else "msisdn or created in a different form"


def _account_rows(each: Exchange, path: str) -> list[dict[str, Any]]:
    if not each.path.endswith(path) or each.status != 200 or not isinstance(each.json, list):
        return []
    return [row for row in each.json if isinstance(row, dict)]


def _batch_ids(each: Exchange) -> list[str]:
    """Return the ids in a list of batches if all of them have the known form."""
    rows = each.json if each.is_batches and each.status == 200 and isinstance(each.json, list) else []
    ids = [str(row.get("id")) for row in rows if isinstance(row, dict)]
    return ids if all(re.fullmatch(r"[0-9a-f]{24}", an_id) for an_id in ids) else []


# The Link header


@_of_each("link-form", "A Link header has the form of RFC 8288", "Introduction; RFC 8288")
def _(each: Exchange, _: Sequence[Exchange]) -> Problems:
    if each.rows:
        yield None if link_form(each.headers.get("link")) == "RFC 8288" else link_form(each.headers.get("link"))


@_of_each("link-target", "Links point to the same list on the same server, with start, limit and order", "Introduction")
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


@_of_each("link-next", "There is a next link if, and only if, more messages follow", "Introduction; assumed in part")
def _(each: Exchange, exchanges: Sequence[Exchange]) -> Problems:
    if each.rows:
        follows = each.start + len(each.rows) < _total(_same_list(exchanges, each))
        if ("next" in each.links) != follows:
            yield "next is missing" if follows else "next, although nothing follows"
        else:
            yield None


@_of_each(
    "link-numbers", "next continues after the page, and last points to the last page", "offset, from Introduction"
)
def _(each: Exchange, exchanges: Sequence[Exchange]) -> Problems:
    if not each.rows:
        return
    total = _total(_same_list(exchanges, each))
    following, last = each.links.get("next"), each.links.get("last")
    if following is not None:
        off = None if following.start is None else following.start - (each.start + len(each.rows))
        yield None if off == 0 else "next has no start" if off is None else f"next is off by {off}"
    if last is not None:
        is_last = last.start is not None and last.limit is not None and last.start < total <= last.start + last.limit
        yield None if is_last else "last does not contain the last message"


# Responses that belong together


def _same_list(exchanges: Iterable[Exchange], one: Exchange) -> list[Exchange]:
    return [each for each in exchanges if each.path == one.path and each.rows is not None]


def _total(of_list: Iterable[Exchange]) -> int:
    """Return the number of rows in a list, as far as its responses show."""
    return max((each.start + len(each.rows) for each in of_list if each.rows), default=0)


def _lists(exchanges: Iterable[Exchange]) -> dict[str, dict[str, list[Exchange]]]:
    """Return the list responses by path and order."""
    lists: dict[str, dict[str, list[Exchange]]] = defaultdict(lambda: defaultdict(list))
    for each in exchanges:
        if each.rows is not None:
            lists[each.path][each.order].append(each)
    return lists


def _offsets(responses: Iterable[Exchange]) -> dict[int, set[Any]]:
    offsets: dict[int, set[Any]] = defaultdict(set)
    for each in responses:
        for place, an_id in enumerate(each.ids):
            offsets[each.start + place].add(an_id)
    return offsets


@_of_all("offsets", "start counts rows from 0, and a row has the same offset in every page", "older docs; assumed")
def _(exchanges: Sequence[Exchange]) -> Problems:
    for orders in _lists(exchanges).values():
        for responses in orders.values():
            offsets = _offsets(responses)
            places = [an_id for ids in offsets.values() for an_id in ids]
            for ids in offsets.values():
                yield None if len(ids) == 1 else "several messages at one offset"
            if len(set(places)) != len(places):
                yield "one message at several offsets"


@_of_all("order", "DESC is the reverse of ASC", "Introduction")
def _(exchanges: Sequence[Exchange]) -> Problems:
    for orders in _lists(exchanges).values():
        if {"ASC", "DESC"} <= set(orders):
            total = _total(response for responses in orders.values() for response in responses)
            ascending, descending = _offsets(orders["ASC"]), _offsets(orders["DESC"])
            for offset, ids in descending.items():
                mirrored = ascending.get(total - 1 - offset)
                if mirrored is not None:
                    yield None if mirrored == ids else "a different order"


@_of_all("directions", "/mt and /mo together make up the conversation", "Conversations")
def _(exchanges: Sequence[Exchange]) -> Problems:
    lists = _lists(exchanges)
    for path in lists:
        if f"{path}/mt" in lists and f"{path}/mo" in lists:
            whole, sent, received = (
                {an_id for response in lists[each]["ASC"] for an_id in response.ids}
                for each in (path, f"{path}/mt", f"{path}/mo")
            )
            yield None if whole == sent | received and not sent & received else "they do not"


@_of_each("direction", "direction is 0 or mt for sent messages, 1 or mo for received ones", "assumed by the sandbox")
def _(each: Exchange, _: Sequence[Exchange]) -> Problems:
    for path, values in (("mt", ("0", "mt")), ("mo", ("1", "mo"))):
        if each.path.endswith(f"/{path}"):
            for message in each.messages:
                yield None if str(message.get("direction")).lower() in values else f"/{path} has other values"


@_of_all("summary-count", "The summary and the list have the same number of messages", "Conversations")
def _(exchanges: Sequence[Exchange]) -> Problems:
    lists = _lists(exchanges)
    for each in exchanges:
        path = each.path.removesuffix("/summary")
        if each.is_summary and each.status == 200 and isinstance(each.json, dict) and path in lists:
            counted = each.json.get("totalMessageCount")
            yield None if counted == _total(lists[path]["ASC"]) else "they have different numbers"


@_of_each("no-messages", "A conversation without messages, and its summary, return 404", "GetConversationMessages")
def _(each: Exchange, _: Sequence[Exchange]) -> Problems:
    if each.is_summary and isinstance(each.json, dict) and each.json.get("totalMessageCount") == 0:
        yield "a summary of zero messages"
    if each.is_list and each.key == "right" and each.start == 0 and each.limit > 0:
        if each.status == 404:
            yield None
        elif each.rows == []:
            yield "200 with an empty list"


@_of_each("past-end", "A start after the last message returns an empty list", "assumed")
def _(each: Exchange, exchanges: Sequence[Exchange]) -> Problems:
    total = _total(_same_list(exchanges, each))
    if each.is_list and each.key == "right" and total and each.start >= total:
        yield None if each.rows == [] else f"status {each.status}"


@_of_each("invalid-participant", "An invalid participant returns 400", "GetConversationMessages")
def _(each: Exchange, _: Sequence[Exchange]) -> Problems:
    if each.participant is not None and re.search(r"[^\w +.\-]", each.participant) and each.key == "right":
        yield None if each.status == 400 else f"status {each.status}"
