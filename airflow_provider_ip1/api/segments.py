# SPDX-License-Identifier: Apache-2.0
"""
How many SMS a text takes.

Sources: 3GPP TS 23.038 (the GSM 7-bit default alphabet and its extension table) and TS 23.040 (a concatenated SMS
spends six of its 140 octets on a header). National language shift tables are not used: iP.1 does not document them.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BASIC: Final = frozenset("@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ÄÖÑÜ§¿äöñüà" + _LETTERS)
_EXTENSION: Final = frozenset("\f^{}\\[~]|€")
_GSM: Final = _BASIC | _EXTENSION

_GSM_SINGLE: Final = 160
_GSM_PART: Final = 153
_UCS_SINGLE: Final = 70
_UCS_PART: Final = 67


def count_segments(text: str) -> int:
    r"""
    Return how many SMS a text takes.

    A text in the GSM 7-bit alphabet fits 160 septets into a single SMS and 153 into each part of a longer one; a
    character of the extension table (``^ { } [ ] ~ | \ €`` and form feed) takes two septets. Any other text is sent
    as UCS-2: 70 UTF-16 code units in a single SMS, 67 in each part. A character that takes two units is never split
    across parts.

    :param text: the text as the phone receives it, of any length.
    :return: the number of SMS, at least 1.
    """
    if _GSM.issuperset(text):
        return _count_parts([2 if character in _EXTENSION else 1 for character in text], _GSM_SINGLE, _GSM_PART)
    return _count_parts([2 if character > "\uffff" else 1 for character in text], _UCS_SINGLE, _UCS_PART)


def _count_parts(widths: list[int], single: int, part: int) -> int:
    if sum(widths) <= single:
        return 1
    parts, used = 1, 0
    for width in widths:
        if used + width > part:
            parts, used = parts + 1, 0
        used += width
    return parts


def shorten_text(text: str, max_segments: int, max_length: int) -> str:
    """
    Shorten a text to a number of SMS, with ``...`` or ``…`` at the place of the cut.

    The GSM alphabet has no ``…``, which would make UCS-2 of a GSM text: 201 characters in three SMS instead of 459.

    :param text: the text.
    :param max_segments: the most SMS that the result may take, from 1.
    :param max_length: the most characters that the result may have, from 3.
    :return: the text itself if it is short enough, otherwise its beginning and ``...`` if that beginning is in the GSM
        alphabet, or ``…`` if not.
    """

    def is_too_long(shortened: str) -> bool:
        return len(shortened) > max_length or count_segments(shortened) > max_segments

    def cut(length: int) -> str:
        beginning = text[:length].rstrip()
        return beginning + ("..." if _GSM.issuperset(beginning) else "…")

    if not is_too_long(text):
        return text
    # A longer beginning never takes fewer SMS, also where the alphabet changes: UCS-2 has the smaller parts.
    return cut(bisect_left(range(max_length), True, lo=1, key=lambda length: is_too_long(cut(length))) - 1)
