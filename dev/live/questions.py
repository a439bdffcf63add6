# SPDX-License-Identifier: Apache-2.0
"""Answer the questions that iP.1's documentation leaves open, from the responses to a survey."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from urllib.parse import urlsplit

from airflow_provider_ip1.api.decoding import decode_message
from airflow_provider_ip1.api.status import status_name
from dev.live.cassettes import RATE_LIMIT_HEADERS
from dev.live.exchange import Exchange, link_form, shape
from dev.live.survey import HUGE_LIMIT, Survey

OPEN = "not answered: "


def answer_all(survey: Survey) -> Iterator[tuple[str, str]]:
    """Return each question with its answer."""
    for question, answer in _QUESTIONS:
        yield question, answer(survey)


def _status_codes(survey: Survey) -> str:
    codes = set(_codes(survey))
    nameless = sorted(code for code in codes if status_name(code) is None)
    named = ", ".join(map(str, sorted(codes - set(nameless)))) or "none"
    return f"with a known name: {named}; without: {', '.join(map(str, nameless)) or 'none'}"


def _codes(survey: Survey) -> Iterator[int]:
    summary = survey.summary.json if isinstance(survey.summary.json, dict) else {}
    for direction in ("mobileTerminatedMessages", "mobileOriginatedMessages"):
        yield from (int(code) for code in summary.get(direction) or {} if re.fullmatch(r"[0-9]{1,4}", code))
    for status in _statuses(survey.exchanges):
        code = status.get("code")
        if isinstance(code, int) and not isinstance(code, bool):
            yield code


def _statuses(exchanges: Iterable[Exchange]) -> Iterator[Mapping[str, object]]:
    for each in exchanges:
        for message in each.messages:
            yield from (status for status in message.get("statuses") or () if isinstance(status, dict))


def _spelled(value: object) -> str:
    """Return an enumeration's value if it cannot be personal data: a small number or one word."""
    if value is None:
        return "null or absent"
    if isinstance(value, int) and abs(value) < 1000:
        return str(value).lower()
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z]{1,12}|[0-9]{1,3}", value):
        return f'"{value}"'
    return f"another {type(value).__name__}"


def _values(exchanges: Iterable[Exchange], name: str) -> list[str]:
    return sorted({_spelled(message.get(name)) for each in exchanges for message in each.messages})


def _directions(survey: Survey) -> str:
    parts = []
    for path, exchange in (("/mt", survey.sent), ("/mo", survey.received)):
        found = _values([exchange], "direction")
        parts.append(f"{path}: {', '.join(found)}" if found else f"{path}: no messages (status {exchange.status})")
    return "; ".join(parts)


def _directions_by_address(survey: Survey) -> str:
    found: dict[str, set[str]] = defaultdict(set)
    for row in survey.whole.messages:
        without = {name: value for name, value in row.items() if name != "direction"}
        by_address = decode_message(without, participant=survey.participant).direction
        if by_address is not None:
            found[by_address].add(_spelled(row.get("direction")))
    if not found:
        return OPEN + "the participant is neither sender nor recipient of any message"
    texts = {"mt": "to the participant", "mo": "from the participant"}
    return "; ".join(f"{texts[name]}: {', '.join(sorted(values))}" for name, values in sorted(found.items()))


def _durations(survey: Survey) -> str:
    found: dict[str, set[str]] = defaultdict(set)
    for status in _statuses(survey.exchanges):
        found[_spelled(status.get("duration"))].add(_spelled(status.get("code")))
    return "; ".join(f"{value} with {', '.join(sorted(codes))}" for value, codes in sorted(found.items()))


def _enums(survey: Survey) -> str:
    names = ("direction", "type", "datacoding", "priority")
    return "; ".join(f"{name}: {', '.join(_values(survey.exchanges, name))}" for name in names)


