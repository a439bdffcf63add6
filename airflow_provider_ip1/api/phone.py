# SPDX-License-Identifier: Apache-2.0
"""
Phone numbers: the one form in which iP.1 expects them, finding them in texts, and masking them.

A number that is read wrongly is somebody else's. So a notation that is not clearly one number is an error, and no error
shows the number. A search is the opposite: it finds a number in any notation, with separators, other digits,
percent-encoding or no country code.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final

from airflow_provider_ip1.api.escapes import Plain, decodings, without_tags
from airflow_provider_ip1.api.json_text import parse_json
from airflow_provider_ip1.exceptions import IP1ParticipantError

#: iP.1's page "Sending SMS", and ITU-T E.164.
MAX_DIGITS: Final = 15
#: Shorter ones are short codes, or part of other numbers or of names, as in "Taxi 020".
SHORTEST_NUMBER: Final = 7

_SEPARATOR: Final = r"[ \-./]"
# Eight digits or more are a whole number, or nearly, so what follows a separator behind them is something else: ".0" of
# a spreadsheet, "-2" of a list, another number. So is a single digit behind a separator.
_GROUPS: Final = rf"(?:[0-9]{{2,7}}{_SEPARATOR})*[0-9]{{2,}}"
_NUMBER = re.compile(
    rf"(?:(?:\+|00){_SEPARATOR}?)?"
    # The trunk prefix in parentheses behind a country code is dialed within the country only.
    rf"((?!0)(?:[0-9]{{1,3}}{_SEPARATOR}?\(0\){_SEPARATOR}?(?!0){_GROUPS}|[0-9]{{1,7}}{_SEPARATOR}{_GROUPS}|[0-9]+))"
)
_NATIONAL = re.compile(rf"\+?0(?!0)[0-9]*(?:{_SEPARATOR}[0-9]+)*|\(0.*")
# A sender name of iP.1's, or an 11-character one of another operator's, has a letter.
_NAME = re.compile(r"(?=.*[A-Za-z])[0-9A-Za-z ]{3,11}")
_SPREADSHEET_NUMBER = re.compile(r"[0-9]+(?:[.,][0-9]+)?[Ee]\+?[0-9]+")


def normalise(text: str, subject: str = "The number") -> str:
    """
    Return a phone number as iP.1 expects it: country code and number, digits only.

    Accepted are ASCII digits, ``+`` or ``00`` in front, ``(0)`` behind the country code, and single separators between
    groups: a space, a no-break space, a hyphen or another dash, ``.`` or ``/``. No separator may follow a group of
    eight or more digits, and every group but the first has at least two. Invisible marks, which come along when a
    number is copied, are removed, and so is white space at the ends.

    :param text: the number, 1 to 15 digits.
    :param subject: what the number is, without its digits, for the error.
    :raises IP1ParticipantError: the text is not clearly one number, or lacks its country code.
    """
    plain = _plain(text)
    found = _NUMBER.fullmatch(plain)
    if found is None:
        if _NATIONAL.fullmatch(plain):
            raise IP1ParticipantError(
                f"{subject} has no country code: it begins with a single 0. Give the number with its country code, "
                "such as 46 for Sweden, and without that 0."
            )
        raise IP1ParticipantError(
            f"{subject} is not a phone number, or more than one. Give the country code and the number, best as digits "
            "only; single spaces or hyphens may separate groups of digits."
        )
    digits = re.sub(r"[^0-9]", "", found[1].replace("(0)", ""))
    if len(digits) > MAX_DIGITS:
        raise IP1ParticipantError(
            f"{subject} has {len(digits)} digits. iP.1 accepts at most {MAX_DIGITS}. Give one number, with its country "
            "code."
        )
    return digits


def is_meant_as_number(text: str) -> bool:
    """
    Return whether a text is a phone number, well written or not, and not a name.

    :param text: what may be either, such as a sender.
    :return: ``True`` for a text of digits, of any script, and what separates them, and for one with too many digits for
        a name, unless it has the form of a sender name of iP.1's.
    """
    plain = _plain(text)
    digits = sum(map(str.isdigit, plain))
    if not digits or _NAME.fullmatch(plain):
        return False
    is_of_digits = all(character.isdigit() or character in " -./+()" for character in plain)
    return is_of_digits or digits >= SHORTEST_NUMBER or _SPREADSHEET_NUMBER.fullmatch(plain) is not None


def _plain(text: str) -> str:
    """Return the text with one space and one hyphen for all of their kind, and without invisible marks."""
    return (text if text.isascii() else "".join(map(_plain_character, text))).strip()


def _plain_character(character: str) -> str:
    kinds = {"Cf": "", "Zs": " ", "Pd": "-"}
    return "-" if character == "\N{MINUS SIGN}" else kinds.get(unicodedata.category(character), character)


# -- finding

# In characters, with all separators that people write.
LONGEST_NOTATION: Final = 60
_UNMISTAKABLE: Final = 10
_TAIL: Final = 9
# ITU-T E.164, list of assigned country codes. 1 and 7 have one digit; all that are not here have three.
_TWO_DIGIT_CODES: Final = frozenset(
    "20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66 "
    "81 82 84 86 90 91 92 93 94 95 98".split()
)
# Searched in plain texts, see decodings. Anything but letters may stand between two digits.
_DIGIT = re.compile("[0-9]")
_LETTER = re.compile(r"[^\W_0-9]")
_CHAIN = re.compile(rf"[+(]{{0,2}}[0-9](?:[\W_]*[0-9]){{{SHORTEST_NUMBER - 1},}}")
_WHOLE_NUMBER = re.compile(r"(?:tel:|sms:)?[\W_]*([0-9](?:[\W_]*[0-9])*)[\W_]*", re.IGNORECASE)
_TRUNK_PREFIX = re.compile(r"(?<=[0-9])[\s\W_]*\([\W_]*0[\W_]*\)")
_NO_DIGITS: Final = bytes(set(range(256)) - set(b"0123456789"))
# The first bytes, in UTF-8, of the digits of other scripts, and of what can make a digit or stand between two of them.
_HARMLESS: Final = bytes(set(range(256)) - set(b"\xc2\xd9\xdb\xdf\xe0\xe1\xe2\xe3\xea\xef\xf0%&<\\"))
_UNUSUAL_DIGIT = re.compile(
    rb"%[0-9a-fA-Fu]|&#|&amp;|<[^<>]*[0-9]|\\[\\u]|\xd9|\xdb|\xdf|\xe0|\xe1|\xea|\xef\xbc[\x90-\x99]|\xc2[\xb2\xb3\xb9]"
    rb"|\xe2(?:\x81[\xb0-\xb9]|\x82[\x80-\x89]|\x91[\xa0-\xbf]|[\x92\x93]|\x9d[\xb6-\xbf]|\x9e[\x80-\x93])"
    # Most emoji start with F0 9F, but only F0 9F 84 and F0 9F AF are digits.
    rb"|\xe3(?:\x89[\x91-\x9f]|\x8a[\xb1-\xbf])|\xf0(?!\x9f[^\x84\xaf])"
)
# A date has as many digits as a number. It counts as a date only where no number can be meant: a time has colons or
# a T, and no more digits behind it ("2026-11-30 0701-740605" ends in a number), and eight digits that follow a group of
# digits are a part of a number.
_YEAR: Final = "(?:19|20)[0-9]{2}"
_DAY: Final = "{0}(?:0[1-9]|1[0-2]){0}(?:0[1-9]|[12][0-9]|3[01])"
_DAYS: Final = "|".join(map(_DAY.format, ("-", "/", "_", r"\.")))
_NO_DIGIT_BEFORE: Final = r"(?<![0-9+(])" + "".join(rf"(?<![0-9][\W_]{{{n}}})" for n in (1, 2, 3))
_HOUR, _MINUTE = "(?:[01][0-9]|2[0-3])", "[0-5][0-9]"
_ZONE: Final = rf"(?:[.,][0-9]{{1,6}})?(?:[+-](?:0[0-9]|1[0-4]):?{_MINUTE})?"
_TIME: Final = (
    rf"(?:T{_HOUR}:?{_MINUTE}(?::?{_MINUTE})?{_ZONE}(?![0-9])"
    rf"|[ _]{_HOUR}:{_MINUTE}(?::{_MINUTE})?{_ZONE}(?![\W_]{{0,3}}[0-9]))?"
)
_DATE = re.compile(rf"(?:(?<![0-9]){_YEAR}(?:{_DAYS})|{_NO_DIGIT_BEFORE}{_YEAR}{_DAY.format('')}){_TIME}(?![0-9])")
_HEX_ID: Final = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?=[0-9]*[a-f])[0-9a-f]{24,}"
_NOT_A_NUMBER = re.compile(rf"{_DATE.pattern}|(?<![0-9A-Za-z])(?:{_HEX_ID})(?![0-9A-Za-z])")


def contains_number(text: str, participant: str) -> bool:
    """
    Return whether a text contains the phone number of a participant.

    :param text: such as a bucket and key.
    :param participant: the participant, normalized. A name, and a number of fewer than seven digits, is not found.
    """
    if len(participant) < SHORTEST_NUMBER or not participant.isdecimal():
        return False
    return bool(PhoneNumber(participant).find_in(_plain_texts_of_name(text)))


def _plain_texts(text: str) -> list[tuple[Plain, str]]:
    """
    Return all texts in which a number can be, and the digits of each: the decodings, and the last ones without tags.

    What looks like an escape can be a part of a number, and an HTML tag can contain one.
    """
    found, also = decodings(text), decodings(text, letters=True)
    plain_texts = [*found, *also[1:], *without_tags(found[-1]), *without_tags(also[-1])]
    return [(plain, _digits(plain.text)) for plain in plain_texts]


# Every participant of an account is looked for in the same key. Texts of messages must not stay in memory.
_plain_texts_of_name = lru_cache(maxsize=2)(_plain_texts)


def may_contain(json_text: bytes, numbers: Iterable[str]) -> bool:
    """
    Return whether a JSON text may contain one of these phone numbers, in any notation.

    Cheap, and true for one text in 100,000 by coincidence: removes everything but digits, so that separators do not
    matter. A text with percent-encoding or digits of other scripts counts as if it contained them all.

    :param json_text: the JSON text, in UTF-8.
    :param numbers: the numbers. Names are ignored.
    """
    # Every notation of a number contains its last digits.
    tails = [found[-SHORTEST_NUMBER:].encode() for number in numbers if (found := phone_digits(number)) is not None]
    if not tails:
        return False
    if b"\\u" in json_text:
        json_text = json.dumps(parse_json(json_text), ensure_ascii=False).encode("utf-8", "surrogatepass")
    digits = json_text.translate(None, _NO_DIGITS)
    for tail in tails:
        if tail in digits:
            return True
    if not json_text.translate(None, _HARMLESS):
        return False
    return _UNUSUAL_DIGIT.search(json_text) is not None


def phone_digits(text: str) -> str | None:
    """
    Return the digits of a phone number with its country code, the same for every notation.

    :param text: such as ``+46 (0)70-174 06 05``, ``tel:+46701740605`` or ``004670...``. Without a country code, the
        digits are those that the text has.
    :return: 7 to 15 digits; ``None`` if the text is not a phone number.
    """
    return _phone_digits(text) if len(text) <= 10 * LONGEST_NOTATION else None


@lru_cache(maxsize=4096)
def _phone_digits(text: str) -> str | None:
    # What is decoded least comes last, because the codes of letters contain digits.
    last = [decodings(text, letters=letters)[-1] for letters in (True, False)]
    for found in (last[0], *without_tags(last[0]), last[1], *without_tags(last[1])):
        plain = "".join(character for character in found.text if unicodedata.category(character) != "Cf").strip()
        if len(plain) <= LONGEST_NOTATION and _WHOLE_NUMBER.fullmatch(plain):
            digits = _digits(_TRUNK_PREFIX.sub("", plain)).removeprefix("00")
            return digits if SHORTEST_NUMBER <= len(digits) <= MAX_DIGITS else None
    return None


def _digits(text: str) -> str:
    return "".join(_DIGIT.findall(text))


@dataclass(frozen=True, repr=False)
class PhoneNumber:
    """
    A phone number to look for.

    :param digits: its digits with country code.
    """

    digits: str

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
        # Decoding takes most of the time.
        return [] if len(self.digits) < SHORTEST_NUMBER else self.find_in(_plain_texts(text))

    def find_in(self, plain_texts: Iterable[tuple[Plain, str]]) -> list[tuple[int, int]]:
        """Find the number, of seven digits at least, in the plain texts of a text, as :meth:`find` does."""
        found = [
            plain.place(*span)
            for plain, digits in plain_texts
            # Every notation contains the last digits.
            if self.national[-SHORTEST_NUMBER:] in digits
            for span in self._spans_in(plain.text)
        ]
        spans: list[tuple[int, int]] = []
        for start, end in sorted(found):
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

    def _spans_in(self, plain_text: str) -> Iterator[tuple[int, int]]:
        yield from _places(plain_text, self.digits)
        # Behind the country code may be the 0 that belongs before the number without it.
        yield from _places(plain_text, f"{self.digits[: self._code_length]}0{self.national}")
        if len(self.national) < SHORTEST_NUMBER:
            return
        # A date is not a number without country code.
        dateless = _without(_DATE, plain_text)
        yield from _places(dateless, self.national)
        if len(self.national) >= _TAIL:
            # Without separators, the last digits may be anywhere.
            for start in _starts(dateless, self.national[-_TAIL:]):
                yield start, start + _TAIL


def _places(plain_text: str, number: str) -> Iterator[tuple[int, int]]:
    """
    Yield start and end of each place where these digits are, with anything but letters between them.

    Fewer than ten digits count only if nothing but zeros, as in 0 or 00, precedes them in their run of digits, and no
    digit follows.
    """
    positions = [found.start() for found in _DIGIT.finditer(plain_text)]
    for first in _starts(_digits(plain_text), number):
        start, end = positions[first], positions[first + len(number) - 1] + 1
        around = plain_text[:start].rstrip("0")[-1:] + plain_text[end : end + 1]
        is_separate = not _DIGIT.search(around)
        if (is_separate or len(number) >= _UNMISTAKABLE) and not _LETTER.search(plain_text, start, end):
            yield start, end


def _starts(text: str, part: str) -> Iterator[int]:
    start = text.find(part)
    while start >= 0:
        yield start
        start = text.find(part, start + 1)


# -- masking


def mask_number(text: str) -> str:
    """
    Mask phone numbers, so that the text can appear in logs and errors.

    :param text: a phone number in any notation, an alphanumeric sender name, or a text that contains numbers.
    :return: for a number, its first two and last two digits, such as ``46***67`` (``***`` for up to four digits).
        In any other text, everything that :func:`has_number` finds is masked like that, and the rest is unchanged.
    """
    plain = decodings(text)[-1]
    # "2026-11-30" is a date, but eight digits without hyphens may be the number of the participant.
    if _WHOLE_NUMBER.fullmatch(plain.text) and (plain.text.isdecimal() or not _DATE.fullmatch(plain.text)):
        return _mask(plain.text)
    for found in reversed(_numbers(plain.text)):
        start, end = plain.place(*found.span())
        text = text[:start] + _mask(found[0]) + text[end:]
    return text


def has_number(text: str) -> bool:
    """
    Return whether a text may contain a phone number: at least seven digits without a letter between them.

    :param text: such as a reference. Dates and times in ISO 8601, also without hyphens and colons, and ids in
        hexadecimal (UUIDs, and 24 digits or more) are not taken for numbers.
    """
    return bool(_numbers(decodings(text)[-1].text))


def _numbers(text: str) -> list[re.Match[str]]:
    """Find what may be a number in a plain text, between the dates and ids."""
    return list(_CHAIN.finditer(_without(_NOT_A_NUMBER, text)))


def _without(pattern: re.Pattern[str], text: str) -> str:
    """Return the text with letters, which end a number, in place of what a pattern finds."""
    return pattern.sub(lambda found: "x" * len(found[0]), text)


def _mask(number: str) -> str:
    digits = _digits(number)
    return f"{digits[:2]}***{digits[-2:]}" if len(digits) > 4 else "***"
