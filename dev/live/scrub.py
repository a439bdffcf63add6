# SPDX-License-Identifier: Apache-2.0
"""
Replaces all personal data in recorded exchanges, so that they can be published and remain consistent.

A value gets the same replacement in all exchanges, ids keep their order, and numbers in JSON keep their spelling. Every
value that is not known to be harmless is replaced. Fields that iP.1 does not document lose their values.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from dev.live.cassettes import BASE_URL, Call, Interaction, is_kept

#: Mobile numbers that the Swedish Post and Telecom Authority reserves for fiction.
NUMBERS = tuple(str(number) for number in range(46701740605, 46701740700))
#: The newest time in a recording becomes this time. All other times keep their distance from it.
NEWEST = datetime(2026, 1, 1)

_KINDS: Mapping[str, str] = {
    "id": "id",
    "batchId": "id",
    "messageId": "id",
    "owner": "owner",
    "sender": "address",
    "recipient": "address",
    "participant": "address",
    "body": "body",
    "reference": "reference",
    "created": "time",
    "modified": "time",
    "mcc": "mcc",
    "mnc": "mnc",
    **dict.fromkeys(
        ("direction", "segments", "type", "datacoding", "priority", "price", "currency", "code", "duration")
        + ("totalMessageCount", "totalSmsCount", "messages", "sms"),
        "harmless",
    ),
}
_DIGITS = re.compile(r"[+(]{0,2}[0-9](?:[\s().\-/]*[0-9])*")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}")
_HARMLESS = re.compile(r"[A-Za-z]{1,12}|-?[0-9]{1,6}(\.[0-9]{1,6})?")


class ScrubError(RuntimeError):
    """Some personal data could not be replaced. The message does not quote it."""


class _Number(str):
    """A number in JSON, in its original spelling."""

    __slots__ = ()


def _parse(text: str) -> Any:
    return json.loads(text, parse_int=_Number, parse_float=_Number)


def _dump(value: Any) -> str:
    if isinstance(value, _Number):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(name)}:{_dump(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_dump, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def _is_number(text: str) -> bool:
    return _DIGITS.fullmatch(text.strip()) is not None


def _filler(text: str) -> str:
    """Return a neutral text as long as the original, which needs UCS-2 if the original does."""
    if text.isascii():
        words = "Neutral text in place of a message. "
    elif all(ord(character) < 0x10000 for character in text):
        words = "Påhittad text på svenska, lika lång. "
    else:
        words = "😀 Påhittad text på svenska, lika lång. "
    return (words * (len(text) // len(words) + 1))[: len(text)]


def _unlike(texts: Iterator[str], taken: Iterable[str]) -> Iterator[str]:
    avoided = set(taken)
    return (text for text in texts if text not in avoided)


class Scrubber:
    """
    Scrubs the exchanges of one recording.

    :param exchanges: all exchanges of the recording, because their values decide the replacements.
    :param base_url: the server's base URL, which the result replaces with iP.1's.
    :param key: the API key, which must not be in the result.
    :param ours: participants that this program invented, which stay as they are.
    :raises ScrubError: if there are more phone numbers than replacements.
    """

    def __init__(self, exchanges: Sequence[Interaction], *, base_url: str, key: str, ours: Iterable[str] = ()) -> None:
        self._base_url = base_url.rstrip("/")
        self._key = key
        self._ours = frozenset(ours)
        self._found: dict[str, dict[str, None]] = {
            kind: {} for kind in ("id", "owner", "address", "body", "reference", "time")
        }
        for each in exchanges:
            self._walk_url(each.url, self._learn)
            for values in each.headers.values():
                for url in re.findall(r"<([^<>]*)>", ", ".join(values)):
                    self._walk_url(url, self._learn)
            document = self._json(each)
            # In errors, the same names belong to other content.
            if document is not None and each.status == 200:
                self._walk(document, "other", self._learn)
        self._replacements = self._choose()

    def _learn(self, kind: str, text: str) -> str:
        if text and text not in self._ours and kind in self._found:
            self._found[kind].setdefault(text)
        return text

    def _choose(self) -> dict[tuple[str, str], str]:
        chosen: dict[tuple[str, str], str] = {}
        addresses = self._found["address"]
        # Two spellings of one number become two spellings of one replacement.
        plain = {text: re.sub(r"^00|[^0-9]", "", text) for text in addresses if _is_number(text)}
        numbers = _unlike(iter(NUMBERS), {*plain.values(), *self._ours})
        by_number: dict[str, str] = {}
        for text, digits in plain.items():
            if digits not in by_number:
                number = next(numbers, None)
                if number is None:
                    raise ScrubError(
                        f"There are more than {len(NUMBERS)} phone numbers. Record a conversation with fewer."
                    )
                by_number[digits] = number
            prefix = re.match(r"\+|00|", text.strip())
            chosen["address", text] = (prefix[0] if prefix else "") + by_number[digits]
        names = [text for text in addresses if text not in plain]
        by_case: dict[str, str] = {}
        free_names = _unlike((f"Name{place:02d}" for place in range(1, 10_000)), names)
        for text in names:
            folded = text.casefold()
            by_case.setdefault(folded, "")
            by_case[folded] = by_case[folded] or next(free_names)
            chosen["address", text] = by_case[folded]
        for kind, form in (("owner", "ip1-{:05d}"), ("reference", "reference-{}")):
            free = _unlike((form.format(place) for place in range(1, 1_000_000)), self._found[kind])
            chosen |= {(kind, text): next(free) for text in self._found[kind]}
        chosen |= self._choose_ids(sorted(self._found["id"], key=lambda text: (len(text), text)))
        chosen |= {("body", text): _filler(text) for text in self._found["body"]}
        moments = [_moment(text) for text in self._found["time"]]
        known = [moment for moment in moments if moment is not None]
        self._shift = NEWEST - max(known) if known else None
        return chosen

    @staticmethod
    def _choose_ids(ids: Sequence[str]) -> dict[tuple[str, str], str]:
        """Return ids in the same form and order, but without the time that ids contain."""
        chosen = {}
        free: dict[int, Iterator[str]] = {}
        for text in ids:
            length = len(text) if len(text) >= 12 and re.fullmatch("[0-9a-f]+", text) else 0
            if length not in free:
                form = f"5eed{{:0{length - 4}x}}" if length else "id-{:06d}"
                free[length] = _unlike((form.format(place) for place in range(1, 1_000_000)), ids)
            chosen["id", text] = next(free[length])
        return chosen

    def scrub(self, exchange: Interaction) -> Interaction:
        """
        Return an exchange without personal data.

        :param exchange: one of the exchanges of the recording.
        :raises ScrubError: if personal data is left.
        """
        document = self._json(exchange)
        if document is None or exchange.status != 200:
            # Keep the text of errors, but not the personal data in it that other exchanges revealed.
            body = self._text(exchange.body.decode(errors="replace"))
        else:
            body = _dump(self._walk(document, "other", self._replace))
        scrubbed = Interaction(
            self._walk_url(exchange.url, self._replace),
            exchange.status,
            exchange.reason,
            {
                name: [self._header(value) for value in values]
                for name, values in exchange.headers.items()
                if is_kept(name)
            },
            body.encode(errors="replace"),
        )
        self._check(scrubbed)
        return scrubbed

    def scrub_call(self, call: Call) -> Call:
        """Return the call that sends the scrubbed requests."""
        kinds = {"participant": "address", "batch_id": "id", "message_id": "id"}
        arguments = {
            name: self._replace(kinds[name], value) if name in kinds else value
            for name, value in call.arguments.items()
        }
        return replace(call, arguments=arguments)

    def _json(self, exchange: Interaction) -> Any:
        try:
            return _parse(exchange.body.decode())
        except ValueError:
            return None

    # Walking through the exchanges, to collect values and to replace them

    def _walk(self, value: Any, kind: str, treat: Callable[[str, str], str]) -> Any:
        if isinstance(value, dict):
            # The keys of an object may be data, such as the status codes of a summary.
            return {
                self._name(name): self._walk(each, _KINDS.get(name, "other"), treat) for name, each in value.items()
            }
        if isinstance(value, list):
            return [self._walk(each, kind, treat) for each in value]
        if isinstance(value, _Number):
            return _Number(value if kind == "harmless" and _HARMLESS.fullmatch(value) else "0")
        return treat(kind, value) if isinstance(value, str) else value

    @staticmethod
    def _name(name: str) -> str:
        return name if re.fullmatch(r"[A-Za-z_]{1,30}|[0-9]{1,4}", name) else "field"

    def _walk_url(self, url: str, treat: Callable[[str, str], str]) -> str:
        parts = urlsplit(url.replace(self._base_url, BASE_URL))
        segments = parts.path.split("/")
        for place, segment in enumerate(segments[1:], start=1):
            before = segments[place - 1]
            kind = {"conversations": "address", "batches": "id", "messages": "id"}.get(before)
            if kind is not None and segment:
                segments[place] = quote(treat(kind, unquote(segment)), safe="")
        query = [
            (name, value if name in ("start", "limit", "order") and _HARMLESS.fullmatch(value) else "x")
            for name, value in parse_qsl(parts.query, keep_blank_values=True)
        ]
        return urlunsplit((parts.scheme, parts.netloc, "/".join(segments), urlencode(query), ""))

    # Replacing values

    def _replace(self, kind: str, text: str) -> str:
        if not text or text in self._ours:
            return text
        known = self._replacements.get((kind, text))
        if known is not None:
            return known
        if kind == "harmless" and _HARMLESS.fullmatch(text):
            return text
        if kind == "time":
            moment = _moment(text)
            if moment is not None and self._shift is not None:
                return f"{moment + self._shift:%Y-%m-%d}{text[10]}{moment + self._shift:%H:%M:%S}" + re.sub(
                    r"[^0-9TZ:.+\-]", "", text[19:]
                )
        if kind in ("mcc", "mnc"):
            return {"mcc": "240", "mnc": "01"}[kind]
        return _filler(text)

    def _text(self, text: str) -> str:
        """Return a text without long numbers and without the personal data that other exchanges revealed."""
        text = text.replace(self._base_url, BASE_URL)
        for (_, original), replacement in sorted(self._replacements.items(), key=lambda item: -len(item[0][1])):
            for spelled in {original, quote(original, safe=""), json.dumps(original)[1:-1]}:
                if len(spelled) >= 3:
                    text = text.replace(spelled, replacement)
        text = re.sub(r"(?<![0-9A-Fa-f])(?!5eed)[0-9A-Fa-f]{16,}", lambda found: "0" * len(found[0]), text)
        return re.sub(r"[0-9][0-9 ()\-]{4,}[0-9]", self._unless_ours, text)

    def _unless_ours(self, found: re.Match[str]) -> str:
        kept = found[0] in self._ours or found[0] in NUMBERS or found[0] in self._replacements.values()
        return found[0] if kept else re.sub("[0-9]", "0", found[0])

    def _header(self, value: str) -> str:
        parts = re.split(r"<([^<>]*)>", value)
        for place, part in enumerate(parts):
            parts[place] = f"<{self._walk_url(part, self._replace)}>" if place % 2 else self._text(part)
        return "".join(parts)

    # Checking the result

    def _check(self, scrubbed: Interaction) -> None:
        document, body = self._json(scrubbed), scrubbed.body.decode()
        headers = [value for values in scrubbed.headers.values() for value in values]
        if self._key and any(self._key in text for text in (scrubbed.url, body, *headers)):
            raise ScrubError("The API key is still in a response. Nothing was written.")
        values = set(_texts(document)) if document is not None else {body}
        whole = "\n".join((scrubbed.url, unquote(scrubbed.url), *headers, *values))
        for (kind, original), replacement in self._replacements.items():
            # A short word can be part of other words, so it counts only as a complete value.
            is_left = original in values if len(original) < 6 else original in whole
            if is_left and original != replacement and original not in replacement:
                raise ScrubError(f"A value of kind {kind} is still in a response. Nothing was written.")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, str):
        yield value


def _moment(text: str) -> datetime | None:
    if not _TIME.match(text):
        return None
    try:
        return datetime.fromisoformat(text[:19])
    except ValueError:
        return None
