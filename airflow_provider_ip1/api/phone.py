# SPDX-License-Identifier: Apache-2.0
"""
Phone numbers: the one form in which iP.1 expects them, and the notations that are read as it.

A number that is read wrongly is somebody else's. So a notation that is not clearly one number is an error, and no error
shows the number.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from airflow_provider_ip1.exceptions import IP1ParticipantError

#: iP.1's page "Sending SMS", and ITU-T E.164.
MAX_DIGITS: Final = 15
#: Fewer digits in a name, as in "Taxi 020", are not a phone number.
_SHORTEST_NUMBER: Final = 7

_SEPARATOR: Final = r"[ \-./]"
# Eight digits or more are a whole number, or nearly, so what follows a separator behind them is something else: ".0" of
# a spreadsheet, "-2" of a list, another number. So is a single digit behind a separator.
_GROUPS: Final = rf"(?:[0-9]{{2,7}}{_SEPARATOR})*[0-9]{{2,}}"
_NUMBER = re.compile(
    rf"(?:(?:\+|00){_SEPARATOR}?)?"
    # The trunk prefix in parentheses behind a country code is dialed within the country only.
    rf"((?!0)(?:[0-9]{{1,3}}{_SEPARATOR}?\(0\){_SEPARATOR}?{_GROUPS}|[0-9]{{1,7}}{_SEPARATOR}{_GROUPS}|[0-9]+))"
)
_NATIONAL = re.compile(rf"\+?0(?!0)[0-9]*(?:{_SEPARATOR}[0-9]+)*|\(0.*")
_NAME = re.compile(r"[0-9A-Za-z]{3,11}")
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
        return plain.isdecimal()
    is_of_digits = all(character.isdigit() or character in " -./+()" for character in plain)
    return is_of_digits or digits >= _SHORTEST_NUMBER or _SPREADSHEET_NUMBER.fullmatch(plain) is not None


def _plain(text: str) -> str:
    """Return the text with one space and one hyphen for all of their kind, and without invisible marks."""
    return (text if text.isascii() else "".join(map(_plain_character, text))).strip()


def _plain_character(character: str) -> str:
    kinds = {"Cf": "", "Zs": " ", "Pd": "-"}
    return "-" if character == "\N{MINUS SIGN}" else kinds.get(unicodedata.category(character), character)
