# SPDX-License-Identifier: Apache-2.0
"""
Recognizes phone numbers in any notation: with separators, other digits, percent-encoding or no country code.

Texts and S3 keys are full of dates and ids, so a match must be unlikely to be a coincidence. A number of ten digits or
more counts wherever it is. A shorter one must start and end like a number that someone wrote.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final
from urllib.parse import unquote

# In digits. Shorter ones are short codes, or part of other numbers; no phone number is longer (ITU-T E.164).
SHORTEST_NUMBER: Final = 7
LONGEST_NUMBER: Final = 15
# In characters, with all separators that people write.
LONGEST_NOTATION: Final = 60
_UNMISTAKABLE: Final = 10
_TAIL: Final = 9
# ITU-T E.164, list of assigned country codes. 1 and 7 have one digit; all that are not here have three.
_TWO_DIGIT_CODES: Final = frozenset(
    "20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66 "
    "81 82 84 86 90 91 92 93 94 95 98".split()
)
_DIGIT: Final = r"(?:%3[0-9]|\d)"
_ENCODED: Final = r"%(?!3[0-9])[0-9A-Fa-f]{2}"
_GAP: Final = rf"(?:[^\w%]|_|{_ENCODED}|%(?![0-9A-Fa-f]{{2}}))"
# At least seven digits with anything but letters between them.
_CHAIN = re.compile(rf"{_DIGIT}(?:{_GAP}*{_DIGIT}){{{SHORTEST_NUMBER - 1},}}")
_ONE_DIGIT = re.compile(rf"{_ENCODED}|({_DIGIT})")
_WHOLE_NUMBER = re.compile(rf"(?:tel:|sms:)?{_GAP}*({_DIGIT}(?:{_GAP}*{_DIGIT})*){_GAP}*", re.IGNORECASE)
_TRUNK_PREFIX = re.compile(r"(?<=[0-9])[\s\W_]*\([\W_]*0[\W_]*\)")
_NO_DIGITS: Final = bytes(set(range(256)) - set(b"0123456789"))
# The first byte of the digits of other scripts in UTF-8, without F0, which emoji also start with.
_LEADS: Final = b"\xd9\xdb\xdf\xe0\xe1\xea\xef"
_NO_LEADS: Final = bytes(set(range(256)) - set(_LEADS))
_PLAIN: Final = bytes(set(range(256)) - set(_LEADS + b"%\xf0"))
_UNUSUAL_DIGIT = re.compile(rb"%[0-9a-fA-F]{2}|[\xd9\xdb\xdf\xe0\xe1\xea]|\xef\xbc[\x90-\x99]")
_DATE = re.compile(
    r"(?<![0-9])(?:19|20)[0-9]{2}(?P<separator>[-/_.]?)(?:0[1-9]|1[0-2])(?P=separator)(?:0[1-9]|[12][0-9]|3[01])"
    r"(?:[-/_ T]?(?:[01][0-9]|2[0-3])(?:[-/_:.]?[0-5][0-9]){0,2}(?:\.[0-9]+)?)?(?![0-9])"
)


def contains_number(text: str, participants: Iterable[str]) -> bool:
    """
    Return whether a text contains the phone number of a participant.

    :param text: such as a bucket and key.
    :param participants: the participants, normalized. Names, and numbers of fewer than seven digits, are ignored.
    """
    finder = NumberFinder(text)
    return any(map(finder.contains, participants))


class NumberFinder:
    """
    Looks for many numbers in one text.

    :param text: such as a bucket and key.
    """

    def __init__(self, text: str) -> None:
        before = None
        while text != before:
            before = text
            text = "".join(map(_plain, unquote(text)))
        self._chains = list(_chains(text))
        self._dateless = list(_chains(_DATE.sub(_without_digits, text)))

    def contains(self, participant: str) -> bool:
        """
        Return whether the text contains the phone number of a participant.

        :param participant: the participant, normalized. A name, and a number of fewer than seven digits, is not found.
        """
        if not self._chains or not participant.isdecimal():
            return False
        return any(PhoneNumber(participant).spans_in(self._chains, self._dateless))


def _plain(character: str) -> str:
    """Return the compatibility form, but a space for a symbol such as ``㈀`` that would turn into letters."""
    plain = unicodedata.normalize("NFKC", character)
    return " " if plain != character and not character.isalnum() and any(map(str.isalnum, plain)) else plain


def may_contain(json_text: bytes, numbers: Iterable[str]) -> bool:
    """
    Return whether a JSON text may contain one of these phone numbers, in any notation.

    Cheap, and true for one text in 100,000 by coincidence: removes everything but digits, so that separators do not
    matter. A text with percent-encoding or digits of other scripts counts as if it contained them all.

    :param json_text: the JSON text, in UTF-8.
    :param numbers: the numbers. Names are ignored.
    """
    tails = [tail for number in numbers if (tail := _tail(number)) is not None]
    if not tails:
        return False
    if b"\\u" in json_text:
        json_text = json.dumps(json.loads(json_text), ensure_ascii=False).encode("utf-8", "surrogatepass")
    digits = json_text.translate(None, _NO_DIGITS)
    for tail in tails:
        if tail in digits:
            return True
    if not json_text.translate(None, _PLAIN):
        return False
    # Most emoji start with F0 9F, and only F0 9F AF is a digit.
    if json_text.count(b"\xf0") > json_text.count(b"\xf0\x9f") or b"\xf0\x9f\xaf" in json_text:
        return True
    is_suspicious = b"%" in json_text or json_text.translate(None, _NO_LEADS)
    return bool(is_suspicious) and _UNUSUAL_DIGIT.search(json_text) is not None


def _tail(text: str) -> bytes | None:
    """Return the last digits of a phone number, which every notation contains."""
    digits = phone_digits(text)
    return None if digits is None else digits[-SHORTEST_NUMBER:].encode()


def phone_digits(text: str) -> str | None:
    """
    Return the digits of a phone number with its country code, the same for every notation.

    :param text: such as ``+46 (0)70-174 06 05``, ``tel:+46701740605`` or ``004670...``. Without a country code, the
        digits are those that the text has.
    :return: 7 to 15 digits; ``None`` if the text is not a phone number.
    """
    return _phone_digits(text) if len(text) <= LONGEST_NOTATION else None


@lru_cache(maxsize=4096)
def _phone_digits(text: str) -> str | None:
    plain = unicodedata.normalize("NFKC", text)
    plain = "".join(character for character in plain if unicodedata.category(character) != "Cf").strip()
    if not _WHOLE_NUMBER.fullmatch(plain):
        return None
    plain = _TRUNK_PREFIX.sub("", plain)
    digits = "".join(map(_value, filter(None, _ONE_DIGIT.findall(plain)))).removeprefix("00")
    return digits if SHORTEST_NUMBER <= len(digits) <= LONGEST_NUMBER else None


def _value(digit: str) -> str:
    return str(unicodedata.decimal(digit[-1]))


def _without_digits(found: re.Match[str]) -> str:
    return "d" * len(found[0])


@dataclass(frozen=True)
class PhoneNumber:
    """
    A phone number to look for.

    :param digits: its digits with country code.
    """

    digits: str

    @cached_property
    def _notations(self) -> tuple[str, str]:
        """With country code: plainly, and with the 0 that belongs before the number without country code."""
        return self.digits, f"{self.digits[: self._code_length]}0{self.national}"

    @cached_property
    def _code_length(self) -> int:
        # A number that was written without its country code starts with 0.
        if self.digits[0] in "017":
            return 1
        return 2 if self.digits[:2] in _TWO_DIGIT_CODES else 3

    @cached_property
    def national(self) -> str:
        """The digits without country code."""
        return self.digits[self._code_length :]

    def find(self, text: str) -> list[tuple[int, int]]:
        """
        Find the number in a text.

        :param text: any text.
        :return: start and end of each place where it is, in order and without overlaps.
        """
        if _CHAIN.search(text) is None:
            return []
        found = sorted(self.spans_in(list(_chains(text)), list(_chains(_DATE.sub(_without_digits, text)))))
        spans: list[tuple[int, int]] = []
        for start, end in found:
            if spans and start < spans[-1][1]:
                spans[-1] = spans[-1][0], max(end, spans[-1][1])
            else:
                spans.append((start, end))
        return spans

    def replace_in(self, text: str, replacement: str) -> str:
        """Return a text with something else in each place where the number is."""
        for start, end in reversed(self.find(text)):
            text = text[:start] + replacement + text[end:]
        return text

    def spans_in(self, chains: Iterable[_Chain], dateless: Iterable[_Chain]) -> Iterator[tuple[int, int]]:
        """
        Find the number in the chains of a text.

        :param chains: the chains.
        :param dateless: the chains of the same text without dates. A date is not a number without country code.
        """
        if len(self.digits) < SHORTEST_NUMBER:
            return
        for chain in chains:
            for notation in self._notations:
                yield from chain.find(notation)
        if len(self.national) < SHORTEST_NUMBER:
            return
        for chain in dateless:
            yield from chain.find(self.national)
            yield from chain.find_tail(self.national[-_TAIL:])


@dataclass(frozen=True)
class _Chain:
    """
    Digits that no letter separates.

    :param digits: the digits.
    :param places: for each digit, its start and end in the text.
    """

    digits: str
    places: tuple[tuple[int, int], ...]

    def find(self, number: str) -> Iterator[tuple[int, int]]:
        for first, last in self._matches(number):
            if len(number) >= _UNMISTAKABLE or self._is_separate(first, last):
                yield self.places[first][0], self.places[last][1]

    def find_tail(self, tail: str) -> Iterator[tuple[int, int]]:
        """Find the last digits of a number without separators. They may be anywhere."""
        if len(tail) == _TAIL:
            for first, last in self._matches(tail):
                if self._run_end(first) > last:
                    yield self.places[first][0], self.places[last][1]

    def _is_separate(self, first: int, last: int) -> bool:
        """Nothing but zeros, as in 0 or 00, may precede the number in its run of digits, and no digit may follow."""
        start = first
        while start > 0 and self.places[start - 1][1] == self.places[start][0]:
            start -= 1
        return not self.digits[start:first].strip("0") and self._run_end(last) == last + 1

    def _run_end(self, index: int) -> int:
        index += 1
        while index < len(self.places) and self.places[index - 1][1] == self.places[index][0]:
            index += 1
        return index

    def _matches(self, number: str) -> Iterator[tuple[int, int]]:
        first = self.digits.find(number)
        while first >= 0:
            yield first, first + len(number) - 1
            first = self.digits.find(number, first + 1)


def _chains(text: str) -> Iterator[_Chain]:
    for chain in _CHAIN.finditer(text):
        places = [found.span() for found in _ONE_DIGIT.finditer(text, *chain.span()) if found[1]]
        yield _Chain("".join(_value(text[start:end]) for start, end in places), tuple(places))