def _first_row(survey: Survey) -> str:
    zero, one, two = survey.first.ids, survey.from_one.ids, survey.from_two.ids
    if survey.from_one.rows is None or survey.from_two.rows is None:
        return f"{OPEN}status {survey.from_one.status} and {survey.from_two.status}"
    if one[:2] == zero[1:3] and two[:1] == zero[2:3]:
        return "0-based: start=1 begins with the second message"
    if one == zero and two[:2] == zero[1:3]:
        return "1-based: start=1 begins with the first message, and so does start=0"
    if one == two == zero:
        return "start is ignored: start=0, 1 and 2 return the same messages"
    return OPEN + "the first pages are inconsistent"


def _limit(survey: Survey) -> str:
    if survey.whole.rows is None:
        return f"limit={HUGE_LIMIT} returns status {survey.whole.status}"
    got = len(survey.whole.rows)
    named = {target.limit for target in survey.whole.links.values() if target.limit is not None}
    granted = named.pop() if len(named) == 1 else None
    if granted is not None and granted < HUGE_LIMIT:
        return f"limit={HUGE_LIMIT} is lowered to {granted}, as the Link header says; {got} messages"
    summary = survey.summary.json if isinstance(survey.summary.json, dict) else {}
    counted = summary.get("totalMessageCount")
    if isinstance(counted, int) and got < counted:
        return f"limit={HUGE_LIMIT} is lowered to {got}, of {counted} messages"
    return f"no limit seen: limit={HUGE_LIMIT} returns all {got} messages"


def _past_end(survey: Survey) -> str:
    return f"just after: {_emptiness(survey.after_last)}; far after: {_emptiness(survey.far_after_last)}"


def _emptiness(exchange: Exchange) -> str:
    if exchange.rows is None:
        return f"status {exchange.status}"
    return f"{len(exchange.rows)} messages" if exchange.rows else "200 with an empty list"


def _link_forms(survey: Survey) -> str:
    forms = Counter(link_form(each.headers.get("link")) for each in survey.exchanges if each.rows)
    return "; ".join(f"{form} ({count})" for form, count in sorted(forms.items()))


def _rels(survey: Survey) -> str:
    pages = {"first page": survey.first, "middle": survey.middle, "last page": survey.last_page}
    return "; ".join(f"{name}: {', '.join(sorted(each.links)) or 'none'}" for name, each in pages.items())


def _link_numbers(survey: Survey) -> str:
    following = survey.first.links.get("next")
    if following is None or following.start is None:
        return OPEN + "no next with a start"
    read = f"after start=0 and {len(survey.first.ids)} messages, next says start={following.start}"
    if not survey.first.ids or survey.total <= following.start:
        return read
    is_one_based = _first_row(survey).startswith("1-based")
    fits = following.start - is_one_based == len(survey.first.ids)
    return f"{read}, which {'agrees' if fits else 'does not agree'} with how start counts"


def _link_target(survey: Survey) -> str:
    found = set()
    for each in survey.exchanges:
        asked = urlsplit(each.url)
        for url in re.findall(r"<([^<>]*)>", each.headers.get("link", "")):
            parts = urlsplit(url)
            if not parts.netloc:
                found.add("a relative URL")
            elif (parts.scheme, parts.netloc) == (asked.scheme, asked.netloc):
                found.add("an absolute URL of the same server")
            else:
                found.add("an absolute URL of another server")
    return "; ".join(sorted(found)) or "no URLs"


def _error(exchange: Exchange) -> str:
    challenge = exchange.headers.get("www-authenticate")
    scheme = challenge.split(maxsplit=1)[0] if challenge else ""
    text = f"{exchange.status}, {shape(exchange)}"
    return f"{text}, WWW-Authenticate: {scheme if scheme.isalpha() else '...'}" if challenge else text


def _refusals(survey: Survey) -> str:
    return f"missing key: {_error(survey.without_key)}; wrong key: {_error(survey.with_wrong_key)}"


def _errors(survey: Survey) -> str:
    return f"invalid participant: {_error(survey.invalid)}; no messages: {_error(survey.unknown)}"


def _rate_limit(survey: Survey) -> str:
    prefixes = ("retry-after", *RATE_LIMIT_HEADERS)
    names = sorted({name for each in survey.exchanges for name in each.headers if name.startswith(prefixes)})
    limited = sum(each.status == 429 for each in survey.exchanges)
    return f"headers: {', '.join(names) or 'none'}; {limited} of {len(survey.exchanges)} responses were 429"


