# SPDX-License-Identifier: Apache-2.0
"""Masking phone numbers in texts and URL paths, for logs and errors."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import quote, unquote

# Digits and separators of any script: wide forms, typographic dashes, and characters that are invisible.
_INVISIBLE = r"\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff"
_SEPARATOR = rf"[\s().\-/\u2010-\u2015\u2212\uff08\uff09\uff0d-\uff0f{_INVISIBLE}]"
_NUMBER_LIKE = re.compile(rf"[+(\uff0b\uff08]{{0,2}}\d(?:{_SEPARATOR}*\d)+")
# Shorter runs of digits inside a name ("Bank 24", "Taxi 020") are not phone numbers.
_SHORTEST_NUMBER = 7
_CONVERSATION_PATH = re.compile(r"(/conversations/)([^/?\s\"'<>]+)", re.IGNORECASE)


def mask_number(text: str) -> str:
    """
    Mask phone numbers, so that the text can appear in logs and errors.

    :param text: a phone number in any notation, an alphanumeric sender name, or a text that contains numbers.
    :return: for a number, its first two and last two digits, such as ``46***67`` (``***`` for up to four digits).
        Any other text is returned unchanged, except that phone numbers of seven digits or more in it are masked.
    """
    if _NUMBER_LIKE.fullmatch(text.strip()):
        return _mask_digits(_digits(text))
    return _NUMBER_LIKE.sub(_mask_match, text)


def mask_conversation_paths(text: str) -> str:
    """
    Mask the participant in every conversation path of a text.

    :param text: a URL, a path, or a log line that contains one.
    :return: the text with each ``/conversations/{participant}`` masked as :func:`mask_number` does.
    """
    return _CONVERSATION_PATH.sub(lambda found: found[1] + quote(mask_number(unquote(found[2])), safe="*"), text)


def _digits(text: str) -> str:
    return unicodedata.normalize("NFKC", re.sub(r"\D", "", text))


def _mask_digits(digits: str) -> str:
    return f"{digits[:2]}***{digits[-2:]}" if len(digits) > 4 else "***"


def _mask_match(found: re.Match[str]) -> str:
    digits = _digits(found[0])
    return _mask_digits(digits) if len(digits) >= _SHORTEST_NUMBER else found[0]
