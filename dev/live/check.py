# SPDX-License-Identifier: Apache-2.0
"""
Ask the real iP.1 API what its documentation leaves open, and whether it is as this provider expects.

Only reads: about 25 GET requests. Prints two Markdown tables that can be pasted into an issue: they hold no key, no
phone number, no name, no id and no message.

Environment: IP1_API_KEY, IP1_PARTICIPANT (a number or name that you have at least 3 messages with, better over 60, at
most 10,000) and, optional, IP1_BASE_URL.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode, urlsplit

import requests

from airflow_provider_ip1.api.messages import Message
from airflow_provider_ip1.api.protocol import normalize_participant
from airflow_provider_ip1.api.rate import RequestRate
from airflow_provider_ip1.api.status import status_name
from dev.live.cassettes import BASE_URL, RATE_LIMIT_HEADERS, Key
from dev.live.expectations import Exchange, judge, link_form, shape

#: From a range reserved for fiction, so nobody has it and nobody ever wrote to it.
UNKNOWN_PARTICIPANT = "46701740608"
INVALID_PARTICIPANT = "not a <participant>"
MAX_MESSAGES = 10_000
HUGE_LIMIT = 1_000_000
_FEW = 3


class CannotCheck(Exception):
    """Why nothing can be asked, and what to do about it."""


@dataclass
class Api:
    """
    A server that is asked with GET, not too fast.

    :param base_url: without a slash at its end.
    :param key: the right API key.
    """

    base_url: str
    key: str = field(repr=False)
    exchanges: list[Exchange] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.base_url)
        self.base_url = self.base_url.rstrip("/")
        is_local = parts.hostname in ("127.0.0.1", "::1", "localhost")
        if parts.scheme != "https" and not (parts.scheme == "http" and is_local):
            raise CannotCheck("IP1_BASE_URL must begin with https://, or the key could be read on its way.")
        self._session = requests.Session()
        self._rate = RequestRate(0 if is_local else 5)

    def get(self, path: str, *, key: Key = "right", **query: object) -> Exchange:
        """
        Ask once and keep the answer in ``exchanges``.

        :param path: percent-encoded, from ``/v2/`` on.
        :param key: what to send as the key.
        :param query: the URL's query.
        :raises CannotCheck: there is no answer.
        """
        url = f"{self.base_url}{path}" + (f"?{urlencode(query)}" if query else "")
        sent = {"right": f"Bearer {self.key}", "wrong": "Bearer not-the-right-key", "missing": None}[key]

        def authorize(request: requests.PreparedRequest) -> requests.PreparedRequest:
            if sent is not None:
                request.headers["Authorization"] = sent
            return request

        time.sleep(self._rate.reserve(time.monotonic()))
        problem = None
        try:
            answer = self._session.get(
                url, auth=authorize, headers={"Accept": "application/json"}, timeout=(10, 60), allow_redirects=False
            )
        except requests.RequestException as error:
            problem = type(error).__name__
        if problem is not None:
            # Raised here and not above: the original quotes the URL, which names the participant.
            raise CannotCheck(f"No answer from {urlsplit(self.base_url).hostname}: {problem}.")
        headers = {name.lower(): value for name, value in answer.headers.items()}
        exchange = Exchange(url, answer.status_code, headers, answer.content, key)
        self.exchanges.append(exchange)
        return exchange


@dataclass
class Answers:
    """The answers to what :func:`ask` asks, by what they are for."""

    participant: str
    first: Exchange
    from_one: Exchange
    from_two: Exchange
    whole: Exchange
    at_end: Exchange
    behind_end: Exchange
    last_page: Exchange
    middle: Exchange
    newest: Exchange
    sent: Exchange
    received: Exchange
    summary: Exchange
    unknown: Exchange
    unknown_summary: Exchange
    invalid: Exchange
    without_key: Exchange
    with_wrong_key: Exchange
    batch: Exchange | None
    message: Exchange | None
    spellings: Mapping[str, Exchange]
    everything: Sequence[Exchange]

    @property
    def total(self) -> int:
        return len(self.whole.ids)


def ask(api: Api, participant: str) -> Answers:
    """
    Send all requests.

    :param participant: someone with at least 3 messages.
    :raises CannotCheck: the key is refused, or there are too few or too many messages.
    """
    participant = normalize_participant(participant)
    path = f"/v2/conversations/{quote(participant, safe='')}"
    first = api.get(path, start=0, limit=_FEW, order="ASC")
    if first.status in (401, 403):
        raise CannotCheck(f"The key is refused ({first.status}). Check IP1_API_KEY and where it may be used from.")
    if not first.rows or len(first.rows) < _FEW:
        raise CannotCheck(
            f"The first page has status {first.status} and {len(first.rows or ())} messages, {_FEW} are needed. "
            "Choose an IP1_PARTICIPANT that you have more messages with."
        )
    summary = api.get(f"{path}/summary")
    counted = summary.json.get("totalMessageCount") if isinstance(summary.json, dict) else None
    if isinstance(counted, int) and counted > MAX_MESSAGES:
        raise CannotCheck(f"That are {counted} messages. Choose an IP1_PARTICIPANT with at most {MAX_MESSAGES}.")
    whole = api.get(path, start=0, limit=HUGE_LIMIT, order="ASC")
    # What a page can hold may be less than the list. The summary or a Link header tells then.
    last = first.links.get("last")
    by_link = (last.start or 0) + _FEW if last is not None else 0
    total = max(counted if isinstance(counted, int) else 0, len(whole.ids)) or by_link
    sent = api.get(f"{path}/mt", start=0, limit=HUGE_LIMIT, order="ASC")
    # A sent message has more of a history than a received one.
    batch, message = _batch_of(api, [*sent.messages, *first.messages])
    return Answers(
        participant=participant,
        first=first,
        from_one=api.get(path, start=1, limit=_FEW, order="ASC"),
        from_two=api.get(path, start=2, limit=_FEW, order="ASC"),
        whole=whole,
        at_end=api.get(path, start=total, limit=_FEW, order="ASC"),
        behind_end=api.get(path, start=total + 1000, limit=_FEW, order="ASC"),
        last_page=api.get(path, start=max(total - 2, 0), limit=_FEW, order="ASC"),
        middle=api.get(path, start=1, limit=1, order="ASC"),
        newest=api.get(path, start=0, limit=_FEW, order="DESC"),
        sent=sent,
        received=api.get(f"{path}/mo", start=0, limit=HUGE_LIMIT, order="ASC"),
        summary=summary,
        unknown=api.get(f"/v2/conversations/{UNKNOWN_PARTICIPANT}"),
        unknown_summary=api.get(f"/v2/conversations/{UNKNOWN_PARTICIPANT}/summary"),
        invalid=api.get(f"/v2/conversations/{quote(INVALID_PARTICIPANT, safe='')}"),
        without_key=api.get(path, key="missing", start=0, limit=1),
        with_wrong_key=api.get(path, key="wrong", start=0, limit=1),
        batch=batch,
        message=message,
        spellings={
            name: api.get(f"/v2/conversations/{quote(spelled, safe='')}", start=0, limit=1, order="ASC")
            for name, spelled in _spellings(participant).items()
        },
        everything=api.exchanges,
    )


def _batch_of(api: Api, messages: Iterable[Mapping[str, object]]) -> tuple[Exchange | None, Exchange | None]:
    for message in messages:
        batch_id, message_id = message.get("batchId"), message.get("id")
        if isinstance(batch_id, str) and isinstance(message_id, str) and batch_id and message_id:
            path = f"/v2/batches/{quote(batch_id, safe='')}/messages"
            single = api.get(f"{path}/{quote(message_id, safe='')}")
            return api.get(path, start=0, limit=50, order="ASC"), single
    return None, None


def _spellings(participant: str) -> dict[str, str]:
    if not participant.isdigit():
        other_case = participant.swapcase()
        return {"a name in the other case": other_case} if other_case != participant else {}
    spellings = {"with +": f"+{participant}", "with 00": f"00{participant}"}
    if participant.startswith("46"):
        spellings["national (0...)"] = f"0{participant[2:]}"
    return spellings


# -- the open questions

Answer = tuple[str, str]
"""A question and its answer."""

OPEN = "not settled: "


def questions(answers: Answers) -> Iterator[Answer]:
    """What the answers settle, one question after the other."""
    for question, answer in _QUESTIONS:
        yield question, answer(answers)


def _status_codes(answers: Answers) -> str:
    codes = set(_codes(answers))
    nameless = sorted(code for code in codes if status_name(code) is None)
    named = ", ".join(map(str, sorted(codes - set(nameless)))) or "none"
    return f"with a known name: {named}; without: {', '.join(map(str, nameless)) or 'none'}"


def _codes(answers: Answers) -> Iterator[int]:
    summary = answers.summary.json if isinstance(answers.summary.json, dict) else {}
    for direction in ("mobileTerminatedMessages", "mobileOriginatedMessages"):
        yield from (int(code) for code in summary.get(direction) or {} if re.fullmatch(r"[0-9]{1,4}", code))
    for status in _statuses(answers.everything):
        code = status.get("code")
        if isinstance(code, int) and not isinstance(code, bool):
            yield code


def _statuses(exchanges: Iterable[Exchange]) -> Iterator[Mapping[str, object]]:
    for each in exchanges:
        for message in each.messages:
            yield from (status for status in message.get("statuses") or () if isinstance(status, dict))


def _spelled(value: object) -> str:
    """An enumeration's value as it may be shown: a small number or one word."""
    if value is None:
        return "null or absent"
    if isinstance(value, int) and abs(value) < 1000:
        return str(value).lower()
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z]{1,12}|[0-9]{1,3}", value):
        return f'"{value}"'
    return f"another {type(value).__name__}"


