# SPDX-License-Identifier: Apache-2.0
"""
Replaces all personal data in the exchanges of a recording, so that they can be published and remain consistent.

A value gets the same replacement in all exchanges. Only what is known to be harmless stays: the documented values of
enumerations, small numbers in documented fields, the names of documented fields. Everything else is replaced.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urljoin, urlsplit, urlunsplit

from dev.live.survey import BASE_URL

#: Mobile numbers that the Swedish Post and Telecom Authority reserves for fiction.
NUMBERS = tuple(str(number) for number in range(46701740605, 46701740700))

_KINDS = {
    **dict.fromkeys(("id", "batchId", "messageId"), "id"),
    **dict.fromkeys(("sender", "recipient", "participant"), "address"),
    **dict.fromkeys(("created", "modified"), "time"),
    **dict.fromkeys(("owner", "reference", "mcc", "mnc", "title", "currency"), ""),
    **dict.fromkeys(("direction", "segments", "type", "datacoding", "priority", "price"), "harmless"),
    **dict.fromkeys(("code", "duration", "totalMessageCount", "totalSmsCount", "messages", "sms"), "harmless"),
    **dict.fromkeys(("templated", "status", "mobileTerminatedMessages", "mobileOriginatedMessages"), "harmless"),
    **dict.fromkeys(("body", "statuses", "tags", "deliveryWindows", "messageSummary", "priceSummary"), "text"),
}
_PATH_WORDS = {"", "v2", "conversations", "batches", "messages", "summary", "mt", "mo", "me", "senders"}
_HEADER_WORDS = {"rel", "next", "last", "first", "prev", "previous", "self", "load"}
_HEADER_WORDS |= {"application", "json", "problem", "charset", "utf", "text", "html", "plain", "bearer"}
_NUMBER = re.compile(r"(\+|00)?[\s().\-/]*[0-9](?:[\s().\-/]*[0-9])*")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}")
_HARMLESS = re.compile(r"(?i:mt|mo|sms|flash|gsm|ucs|asc|desc)|-?[0-9]{1,6}(\.[0-9]{1,6})?")
_PHRASES = {status.phrase.lower() for status in HTTPStatus}


class ScrubError(RuntimeError):
    """Some personal data could not be replaced. The message does not quote it."""


class _Number(str):
    """A number in JSON, in its original spelling."""

    __slots__ = ()


class Scrubber:
    """
    Scrubs the exchanges of one recording.

    :param base_url: the server's base URL, which the result replaces with iP.1's.
    :param key: the API key, which must not be in the result.
    :param ours: participants that this program invented, which stay as they are.
    """

    def __init__(self, base_url: str, key: str, ours: Iterable[str] = ()) -> None:
        self._origin = urlsplit(base_url)[:2]
        self._key = key
        self._ours = frozenset(ours)
        self._replacements: dict[tuple[str, str], str] = {}
        self._numbers = (number for number in NUMBERS if number not in self._ours)
        # The times keep their distances from each other, but not from the day of the recording.
        self._shift = timedelta(seconds=365 * 86400 + secrets.randbelow(4 * 365 * 86400))

    # The parts of an exchange

    def url(self, url: str) -> str:
        """Scrub a URL: its path, its query and, unless it is the server's, its host."""
        parts = urlsplit(urljoin(f"{'://'.join(self._origin)}/", url))
        segments = parts.path.split("/")
        for place, segment in enumerate(segments):
            if segment not in _PATH_WORDS:
                kind = {"conversations": "address", "batches": "id", "messages": "id"}.get(segments[place - 1], "text")
                segments[place] = quote(self.text(kind, unquote(segment)), safe="")
        query = [
            (name, value) if name in ("start", "limit", "order") and _HARMLESS.fullmatch(value) else ("x", "x")
            for name, value in parse_qsl(parts.query, keep_blank_values=True)
        ]
        host = BASE_URL if parts[:2] == self._origin else "https://other.example"
        return urlunsplit((*urlsplit(host)[:2], "/".join(segments), urlencode(query), ""))

    def header(self, value: str) -> str:
        """Scrub a header: its URLs, and all words that iP.1's documentation and HTTP do not contain."""
        parts = re.split(r"<([^<>]*)>", value)
        for place, part in enumerate(parts):
            parts[place] = f"<{self.url(part)}>" if place % 2 else re.sub(r"\w+", _known_word, part)
        return "".join(parts)

    def body(self, body: bytes) -> bytes:
        """Scrub a body. Only JSON keeps its form."""
        text = body.decode(errors="replace")
        try:
            document = json.loads(text, parse_int=_Number, parse_float=_Number)
        except ValueError:
            return _filler(text).encode()
        return _dump(self._walk(document, "text")).encode()

    def _walk(self, value: Any, kind: str) -> Any:
        if isinstance(value, dict):
            # The names in a summary are status codes.
            return {
                name if name in _KINDS or re.fullmatch("[0-9]{1,3}", name) else self.text("field", name): self._walk(
                    each, _KINDS.get(name, "text") or name
                )
                for name, each in value.items()
            }
        if isinstance(value, list):
            return [self._walk(each, kind) for each in value]
        if isinstance(value, _Number):
            return _Number(value if kind == "harmless" and _HARMLESS.fullmatch(value) else "0")
        return self.text(kind, value) if isinstance(value, str) else value

    # Values

    def text(self, kind: str, text: str) -> str:
        """
        Replace a value.

        :param kind: what it is: address, id, time, text, field, harmless, or the name of the field.
        :param text: the value.
        :raises ScrubError: there are more phone numbers than replacements.
        """
        if not text or text in self._ours or (kind == "harmless" and _HARMLESS.fullmatch(text)):
            return text
        if (kind == "title" and text.lower() in _PHRASES) or (kind == "currency" and re.fullmatch("[A-Za-z]{3}", text)):
            return text
        if (kind, text) not in self._replacements:
            self._replacements[kind, text] = self._replace(kind, text)
        return self._replacements[kind, text]

    def _replace(self, kind: str, text: str) -> str:
        if kind == "address" and (number := _NUMBER.fullmatch(text)):
            # Two spellings of one number become two spellings of one replacement.
            return (number[1] or "") + self._same("number", re.sub(r"^00|[^0-9]", "", text))
        if kind == "address":
            return self._same("name", text.casefold())
        if kind == "id" and len(text) >= 12 and re.fullmatch("[0-9a-f]+", text):
            # In the same form, but without the time that ids contain.
            return f"5eed{self._count('id'):0{len(text) - 4}x}"
        if kind in ("id", "owner", "reference", "field"):
            form = {"id": "id-{:06d}", "owner": "ip1-{:05d}"}.get(kind, kind + "{}")
            return form.format(self._count(kind))
        if kind == "time" and _TIME.match(text):
            moment = datetime.fromisoformat(text[:19]) - self._shift
            return moment.isoformat() + re.sub(r"[^0-9TZ:.+\-]", "", text[19:])
        return {"mcc": "240", "mnc": "01"}.get(kind) or _filler(text)

    def _same(self, kind: str, text: str) -> str:
        if (kind, text) not in self._replacements:
            new = next(self._numbers, None) if kind == "number" else f"Name{self._count(kind):02d}"
            if new is None:
                raise ScrubError(f"There are more than {len(NUMBERS)} phone numbers. Record a conversation with fewer.")
            self._replacements[kind, text] = new
        return self._replacements[kind, text]

    def _count(self, kind: str) -> int:
        """Return the number of this value among those of its kind."""
        return 1 + sum(each == kind for each, _ in self._replacements)

    def check(self, interactions: Iterable[Mapping[str, Any]]) -> None:
        """
        Search a finished recording for every value that was replaced.

        :param interactions: the exchanges as vcrpy stores them.
        :raises ScrubError: personal data is left.
        """
        parts: list[str] = []
        values: set[str] = set()
        for each in interactions:
            url, body = each["request"]["uri"], each["response"]["body"]["string"]
            headers = [text for texts in each["response"]["headers"].values() for text in texts]
            parts += [url, unquote(url), body, *headers]
            with suppress(ValueError):
                values.update(_texts(json.loads(body)))
        whole = "\n".join([*parts, *values])
        if self._key and self._key in whole:
            raise ScrubError("The API key is still in a response. Nothing was written.")
        replacements = "\n".join(self._replacements.values())
        for kind, original in self._replacements:
            # A short value can be part of other words, so it counts only as a complete value.
            is_left = original in values if len(original) < 6 else original in whole
            if is_left and original not in replacements:
                raise ScrubError(f"A value of kind {kind} is still in a response. Nothing was written.")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)


def _known_word(word: re.Match[str]) -> str:
    is_known = word[0].lower() in _HEADER_WORDS or re.fullmatch("[0-9]{1,6}", word[0])
    return word[0] if is_known else "x"


def _dump(value: Any) -> str:
    if isinstance(value, _Number):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(name)}:{_dump(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_dump, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def _filler(text: str) -> str:
    """Return a neutral text as long as the original, which needs UCS-2 if the original does."""
    if text.isascii():
        words = "Neutral text in place of a message. "
    elif all(ord(character) < 0x10000 for character in text):
        words = "Påhittad text på svenska, lika lång. "
    else:
        words = "😀 Påhittad text på svenska, lika lång. "
    return (words * (len(text) // len(words) + 1))[: len(text)]


class Unscrubbed:
    """
    Stands in for a scrubber of our own servers, whose data is invented: it only replaces their address.

    :param base_url: the server's base URL.
    """

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url

    def url(self, url: str) -> str:
        return url.replace(self._base_url, BASE_URL)

    header = url

    def body(self, body: bytes) -> bytes:
        return body.replace(self._base_url.encode(), BASE_URL.encode())
