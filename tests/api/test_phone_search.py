# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import unicodedata
from datetime import datetime
from urllib.parse import quote

import pytest
from hypothesis import given, strategies as st

from airflow_provider_ip1.api import phone
from airflow_provider_ip1.api.escapes import decodings
from airflow_provider_ip1.api.phone import PhoneNumber, contains_number, may_contain

NUMBER = "46701740605"
# Norwegian numbers have eight digits. None starts with 1.
NORWEGIAN = "4710000605"
ICELANDIC = "3541000605"


def contains_one_of(text: str, numbers: list[str]) -> bool:
    return any(contains_number(text, number) for number in numbers)


@pytest.mark.parametrize(
    "key",
    [
        "46701740605.jsonl",
        "a/46701740605/b.jsonl",
        "x46701740605x.jsonl",
        "id146701740605.jsonl",
        "0701740605.jsonl",
        "0046701740605.jsonl",
        "46-70-174 06 05.jsonl",
        "46\u201170\u2011174\u201106\u201105.jsonl",
        "４６７０１７４０６０５.jsonl",
        "46\u00a070\u00a0174\u00a006\u00a005.jsonl",
        "%34%36701740605.jsonl",
        "46%2070%20174%2006%2005.jsonl",
        "%2534%253670174%2530605.jsonl",
        "46,701,740,605.jsonl",
        "467/017/406/05.jsonl",
        "+46 (0)70-174 06 05.jsonl",
        "460701740605.jsonl",
        "070-174 06 05/all.jsonl",
        "٤٦٧٠١٧٤٠٦٠٥.jsonl",
        "46\u200b701\u200b740605.jsonl",
        "2026/11/24/070-1740605.jsonl",
        "70174060㈀5.jsonl",
        "⑷⑹⑺⓪①⑦④⓪⑥⓪⑤.jsonl",
    ],
)
def test_a_number_is_found_in_every_notation(key: str) -> None:
    assert contains_one_of(key, [NUMBER])


def test_every_digit_of_unicode_is_read() -> None:
    digits = [character for character in map(chr, range(0x20000)) if character.isdigit()]
    assert len(digits) > 700
    assert [decodings(each)[-1].text for each in digits] == [str(unicodedata.digit(each)) for each in digits]
    tail = NUMBER[:-1]
    fives = [character for character in digits if unicodedata.digit(character) == 5]
    assert not [character for character in fives if not may_contain(f'"{tail}{character}"'.encode(), [NUMBER])]


@pytest.mark.parametrize(
    ("key", "number"),
    [
        ("10000605.jsonl", NORWEGIAN),
        ("customer/10 00 06 05.jsonl", NORWEGIAN),
        ("2026/11/24/100-00-605.jsonl", NORWEGIAN),
        ("1000605.jsonl", ICELANDIC),
        ("100-0605.jsonl", ICELANDIC),
    ],
)
def test_a_number_without_country_code_is_found_where_it_has_seven_or_eight_digits(key: str, number: str) -> None:
    assert contains_one_of(key, [number])


def digits_in_any_script(character: str) -> st.SearchStrategy[str]:
    full_width = chr(ord("０") + int(character))
    return st.sampled_from([character, full_width, quote(character), f"%{ord(character):02X}", quote(full_width)])


SEPARATORS = st.text(
    st.characters(exclude_categories=("Lu", "Ll", "Lt", "Lm", "Lo", "Nd", "Nl", "No", "Cs"), exclude_characters="%"),
    max_size=3,
)
NOTATIONS = st.sampled_from([NUMBER, NUMBER[2:], "0" + NUMBER[2:], "00" + NUMBER, "460" + NUMBER[2:]])


@given(st.data(), NOTATIONS)
def test_a_number_is_found_with_any_separators(data: st.DataObject, number: str) -> None:
    written = "".join(data.draw(SEPARATORS) + data.draw(digits_in_any_script(digit)) for digit in number)
    assert contains_one_of(f"bucket/conversations/{written}", [NUMBER])


@given(st.data(), st.sampled_from([NORWEGIAN[2:], "0" + NORWEGIAN[2:], NORWEGIAN]))
def test_a_short_number_is_found_with_any_separators(data: st.DataObject, number: str) -> None:
    written = "".join(data.draw(SEPARATORS) + data.draw(digits_in_any_script(digit)) for digit in number)
    assert contains_one_of(f"bucket/conversations/{written}.jsonl", [NORWEGIAN])


