# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from airflow_provider_ip1.api.phone import contains_number, has_number, mask_number
from tests.api.json_values import OTHER_NUMBER, PARTICIPANT
from tests.api.test_phone_search import NOTATIONS, SEPARATORS as GAPS, digits_in_any_script


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (PARTICIPANT, "46***05"),
        ("+46 70-174 06 05", "46***05"),
        ("070-174 06 05", "07***05"),
        ("(070) 174 06 05", "07***05"),
        ("+46\u2011701\u201174\u00a006\u200b05", "46***05"),
        ("\uff14\uff16\uff17\uff10\uff11\uff17\uff14\uff10\uff16\uff10\uff15", "46***05"),
        ("call \uff0b46\uff0d701740605 now", "call 46***05 now"),
        ("tel:+46701740605", "46***05"),
        ("71210", "71***10"),
        ("1177", "***"),
        ("iP1", "iP1"),
        ("Company name", "Company name"),
        ("Bank24", "Bank24"),
        ("Taxi 123456", "Taxi 123456"),
        ("Taxi 1234567", "Taxi 12***67"),
        (f"no route to {PARTICIPANT} or {OTHER_NUMBER}", "no route to 46***05 or 46***06"),
        ("", ""),
    ],
)
def test_masks_numbers_and_keeps_names(text: str, masked: str) -> None:
    assert mask_number(text) == masked


SEPARATORS = [*"_:',.·-/|\\;*~=#&@!?\"`^<>[]{}()+ \t\n", "\u00a0", "\u2019", "\u2022", "\u2013", "\u2212", "\u200b",
    "\ufe0f", "\u0301",    "、", "。", "・", "\uff0e", "\uff3f", " - ", ", ", "__", "%20", "%2D", "%5F"]  # fmt: skip
# No country has this code.
CODE = 999
TEXTS = ["{}", "order {}", "order-{}-2026-11-30", "2026-11-30 {}", "sms{}x", "{{'to': '{}'}}", "20261130_{}", "Ж{}Ж"]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("separator", SEPARATORS)
@pytest.mark.parametrize("groups", ["46 70 174 06 05", "070 174 06 05", "0701 740605", "4 6 7 0 1 7 4 0 6 0 5"])
def test_any_separator_between_the_digits_of_a_number(groups: str, separator: str, text: str) -> None:
    number = groups.replace(" ", separator)
    written = text.format(number)
    masked = mask_number(written)
    assert "***" in masked and masked.endswith(text.format("***05")[-3:])
    assert digits_of(masked).count("0605") == 0 and "1740605"[:5] not in digits_of(masked)
    assert has_number(written)


def test_a_whole_text_of_digits_is_masked_even_if_it_may_be_a_date() -> None:
    assert mask_number("20101215") == "20***15"
    assert mask_number("2026-11-30") == "2026-11-30"


def digits_of(text: str) -> str:
    return "".join(character for character in text if character.isdigit())


@pytest.mark.parametrize("number", ["４６７０１７４０６０５", "٤٦٧٠١٧٤٠٦٠٥", "⁴⁶⁷⁰¹⁷⁴⁰⁶⁰⁵", "₄₆₇₀₁₇₄₀₆₀₅",
    "④⑥⑦⓪①⑦④⓪⑥⓪⑤", "⑷⑹⑺⓪①⑦④⓪⑥⓪⑤",    "𝟒𝟔𝟕𝟎𝟏𝟕𝟒𝟎𝟔𝟎𝟓", "4️⃣6️⃣7️⃣0️⃣1️⃣7️⃣4️⃣0️⃣6️⃣0️⃣5️⃣", "%34%36%37%30%31%37%34%30%36%30%35"])  # fmt: skip
@pytest.mark.parametrize("text", ["{}", "order {} of today"])
def test_digits_of_any_script(text: str, number: str) -> None:
    assert has_number(text.format(number))
    assert mask_number(text.format(number)).replace("\ufe0f\u20e3", "") == text.format("46***05")


@pytest.mark.parametrize(
    "text",
    [
        "reminder-2026-11-30",
        "ds 2026-11-30-1042",
        "reminder 20261130",
        "reminder_20261130T120000",
        "reminder_20261130T120000+0000",
        "manual__2026-11-30T12:00:00.123456+00:00",
        "scheduled__2026-11-30T12:00:00Z",
        "at 2026-11-30 23:59:59",
        "2026/11/30, invoice 42",
        "3f2504e0-4f89-11d3-9a0c-466701740605",
        "5bcf4324f1a1d30d04670174",
        "af-0a1b2c3d4e5f6a7b",
        "Taxi 123456",
        "room 12, floor 3, house 45",
        "",
    ],
)
def test_a_reference_without_a_number_stays_as_it_is(text: str) -> None:
    assert not has_number(text)
    assert mask_number(text) == text


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("to 2026-11-30 0701-740605", "to 2026-11-30 07***05"),
        ("to 2026-11-30 07:01 74 06 05", "to 2026-11-30 07***05"),
        ("to 2026-11-30 070-174 06 05", "to 2026-11-30 07***05"),
        ("to 20261130-0701-740605", "to 20261130-07***05"),
        ("2026-11-30T12:00:00+46701740605", "2026-11-30T12:00:0046***05"),
        ("2026-11-30T12:00:00+4670-1740605", "2026-11-30T12:00:0046***05"),
        ("46701740605-5bcf4324f1a1d30d0c9a4a00", "46***05-5bcf4324f1a1d30d0c9a4a00"),
        ("fed46701740605", "fed46***05"),
        (f"to {CODE}20261130", "to 99***30"),
        (f"to +{CODE} 20261130", "to 99***30"),
        (f"to {CODE} (20261130)", "to 99***30)"),
        (f"to {CODE}%2D20261130", "to 99***30"),
        (f"to 20101215{CODE}", "to 20***99"),
        (f"to +20101215 {CODE}", "to 20***99"),
    ],
)
def test_a_number_beside_or_like_a_date_or_an_id(text: str, masked: str) -> None:
    assert has_number(text)
    assert mask_number(text) == masked


@given(st.data(), NOTATIONS, st.sampled_from(TEXTS))
def test_nothing_is_left_of_a_number_with_any_separators(data: st.DataObject, number: str, text: str) -> None:
    digits = (data.draw(GAPS) + data.draw(digits_in_any_script(digit)) for digit in number)
    written = text.format("".join(digits).lstrip())
    assert contains_number(written, PARTICIPANT)
    assert has_number(written)
    assert not contains_number(mask_number(written), PARTICIPANT)