def _values(exchanges: Iterable[Exchange], name: str) -> list[str]:
    return sorted({_spelled(message.get(name)) for each in exchanges for message in each.messages})


def _directions(answers: Answers) -> str:
    parts = []
    for path, exchange in (("/mt", answers.sent), ("/mo", answers.received)):
        found = _values([exchange], "direction")
        parts.append(f"{path}: {', '.join(found)}" if found else f"{path}: no messages (status {exchange.status})")
    return "; ".join(parts)


def _directions_by_address(answers: Answers) -> str:
    found: dict[str, set[str]] = defaultdict(set)
    for row in answers.whole.messages:
        without = {name: value for name, value in row.items() if name != "direction"}
        by_address = Message.from_json(without, participant=answers.participant).direction
        if by_address is not None:
            found[by_address].add(_spelled(row.get("direction")))
    if not found:
        return OPEN + "no message names the participant as sender or recipient"
    texts = {"mt": "to the participant", "mo": "from the participant"}
    return "; ".join(f"{texts[name]}: {', '.join(sorted(values))}" for name, values in sorted(found.items()))


def _durations(answers: Answers) -> str:
    found: dict[str, set[str]] = defaultdict(set)
    for status in _statuses(answers.everything):
        found[_spelled(status.get("duration"))].add(_spelled(status.get("code")))
    return "; ".join(f"{value} with {', '.join(sorted(codes))}" for value, codes in sorted(found.items()))


