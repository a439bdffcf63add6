# SPDX-License-Identifier: Apache-2.0
"""Masking phone numbers in texts and URL paths, for logs and errors."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

_NUMBER_LIKE = re.compile(r"[+(]{0,2}[0-9](?:[\s().\-/]*[0-9])+")
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
        return _mask_digits(re.sub(r"[^0-9]", "", text))
    return _NUMBER_LIKE.sub(_mask_match, text)


def mask_conversation_paths(text: str) -> str:
    """
    Mask the participant in every conversation path of a text.

    :param text: a URL, a path, or a log line that contains one.
    :return: the text with each ``/conversations/{participant}`` masked as :func:`mask_number` does.
    """
    return _CONVERSATION_PATH.sub(lambda found: found[1] + quote(mask_number(unquote(found[2])), safe="*"), text)


def _mask_digits(digits: str) -> str:
    return f"{digits[:2]}***{digits[-2:]}" if len(digits) > 4 else "***"


def _mask_match(found: re.Match[str]) -> str:
    digits = re.sub(r"[^0-9]", "", found[0])
    return _mask_digits(digits) if len(digits) >= _SHORTEST_NUMBER else found[0]
