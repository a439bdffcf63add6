# SPDX-License-Identifier: Apache-2.0
"""Reading the response to a batch, which iP.1 does not document, and finding a batch in a list."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_ip1.api.call import Response
from airflow_provider_ip1.api.sending import check_batch
from airflow_provider_ip1.api.sent_batch import find_batch, read_sent_batch

ID = "5bcf4324f1a1d30d0c9a4a00"
OUTGOING = check_batch(
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
    assert (batch.sender, batch.reference) in [(None, None), (None, "17"), ("iP1", "17")]


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
        ({"id": ID, "reference": "18"}, None),
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


def test_finds_a_batch_by_its_whole_reference() -> None:
    raws = [
        json.dumps(batch).encode()
        for batch in (
            {"id": "1", "reference": "170"},
            {"id": "2", "reference": None},
            {"id": "3"},
            {"reference": "17"},
            {"id": "4", "reference": "17", "status": "odd"},
            {"id": "5", "reference": "17"},
        )
    ]
    found = find_batch([*raws[:2], b"[]", *raws[2:]], OUTGOING)
    assert found is not None
    assert found.id == "4"
    assert find_batch(raws[:4], OUTGOING) is None