def _enums(answers: Answers) -> str:
    names = ("direction", "type", "datacoding", "priority")
    return "; ".join(f"{name}: {', '.join(_values(answers.everything, name))}" for name in names)


def _first_row(answers: Answers) -> str:
    zero, one, two = answers.first.ids, answers.from_one.ids, answers.from_two.ids
    if answers.from_one.rows is None or answers.from_two.rows is None:
        return f"{OPEN}status {answers.from_one.status} and {answers.from_two.status}"
    if one[:2] == zero[1:3] and two[:1] == zero[2:3]:
        return "0-based: start=1 begins with the second message"
    if one == zero and two[:2] == zero[1:3]:
        return "1-based: start=1 begins with the first message, and so does start=0"
    if one == two == zero:
        return "start is ignored: start=0, 1 and 2 give the same messages"
    return OPEN + "the first pages do not fit together"


def _limit(answers: Answers) -> str:
    if answers.whole.rows is None:
        return f"limit={HUGE_LIMIT} gives status {answers.whole.status}"
    got = len(answers.whole.rows)
    named = {target.limit for target in answers.whole.links.values() if target.limit is not None}
    granted = named.pop() if len(named) == 1 else None
    if granted is not None and granted < HUGE_LIMIT:
        return f"limit={HUGE_LIMIT} is lowered to {granted}, as the Link header says; {got} messages came"
    summary = answers.summary.json if isinstance(answers.summary.json, dict) else {}
    counted = summary.get("totalMessageCount")
    if isinstance(counted, int) and got < counted:
        return f"limit={HUGE_LIMIT} is lowered to {got}, of {counted} messages"
    return f"none seen: limit={HUGE_LIMIT} gives all {got} messages"


