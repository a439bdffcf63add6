# SPDX-License-Identifier: Apache-2.0
"""
Faults: ways in which the sandbox misbehaves on request, so that DAGs and clients can be tested against them.

A fault is one line of text. ``GRAMMAR`` documents it and ``--help`` prints that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from random import Random

from airflow_provider_ip1.sandbox.conversation import PLACES

GRAMMAR = """\
  NAME[@WHEN][~P][=VALUE][:OPTION=VALUE,OPTION=VALUE...]

  WHEN selects requests by their number, which starts at 1:
    3 the third request; 2-4 the second to the fourth; 5- the fifth and all later ones; * all (the default).
    /healthz and /sandbox/incoming are not counted.
  ~P hits each of these requests with probability P, 0 to 1. --seed decides which ones.
  The option method=GET, POST, PUT or DELETE, which every fault of requests has, counts and hits only such requests.

Faults of single requests:
  429@3:retry-after=3        any status from 400 to 599. Options: retry-after (seconds),
                             retry-after-date (the same as an HTTP date),
                             body = problem (JSON, the default), gateway (JSON as Azure API Management writes it),
                             html, text (for 404 an ingress's "default backend - 404") or empty
  redirect@3:to=URL          a 302 to URL; status=301, 303, 307 or 308 for another status
  slow@2:seconds=5           waits before it responds
  reset@5                    resets the TCP connection instead of responding
  close@5                    closes the connection without a response
                             A status, slow, reset and close come before the request is processed, so nothing is sent.
                             With accepted=yes they come after: 500@1:accepted=yes,method=POST sends the batch
  truncate@2                 closes the connection in the middle of the body (Content-Length counts all of it);
                             chunked=yes truncates a chunked body
  badjson@2                  a complete response whose JSON ends in the middle
  html@2                     200 with an HTML page instead of JSON
  empty@2                    200 without a body
  empty-list@2               an empty list, although there are messages
  insert@4:count=3,at=tail   adds messages to the conversation just before the response;
  delete@4:count=2,at=head   removes messages. at = head (the oldest; default of delete), middle, tail (the newest;
                             default of insert) or a row number from 0, oldest first. The conversation is the
                             requested one, or participant=NUMBER
  swap@4:at=199              swaps the messages in rows 199 and 200, as a database may if they are equally old

Faults of the whole server (WHEN and ~P work here too):
  clamp=100                  returns at most this many messages, whatever the limit
  ignore-start               always starts at the first message
  ignore-order               always returns the oldest messages first
  start=1-based              the first message is start=1, in Link as well (start=0-based: the default)
  past-end=404               a start past the last message is a 404 (past-end=empty: an empty list, the default)
  enums=strings              direction, type and datacoding are strings in mixed case instead of integers
  direction=swapped          0 is incoming and 1 outgoing
  sent-as=list:status=202    how POST responds after sending a batch: object (the default), list (of one object),
                             location (only the header Location) or nothing; status=200, 201 (the default) or 202
  cut-reference=32           keeps only this many characters of the reference of a batch
  list-lag=5                 the list of batches shows a batch only after 5 seconds
  unknown-status=777         delivered messages have this status code instead of 201 (default 777)
  link=STYLE                 the Link header: rfc8288 (the default), no-semicolon, swallowed (without URLs), none,
                             relative (URLs without a host), uppercase (REL="NEXT"), self (has rel="self" too),
                             garbage (not a link), foreign (another host; to=URL sets it), off-by-one (next is one row
                             too far, like the 201 after a page of 100 in iP.1's example), requested-limit (counts with
                             the requested limit even when the server clamps it)
  rejections=requests        refuses a whole POST, as version 1 does, instead of its messages: 403 for a sender that may
                             not be used or for too little balance, 400 if all recipients are on the blacklist

Faults of pushes (WHEN and ~P select pushes by their number, in the order in which they become due):
  push-lost@2                the second push is never sent
  push-late@2:seconds=30     it is sent 30 seconds late
  push-twice@2               it is sent twice
  push-swap@2                it is sent after the third
  push-reversed              the reports of a message wait for its last status, and come newest first. WHEN selects the
                             message's first report"""

LINK_STYLES = (
    "rfc8288", "no-semicolon", "swallowed", "none", "relative", "uppercase", "self", "garbage", "foreign",
    "off-by-one", "requested-limit",
)  # fmt: skip

BODIES = ("problem", "gateway", "html", "text", "empty")

Check = Callable[[str], bool]


def _natural(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _positive(text: str) -> bool:
    return _natural(text) and int(text) > 0


def _seconds(text: str) -> bool:
    return re.fullmatch(r"[0-9]+(\.[0-9]+)?", text, re.ASCII) is not None


def _url(text: str) -> bool:
    return re.match(r"https?://[^/\s]+", text) is not None


def _one_of(*choices: str) -> Check:
    return lambda text: text in choices


def _anything(text: str) -> bool:
    return bool(text)


@dataclass(frozen=True)
class _Kind:
    """
    What a fault's text may hold.

    :param value: checks its value; ``None`` if the fault takes none.
    :param default: the value if the text has none; ``None`` if a value is required.
    :param options: option -> check of its value.
    :param required: an option that must be there.
    """

    value: Check | None = None
    default: str | None = None
    options: dict[str, Check] = field(default_factory=dict)
    required: str | None = None


_ROWS: dict[str, Check] = {
    "count": _positive,
    "at": lambda text: text in PLACES or _natural(text),
    "participant": _anything,
}
_ACCEPTED: dict[str, Check] = {"accepted": _one_of("yes", "no")}
_METHOD: dict[str, Check] = {"method": _one_of("GET", "POST", "PUT", "DELETE")}
_STATUS = _Kind(options={"retry-after": _seconds, "retry-after-date": _seconds, "body": _one_of(*BODIES), **_ACCEPTED})
_KINDS = {
    "redirect": _Kind(options={"to": _anything, "status": _one_of("301", "302", "303", "307", "308")}, required="to"),
    "slow": _Kind(options={"seconds": _seconds, **_ACCEPTED}, required="seconds"),
    "reset": _Kind(options=_ACCEPTED),
    "close": _Kind(options=_ACCEPTED),
    "truncate": _Kind(options={"chunked": _one_of("yes", "no")}),
    "badjson": _Kind(),
    "html": _Kind(),
    "empty": _Kind(),
    "empty-list": _Kind(),
    "insert": _Kind(options=_ROWS),
    "delete": _Kind(options=_ROWS),
    "swap": _Kind(options={"at": _natural, "participant": _anything}, required="at"),
    "clamp": _Kind(_positive),
    "ignore-start": _Kind(),
    "ignore-order": _Kind(),
    "start": _Kind(_one_of("1-based", "0-based")),
    "past-end": _Kind(_one_of("404", "empty")),
    "enums": _Kind(_one_of("strings")),
    "direction": _Kind(_one_of("swapped")),
    "sent-as": _Kind(
        _one_of("object", "list", "location", "nothing"), options={"status": _one_of("200", "201", "202")}
    ),
    "cut-reference": _Kind(_positive),
    "list-lag": _Kind(_seconds),
    "unknown-status": _Kind(_positive, default="777"),
    "link": _Kind(_one_of(*LINK_STYLES), options={"to": _url}),
    "rejections": _Kind(_one_of("requests")),
    "push-lost": _Kind(),
    "push-late": _Kind(options={"seconds": _seconds}, required="seconds"),
    "push-twice": _Kind(),
    "push-swap": _Kind(),
    "push-reversed": _Kind(),
}

_SPEC = re.compile(
    r"(?P<name>[a-z][a-z-]*|[0-9]{3})(@(?P<when>[0-9*-]+))?(~(?P<p>[0-9.]+))?(=(?P<value>[^:]*))?(:(?P<options>.*))?\Z",
    re.ASCII,
)


class FaultError(ValueError):
    """The text is not a fault. The message says what is wrong with it."""


@dataclass(frozen=True)
class Fault:
    """One parsed fault: what (``kind``, ``value``, ``options``) and when (``first`` to ``last``, ``probability``)."""

    spec: str
    kind: str
    value: str
    options: dict[str, str]
    first: int
    last: int | None
    probability: float

    @classmethod
    def parse(cls, spec: str) -> Fault:
        """
        Read a fault from its text.

        :param spec: see ``GRAMMAR``.
        :raises FaultError: if it is not a fault.
        """
        match = _SPEC.match(spec)
        if match is None:
            raise FaultError(f"{spec!r} is not NAME[@WHEN][~P][=VALUE][:OPTION=VALUE,...]")
        name, value = match["name"], match["value"]
        rules = _STATUS if name.isdigit() else _KINDS.get(name)
        if rules is None:
            raise FaultError(f"{spec!r}: unknown fault {name!r}; known are a status like 503, {', '.join(_KINDS)}")
        if rules is _STATUS and not 400 <= int(name) <= 599:
            raise FaultError(f"{spec!r}: the status must be 400 to 599")
        if rules.value is None:
            if value is not None:
                raise FaultError(f"{spec!r}: {name} does not take a value")
            value = name if rules is _STATUS else ""
        else:
            value = rules.default if value is None else value
            if value is None or not rules.value(value):
                raise FaultError(f"{spec!r}: {name} does not take the value {value or 'nothing'!r}")
        checks = rules.options if name.startswith("push-") else {**rules.options, **_METHOD}
        options = _options(spec, match["options"], checks)
        if rules.required is not None and rules.required not in options:
            raise FaultError(f"{spec!r}: {name} needs :{rules.required}=...")
        first, last = _when(spec, match["when"])
        kind = "status" if rules is _STATUS else name
        return cls(spec, kind, value, options, first, last, _probability(spec, match["p"]))

    @property
    def is_after_processing(self) -> bool:
        """Whether the sandbox processes the request before the fault comes."""
        return self.options.get("accepted") == "yes"

    def hits(self, number: int, seed: int = 0) -> bool:
        """Tell whether the fault hits request ``number``. Chance depends only on seed, fault and number."""
        if number < self.first or (self.last is not None and number > self.last):
            return False
        return self.probability >= 1 or Random(f"{seed}/{self.spec}/{number}").random() < self.probability


def _when(spec: str, text: str | None) -> tuple[int, int | None]:
    if text is None or text == "*":
        return 1, None
    match = re.fullmatch(r"([0-9]+)(-([0-9]*))?", text, re.ASCII)
    if match is None or int(match[1]) < 1:
        raise FaultError(f"{spec!r}: @{text} must be a request number from 1, a range like 2-4 or 5-, or *")
    first = int(match[1])
    if match[2] is None:
        return first, first
    last = int(match[3]) if match[3] else None
    if last is not None and last < first:
        raise FaultError(f"{spec!r}: @{text} ends before it begins")
    return first, last


def _probability(spec: str, text: str | None) -> float:
    if text is None:
        return 1.0
    try:
        probability = float(text)
    except ValueError:
        raise FaultError(f"{spec!r}: ~{text} is not a probability") from None
    if not 0 <= probability <= 1:
        raise FaultError(f"{spec!r}: the probability must be 0 to 1")
    return probability


def _options(spec: str, text: str | None, checks: dict[str, Check]) -> dict[str, str]:
    options: dict[str, str] = {}
    for part in (text or "").split(",") if text else ():
        name, equals, value = part.partition("=")
        if name not in checks:
            raise FaultError(f"{spec!r}: unknown option {name!r}; known are {', '.join(checks) or 'none'}")
        if not equals or not checks[name](value):
            raise FaultError(f"{spec!r}: {name} does not take {value or 'nothing'!r}")
        options[name] = value
    return options


class Hits:
    """The faults that hit one request or push. If two set the same thing, the later one counts."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._by_kind: dict[str, list[Fault]] = {}
        for fault in faults:
            self._by_kind.setdefault(fault.kind, []).append(fault)

    def __contains__(self, kind: str) -> bool:
        return kind in self._by_kind

    def __bool__(self) -> bool:
        return bool(self._by_kind)

    def all(self, kind: str) -> list[Fault]:
        """Return the faults of a kind."""
        return self._by_kind.get(kind, [])

    def last(self, kind: str) -> Fault | None:
        """Return the last fault of a kind, if there is one."""
        return self._by_kind[kind][-1] if kind in self._by_kind else None

    def value(self, kind: str) -> str | None:
        """Return the value of the last fault of a kind, if there is one."""
        fault = self.last(kind)
        return None if fault is None else fault.value

    def option(self, kind: str, name: str, default: str) -> str:
        """Return an option of the last fault of a kind, or the default."""
        fault = self.last(kind)
        return default if fault is None else fault.options.get(name, default)


class Faults:
    """
    The faults of a sandbox. They may change while it runs.

    :param specs: see ``GRAMMAR``.
    :param seed: decides which requests a fault with a probability hits.
    """

    def __init__(self, specs: Iterable[str] = (), seed: int = 0) -> None:
        self._seed = seed
        self._faults = tuple(Fault.parse(spec) for spec in specs)

    def add(self, *specs: str) -> None:
        """Add faults. If two set the same thing, the later one counts."""
        self._faults += tuple(Fault.parse(spec) for spec in specs)

    def remove(self, spec: str) -> None:
        """Remove the faults with this text, if there are any."""
        self._faults = tuple(fault for fault in self._faults if fault.spec != spec)

    def clear(self) -> None:
        """Remove all faults."""
        self._faults = ()

    def __iter__(self) -> Iterator[Fault]:
        return iter(self._faults)

    def __len__(self) -> int:
        return len(self._faults)

    def for_request(self, number: int, method: str = "GET", number_of_method: int = 0) -> Hits:
        """
        Return the faults that hit a request.

        :param number: counts all requests.
        :param number_of_method: counts the requests with this method.
        """
        return Hits(
            fault
            for fault in self._faults
            if not fault.kind.startswith("push-")
            and fault.options.get("method", method) == method
            and fault.hits(number_of_method if "method" in fault.options else number, self._seed)
        )

    def for_push(self, number: int) -> Hits:
        """
        Return the faults that hit a push.

        :param number: counts all pushes.
        """
        return Hits(
            fault for fault in self._faults if fault.kind.startswith("push-") and fault.hits(number, self._seed)
        )
