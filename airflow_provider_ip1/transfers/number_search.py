# SPDX-License-Identifier: Apache-2.0
"""
Finds phone numbers in S3 keys, in any notation: with separators, other digits, percent-encoding or no country code.

Keys are full of dates and ids, so a match must be unlikely to be a coincidence. A number of ten digits or more counts
wherever it is. A shorter one must start and end like a number that someone wrote.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

_SHORTEST_NUMBER: Final = 7
_UNMISTAKABLE: Final = 10
_TAIL: Final = 9
# ITU-T E.164, list of assigned country codes. 1 and 7 have one digit; all that are not here have three.
_TWO_DIGIT_CODES: Final = frozenset(
    "20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66 "
    "81 82 84 86 90 91 92 93 94 95 98".split()
)
# Digits with anything but letters between them.
_CHAIN = re.compile(r"[0-9](?:[\W_]*[0-9])*")
_RUN = re.compile(r"[0-9]+")
_DATE = re.compile(
    r"(?<![0-9])(?:19|20)[0-9]{2}(?P<separator>[-/_.]?)(?:0[1-9]|1[0-2])(?P=separator)(?:0[1-9]|[12][0-9]|3[01])"
    r"(?:[-/_ T]?(?:[01][0-9]|2[0-3])(?:[-/_:.]?[0-5][0-9]){0,2}(?:\.[0-9]+)?)?(?![0-9])"
)


def contains_number(text: str, participants: Iterable[str]) -> bool:
    """
    Return whether a text contains the phone number of a participant.

    The number may be written with or without its country code, with any characters but letters between its digits, in
    digits of any script, and percent-encoded. A date with or without a time of day, such as ``2026/11/24``, is not
    taken for a number without country code.

    :param text: such as a bucket and key.
    :param participants: the participants, normalized. Names, and numbers of fewer than seven digits, are ignored.
    """
    plain = _plain(text)
    chains = list(_chains(plain))
    dateless = list(_chains(_DATE.sub("date", plain)))
    for number in participants:
        if not number.isdecimal() or len(number) < _SHORTEST_NUMBER:
            continue
        code = _country_code(number)
        national = number[len(code) :]
        if any(chain.contains(number) or chain.contains(f"{code}0{national}") for chain in chains):
            return True
        if len(national) < _SHORTEST_NUMBER:
            continue
        if any(chain.contains(national) or chain.contains_tail(national[-_TAIL:]) for chain in dateless):
            return True
    return False


def _plain(text: str) -> str:
    """Decode percent-encoding, and replace compatibility characters and digits of other scripts with ASCII."""
    before = None
    while text != before:
        before = text
        text = unicodedata.normalize("NFKC", unquote(text))
    return "".join(str(unicodedata.decimal(character, character)) for character in text)


def _country_code(number: str) -> str:
    if number[0] in "17":
        return number[0]
    return number[:2] if number[:2] in _TWO_DIGIT_CODES else number[:3]


@dataclass(frozen=True)
class _Chain:
    """
    Digits that no letter separates.

    :param digits: the digits.
    :param starts: for each digit, the position at which its run of adjacent digits starts.
    :param ends: for each digit, the position after that run.
    """

    digits: str
    starts: tuple[int, ...]
    ends: tuple[int, ...]

    def contains(self, number: str) -> bool:
        if len(number) >= _UNMISTAKABLE:
            return number in self.digits
        # Nothing but the zeros of 0 or 00 may precede it in its run, and no digit may follow.
        return any(
            not self.digits[self.starts[start] : start].strip("0") and self.ends[start + len(number) - 1] == end
            for start, end in self._matches(number)
        )

    def contains_tail(self, tail: str) -> bool:
        """The last digits of a number without separators may stand anywhere in a run."""
        return len(tail) == _TAIL and any(self.ends[start] >= end for start, end in self._matches(tail))

    def _matches(self, number: str) -> Iterator[tuple[int, int]]:
        start = self.digits.find(number)
        while start >= 0:
            yield start, start + len(number)
            start = self.digits.find(number, start + 1)


def _chains(text: str) -> Iterator[_Chain]:
    for chain in _CHAIN.finditer(text):
        digits, starts, ends = "", [], []
        for run in _RUN.findall(chain[0]):
            starts += [len(digits)] * len(run)
            digits += run
            ends += [len(digits)] * len(run)
        yield _Chain(digits, tuple(starts), tuple(ends))