def _past_end(answers: Answers) -> str:
    return f"just behind: {_emptiness(answers.at_end)}; far behind: {_emptiness(answers.behind_end)}"


def _emptiness(exchange: Exchange) -> str:
    if exchange.rows is None:
        return f"status {exchange.status}"
    return f"{len(exchange.rows)} messages" if exchange.rows else "200 with an empty list"


def _link_forms(answers: Answers) -> str:
    forms = Counter(link_form(each.headers.get("link")) for each in answers.everything if each.rows)
    return "; ".join(f"{form} ({count})" for form, count in sorted(forms.items()))


def _rels(answers: Answers) -> str:
    pages = {"first page": answers.first, "middle": answers.middle, "last page": answers.last_page}
    return "; ".join(f"{name}: {', '.join(sorted(each.links)) or 'none'}" for name, each in pages.items())


def _link_numbers(answers: Answers) -> str:
    following = answers.first.links.get("next")
    if following is None or following.start is None:
        return OPEN + "no next with a start"
    read = f"after start=0 and {len(answers.first.ids)} messages, next says start={following.start}"
    if not answers.first.ids or answers.total <= following.start:
        return read
    is_one_based = _first_row(answers).startswith("1-based")
    fits = following.start - is_one_based == len(answers.first.ids)
    return f"{read}, which {'fits' if fits else 'does not fit'} how start counts"


def _link_target(answers: Answers) -> str:
    found = set()
    for each in answers.everything:
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


def _refusals(answers: Answers) -> str:
    return f"missing key: {_error(answers.without_key)}; wrong key: {_error(answers.with_wrong_key)}"


def _errors(answers: Answers) -> str:
    return f"invalid participant: {_error(answers.invalid)}; no messages: {_error(answers.unknown)}"


def _rate_limit(answers: Answers) -> str:
    prefixes = ("retry-after", *RATE_LIMIT_HEADERS)
    names = sorted({name for each in answers.everything for name in each.headers if name.startswith(prefixes)})
    limited = sum(each.status == 429 for each in answers.everything)
    return f"headers: {', '.join(names) or 'none'}; {limited} of {len(answers.everything)} answers were 429"


def _status_counts(answers: Answers) -> str:
    parts = []
    for name, exchanges in (
        ("conversation", [answers.first, answers.whole, answers.newest]),
        ("batch", [answers.batch]),
        ("single message", [answers.message]),
    ):
        counts = sorted({len(row.get("statuses") or ()) for each in exchanges if each for row in each.messages})
        if counts:
            most = f" to {counts[-1]}" if len(counts) > 1 else ""
            parts.append(f"{name}: {counts[0]}{most}")
    return "; ".join(parts)


def _unknown_summary(answers: Answers) -> str:
    exchange = answers.unknown_summary
    if exchange.status == 200 and isinstance(exchange.json, dict):
        return f"200, totalMessageCount {_spelled(exchange.json.get('totalMessageCount'))}"
    return f"status {exchange.status}"


