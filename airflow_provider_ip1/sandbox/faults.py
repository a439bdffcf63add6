# SPDX-License-Identifier: Apache-2.0
"""
Faults: ways in which the sandbox misbehaves on request, so that a DAG or a client can be tested against them.

A fault is one line of text. ``GRAMMAR`` is its documentation and is what ``--help`` prints.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from random import Random

from airflow_provider_ip1.sandbox.world import PLACES

GRAMMAR = """\
  NAME[@WHEN][~P][=VALUE][:OPTION=VALUE,OPTION=VALUE...]

  WHEN says which requests, counted from 1 (/healthz is not counted):
    3 one request; 2-4 from the 2nd to the 4th; 5- from the 5th on; * all of them (the default).
  ~P hits each of these requests with probability P, 0 to 1; which ones follows from --seed.

Faults of single requests:
  429@3:retry-after=3        any status from 400 to 599 as the answer. Options: retry-after (seconds),
                             retry-after-date (the same, sent as an HTTP date),
                             body = problem (default), gateway, html, text or empty
  redirect@3:to=URL          a 302 to URL; status=301, 303, 307 or 308 for another code
  slow@2:seconds=5           waits before it answers
  reset@5                    resets the TCP connection instead of answering
  close@5                    closes it without a word
  truncate@2                 cuts the connection in the middle of the body (Content-Length is the whole one's);
                             chunked=yes cuts a chunked body
  badjson@2                  a whole answer whose JSON is cut in the middle
  html@2                     200 with an HTML page instead of JSON
  empty@2                    200 with no body
  insert@4:count=3,at=tail   puts messages into the conversation just before the request is answered;
  delete@4:count=2,at=head   takes messages out. at = head (oldest; default of delete), middle, tail (newest; default
                             of insert) or a row number from 0, oldest first. The conversation is the one that is
                             asked for; participant=NUMBER names another

Faults that change the server (WHEN and ~P work here too):
  clamp=100                  answers at most this many messages, whatever the limit
  ignore-start               always answers from the first message
  ignore-order               always answers oldest first
  start=1-based              the first message is start=1; Link counts so too
  past-end=404               a start past the last message is 404 (the default is an empty list, past-end=empty)
  enums=strings              direction, type and datacoding as strings in mixed case (enums=integers: as numbers)
  direction=swapped          0 is incoming and 1 outgoing
  unknown-status=777         delivered messages carry this status code instead of 201 (default 777)
  link=STYLE                 rfc8288 (the default), no-semicolon, swallowed (the URLs are missing), none,
                             relative (URLs without a host), unquoted (rel=next), uppercase (REL="NEXT"),
                             reversed (last first), parameters (further parameters with commas and semicolons),
                             several (one header per link), self (rel="self" as well), garbage (not a Link at all),
                             foreign (another host; to=URL names it), off-by-one (next is one row too far, like
                             the 201 after a page of 100 in iP.1's example), requested-limit (counts with the limit that
                             was asked for, even when the server clamps it)"""

LINK_STYLES = (
    "rfc8288", "no-semicolon", "swallowed", "none", "relative", "unquoted", "uppercase", "reversed", "parameters",
    "several", "self", "garbage", "foreign", "off-by-one", "requested-limit",
)  # fmt: skip

BODIES = ("problem", "gateway", "html", "text", "empty")


def _positive(text: str) -> bool:
    return text.isascii() and text.isdigit() and int(text) > 0


def _seconds(text: str) -> bool:
    return re.fullmatch(r"[0-9]+(\.[0-9]+)?", text, re.ASCII) is not None


def _url(text: str) -> bool:
    return re.match(r"https?://[^/\s]+", text) is not None


def _one_of(*choices: str) -> Callable[[str], bool]:
    return lambda text: text in choices


def _anything(text: str) -> bool:
    return bool(text)


Check = Callable[[str], bool]
_ROWS: dict[str, Check] = {
    "count": _positive,
    "at": lambda text: text in PLACES or text.isascii() and text.isdigit(),
    "participant": _anything,
}
# name -> (check of its value or None if it takes none, default value, checks of its options)
_KINDS: dict[str, tuple[Check | None, str | None, dict[str, Check]]] = {
    "status": (
        None,
        None,
        {"retry-after": _seconds, "retry-after-date": _seconds, "body": _one_of(*BODIES)},
    ),
    "redirect": (None, None, {"to": _anything, "status": _one_of("301", "302", "303", "307", "308")}),
    "slow": (None, None, {"seconds": _seconds}),
    "reset": (None, None, {}),
    "close": (None, None, {}),
    "truncate": (None, None, {"chunked": _one_of("yes", "no")}),
    "badjson": (None, None, {}),
    "html": (None, None, {}),
    "empty": (None, None, {}),
    "insert": (None, None, _ROWS),
    "delete": (None, None, _ROWS),
    "clamp": (_positive, None, {}),
    "ignore-start": (None, None, {}),
    "ignore-order": (None, None, {}),
    "start": (_one_of("1-based", "0-based"), None, {}),
    "past-end": (_one_of("404", "empty"), None, {}),
    "enums": (_one_of("strings", "integers"), None, {}),
    "direction": (_one_of("swapped", "normal"), None, {}),
    "unknown-status": (_positive, "777", {}),
    "link": (_one_of(*LINK_STYLES), None, {"to": _url}),
}
_REQUIRED = {"redirect": "to", "slow": "seconds"}

_SPEC = re.compile(
    r"(?P<name>[a-z][a-z-]*|[0-9]{3})(@(?P<when>[0-9*-]+))?(~(?P<p>[0-9.]+))?(=(?P<value>[^:]*))?(:(?P<options>.*))?\Z",
    re.ASCII,
)


class FaultError(ValueError):
    """A fault's text is not one that the sandbox knows; says what is wrong with it."""


@dataclass(frozen=True)
class Fault:
    """One parsed fault: what (``kind``, ``value``, ``options``) and when (``first`` to ``last``, ``probability``)."""

    spec: str
    kind: str
    value: str = ""
    options: dict[str, str] = field(default_factory=dict)
    first: int = 1
    last: int | None = None
    probability: float = 1.0

    @classmethod
    def parse(cls, spec: str) -> Fault:
        """
        Read a fault from its text.

        :param spec: see ``GRAMMAR``.
        :raises FaultError: it is not a fault.
        """
        match = _SPEC.match(spec)
        if match is None:
            raise FaultError(f"{spec!r} is not NAME[@WHEN][~P][=VALUE][:OPTION=VALUE,...]")
        name = match["name"]
        kind = "status" if name.isdigit() else name
        if kind not in _KINDS or (kind == "status" and not name.isdigit()):
            known = ", ".join(k for k in _KINDS if k != "status")
            raise FaultError(f"{spec!r}: there is no fault {name!r}; there are a status like 503, {known}")
        if kind == "status" and not 400 <= int(name) <= 599:
            raise FaultError(f"{spec!r}: the status must be 400 to 599")
        check, default, option_checks = _KINDS[kind]
        value = name if kind == "status" else match["value"]
        if kind == "status" and match["value"] is not None:
            raise FaultError(f"{spec!r}: {name} takes no value")
        if kind != "status":
            value = default if value is None else value
            if check is None and value is not None:
                raise FaultError(f"{spec!r}: {name} takes no value")
            if check is not None and (value is None or not check(value)):
                raise FaultError(f"{spec!r}: {name} does not take the value {value or 'nothing'!r}")
        options = _options(spec, match["options"], option_checks)
        if kind in _REQUIRED and _REQUIRED[kind] not in options:
            raise FaultError(f"{spec!r}: {name} needs :{_REQUIRED[kind]}=...")
        first, last = _when(spec, match["when"])
        probability = 1.0
        if match["p"] is not None:
            try:
                probability = float(match["p"])
            except ValueError:
                raise FaultError(f"{spec!r}: ~{match['p']} is not a probability") from None
            if not 0 <= probability <= 1:
                raise FaultError(f"{spec!r}: the probability must be 0 to 1")
        return cls(spec, kind, value or "", options, first, last, probability)

    def hits(self, number: int, seed: int = 0) -> bool:
        """Whether this fault concerns request ``number``; chance depends on seed, fault and number only."""
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


def _options(spec: str, text: str | None, checks: dict[str, Check]) -> dict[str, str]:
    options: dict[str, str] = {}
    for part in (text or "").split(",") if text else ():
        name, equals, value = part.partition("=")
        if name not in checks:
            raise FaultError(f"{spec!r}: there is no option {name!r}; there are {', '.join(checks) or 'none'}")
        if not equals or not checks[name](value):
            raise FaultError(f"{spec!r}: {name} does not take {value or 'nothing'!r}")
        options[name] = value
    return options


class Faults:
    """
    The faults of a sandbox; may be changed while it runs.

    :param specs: as ``--help`` of the sandbox lists them.
    :param seed: decides which requests a fault with a probability hits.
    """

    def __init__(self, specs: Iterable[str] = (), seed: int = 0) -> None:
        self._seed = seed
        self._faults = tuple(Fault.parse(spec) for spec in specs)

    def add(self, *specs: str) -> None:
        """Add faults; of two that set the same thing, the later one counts."""
        self._faults += tuple(Fault.parse(spec) for spec in specs)

    def remove(self, spec: str) -> None:
        """Take the faults with this text away, if there are any."""
        self._faults = tuple(fault for fault in self._faults if fault.spec != spec)

    def clear(self) -> None:
        """Take all faults away."""
        self._faults = ()

    def __iter__(self) -> Iterator[Fault]:
        return iter(self._faults)

    def __len__(self) -> int:
        return len(self._faults)

    def for_request(self, number: int) -> dict[str, list[Fault]]:
        """The faults that hit this request, by kind."""
        hits: dict[str, list[Fault]] = {}
        for fault in self._faults:
            if fault.hits(number, self._seed):
                hits.setdefault(fault.kind, []).append(fault)
        return hits