def _status_counts(survey: Survey) -> str:
    parts = []
    for name, exchanges in (
        ("conversation", [survey.first, survey.whole, survey.newest]),
        ("batch", [survey.batch]),
        ("single message", [survey.message]),
    ):
        counts = sorted({len(row.get("statuses") or ()) for each in exchanges if each for row in each.messages})
        if counts:
            most = f" to {counts[-1]}" if len(counts) > 1 else ""
            parts.append(f"{name}: {counts[0]}{most}")
    return "; ".join(parts)


def _unknown_summary(survey: Survey) -> str:
    exchange = survey.unknown_summary
    if exchange.status == 200 and isinstance(exchange.json, dict):
        return f"200, totalMessageCount {_spelled(exchange.json.get('totalMessageCount'))}"
    return f"status {exchange.status}"


def _normalization(survey: Survey) -> str:
    parts = []
    for name, exchange in survey.spellings.items():
        if exchange.rows is None:
            parts.append(f"{name}: status {exchange.status}")
        else:
            same = exchange.ids[:1] == survey.first.ids[:1]
            parts.append(f"{name}: {'the same conversation' if same else 'another list'}")
    return "; ".join(parts) or OPEN + "there is no other spelling to try"


def _default_limit(survey: Survey) -> str:
    exchange = survey.without_parameters
    if exchange.rows is None:
        return f"status {exchange.status}"
    limits = sorted({str(target.limit) for target in exchange.links.values() if target.limit is not None})
    return f"{len(exchange.rows)} messages without limit; limit in Link: {', '.join(limits) or 'none'}"


def _lower_case_order(survey: Survey) -> str:
    exchange = survey.lower_case_order
    if exchange.rows is None:
        return f"status {exchange.status}"
    if exchange.ids == survey.newest.ids:
        return "order=desc is DESC"
    return "order=desc is ignored" if exchange.ids == survey.first.ids else OPEN + "another order"


def _batches(survey: Survey) -> str:
    rows = survey.batches.json
    if survey.batches.status != 200 or not isinstance(rows, list):
        return f"{survey.batches.status}, {shape(survey.batches)}"
    batches = [row for row in rows if isinstance(row, dict)]
    if not batches:
        return "200, no batches"
    names = Counter(name for batch in batches for name in batch if re.fullmatch(r"[A-Za-z]{1,30}", name))
    fields = (name if count == len(batches) else f"{name} ({count})" for name, count in sorted(names.items()))
    references = sum(bool(batch.get("reference")) for batch in batches)
    directions = sorted({_spelled(batch.get("direction")) for batch in batches})
    return (
        f"{len(batches)} batches, {references} with a reference; direction: {', '.join(directions)}; "
        f"fields: {', '.join(fields)}; {', '.join(sorted(survey.batches.links)) or 'no'} links"
    )


def _senders(survey: Survey) -> str:
    return f"{survey.senders.status}, {shape(survey.senders)}"


def _own_conversation(survey: Survey) -> str:
    parts = []
    for name, exchange in survey.own.items():
        if exchange.rows is None:
            parts.append(f"{name}: {exchange.status}, {shape(exchange)}")
            continue
        own = exchange.participant
        others = {message.get(side) for message in exchange.rows for side in ("sender", "recipient")} - {own}
        parts.append(f"{name}: {len(exchange.rows)} messages, other addresses: {len(others)}")
    return "; ".join(parts) or OPEN + "the conversation shows no other address"


def _retention(survey: Survey) -> str:
    years = sorted({str(row.get("modified"))[:4] for row in survey.first.messages if row.get("modified")})
    bodies = Counter(
        "null or absent" if row.get("body") is None else "empty" if row["body"] == "" else "text"
        for row in survey.whole.messages
    )
    kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(bodies.items()))
    known = [year for year in years if re.fullmatch(r"[0-9]{4}", year)]
    return f"oldest message from {known[0] if known else 'an unknown year'}; bodies: {kinds}"