def _normalization(answers: Answers) -> str:
    parts = []
    for name, exchange in answers.spellings.items():
        if exchange.rows is None:
            parts.append(f"{name}: status {exchange.status}")
        else:
            same = exchange.ids[:1] == answers.first.ids[:1]
            parts.append(f"{name}: {'the same conversation' if same else 'another list'}")
    return "; ".join(parts) or OPEN + "there is no other spelling to try"


def _retention(answers: Answers) -> str:
    years = sorted({str(row.get("modified"))[:4] for row in answers.first.messages if row.get("modified")})
    bodies = Counter(
        "null or absent" if row.get("body") is None else "empty" if row["body"] == "" else "text"
        for row in answers.whole.messages
    )
    kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(bodies.items()))
    known = [year for year in years if re.fullmatch(r"[0-9]{4}", year)]
    return f"oldest message of {known[0] if known else 'an unknown year'}; bodies: {kinds}"


def _absence(answers: Answers) -> str:
    parts = []
    for path, exchange in (("/mt", answers.sent), ("/mo", answers.received)):
        fields = []
        for name in ("price", "currency", "reference", "mcc", "mnc"):
            kinds = Counter(
                "absent" if name not in row else "null" if row[name] is None else "there" for row in exchange.messages
            )
            if kinds:
                fields.append(f"{name} {'/'.join(sorted(kinds))}")
        parts.append(f"{path}: {', '.join(fields) or 'no messages'}")
    return "; ".join(parts)


def _numbers_of_times(answers: Answers) -> str:
    forms = set()
    for each in answers.everything:
        for message in each.messages:
            times = [message.get("modified"), *(status.get("created") for status in message.get("statuses") or ())]
            forms |= {re.sub("[0-9]", "9", value) for value in times if isinstance(value, str)}
    shown = sorted(form for form in forms if re.fullmatch(r"[9TZ:.+\-]{10,40}", form))
    return ", ".join(shown) or "none"


# In the order of the list of open questions in docs/recordings.md.
_QUESTIONS: Sequence[tuple[str, Callable[[Answers], str]]] = (
    ("Status codes seen", _status_codes),
    ("direction by endpoint", _directions),
    ("direction by address", _directions_by_address),
    ("duration", _durations),
    ("Form of the enumerations", _enums),
    ("First value of start", _first_row),
    ("Largest limit", _limit),
    ("Answer behind the last message", _past_end),
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
)


# -- the report


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def report(answers: Answers) -> str:
    """The two tables."""
    lines = [_row("Open question", "Answer"), _row("---", "---")]
    lines += [_row(question, answer) for question, answer in questions(answers)]
    lines += ["", _row("Expectation", "Source", "Held"), _row("---", "---", "---")]
    for verdict in judge(answers.everything):
        held = "yes" if not verdict.differs else "**no**: " + "; ".join(verdict.problems)
        lines.append(_row(verdict.expectation.text, verdict.expectation.source, held if verdict.seen else "not seen"))
    return "\n".join(lines)


def from_environment() -> tuple[str, str, str]:
    """
    Base URL, key and participant.

    :raises CannotCheck: one is missing; names it.
    """
    for name in ("IP1_API_KEY", "IP1_PARTICIPANT"):
        if not os.environ.get(name):
            raise CannotCheck(f"Set {name}. See docs/recordings.md.")
    base_url = os.environ.get("IP1_BASE_URL") or BASE_URL
    return base_url, os.environ["IP1_API_KEY"], os.environ["IP1_PARTICIPANT"]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args(arguments)
    try:
        base_url, key, participant = from_environment()
        api = Api(base_url, key)
        answers = ask(api, participant)
    except CannotCheck as error:
        print(error, file=sys.stderr)
        return 2
    host = urlsplit(api.base_url).hostname
    print(f"{len(answers.everything)} GET requests to {host}.\n\n{report(answers)}")
    return 1 if any(verdict.differs for verdict in judge(answers.everything)) else 0


if __name__ == "__main__":
    sys.exit(main())
