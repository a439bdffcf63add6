# SPDX-License-Identifier: Apache-2.0
"""What is expected of a single response: its status, its form and the messages in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Any

import jsonschema

from airflow_provider_ip1.api.status import KNOWN_CODES
from dev.live.exchange import Exchange, shape
from dev.live.expectations.expectation import Problems, of_all, of_each
from dev.live.expectations.same_list import same_list, total_of

SCHEMA: Mapping[str, Any] = json.loads(
    files("airflow_provider_ip1.api").joinpath("schema/conversation_messages.json").read_text()
)
_ENUMS = ("direction", "type", "datacoding", "priority", "duration")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,7})?(Z|[+-][0-9]{2}:[0-9]{2})")


@of_each("status", "Responses to GET have the status 200, 400, 401 or 404", "GetConversationMessages; 401 assumed")
def _(each: Exchange, _: Sequence[Exchange]) -> Problems:
    if each.method != "GET":
        return
    yield None if each.status in (200, 400, 401, 404) else f"status {each.status}"


@of_each("key", "401 if, and only if, the key is missing or wrong", "assumed")
def _(each: Exchange, _: Sequence[Exchange]) -> Problems:
    yield None if (each.status == 401) == (each.key != "right") else f"{each.key} key: status {each.status}"


@of_each("error-body", "An error is a JSON object with a title", "assumed")
def _(each: Exchange, _: Sequence[Exchange]) -> Problems:
    if each.status >= 400:
        good = isinstance(each.json, dict) and isinstance(each.json.get("title"), str)
        yield None if good else f"status {each.status}: {shape(each)}"


@of_each("json", "A 200 is JSON and has its content type", "GetConversationMessages; RFC 8259")
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


@of_all("schema", "Lists and messages have the fields and types of the documented schema", "GetConversationMessages")
def _(exchanges: Sequence[Exchange]) -> Problems:
    for each in filter(_documented, exchanges):
        yield None
        for name, rule in _schema_problems(each):
            # Another check covers enumerations.
            if name not in (*_ENUMS, "code") or (name == "code" and rule != "enum"):
                yield f"{name}: {rule}"


@of_all("fields", "Messages have no other fields", "GetConversationMessages")
def _(exchanges: Sequence[Exchange]) -> Problems:
    documented = SCHEMA["items"]["properties"]
    for each in exchanges:
        for message in each.messages:
            unknown = set(message) - set(documented)
            yield f"{len(unknown)} other fields" if unknown else None


@of_all("enums", f"{', '.join(_ENUMS)} are the documented integers", "GetConversationMessages")
def _(exchanges: Sequence[Exchange]) -> Problems:
    for each in filter(_documented, exchanges):
        yield None
        for name, rule in _schema_problems(each):
            if name in _ENUMS:
                yield f"{name}: {rule}"


@of_each("codes", "Status codes are those of the schema, or 114", "GetConversationMessages; Status codes")
def _(each: Exchange, _: Sequence[Exchange]) -> Problems:
    for message in each.messages:
        for status in message.get("statuses") or ():
            code = status.get("code")
            yield None if code in KNOWN_CODES else f"code {code if isinstance(code, int) else type(code).__name__}"


@of_each("times", "Times have a zone and at most 7 digits of a second", "example of Reading messages")
def _(each: Exchange, _: Sequence[Exchange]) -> Problems:
    for message in each.messages:
        for value in (message.get("modified"), *(each.get("created") for each in message.get("statuses") or ())):
            if value is not None:
                yield None if isinstance(value, str) and _TIME.fullmatch(value) else "a time in a different form"


@of_each("ids", "Every message has an id that is unique in its page", "Reading messages")
def _(each: Exchange, _: Sequence[Exchange]) -> Problems:
    if each.rows is not None:
        good = all(isinstance(an_id, str) and an_id for an_id in each.ids) and len(set(each.ids)) == len(each.ids)
        yield None if good else "an id is missing or not unique"


@of_each("limit", "A page has as many messages as the limit, or all that follow start", "Introduction")
def _(each: Exchange, exchanges: Sequence[Exchange]) -> Problems:
    if each.rows is not None:
        total = total_of(same_list(exchanges, each))
        wanted = max(min(each.limit, total - each.start), 0)
        got = len(each.rows)
        yield None if got == wanted else f"limit {each.limit}: {got} messages instead of {wanted}"


@of_each("one-status", "A list shows one status per message", "Reading messages, for batches")
def _(each: Exchange, _: Sequence[Exchange]) -> Problems:
    for row in each.rows or ():
        count = len(row.get("statuses") or ())
        yield None if count == 1 else f"{count} statuses"


@of_each("history", "A single message shows its statuses, oldest first", "Reading messages; the order is assumed")
def _(each: Exchange, _: Sequence[Exchange]) -> Problems:
    if each.is_message:
        for message in each.messages:
            times = [status.get("created") or "" for status in message.get("statuses") or ()]
            yield None if times and times == sorted(times) else f"{len(times)} statuses, in a different order"


@of_each("summary", "The totals of a summary are the sums over both directions", "example of Conversations")
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


@of_each("absent", "A field without a value is missing, not null", "example of Reading messages")
def _(each: Exchange, _: Sequence[Exchange]) -> Problems:
    for message in each.messages:
        documented = SCHEMA["items"]["properties"]
        empty = sorted(name for name, value in message.items() if value is None and name in documented)
        yield f"{', '.join(empty)}: null" if empty else None


@of_each("duration", "duration is 1 for the final status codes, from 2xx on, and 0 for 1xx", "assumed by the sandbox")
def _(each: Exchange, _: Sequence[Exchange]) -> Problems:
    for message in each.messages:
        for status in message.get("statuses") or ():
            code, duration = status.get("code"), status.get("duration")
            if isinstance(code, int) and duration in (0, 1):
                yield None if duration == (code >= 200) else f"{code // 100}xx with duration {duration}"


@of_each("rate-headers", "No response announces a limit of requests", "assumed, as none is documented")
def _(each: Exchange, _: Sequence[Exchange]) -> Problems:
    announced = sorted(name for name in each.headers if re.fullmatch(r"(x-)?ratelimit[a-z-]*|retry-after", name))
    yield ", ".join(announced) if announced else None
