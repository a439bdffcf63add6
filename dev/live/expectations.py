# SPDX-License-Identifier: Apache-2.0
"""
What this provider expects of iP.1's answers, one check per expectation.

The same checks judge the recordings, the sandbox and the real API. They look at exchanges only, so it does not matter
where these come from. No text in here or in a verdict holds personal data.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import jsonschema

from airflow_provider_ip1.api.link import LinkTarget, parse_link
from airflow_provider_ip1.api.status import KNOWN_CODES
from dev.live.cassettes import Cassette, Key

SCHEMA: Mapping[str, Any] = json.loads(
    files("airflow_provider_ip1.api").joinpath("schema/conversation_messages.json").read_text()
)
DEFAULT_LIMIT = 50
_ENUMS = ("direction", "type", "datacoding", "priority", "duration")
# RFC 8288, as far as iP.1 needs it.
_LINK = re.compile(r'<[^<>"\s]*>(\s*;\s*[a-z-]+="[^"]*")*')
_REL = re.compile(r'\brel="[a-z ]+"')
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,7})?(Z|[+-][0-9]{2}:[0-9]{2})")


@dataclass(frozen=True)
class Exchange:
    """
    One request and its answer.

    :param url: the whole URL that was asked.
    :param headers: names in lower case.
    :param key: whether the request had the right API key.
    """

    url: str = field(repr=False)
    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    key: Key = "right"

    @cached_property
    def path(self) -> str:
        return urlsplit(self.url).path

    @cached_property
    def query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.url).query).items()}

    @property
    def start(self) -> int:
        return int(self.query.get("start", 0))

    @property
    def limit(self) -> int:
        return int(self.query.get("limit", DEFAULT_LIMIT))

    @property
    def order(self) -> str:
        return self.query.get("order", "ASC")

    @property
    def is_list(self) -> bool:
        return re.search(r"/v2/(conversations/[^/]+(/m[to])?|batches/[^/]+/messages)$", self.path) is not None

    @property
    def is_summary(self) -> bool:
        return re.search(r"/v2/conversations/[^/]+/summary$", self.path) is not None

    @property
    def is_message(self) -> bool:
        return re.search(r"/v2/batches/[^/]+/messages/[^/]+$", self.path) is not None

    @property
    def participant(self) -> str | None:
        found = re.search(r"/v2/conversations/([^/]+)", self.path)
        return unquote(found[1]) if found else None

    @cached_property
    def json(self) -> Any:
        """The body as JSON, ``None`` where it is not."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @cached_property
    def rows(self) -> list[dict[str, Any]] | None:
        """The messages of a list, ``None`` where the answer is no list."""
        if self.status != 200 or not self.is_list or not isinstance(self.json, list):
            return None
        return self.json if all(isinstance(row, dict) for row in self.json) else None

    @property
    def ids(self) -> list[Any]:
        return [row.get("id") for row in self.rows or ()]

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The messages of the answer, be it a list or a single one."""
        if self.status == 200 and self.is_message and isinstance(self.json, dict):
            return [self.json]
        return self.rows or []

    @cached_property
    def links(self) -> Mapping[str, LinkTarget]:
        return parse_link(self.headers.get("link"))


def exchanges_of(cassette: Cassette) -> list[Exchange]:
    """What a cassette holds."""
    return [
        Exchange(
            each.url,
            each.status,
            {name.lower(): ", ".join(values) for name, values in each.headers.items()},
            each.body,
            cassette.call.key,
        )
        for each in cassette.interactions
    ]


Problems = Iterator[str | None]
"""``None`` for each thing that was looked at and is as expected, a text for each that is not."""


@dataclass(frozen=True)
class Expectation:
    """
    :param name: a short name for notes and tests.
    :param text: what is expected.
    :param source: iP.1's page, RFC, or "assumed" where no public document says.
    """

    name: str
    text: str
    source: str
    check: Callable[[Sequence[Exchange]], Problems] = field(repr=False)


@dataclass(frozen=True)
class Verdict:
    """How one expectation fared: how many things were looked at, and what was not as expected."""

    expectation: Expectation
    seen: int
    problems: tuple[str, ...]

    @property
    def differs(self) -> bool:
        return bool(self.problems)


EXPECTATIONS: list[Expectation] = []


def _expect(name: str, text: str, source: str) -> Callable[[Callable[[Sequence[Exchange]], Problems]], None]:
    def add(check: Callable[[Sequence[Exchange]], Problems]) -> None:
        EXPECTATIONS.append(Expectation(name, text, source, check))

    return add


def judge(exchanges: Sequence[Exchange]) -> list[Verdict]:
    """
    Check all expectations.

    :param exchanges: any answers of one server.
    """
    verdicts = []
    for expectation in EXPECTATIONS:
        found = list(expectation.check(exchanges))
        problems = tuple(sorted({problem for problem in found if problem is not None}))
        verdicts.append(Verdict(expectation, len(found), problems))
    return verdicts


def differing(exchanges: Sequence[Exchange]) -> list[str]:
    """The names of the expectations that these exchanges do not meet."""
    return [verdict.expectation.name for verdict in judge(exchanges) if verdict.differs]


# -- single answers


@_expect("status", "Only the statuses 200, 400, 401 and 404", "GetConversationMessages; 401 assumed")
def _(exchanges: Sequence[Exchange]) -> Problems:
    for each in exchanges:
        yield None if each.status in (200, 400, 401, 404) else f"status {each.status}"


@_expect("key", "401 without the right key, and only then", "assumed")
def _(exchanges: Sequence[Exchange]) -> Problems:
    for each in exchanges:
        yield None if (each.status == 401) == (each.key != "right") else f"{each.key} key: status {each.status}"


@_expect("error-body", "An error is a JSON object with a title", "assumed")
def _(exchanges: Sequence[Exchange]) -> Problems:
    for each in exchanges:
        if each.status >= 400:
            good = isinstance(each.json, dict) and isinstance(each.json.get("title"), str)
            yield None if good else f"status {each.status}: {shape(each)}"


@_expect("json", "A 200 is JSON and says so", "GetConversationMessages; RFC 8259")
def _(exchanges: Sequence[Exchange]) -> Problems:
    for each in exchanges:
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


@_expect("schema", "Lists and messages have the fields and types of the documented schema", "GetConversationMessages")
def _(exchanges: Sequence[Exchange]) -> Problems:
    for each in filter(_documented, exchanges):
        yield None
        for name, rule in _schema_problems(each):
            # Enumerations are looked at below.
            if name not in (*_ENUMS, "code") or (name == "code" and rule != "enum"):
                yield f"{name}: {rule}"


@_expect("fields", "No further fields", "GetConversationMessages")
def _(exchanges: Sequence[Exchange]) -> Problems:
    documented = SCHEMA["items"]["properties"]
    for each in exchanges:
        for message in each.messages:
            unknown = set(message) - set(documented)
            yield f"{len(unknown)} further fields" if unknown else None


@_expect("enums", f"{', '.join(_ENUMS)} are the documented integers", "GetConversationMessages")
def _(exchanges: Sequence[Exchange]) -> Problems:
    for each in filter(_documented, exchanges):
        yield None
        for name, rule in _schema_problems(each):
            if name in _ENUMS:
                yield f"{name}: {rule}"


@_expect("codes", "Only status codes of the schema, and 114", "GetConversationMessages; Status codes")
def _(exchanges: Sequence[Exchange]) -> Problems:
    for each in exchanges:
        for message in each.messages:
            for status in message.get("statuses") or ():
                code = status.get("code")
                yield None if code in KNOWN_CODES else f"code {code if isinstance(code, int) else type(code).__name__}"


@_expect("times", "Times have a zone and at most 7 digits of a second", "example of Reading messages")
def _(exchanges: Sequence[Exchange]) -> Problems:
    for each in exchanges:
        for message in each.messages:
            for value in (message.get("modified"), *(each.get("created") for each in message.get("statuses") or ())):
                if value is not None:
                    yield None if isinstance(value, str) and _TIME.fullmatch(value) else "a time of another form"


@_expect("ids", "Every message has an id that no other one of its page has", "Reading messages")
def _(exchanges: Sequence[Exchange]) -> Problems:
    for each in exchanges:
        if each.rows is not None:
            good = all(isinstance(an_id, str) and an_id for an_id in each.ids) and len(set(each.ids)) == len(each.ids)
            yield None if good else "an id is missing or there twice"


@_expect("limit", "As many messages as the limit, if there are so many", "Introduction")
def _(exchanges: Sequence[Exchange]) -> Problems:
    for each in exchanges:
        if each.rows is not None:
            total = _total(_same_list(exchanges, each))
            wanted = max(min(each.limit, total - each.start), 0)
            yield None if len(each.rows) == wanted else f"limit {each.limit}: {len(each.rows)} instead of {wanted}"


@_expect("one-status", "Lists give one status per message", "Reading messages, for batches")
def _(exchanges: Sequence[Exchange]) -> Problems:
    for each in exchanges:
        for row in each.rows or ():
            count = len(row.get("statuses") or ())
            yield None if count == 1 else f"{count} statuses"


@_expect("history", "A single message has its statuses oldest first", "Reading messages; the order is assumed")
def _(exchanges: Sequence[Exchange]) -> Problems:
    for each in exchanges:
        if each.is_message:
            for message in each.messages:
                times = [status.get("created") or "" for status in message.get("statuses") or ()]
                yield None if times and times == sorted(times) else f"{len(times)} statuses, in another order"


@_expect("summary", "The totals of a summary are the sums over both directions", "example of Conversations")
def _(exchanges: Sequence[Exchange]) -> Problems:
    for each in exchanges:
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


# -- the Link header


@_expect("link-form", "A Link header has the form of RFC 8288", "Introduction; RFC 8288")
def _(exchanges: Sequence[Exchange]) -> Problems:
    for each in exchanges:
        if each.rows:
            yield None if link_form(each.headers.get("link")) == "RFC 8288" else link_form(each.headers.get("link"))


def link_form(header: str | None) -> str:
    """The form of a Link header, in words, without anything that it holds."""
    if header is None:
        return "no header"
    links = re.split(r",\s*(?=<|;)", header.strip())
    if all(_LINK.fullmatch(link) and _REL.search(link) for link in links):
        return "RFC 8288"
    if all(re.fullmatch(r'<[^<>]*>\s+rel="[^"]*"', link) for link in links):
        return "without ';' before rel"
    if not re.search(r"<[^<>]+>", header) and "rel=" in header:
        return "without URLs"
    return "RFC 8288 in another notation" if parse_link(header) else "not readable"


@_expect("link-target", "Links name the same list on the same server, with start, limit and order", "Introduction")
def _(exchanges: Sequence[Exchange]) -> Problems:
    for each in exchanges:
        for url in re.findall(r"<([^<>]*)>", each.headers.get("link", "")):
            parts, asked = urlsplit(url), urlsplit(each.url)
            same = (parts.scheme, parts.netloc, parts.path) == (asked.scheme, asked.netloc, asked.path)
            named = parse_qs(parts.query)
            if not same:
                yield "another server or list"
            elif {"start", "limit", "order"} - set(named):
                yield "start, limit or order is missing"
            else:
                yield None if named["order"] == [each.order] else "another order"


@_expect("link-next", "next is there exactly where messages follow", "Introduction; assumed in part")
def _(exchanges: Sequence[Exchange]) -> Problems:
    for each in exchanges:
        if each.rows:
            follows = each.start + len(each.rows) < _total(_same_list(exchanges, each))
            if ("next" in each.links) != follows:
                yield "next is missing" if follows else "next where nothing follows"
            else:
                yield None


@_expect(
    "link-numbers", "next continues behind the last message, last names the last page", "offset, from Introduction"
)
def _(exchanges: Sequence[Exchange]) -> Problems:
    for each in exchanges:
        if not each.rows:
            continue
        total = _total(_same_list(exchanges, each))
        following, last = each.links.get("next"), each.links.get("last")
        if following is not None:
            off = None if following.start is None else following.start - (each.start + len(each.rows))
            yield None if off == 0 else "next has no start" if off is None else f"next is off by {off}"
        if last is not None:
            is_last = (
                last.start is not None and last.limit is not None and last.start < total <= last.start + last.limit
            )
            yield None if is_last else "last does not hold the last message"


# -- answers that belong together


def _same_list(exchanges: Iterable[Exchange], one: Exchange) -> list[Exchange]:
    return [each for each in exchanges if each.path == one.path and each.rows is not None]


def _total(of_list: Iterable[Exchange]) -> int:
    """How many rows a list has, as far as its answers show."""
    return max((each.start + len(each.rows) for each in of_list if each.rows), default=0)


def _lists(exchanges: Iterable[Exchange]) -> dict[str, dict[str, list[Exchange]]]:
    """The lists that were answered, by path and order."""
    lists: dict[str, dict[str, list[Exchange]]] = defaultdict(lambda: defaultdict(list))
    for each in exchanges:
        if each.rows is not None:
            lists[each.path][each.order].append(each)
    return lists


def _offsets(answers: Iterable[Exchange]) -> dict[int, set[Any]]:
    offsets: dict[int, set[Any]] = defaultdict(set)
    for each in answers:
        for place, an_id in enumerate(each.ids):
            offsets[each.start + place].add(an_id)
    return offsets


@_expect(
    "offsets", "start is an offset in rows from 0: the same row has the same one in every page", "older docs; assumed"
)
def _(exchanges: Sequence[Exchange]) -> Problems:
    for orders in _lists(exchanges).values():
        for answers in orders.values():
            offsets = _offsets(answers)
            places = [an_id for ids in offsets.values() for an_id in ids]
            for ids in offsets.values():
                yield None if len(ids) == 1 else "one offset, several messages"
            if len(set(places)) != len(places):
                yield "one message at several offsets"


@_expect("order", "DESC is ASC turned round", "Introduction")
def _(exchanges: Sequence[Exchange]) -> Problems:
    for orders in _lists(exchanges).values():
        if {"ASC", "DESC"} <= set(orders):
            total = _total(answer for answers in orders.values() for answer in answers)
            ascending, descending = _offsets(orders["ASC"]), _offsets(orders["DESC"])
            for offset, ids in descending.items():
                mirrored = ascending.get(total - 1 - offset)
                if mirrored is not None:
                    yield None if mirrored == ids else "another order"


@_expect("directions", "/mt and /mo together are the conversation", "Conversations")
def _(exchanges: Sequence[Exchange]) -> Problems:
    lists = _lists(exchanges)
    for path in lists:
        if f"{path}/mt" in lists and f"{path}/mo" in lists:
            whole, sent, received = (
                {an_id for answer in lists[each]["ASC"] for an_id in answer.ids}
                for each in (path, f"{path}/mt", f"{path}/mo")
            )
            yield None if whole == sent | received and not sent & received else "they are not"


@_expect("summary-count", "The summary counts as many messages as the conversation lists", "Conversations")
def _(exchanges: Sequence[Exchange]) -> Problems:
    lists = _lists(exchanges)
    for each in exchanges:
        path = each.path.removesuffix("/summary")
        if each.is_summary and each.status == 200 and isinstance(each.json, dict) and path in lists:
            counted = each.json.get("totalMessageCount")
            yield None if counted == _total(lists[path]["ASC"]) else "it counts differently"


@_expect("no-messages", "A conversation without messages is a 404", "GetConversationMessages")
def _(exchanges: Sequence[Exchange]) -> Problems:
    for each in exchanges:
        if each.is_list and each.key == "right" and each.start == 0 and each.limit > 0:
            if each.status == 404:
                yield None
            elif each.rows == []:
                yield "200 with an empty list"


@_expect("past-end", "A start behind the last message gives an empty list", "assumed")
def _(exchanges: Sequence[Exchange]) -> Problems:
    for each in exchanges:
        total = _total(_same_list(exchanges, each))
        if each.is_list and each.key == "right" and total and each.start >= total:
            yield None if each.rows == [] else f"status {each.status}"


@_expect("invalid-participant", "An invalid participant is a 400", "GetConversationMessages")
def _(exchanges: Sequence[Exchange]) -> Problems:
    for each in exchanges:
        if each.participant is not None and re.search(r"[^\w +.\-]", each.participant) and each.key == "right":
            yield None if each.status == 400 else f"status {each.status}"


def shape(each: Exchange) -> str:
    """What a body looks like, without anything that it says."""
    media = each.headers.get("content-type", "no type").partition(";")[0].strip().lower()
    if not each.body:
        return f"empty, {media}"
    if isinstance(each.json, dict):
        # A name that is not a plain word may be data.
        names = ((name if re.fullmatch(r"[A-Za-z_]{1,30}", name) else "...") for name in each.json)
        return f"{media}, object with {', '.join(names)}"
    if isinstance(each.json, list):
        return f"{media}, list"
    return f"{media}, no JSON" if each.json is None else f"{media}, JSON {type(each.json).__name__}"
