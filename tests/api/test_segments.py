# SPDX-License-Identifier: Apache-2.0
"""Counting the SMS that a text takes, against a reference that builds each SMS in bytes."""

from __future__ import annotations

import pytest
from hypothesis import example, given, strategies as st

from airflow_provider_ip1.api.segments import count_segments, shorten_text

# The tables of 3GPP TS 23.038, row by row as printed there; position 27 is the escape to the extension table.
TABLE = (
    "@£$¥èéùìòÇ\nØø\rÅå"
    "Δ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ"
    " !\"#¤%&'()*+,-./"
    "0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNO"
    "PQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmno"
    "pqrstuvwxyzäöñüà"
)
EXTENSION = {10: "\f", 20: "^", 40: "{", 41: "}", 47: "\\", 60: "[", 61: "~", 62: "]", 64: "|", 101: "€"}

GSM = {character: (code,) for code, character in enumerate(TABLE) if character != "\x1b"}
GSM |= {character: (27, code) for code, character in EXTENSION.items()}


def is_gsm(text: str) -> bool:
    return all(character in GSM for character in text)


def naive_parts(text: str) -> list[list[int]]:
    """Each SMS as its septets or UTF-16 code units."""
    if is_gsm(text):
        characters, single, part = [list(GSM[character]) for character in text], 160, 153
    else:
        encoded = [character.encode("utf-16-be", "surrogatepass") for character in text]
        characters = [[int.from_bytes(e[i : i + 2], "big") for i in range(0, len(e), 2)] for e in encoded]
        single, part = 70, 67
    whole = [unit for units in characters for unit in units]
    if len(whole) <= single:
        return [whole]
    parts: list[list[int]] = [[]]
    for units in characters:
        if len(parts[-1]) + len(units) > part:
            parts.append([])
        parts[-1] += units
    assert [unit for one in parts for unit in one] == whole
    return parts


gsm_texts = st.text(st.sampled_from(sorted(GSM)), max_size=500)
wide_texts = st.text(st.sampled_from("aåЖ😀𝄞…é"), max_size=300)


@given(gsm_texts | wide_texts | st.text(max_size=200))
@example("")
@example("a" * 153 + "€" * 4)
@example("a" * 152 + "€" + "a" * 10)
@example("ж" * 66 + "😀" + "ж" * 5)
@example("\x1b")
@example("ç")
@example("\ud83d")
def test_counts_what_the_tables_say(text: str) -> None:
    assert count_segments(text) == len(naive_parts(text))


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        # 153 is odd: the 77th € does not fit half into the first part.
        ("€" * 152, 2),
        ("€" * 153, 3),
        ("ж" * 70, 1),
        ("ж" * 71, 2),
        ("ж" * 134, 2),
        ("ж" * 135, 3),
        ("😀" * 35, 1),
        ("😀" * 36, 2),
        ("😀" * 66, 2),
        ("😀" * 67, 3),
        # The extension table does not exist in UCS-2.
        ("ж" + "€" * 69, 1),
    ],
)
def test_counts_at_the_limits(text: str, segments: int) -> None:
    assert count_segments(text) == segments


@given(gsm_texts | wide_texts, st.integers(1, 4), st.integers(3, 300))
@example("a" * 307, 2, 2000)
@example("😀" * 200, 1, 2000)
def test_shortens_as_little_as_possible(text: str, max_segments: int, max_length: int) -> None:
    short = shorten_text(text, max_segments, max_length)
    assert count_segments(short) <= max_segments
    assert len(short) <= max_length
    if len(text) <= max_length and count_segments(text) <= max_segments:
        assert short == text
        return
    mark = "…" if short.endswith("…") else "..."
    kept = short.removesuffix(mark)
    assert text.startswith(kept)
    assert mark == ("..." if is_gsm(kept) else "…")
    # One more character, after the spaces dropped before the cut, would have been too much.
    rest = text[len(kept) :]
    longer = kept + rest[: len(rest) - len(rest.lstrip()) + 1]
    longer += "..." if is_gsm(longer) else "…"
    # Where the alphabet changes, the shorter mark could make room for two more characters.
    assert len(longer) > max_length - 2 or count_segments(longer) > max_segments or rest.lstrip() == ""


def test_drops_spaces_before_the_mark() -> None:
    assert shorten_text("ж" * 60 + "        " + "y" * 500, 1, 2000) == "ж" * 60 + "        y…"
    assert shorten_text("ж" * 60 + " " * 10 + "y" * 500, 1, 2000) == "ж" * 60 + "…"
    assert shorten_text("x" * 60 + " " * 500, 1, 2000) == "x" * 60 + "..."


def test_the_mark_does_not_change_the_alphabet() -> None:
    assert shorten_text("x" * 2500, 3, 2000) == "x" * 456 + "..."
    # An emoji behind the cut does not matter, one before it does.
    assert shorten_text("x" * 500 + "😀", 3, 2000) == "x" * 456 + "..."
    assert shorten_text("😀" + "x" * 500, 3, 2000) == "😀" + "x" * 198 + "…"
