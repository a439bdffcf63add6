# SPDX-License-Identifier: Apache-2.0
"""
Digits in other notations: percent-encoded, as HTML entities, as escapes in JSON, or in another script.

Usually an escape counts only if it stands for a digit or for a separator. Otherwise ``%46701740605`` would no longer
show the number that it contains.
"""

from __future__ import annotations

import html
import re
import sys
import unicodedata
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Final

# Digits of all kinds that are not decimal digits of a script: superscripts, in circles, with a dot, and so on.
_DIGITS: Final = (
    r"\u00b2\u00b3\u00b9\u1369-\u1371\u19da\u2070\u2074-\u2079\u2080-\u2089\u2460-\u249b\u24ea\u24f5-\u24fd\u24ff"
    r"\u2776-\u277e\u2780-\u2788\u278a-\u2792\u3251-\u325f\u32b1-\u32bf\U00010a40-\U00010a43\U00010e60-\U00010e68"
    r"\U00011052-\U0001105a\U0001f100-\U0001f10a"
)
# One character in another notation: percent-encoded in UTF-8 or by JavaScript's old escape(), an HTML entity, an
# escape of JSON, JavaScript or Python, or a digit that is not ASCII. Encoding a text again puts "25" behind its "%",
# "amp;" behind its "&" and "\" before its "\".
_PERCENT: Final = "%(?:25)*"
_NEXT_BYTE: Final = rf"(?:{_PERCENT}[89ABab][0-9A-Fa-f])"
_HEX: Final = "[0-9A-Fa-f]"
_WRITTEN_OTHERWISE = re.compile(
    rf"{_PERCENT}(?:u{_HEX}{{4}}|[CcDd]{_HEX}{_NEXT_BYTE}|[Ee]{_HEX}{_NEXT_BYTE}{{2}}|[Ff]{_HEX}{_NEXT_BYTE}{{3}}"
    rf"|{_HEX}{{2}})"
    r"|&(?:amp;)*(?:#[0-9]{1,7}|#[Xx][0-9A-Fa-f]{1,6}|[A-Za-z]{2,31});?"
    rf"|(?<!\\)\\++(?:u[Dd][89ABab]{_HEX}{{2}}\\+u[Dd][C-Fc-f]{_HEX}{{2}}|u{_HEX}{{4}}|u\{{{_HEX}{{1,6}}\}}|U000{_HEX}{{5}}"
    rf"|x{_HEX}{{2}}|[nrtbfv])"
    rf"|(?![0-9])[\d{_DIGITS}\uff08\uff0b]"
)
_TAG = re.compile(r"<[^<>]{1,200}>")
# An encoding within an encoding, such as an entity that is percent-encoded, takes another pass.
_MOST_PASSES: Final = 5


@dataclass(frozen=True, repr=False)
class Plain:
    """
    A text in which every digit is an ASCII digit.

    :param text: the plain text.
    :param starts: where each of its characters starts in the original text.
    :param ends: where each of them ends there.
    """

    text: str
    starts: Sequence[int]
    ends: Sequence[int]

    def place(self, start: int, end: int) -> tuple[int, int]:
        """
        Return where a part of the text is in the original.

        :param start: its first character.
        :param end: the one behind its last character.
        """
        return self.starts[start], self.ends[end - 1]

    def rewritten(self, pattern: re.Pattern[str], rewrite: Callable[[str], str]) -> Plain:
        """
        Rewrite parts of the text. Each new part is where the old one was.

        :param pattern: finds the parts.
        :param rewrite: returns the new part.
        """
        pieces: list[str] = []
        starts, ends, kept_from = array("q"), array("q"), 0
        for found in pattern.finditer(self.text):
            new, (start, end) = rewrite(found[0]), found.span()
            pieces += [self.text[kept_from:start], new]
            starts.extend([*self.starts[kept_from:start], *[self.starts[start]] * len(new)])
            ends.extend([*self.ends[kept_from:start], *[self.ends[end - 1]] * len(new)])
            kept_from = end
        starts.extend(self.starts[kept_from:])
        ends.extend(self.ends[kept_from:])
        return Plain("".join([*pieces, self.text[kept_from:]]), starts, ends)


def decodings(text: str, *, letters: bool = False) -> list[Plain]:
    """
    Decode a text as often as possible.

    :param text: any text.
    :param letters: whether to decode letters, too, in which other escapes may be written.
    :return: the text itself, and what decoding it once, twice and so on makes of it, until nothing changes.
    """
    plain = [Plain(text, range(len(text)), range(1, len(text) + 1))]
    while len(plain) <= _MOST_PASSES and _WRITTEN_OTHERWISE.search(plain[-1].text):
        plain.append(plain[-1].rewritten(_WRITTEN_OTHERWISE, partial(_character, letters=letters)))
        if plain[-1].text == plain[-2].text:
            break
    return plain


def without_tags(plain: Plain) -> Iterator[Plain]:
    """
    Yield a text with spaces instead of its HTML tags; nothing if it has none.

    :param plain: the text.
    """
    if _TAG.search(plain.text):
        yield plain.rewritten(_TAG, lambda tag: " ")


@lru_cache(maxsize=1024)
def _character(written: str, *, letters: bool) -> str:
    """Return the digit, separator or perhaps letter that is written in this way; the same text for anything else."""
    plain = written
    if written[0] == "&":
        plain = html.unescape(re.sub("&(?:amp;)+(?=.)", "&", written))
    elif written[0] == "%" and (code := re.fullmatch(f"{_PERCENT}u({_HEX}{{4}})", written)):
        plain = chr(int(code[1], 16))
    elif written[0] == "%":
        plain = bytes.fromhex(re.sub(rf"{_PERCENT}({_HEX}{{2}})", r"\1", written)).decode(errors="replace")
    elif written[0] == "\\":
        codes = [int(code, 16) for code in re.findall(rf"[uUx]\{{?({_HEX}+)", written)]
        halves = "".join(chr(min(code, sys.maxunicode)) for code in codes).encode("utf-16", "surrogatepass")
        # Without a code, it is white space, such as a line break.
        plain = halves.decode("utf-16", "replace") or " "
    plain = "".join(map(_compatible, plain))
    is_wanted = letters or all(character.isdigit() or not character.isalnum() for character in plain)
    return plain if is_wanted and "\ufffd" not in plain else written


def _compatible(character: str) -> str:
    """Return a digit in ASCII, otherwise the compatibility form, but a space for a symbol that turns into letters."""
    if (digit := unicodedata.digit(character, None)) is not None:
        return str(digit)
    plain = unicodedata.normalize("NFKC", character)
    return " " if plain != character and not character.isalnum() and any(map(str.isalnum, plain)) else plain