@pytest.mark.parametrize(
    "template",
    [
        "{:%Y/%m/%d}",
        "{:%Y-%m-%d}",
        "dt={:%Y%m%d}",
        "{:%Y%m%dT%H%M%S}",
        "{:%Y/%m/%d/%H}",
        "{:%Y-%m-%dT%H:%M:%S}",
        "{:%Y/%m/%d/%H%M}",
    ],
)
@given(moment=st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1)), code=st.sampled_from(["47", "45", "354"]))
def test_a_date_is_not_a_number(template: str, moment: datetime, code: str) -> None:
    """For each possible date, somebody may have these digits as a phone number without country code."""
    digits = f"{moment:%Y%m%d%H%M%S}"
    numbers = [code + digits[start : start + 8] for start in range(7)]
    numbers += [code + digits[start : start + 7] for start in range(8)]
    assert not contains_one_of(f"lake/sms/{template.format(moment)}/part-0.jsonl", numbers)


@pytest.mark.parametrize(
    "key",
    [
        "conversations/customer-000.jsonl.gz",
        "a/2026/11/24/customer-12.jsonl",
        "new/scheduled__2026-11-24T15:00:00+00:00.jsonl",
        "3f2504e0-4f89-11d3-9a0c-0305e82c3301.jsonl",
        "46701740606.jsonl",
    ],
)
def test_other_keys_are_accepted(key: str) -> None:
    assert not contains_one_of(key, [NUMBER, NORWEGIAN, ICELANDIC, "Salon", "12345"])


def test_letters_end_a_number() -> None:
    assert not contains_one_of("46a70b17c40d60e5", [NUMBER])


def test_a_short_number_in_a_longer_run_of_digits_is_a_coincidence() -> None:
    assert not contains_one_of("9100006051.jsonl", [NORWEGIAN])
    assert contains_one_of("9-10000605-1.jsonl", [NORWEGIAN])


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("call 46701740605 now", ["46701740605"]),
        ("+46 70-174 06 05, or 0701740605", ["46 70-174 06 05", "701740605"]),
        ("4670174060546701740605", ["46701740605", "46701740605"]),
        ("00701740605", ["701740605"]),
        ("9701740605", ["701740605"]),
        ("46701740605 46701740605", ["46701740605", "46701740605"]),
        ("1234567 46701740605", ["46701740605"]),
        ("46 701 74 06 0", []),
        ("", []),
    ],
)
def test_a_number_is_found_in_its_places(text: str, spans: list[str]) -> None:
    found = PhoneNumber(NUMBER).find(text)
    assert [text[start:end] for start, end in found] == spans
    assert found == sorted(found)


@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        ("10000605", True),
        (f"00{NORWEGIAN[2:]}", True),
        (f"9{NORWEGIAN[2:]}", False),
        (f"90{NORWEGIAN[2:]}", False),
        (f"{NORWEGIAN[2:]}1", False),
        ("9-10000605", True),
        ("10000605-9", True),
        (f"99-00{NORWEGIAN[2:]}-99", True),
        (f"99-90{NORWEGIAN[2:]}-99", False),
        (f"99-{NORWEGIAN[2:]}9-99", False),
        ("1 0 0 0 0 6 0 5", True),
        ("9 9 1 0000605", True),
        ("1000-06 059", False),
    ],
)
def test_a_short_number_is_a_run_of_digits_but_for_leading_zeros(text: str, is_found: bool) -> None:
    assert bool(PhoneNumber(NORWEGIAN).find(text)) is is_found


@pytest.mark.parametrize(("digits", "is_found"), [("1234567", True), ("123456", False)])
def test_numbers_have_seven_digits_at_least(digits: str, is_found: bool) -> None:
    assert bool(PhoneNumber(digits).find(f"a {digits} b")) is is_found


def test_texts_of_messages_do_not_stay_in_memory() -> None:
    phone._plain_texts_of_name.cache_clear()
    assert PhoneNumber(NUMBER).replace_in(f"Call {NUMBER}", "a number") == "Call a number"
    assert phone._plain_texts_of_name.cache_info().currsize == 0
