# SPDX-License-Identifier: Apache-2.0
"""Reading the response to a batch, which iP.1 does not document, and finding a batch in a list."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, strategies as st

from airflow_provider_ip1.api.call import Response
from airflow_provider_ip1.api.messages import Message, MessageStatus
from airflow_provider_ip1.api.sending import OutgoingBatch
from airflow_provider_ip1.api.sent_batch import candidates, read_sent_batch

ID = "5bcf4324f1a1d30d0c9a4a00"
OUTGOING = OutgoingBatch(
    recipients={"46701740605": {}}, body="Hello", sender="iP1", reference="17", tags=["a"], priority=2
)


def read(body: Any = b"", location: str | None = None) -> Any:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {} if location is None else {"location": location}
    return read_sent_batch(Response(201, headers, text), OUTGOING)


@pytest.mark.parametrize(
    ("body", "location"),
    [
        ({"id": ID}, None),
        ([{"id": ID}], None),
        ({"id": ID, "reference": "17"}, None),
        ({"id": ID, "reference": 17}, None),
        ({"id": ID, "reference": "1"}, None),
        ({"id": ID, "reference": "another"}, None),
        ({"id": ID, "status": "Accepted", "tags": 7, "new": {}}, None),
        (b"", f"https://api.ip1sms.com/v2/batches/{ID}"),
        (b"", f"/v2/batches/{ID}/"),
        (b"", f"/v2/batches/{ID}?x=1"),
        ({}, f"/v2/batches/{ID}"),
        (b"<html>", f"/v2/batches/{ID}"),
    ],
)
def test_reads_the_id(body: Any, location: str | None) -> None:
    batch = read(body, location)
    assert batch.id == ID
    assert (batch.sender, batch.reference) in [
        (None, None),
        (None, "17"),
        ("iP1", "17"),
        (None, "1"),
        (None, "another"),
    ]


@pytest.mark.parametrize(
    ("body", "location"),
    [
        (b"", None),
        (b"null", None),
        (b"<html>", None),
        (b'{"id": "5bcf', None),
        ({}, None),
        ([], None),
        ({"id": ""}, None),
        ({"id": 17}, None),
        ({"id": "a/b"}, None),
        ([{"id": ID}, {"id": "5bcf4324f1a1d30d0c9a4a01"}], None),
        (b"", "/v2/batches/"),
        (b"", "/v2/batches/a%2Fb"),
        (b"", "/login"),
        (b"", "http://[broken"),
    ],
)
def test_does_not_guess_an_id(body: Any, location: str | None) -> None:
    assert read(body, location) is None


def test_an_id_alone_is_completed_by_what_was_sent() -> None:
    batch = read(b"", f"/v2/batches/{ID}")
    assert (batch.sender, batch.type, batch.datacoding, batch.priority) == ("iP1", "sms", "ucs", 2)
    assert (batch.templated, batch.reference, batch.tags, batch.direction) == (True, "17", ("a",), "mt")


@given(st.binary(max_size=60) | st.recursive(st.none() | st.text(), st.lists).map(lambda v: json.dumps(v).encode()))
@example(b"[" * 100_000)
@example(b'{"id": "\\ud800"}')
@example(b"\xff")
def test_no_response_is_an_error(body: bytes) -> None:
    assert read(body) is None


NUMBER, OTHER = "46701740605", "46701740606"
TASK = ("deployment", "dag", "run", "task")


def outgoing(**arguments: Any) -> OutgoingBatch:
    return OutgoingBatch(**{"recipients": NUMBER, "body": "Hello", "sender": "iP1", "reference": "17"} | arguments)


def found(batches: list[Any], wanted: OutgoingBatch, *, is_mapped: bool = False) -> list[tuple[str, str | None]]:
    raws = [json.dumps(batch).encode() for batch in batches]
    return [
        (candidate.head.id, candidate.difference(is_mapped=is_mapped))
        for candidate in candidates(raws, wanted, is_mapped=is_mapped)
    ]


def test_finds_batches_by_their_whole_reference() -> None:
    batches = [
        {"id": "1", "reference": "170"},
        {"id": "2", "reference": None},
        [],
        {"id": "3"},
        {"reference": "17"},
        {"id": "", "reference": "17"},
        {"id": "..", "reference": "17"},
        {"id": "4", "reference": "17", "status": "odd", "tags": 7},
        {"id": "5", "reference": 17},
        {"id": "6", "reference": "1"},
    ]
    assert found(batches, outgoing()) == [("4", None), ("5", None)]


@pytest.mark.parametrize(
    ("fields", "difference"),
    [
        ({}, None),
        ({"sender": "iP1", "status": 201}, None),
        ({"sender": "IP1"}, None),
        ({"sender": None}, None),
        ({"status": 203}, "was canceled"),
        ({"status": "203"}, "was canceled"),
        ({"status": "Canceled"}, "was canceled"),
        ({"sender": "Other"}, "has another sender"),
        ({"sender": 17}, "has another sender"),
        ({"body": "Another text"}, None),
    ],
)
def test_compares_what_it_finds(fields: dict[str, Any], difference: str | None) -> None:
    assert found([{"id": "1", "reference": "17"} | fields], outgoing()) == [("1", difference)]


def test_a_number_as_sender_is_the_same_in_any_notation() -> None:
    batch = {"id": "1", "reference": "17", "sender": "+46 70-174 06 06"}
    assert found([batch], outgoing(sender=OTHER)) == [("1", None)]


@pytest.mark.parametrize(
    ("body", "difference"), [("Hello", None), ("Bye", "has another text"), (None, "has another text")]
)
def test_compares_the_text_in_a_mapped_task(body: Any, difference: str | None) -> None:
    assert found([{"id": "1", "reference": "17", "body": body}], outgoing(), is_mapped=True) == [("1", difference)]


def test_notices_what_a_task_has_sent_to_others() -> None:
    wanted = outgoing(reference=None, identity=TASK)
    others = outgoing(recipients=OTHER, reference=None, identity=TASK).reference
    batches = [
        {"id": "1", "reference": others, "status": 203},
        {"id": "2", "reference": others},
        {"id": "3", "reference": wanted.reference},
        {"id": "4", "reference": outgoing(reference=None, identity=("x", *TASK[1:])).reference},
    ]
    assert found(batches, wanted) == [("2", "was sent by this task to other recipients"), ("3", None)]
    assert found(batches, wanted, is_mapped=True) == [("3", "has another text")]
    assert found(batches, outgoing(reference=wanted.reference[:-1] + "x")) == []


def test_notices_a_reference_that_was_cut() -> None:
    wanted = outgoing(reference="order-2026-11-01-of-customer-4711-the-second")
    batches = [
        {"id": "1", "reference": wanted.reference[:31]},
        {"id": "2", "reference": wanted.reference[:32]},
        {"id": "3", "reference": wanted.reference[:-1]},
        {"id": "4", "reference": wanted.reference + "x"},
    ]
    cut = "has only the beginning of the reference, as if iP.1 had cut it"
    assert found(batches, wanted) == [("2", cut), ("3", cut)]


def message(recipient: str | None, **fields: Any) -> Message:
    return Message(id="m", recipient=recipient, **fields)


@pytest.mark.parametrize(
    ("recipients", "difference"),
    [
        ([NUMBER, OTHER], None),
        ([f"+{OTHER}", "46 70-174 06 05", NUMBER], None),
        ([NUMBER], "has other recipients"),
        ([], "has other recipients"),
        ([NUMBER, OTHER, "46701740607"], "has other recipients"),
        ([NUMBER, None], "has other recipients"),
    ],
)
def test_compares_the_recipients_unless_the_reference_covers_them(
    recipients: list[str | None], difference: str | None
) -> None:
    messages = [message(recipient) for recipient in recipients]
    for reference, expected in (("17", difference), (None, None)):
        wanted = outgoing(recipients=[NUMBER, OTHER], reference=reference, identity=TASK)
        (candidate,) = candidates(
            [json.dumps({"id": "1", "reference": wanted.reference}).encode()], wanted, is_mapped=False
        )
        assert candidate.difference_of(messages) == expected


def test_a_batch_whose_messages_were_all_canceled() -> None:
    (candidate,) = candidates([b'{"id": "1", "reference": "17"}'], outgoing(), is_mapped=False)
    canceled, open_ = (message(NUMBER, statuses=(MessageStatus(code),)) for code in (203, 101))
    assert candidate.difference_of([canceled]) == "was canceled"
    assert candidate.difference_of([canceled, open_]) is None


def test_the_result_is_that_of_the_batch() -> None:
    (candidate,) = candidates([b'{"id": "1", "reference": "17"}'], outgoing(), is_mapped=False)
    result = candidate.result([message(NUMBER, segments=2), message(NUMBER, body="x" * 400), message(NUMBER)])
    assert (result.batch.id, result.recipients, result.segments, result.reused) == ("1", 1, 3, False)
    assert candidate.result([]).segments == 1
