# SPDX-License-Identifier: Apache-2.0
"""Paths, queries and labels of requests, and what is accepted as a participant."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import example, given, strategies as st

from airflow_provider_ip1.api.requests import (
    Request,
    batch_messages_request,
    batch_request,
    batches_request,
    blacklist_request,
    cancel_request,
    check_id,
    conversation_request,
    message_request,
    normalize_participant,
    normalize_participants,
    send_request,
    senders_request,
    summary_request,
)
from airflow_provider_ip1.exceptions import IP1ParticipantError
from tests.api.test_phone import NOT_A_NUMBER

NUMBER = "46701740605"
MASKED = "46***05"
LISTS = "/v2/conversations"
BASE = "https://api.example"
TRUNK = "(0)"


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("46701740605", NUMBER),
        ("+46701740605", NUMBER),
        ("+46 70-174 06 05", NUMBER),
        (" 46701740605\n", NUMBER),
        ("46\u00a070\u00a01740605", NUMBER),
        ("46\u201170\u20131740605", NUMBER),
        ("\u202a+46701740605\u202c", NUMBER),
        ("Grannen", "Grannen"),
        ("  Grannen ", "Grannen"),
        ("Min skola", "Min skola"),
        ("Taxi 020", "Taxi 020"),
        ("A/B", "A/B"),
        ("50%", "50%"),
        ("Åsa", "Åsa"),
        ("a..b", "a..b"),
        ("...", "..."),
    ],
)
def test_participants(written: str, sent: str) -> None:
    assert normalize_participant(written) == sent
    assert normalize_participant(sent) == sent


@pytest.mark.parametrize(
    "refused", ["", "   ", "\u2003", ".", "..", " .. ", "a\x00b", "a\nb", "\x7f", "a\x85b", "\ud800", "a\u2028b"]
)
def test_participants_that_are_refused_before_any_request(refused: str) -> None:
    with pytest.raises(IP1ParticipantError, match="The participant (is|has)"):
        normalize_participant(refused)


@pytest.mark.parametrize("value", [None, 46701740605, b"46701740605", ["46701740605"]])
def test_a_participant_that_is_no_text(value: object) -> None:
    with pytest.raises(IP1ParticipantError, match="must be a string") as caught:
        normalize_participant(value)  # type: ignore[arg-type]
    assert NUMBER not in str(caught.value)


@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=30))
@example("Min skola")
@example("mt")
@example("A/B?c=d#e%2F;f")
@example("å")
def test_a_participant_is_exactly_one_path_segment(text: str) -> None:
    try:
        participant = normalize_participant(text)
    except IP1ParticipantError:
        return
    for direction in (None, "mt"):
        request = conversation_request(participant, direction)
        url = urlsplit(request.page(0, 10, "DESC").url(BASE + "/prefix"))
        assert (url.scheme, url.netloc) == ("https", "api.example")
        assert url.query == "start=0&limit=10&order=DESC" and not url.fragment
        assert url.path.isascii() and " " not in url.path and "+" not in url.path
        segments = url.path.split("/")
        assert segments[:4] == ["", "prefix", "v2", "conversations"]
        assert unquote(segments[4]) == participant and segments[4] not in ("", ".", "..")
        assert segments[5:] == ([direction] if direction else [])


@pytest.mark.parametrize(
    ("make", "method", "path", "label", "names_participant"),
    [
        (lambda: conversation_request(NUMBER), "GET", f"{LISTS}/{NUMBER}", f"{LISTS}/{MASKED}", True),
        (lambda: conversation_request("A B", "mo"), "GET", f"{LISTS}/A%20B/mo", f"{LISTS}/A B/mo", True),
        (lambda: summary_request("A/B"), "GET", f"{LISTS}/A%2FB/summary", f"{LISTS}/A/B/summary", True),
        (batches_request, "GET", "/v2/batches", None, False),
        (lambda: batch_request("b/1"), "GET", "/v2/batches/b%2F1", None, False),
        (lambda: batch_messages_request("b/1"), "GET", "/v2/batches/b%2F1/messages", None, False),
        (lambda: message_request("b1", "m?"), "GET", "/v2/batches/b1/messages/m%3F", None, False),
        (senders_request, "GET", "/v2/me/senders", None, False),
        (blacklist_request, "GET", "/v2/blacklist", None, False),
        (lambda: send_request(b"{}"), "POST", "/v2/batches", None, False),
        (lambda: cancel_request("b/1"), "DELETE", "/v2/batches/b%2F1", None, False),
    ],
)  # fmt: skip
def test_requests(
    make: Callable[[], Request], method: str, path: str, label: str | None, names_participant: bool
) -> None:
    request = make()
    assert (request.method, request.path, request.url(BASE)) == (method, path, BASE + path)
    assert (request.label, request.names_participant) == (label or path, names_participant)


def test_labels_and_reprs_show_no_number() -> None:
    for request in (conversation_request(NUMBER, "mt").page(5, 10, "ASC"), summary_request(NUMBER)):
        assert MASKED in request.label
        assert NUMBER not in repr(request) and NUMBER not in request.label


@pytest.mark.parametrize("value", ["", " ", ".", "..", "a\nb", None, 7])
def test_ids_that_are_refused(value: object) -> None:
    problem = "(is empty|has control characters|is a path, not a name|must be a string, not (NoneType|int))$"
    with pytest.raises(ValueError, match=f"^message_id {problem}"):
        check_id(value, "message_id")  # type: ignore[arg-type]


def test_an_id_is_taken_as_it_is() -> None:
    assert check_id(" 5bcf4324aa ", "batch_id") == "5bcf4324aa"


@pytest.mark.parametrize(
    "number",
    ["070-174 06 05", "0701740605", "(0)70 174 06 05", "+0701740605", "000701740605", "0", "00", "\uff10701740605"],
)
def test_a_number_without_country_code_is_refused(number: str) -> None:
    with pytest.raises(IP1ParticipantError, match="country code") as caught:
        normalize_participant(number)
    assert "1740605" not in str(caught.value)


@pytest.mark.parametrize(
    "number",
    [
        "0046701740605",
        "00 46 70-174 06 05",
        f"+46 {TRUNK}70-174 06 05",
        f"0046{TRUNK}701740605",
        f"46 {TRUNK} 70 174 06 05",
    ],
)
def test_international_notations_mean_the_same_number(number: str) -> None:
    assert normalize_participant(number) == NUMBER


def test_a_participant_that_is_meant_as_a_number_is_not_a_name() -> None:
    for written in NOT_A_NUMBER:
        with pytest.raises(IP1ParticipantError, match="^The participant (is not|has)"):
            normalize_participant(written)


def test_the_error_says_which_participant() -> None:
    with pytest.raises(IP1ParticipantError, match="^The participant at position 2 is not a phone number"):
        normalize_participants([NUMBER, "46701740606.0"])
    with pytest.raises(IP1ParticipantError, match="^The participant is not a phone number"):
        normalize_participants(["46701740606.0"])


def test_which_requests_may_be_repeated() -> None:
    sending = send_request(b'{"body":"secret"}')
    assert sending.body == b'{"body":"secret"}'
    assert (sending.method, sending.path, sending.retry) == ("POST", "/v2/batches", "unless_sent")
    assert "secret" not in repr(sending)
    assert (cancel_request("b/1").method, cancel_request("b/1").path) == ("DELETE", "/v2/batches/b%2F1")
    for request in (batches_request(), senders_request(), batch_request("b"), message_request("b", "m")):
        assert (request.method, request.body, request.retry) == ("GET", None, "always")
