# SPDX-License-Identifier: Apache-2.0
"""Which notations are one phone number, and that no other text is read as one."""

from __future__ import annotations

import pytest
from hypothesis import example, given, strategies as st

from airflow_provider_ip1.api.phone import is_meant_as_number, normalise
from airflow_provider_ip1.exceptions import IP1ParticipantError

NUMBER, OTHER = "46701740605", "46701740606"


@pytest.mark.parametrize(
    "written",
    [
        NUMBER,
        "+46701740605",
        "0046701740605",
        "00 46 70-174 06 05",
        "+46 70-174 06 05",
        "+46 70 1740605",
        "46.70.174.06.05",
        "46/70/1740605",
        "+46(0)701740605",
        "+46 (0)70-174 06 05",
        "+46 (0) 70 174 06 05",
        "0046(0)701740605",
        "46\u00a070\u00a01740605",
        "46\u202f70\u202f174\u202f06\u202f05",
        "46\u201170\u20131740605",
        "46\u221270\u22121740605",
        " 46701740605\n",
        "\ufeff46701740605",
        "\u202a+46701740605\u202c",
        "+46\u200b70\u00ad1740605",
    ],
)
def test_one_number_in_many_notations(written: str) -> None:
    assert normalise(written) == NUMBER
    assert is_meant_as_number(written)


@pytest.mark.parametrize("written", ["1", "12", "71160", "1" * 15, "+1 202 5550123", "00 1 202 555 0123"])
def test_short_and_long_numbers(written: str) -> None:
    assert normalise(written) == "".join(filter(str.isdigit, written.removeprefix("00 ")))


# Each is meant as a number, and is not clearly one.
NOT_A_NUMBER = [
    "46701740606.0",
    "46701740606.00",
    "46701740606-2",
    "46701740606/2",
    "46701740606 2",
    "4670174060-6",
    "4670 174 06 0 6",
    "4670174060\u2076",
    "\u00b946701740606",
    "4670174060\u2465",
    "\uff14\uff16701740606",
    "\u0664\u0666701740606",
    "+46 (070) 174 06 06",
    "+46 (70) 174 06 06",
    "+46 (0)070 174 06 06",
    "+46(0)0701740606",
    "(+46) 70 174 06 06",
    "+46(0)",
    "46701740606(0)",
    "467017(0)40606",
    "46701740605 46701740606",
    "46701740605/46701740606",
    "46701740605-46701740606",
    "46701740605\n46701740606",
    "46701740605\r\n46701740606",
    "46701740605\t46701740606",
    "46701740605\u200b46701740606",
    "46701740605\u202846701740606",
    "46701740605;46701740606",
    "+46701740605+46701740606",
    "46 70 174 06 05 46 70 174 06 06",
    "++46701740606",
    "+0046701740606",
    "46701740606+",
    "46701740606-",
    "46701740606.",
    "-46701740606",
    "46  701740606",
    "46 - 701740606",
    "46\n701740606",
    "46\t701740606",
    "46_701740606",
    "46,701740606",
    "'46701740606'",
    "tel:+46701740606",
    "46701740606 Ann",
    "46 70 17406 a1",
    "46701740606a",
    "4.6701740606E10",
    "4.67E+10",
    "4,67E+10",
    "1" * 16,
    NUMBER * 2,
    "['46701740606']",
]


@pytest.mark.parametrize("written", NOT_A_NUMBER)
def test_what_is_not_clearly_one_number_is_an_error(written: str) -> None:
    assert is_meant_as_number(written)
    with pytest.raises(IP1ParticipantError, match="^recipients: number 3 (is not a phone number|has )") as raised:
        normalise(written, "recipients: number 3")
    assert "70174" not in str(raised.value)


@pytest.mark.parametrize("written", ["070-174 06 05", "0701740605", "(0)70 174 06 05", "+0701740605", "0"])
def test_a_number_without_its_country_code_is_an_error(written: str) -> None:
    assert is_meant_as_number(written)
    with pytest.raises(IP1ParticipantError, match="has no country code") as raised:
        normalise(written)
    assert "174" not in str(raised.value)


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "iP1",
        "Grannen",
        "Min skola",
        "Taxi 020",
        "Bank24",
        "A/B",
        "50%",
        "Åsa",
        "...",
        "A12345678",
        "SMS 1234567",
    ],
)
def test_names_are_not_numbers(name: str) -> None:
    assert not is_meant_as_number(name)
    with pytest.raises(IP1ParticipantError, match="is not a phone number"):
        normalise(name)


@given(st.text(st.sampled_from("0123456789 +-./()\u00a0\u2013\u200e\n²"), max_size=24) | st.text(max_size=24))
@example("00000000")
def test_the_digits_are_those_of_the_text(text: str) -> None:
    try:
        digits = normalise(text)
    except IP1ParticipantError:
        return
    assert digits.isascii() and digits.isdigit() and 1 <= len(digits) <= 15 and digits[0] != "0"
    written = "".join(character for character in text if character.isdigit())
    assert written in (digits, f"00{digits}") or "(0)" in text
    assert normalise(digits) == digits
    assert is_meant_as_number(text)
