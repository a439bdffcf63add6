# SPDX-License-Identifier: Apache-2.0
"""A redacted number is in no field of the output, however it is written: digits, separators and encodings are drawn."""

from __future__ import annotations

import codecs
import html
import json
import unicodedata
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote, unquote

import pytest
from hypothesis import assume, example, given, settings, strategies as st

from airflow_provider_ip1.api.messages import DOCUMENTED_FIELDS
from airflow_provider_ip1.api.requests import Direction
from airflow_provider_ip1.formats.encode import encode
from airflow_provider_ip1.formats.redaction import Redaction, check_rules
from tests.formats.odd_messages import OWN_NUMBER, PARTICIPANT, message, raw
from tests.formats.pages import page_of
from tests.formats.test_redaction import FORMATS, one, read, write

NATIONAL = PARTICIPANT[2:]
# The codec for the escapes of Python warns about others.
pytestmark = pytest.mark.filterwarnings("ignore:invalid escape sequence:DeprecationWarning")

# -- the oracle, which shares nothing with the package


class Text(HTMLParser):
    """What a browser shows."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.feed(text)
        self.close()

    def handle_data(self, data: str) -> None:
        self.parts.append(data)


def unescaped(text: str) -> str:
    try:
        return codecs.decode(text.encode("latin-1", "backslashreplace"), "unicode_escape")
    except UnicodeDecodeError:
        return text


def shows_number(text: str) -> bool:
    """Decode with the standard library, again and again, and look for the digits with anything but letters between."""
    for _ in range(12):
        for decode in (unquote, html.unescape, unescaped, str):
            plain = unicodedata.normalize("NFKC", "".join(Text(text).parts)) + "|" + unicodedata.normalize("NFKC", text)
            kept = (
                str(unicodedata.digit(character)) if character.isdigit() else "x" if character.isalpha() else ""
                for character in plain
            )
            if NATIONAL in "".join(kept):
                return True
            text = decode(text)
    return False


def texts_in(value: Any) -> list[str]:
    """Return all texts and names in a value, and its other values as texts."""
    if isinstance(value, dict):
        return [text for name, item in value.items() for text in [name, *texts_in(item)]]
    return [text for item in value for text in texts_in(item)] if isinstance(value, list) else [str(value)]


# -- notations

SCRIPTS = [
    "0123456789",
    "０１２３４５６７８９",
    "٠١٢٣٤٥٦٧٨٩",
    "०१२३४५६७८९",
    "𝟎𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖𝟗",
    "⁰¹²³⁴⁵⁶⁷⁸⁹",
    "₀₁₂₃₄₅₆₇₈₉",
    "⓪①②③④⑤⑥⑦⑧⑨",
    "⓿❶❷❸❹❺❻❼❽❾",
]
SEPARATORS = [
    "",
    "",
    " ",
    "-",
    " - ",
    ".",
    "/",
    "_",
    "\u00a0",
    "\u2011",
    "\u200b",
    "\ufe0f\u20e3",
    "\n",
    "\r\n",
    "\t",
    "\x01",
    "\x7f",
    ", ",
]
TAGS = ["<br>", "</b><i>", '<a href="#1">']


def percent(text: str) -> str:
    return quote(text, safe="")


def percent_all(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


def old_escape(text: str) -> str:
    return "".join(f"%u{ord(character):04X}" if ord(character) < 0x10000 else character for character in text)


def entities(text: str) -> str:
    return "".join(f"&#{ord(character)};" for character in text)


def hex_entities(text: str) -> str:
    return "".join(f"&#x{ord(character):X};" for character in text)


def in_json(text: str) -> str:
    return json.dumps(text)[1:-1]


def all_in_json(text: str) -> str:
    units = text.encode("utf-16-be")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02X}" for at in range(0, len(units), 2))


def in_python(text: str) -> str:
    return "".join(f"\\x{ord(character):02x}" if ord(character) < 0x100 else character for character in text)


ENCODINGS = [
    str,
    percent,
    percent_all,
    old_escape,
    html.escape,
    entities,
    hex_entities,
    in_json,
    all_in_json,
    in_python,
]


@st.composite
def notations(draw: st.DrawFn) -> str:
    number = draw(
        st.sampled_from([PARTICIPANT, "+" + PARTICIPANT, "00" + PARTICIPANT, "+46(0)" + NATIONAL, "0" + NATIONAL])
    )
    scripts = draw(st.sampled_from([[each] for each in SCRIPTS] + [SCRIPTS]))
    separators = draw(st.sampled_from([[each] for each in SEPARATORS] + [SEPARATORS, [*SEPARATORS, *TAGS]]))
    encodings = draw(st.sampled_from([[each] for each in ENCODINGS] + [ENCODINGS]))
    written = ""
    for digit in number:
        character = draw(st.sampled_from(scripts))[int(digit)] if digit.isdigit() else digit
        written += draw(st.sampled_from(encodings))(character + draw(st.sampled_from(separators)))
    for encoding in draw(st.lists(st.sampled_from(ENCODINGS), max_size=2)):
        written = encoding(written)
    return written


def in_nested_json(text: str, depth: int) -> str:
    for _ in range(depth):
        text = json.dumps({"to": text}, ensure_ascii=depth % 2 == 0)
    return text


PLACES = {
    "documented": lambda text: {
        name: f"to {text}." for name in DOCUMENTED_FIELDS - {"id", "recipient", "sender", "statuses"}
    },
    "undocumented": lambda text: {"x": text, "y": [{"z": [text]}]},
    "name": lambda text: {text: 1, "x": {text: True}},
    "status": lambda text: {"statuses": [{"code": 201, "duration": text, "created": text, "to": text, text: 1}]},
    "spelling": lambda text: {"Recipient": text},
    "nested JSON": lambda text: {
        "body": in_nested_json(text, 1),
        "x": in_nested_json(text, 2),
        "y": in_nested_json(text, 3),
    },
}


@settings(max_examples=150)
@given(
    notations(), st.sampled_from(sorted(PLACES)), st.sampled_from(FORMATS), st.sampled_from(["drop", "hash", "mask"])
)
@example("%EF%BC%94%EF%BC%96701740605", "documented", "jsonl", "drop")
@example("%2534%2536701740605", "documented", "jsonl", "drop")
@example("46\n701740605", "nested JSON", "jsonl", "drop")
def test_a_redacted_number_is_nowhere(written: str, place: str, file_format: str, action: str) -> None:
    fields = message(1, **PLACES[place](written))
    assert any(map(shows_number, texts_in(fields))), "the oracle recognizes the notation"
    (row,) = read(file_format, write(file_format, {"recipient": action}, [raw(fields)]))
    assert not [text for text in texts_in(row) if shows_number(text)]


@settings(max_examples=50)
@given(notations())
@example(f"{PARTICIPANT}<br>")
@example("46%20701740605")
@example("%34%36%37%30%31%37%34%30%36%30%35%3C%62%72%3E")
def test_a_number_has_one_hash_in_every_notation(written: str) -> None:
    assume(len(written) <= 600)
    hashes = [one("jsonl", {"recipient": "hash"}, recipient=each)["recipient"] for each in (PARTICIPANT, written)]
    assert hashes[0] == hashes[1]


@pytest.mark.parametrize("value", [46701740605, 46701740605.0, -46701740605, 4.6701740605e30, [46, 701740605]])
@pytest.mark.parametrize("file_format", FORMATS)
def test_a_redacted_number_is_no_number(file_format: str, value: Any) -> None:
    (row,) = read(file_format, write(file_format, {"recipient": "drop"}, [raw(message(1, x=value))]))
    assert not [text for text in texts_in(row) if shows_number(text)]


# -- the participant


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("action", ["drop", "hash", "mask"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"sender": PARTICIPANT, "recipient": OWN_NUMBER},
        {"sender": "+46 70-174 06 05", "recipient": OWN_NUMBER},
        {"recipient": "0701740605", "body": f"call {PARTICIPANT}"},
        {"recipient": ..., "Recipient": PARTICIPANT},
        {"recipient": None, "x": PARTICIPANT, "sender": PARTICIPANT},
    ],
)
def test_a_rule_for_the_participant_holds_for_its_address(
    file_format: str, action: str, changes: dict[str, Any]
) -> None:
    (row,) = read(file_format, write(file_format, {"participant": action}, [raw(message(1, **changes))]))
    assert not [text for text in texts_in(row) if shows_number(text)]
    if changes.get("recipient") == OWN_NUMBER:
        assert row["recipient"] == OWN_NUMBER, "the account's own number stays"


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize(
    ("direction", "hidden"),
    [("mt", {PARTICIPANT}), ("mo", {OWN_NUMBER}), (None, {PARTICIPANT, OWN_NUMBER})],
)
def test_the_participant_of_a_batch_is_hidden_where_the_direction_says_or_everywhere(
    file_format: str, direction: Direction | None, hidden: set[str]
) -> None:
    page = page_of([raw(message(1, body=f"{PARTICIPANT}, {OWN_NUMBER}"))], direction=direction)
    redacted = Redaction(check_rules({"participant": "drop"})).apply(page)
    (row,) = read(file_format, b"".join(encode([redacted], file_format, None)))
    shown = {number for number in (PARTICIPANT, OWN_NUMBER) for text in texts_in(row) if number in text}
    assert shown == {PARTICIPANT, OWN_NUMBER} - hidden