def _absence(survey: Survey) -> str:
    parts = []
    for path, exchange in (("/mt", survey.sent), ("/mo", survey.received)):
        fields = []
        for name in ("price", "currency", "reference", "mcc", "mnc"):
            kinds = Counter(
                "absent" if name not in row else "null" if row[name] is None else "present" for row in exchange.messages
            )
            if kinds:
                fields.append(f"{name} {'/'.join(sorted(kinds))}")
        parts.append(f"{path}: {', '.join(fields) or 'no messages'}")
    return "; ".join(parts)


def _numbers_of_times(survey: Survey) -> str:
    forms = set()
    for each in survey.exchanges:
        for message in each.messages:
            times = [message.get("modified"), *(status.get("created") for status in message.get("statuses") or ())]
            forms |= {re.sub("[0-9]", "9", value) for value in times if isinstance(value, str)}
    shown = sorted(form for form in forms if re.fullmatch(r"[9TZ:.+\-]{10,40}", form))
    return ", ".join(shown) or "none"


def _batch_rows(exchange: Exchange) -> list[Mapping[str, object]]:
    rows = exchange.json if exchange.status == 200 and isinstance(exchange.json, list) else []
    return [row for row in rows if isinstance(row, dict) and isinstance(row.get("id"), str)]


def _received_batches(survey: Survey) -> str:
    received = survey.received.messages
    if not received:
        return OPEN + "the participant has sent no message"
    listed = {batch["id"] for batch in _batch_rows(survey.newest_batches)}
    found = [message.get("batchId") in listed for message in received]
    text = f"{sum(found)} of {len(found)} received messages belong to one of the {len(listed)} newest batches"
    if survey.received_batch is None:
        return f"{text}; the newest received message has no batch"
    return f"{text}; the batch of the newest one contains {_emptiness(survey.received_batch)}"


def _batch_order(survey: Survey) -> str:
    return "; ".join(
        f"{order}: {_order_of([str(batch['id']) for batch in _batch_rows(exchange)])}"
        for order, exchange in (("ASC", survey.oldest_batches), ("DESC", survey.newest_batches))
    )


def _order_of(ids: Sequence[str]) -> str:
    """Describe the order by the seconds that iP.1's ids seem to begin with."""
    seconds = [int(an_id[:8], 16) for an_id in ids if re.fullmatch(r"[0-9a-f]{24}", an_id)]
    newer = sum(one < next_one for one, next_one in pairwise(seconds))
    older = sum(one > next_one for one, next_one in pairwise(seconds))
    if len(seconds) < len(ids) or newer == older:
        return OPEN + "the ids do not tell"
    order = "oldest first" if newer > older else "newest first"
    return f"{order}, in {max(newer, older)} of {newer + older} steps"


# In the order of the open questions in docs/recordings.md.
_QUESTIONS: Sequence[tuple[str, Callable[[Survey], str]]] = (
    ("Status codes seen", _status_codes),
    ("direction by endpoint", _directions),
    ("direction by address", _directions_by_address),
    ("duration", _durations),
    ("Form of the enumerations", _enums),
    ("First value of start", _first_row),
    ("Largest limit", _limit),
    ("Response after the last message", _past_end),
    ("Form of the Link header", _link_forms),
    ("rel values", _rels),
    ("Numbers in Link", _link_numbers),
    ("URLs in Link", _link_target),
    ("401", _refusals),
    ("400 and 404", _errors),
    ("Rate limit", _rate_limit),
    ("Statuses per message", _status_counts),
    ("Summary of an unknown participant", _unknown_summary),
    ("Other spellings of the participant", _normalization),
    ("Retention", _retention),
    ("Null or absent fields", _absence),
    ("Form of times", _numbers_of_times),
    ("Default limit", _default_limit),
    ("order in lower case", _lower_case_order),
    ("List of batches", _batches),
    ("List of senders", _senders),
    ("Own number or name as participant", _own_conversation),
    ("Batches of received messages", _received_batches),
    ("Order of batches", _batch_order),
)
