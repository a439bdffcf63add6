# SPDX-License-Identifier: Apache-2.0
"""Batches as iP.1's page on batches shows them. The values are made up."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, strategies as st

from airflow_provider_ip1.api.batches import Batch, DeliveryWindow, PriceSummary
from airflow_provider_ip1.api.decoding import decode_batch
from airflow_provider_ip1.api.json_text import UnreadableBody
from airflow_provider_ip1.api.messages import StatusCount
from airflow_provider_ip1.exceptions import IP1ResponseError
from tests.api.json_values import anything, dumps, outcome

NUMBER = "46701740605"
DOCUMENTED: dict[str, Any] = {
    "id": "5bcf4324f1a1d30d0c9a4a00",
    "sender": NUMBER,
    "body": "Hello {name}, a secret",
    "owner": "ip1-12345",
    "direction": "MT",
    "type": "sms",
    "datacoding": "GSM",
    "priority": 1,
    "templated": True,
    "priceSummary": {"total": 0.10, "currency": "eur", "average": 0.05},
    "messageSummary": {"201": {"messages": 2, "sms": 4}},
    "deliveryWindows": [{"opens": "2018-10-23T15:00:00Z", "closes": "2018-10-23T17:00:00"}],
    "status": 112,
    "deliveryReportUrl": "https://example.com/?token=secret",
    "reference": "order 17",
    "tags": ["invoice", "reminder"],
}


def changed(**fields: Any) -> Batch:
    return decode_batch(dumps(DOCUMENTED | fields))


def test_decodes_every_documented_field() -> None:
    batch = decode_batch(dumps(DOCUMENTED))
    assert batch == Batch(
        id="5bcf4324f1a1d30d0c9a4a00",
        sender=NUMBER,
        owner="ip1-12345",
        direction="mt",
        type="sms",
        datacoding="gsm",
        priority=1,
        templated=True,
        status=112,
        delivery_windows=(
            DeliveryWindow(datetime(2018, 10, 23, 15, tzinfo=UTC), datetime(2018, 10, 23, 17, tzinfo=UTC)),
        ),
        reference="order 17",
        tags=("invoice", "reminder"),
        message_summary={201: StatusCount(2, 4)},
        price_summary=PriceSummary(Decimal("0.1"), "EUR", Decimal("0.05")),
        raw_json=dumps(DOCUMENTED),
    )
    assert batch.raw == DOCUMENTED


def test_accepts_enums_as_integers() -> None:
    batch = changed(type=0, datacoding=2, priority="high", direction=0)
    # iP.1 does not document which direction 0 is.
    assert (batch.type, batch.datacoding, batch.priority, batch.direction) == ("flash", "ucs", 2, None)


def test_keeps_values_that_iP1_does_not_document() -> None:
    batch = changed(type="rcs", datacoding=8, priority=3)
    assert (batch.type, batch.datacoding, batch.priority) == ("rcs", 8, 3)


@pytest.mark.parametrize("absent", [{}, dict.fromkeys(set(DOCUMENTED) - {"id"})])
def test_a_batch_needs_only_an_id(absent: dict[str, None]) -> None:
    batch = decode_batch(dumps({"id": "b", **absent}))
    assert batch.delivery_windows == batch.tags == ()
    assert batch.reference is batch.status is batch.templated is batch.message_summary is batch.price_summary is None


def test_shows_neither_the_text_nor_a_number() -> None:
    shown = repr(changed(reference=f"for {NUMBER}"))
    assert shown == str(changed(reference=f"for {NUMBER}"))
    assert shown == "Batch(id='5bcf4324f1a1d30d0c9a4a00', sender='46***05', status=112, reference='for 46***05')"
    for secret in (NUMBER, "secret", "Hello"):
        assert secret not in shown


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("status", "accepted"),
        ("templated", "yes"),
        ("tags", "invoice"),
        ("tags", [{"name": NUMBER}]),
        ("deliveryWindows", {}),
        ("deliveryWindows", [NUMBER]),
        ("deliveryWindows", [{"opens": NUMBER}]),
        ("messageSummary", {"many": {}}),
        ("messageSummary", []),
        ("priceSummary", NUMBER),
        ("priceSummary", {"total": NUMBER + "x"}),
        ("id", None),
        ("id", 17),
        ("id", ""),
    ],
)
def test_an_error_names_the_field_and_not_its_content(field: str, value: Any) -> None:
    with pytest.raises(IP1ResponseError, match=field) as raised:
        changed(**{field: value})
    assert NUMBER not in str(raised.value)
    assert raised.value.__context__ is None


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"id": "b"', b"[]", b"null"])
def test_rejects_what_is_not_an_object(body: bytes) -> None:
    with pytest.raises(UnreadableBody if body not in (b"[]", b"null") else IP1ResponseError):
        decode_batch(body)


def test_odd_values_can_count_as_missing() -> None:
    odd: set[str] = set()
    fields = {"templated": 0, "tags": "a,b", "status": "Delivered", "deliveryWindows": [{"opens": "08:00"}]}
    fields |= {"messageSummary": {"many": {}}, "priceSummary": {"total": "free"}}
    batch = decode_batch(dumps(DOCUMENTED | fields), odd=odd)
    assert odd == {"templated", "tags", "status", "deliveryWindows", "messageSummary", "priceSummary"}
    assert (batch.templated, batch.tags, batch.status) == (None, (), None)
    assert batch.delivery_windows == (DeliveryWindow(),), "without a window, it would count as sent at once"
    assert batch.message_summary is batch.price_summary is None
    assert (batch.sender, batch.reference, batch.direction) == (NUMBER, "order 17", "mt")
    assert decode_batch(b'{"id": "b", "deliveryWindows": "08:00"}', odd=odd).delivery_windows == (DeliveryWindow(),)


@given(
    st.fixed_dictionaries({"id": st.text(min_size=1)}, optional={name: anything for name in set(DOCUMENTED) - {"id"}})
)
def test_any_object_with_an_id_is_a_batch_if_odd_values_count_as_missing(value: dict[str, Any]) -> None:
    text, odd = dumps(value), set[str]()
    batch = decode_batch(text, odd=odd)
    assert batch.raw_json == text
    assert odd <= value.keys()
    strict = outcome(decode_batch, text)
    assert strict == batch if not odd else isinstance(strict, tuple)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.fixed_dictionaries({}, optional={name: json_values for name in DOCUMENTED}))
def test_any_object_is_a_batch_or_an_error(value: dict[str, Any]) -> None:
    try:
        batch = decode_batch(dumps(value))
    except IP1ResponseError:
        return
    assert batch.id == value["id"]
    assert batch.raw == value
