# SPDX-License-Identifier: Apache-2.0
"""The columns are those that converting row by row would produce, for ordinary and odd messages in any mixture."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings, strategies as st

from airflow_provider_ip1.api.json_text import UnreadableBody
from airflow_provider_ip1.api.paging.page import Direction
from airflow_provider_ip1.exceptions import IP1ResponseError
from airflow_provider_ip1.formats import columns
from airflow_provider_ip1.formats.columns import Columns, columns_of
from airflow_provider_ip1.formats.encode import encode
from airflow_provider_ip1.formats.redaction import Redaction
from airflow_provider_ip1.formats.table import COLUMN_NAMES
from tests.api.json_values import WrittenNumber, anything, decimals, dumps, texts, timestamps
from tests.formats.odd_messages import ODD_RAWS, OWN_NUMBER, PARTICIPANT, message, raw
from tests.formats.pages import page_of
from tests.formats.row_writers import csv_by_row, parquet_by_row

times = timestamps().map(lambda pair: pair[0]) | st.sampled_from(
    [
        "2026-10-31T10:00:00Z",
        "2026-10-31T10:00:00.1234567Z",
        "2026-10-31T10:00:00,5Z",
        "2026-W44-6T10:00:00Z",
        "2026-10-31T24:00:00Z",
        "20261031T100000Z",
        "2026-10-31 10:00:00Z",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999999Z",
    ]
)
ordinary: dict[str, st.SearchStrategy[Any]] = {
    "batchId": texts,
    "owner": texts,
    "sender": st.sampled_from([PARTICIPANT, OWN_NUMBER, "iP1", "+46 70-174 06 05"]),
    "recipient": st.sampled_from([PARTICIPANT, OWN_NUMBER, "iP1"]),
    "body": texts | st.sampled_from(['a "quote"', "a,\r\nb", "\x00", ""]),
    "direction": st.sampled_from([0, 1, "mt", "MO", "sideways", "", "1"]),
    "segments": st.integers(-(2**31), 2**31 - 1),
    "type": st.sampled_from([0, 1, 7, "sms", "FLASH", "rcs", "1", ""]),
    "datacoding": st.sampled_from([0, 2, 7, "gsm", "UCS", "latin"]),
    "priority": st.sampled_from([1, 2, 3, "1", "high", 2**31, "urgent"]),
    "price": decimals.map(WrittenNumber) | st.sampled_from(["0.35", "free", 12345678901.5, WrittenNumber("-0.0")]),
    "currency": st.sampled_from(["sek", "EUR", "ß"]),
    "statuses": st.lists(
        st.fixed_dictionaries(
            {"code": st.sampled_from([201, 111, 777, -1, 0])},
            optional={"duration": st.sampled_from([None, 0, 1, 7, "permanent", 2**31]), "created": st.none() | times},
        ),
        max_size=3,
    ),
    "modified": times,
    "reference": texts,
    "mcc": st.sampled_from(["240", 240]),
    "mnc": st.sampled_from(["07", 7]),
}
ordinary_messages = st.fixed_dictionaries(
    {"id": texts.filter(bool)}, optional={name: st.none() | values for name, values in ordinary.items()}
).map(dumps)
odd_messages = st.fixed_dictionaries(
    {"id": texts.filter(bool)},
    optional={name: anything | values for name, values in ordinary.items()} | {"unknown": anything},
).map(dumps)
pages = st.builds(
    page_of,
    st.lists(ordinary_messages, max_size=4) | st.lists(ordinary_messages | odd_messages, max_size=4),
    participant=st.sampled_from([None, PARTICIPANT, "iP1"]),
    direction=st.sampled_from([None, "mt", "mo"]),
)
FIELDS = [*ordinary, "id", "participant"]
redactions = st.none() | st.dictionaries(
    st.sampled_from(FIELDS), st.sampled_from(["drop", "hash", "mask"]), max_size=4
).map(lambda rules: Redaction(rules, b"a key"))


@given(st.lists(pages, max_size=3), redactions)
@settings(max_examples=150)
@example([page_of(ODD_RAWS, participant=PARTICIPANT)], None)
@example([page_of(ODD_RAWS)], None)
@example([page_of([])], None)
def test_columns_equal_rows(every: list[Any], redaction: Redaction | None) -> None:
    if redaction is not None:
        every = [redaction.apply(page) for page in every]
    assert b"".join(encode(every, "csv", None)) == csv_by_row(every)
    assert b"".join(encode(every, "parquet", None)) == parquet_by_row(every)


@pytest.mark.parametrize("compression", ["zstd", "snappy"])
def test_row_groups_equal_those_of_rows(compression: str) -> None:
    every = [
        page_of([raw(message(page * 300 + number, body=f"{number} " * 9)) for number in range(300)], direction="mt")
        for page in range(40)
    ]
    assert b"".join(encode(every, "parquet", compression)) == parquet_by_row(every, compression)


def test_ordinary_messages_are_not_converted_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    converted: list[int] = []
    fit = columns._fit

    def spy(page: Any, position: int, raw: bytes) -> Any:
        converted.append(position)
        return fit(page, position, raw)

    monkeypatch.setattr(columns, "_fit", spy)
    raws = [raw(message(number)) for number in range(20)]
    columns_of(page_of(raws, participant=PARTICIPANT))
    assert converted == []
    raws[5] = raw(message(5, campaign="autumn"))
    raws[9] = raw(message(9, modified="soon"))
    columns_of(page_of(raws, participant=PARTICIPANT))
    assert converted == [5, 9]


def test_a_message_without_a_usable_id_is_an_error() -> None:
    page = page_of([raw(message(1))])
    page.__dict__["raws"] = (b'{"id":""}',)
    with pytest.raises(IP1ResponseError, match="id"):
        columns_of(page)


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
@pytest.mark.parametrize("depth", [99, 100, 500, 900])
@pytest.mark.parametrize("redaction", [None, Redaction({"sender": "hash"}, b"a key")])
def test_a_deeply_nested_value_is_in_extra_or_a_typed_error(
    file_format: str, depth: int, redaction: Redaction | None
) -> None:
    page = page_of([b'{"id":"a","sender":"46701740605","x":' + b"[" * depth + b"]" * depth + b"}"])

    def write() -> bytes:
        return b"".join(encode([page if redaction is None else redaction.apply(page)], file_format, None))

    if depth < 100:
        assert write()
    else:
        with pytest.raises(UnreadableBody, match="nested too deeply"):
            write()


@given(st.lists(pages, max_size=3), st.data())
def test_taking_messages_off_keeps_every_value(every: list[Any], data: st.DataObject) -> None:
    held = Columns()
    for page in every:
        held.extend(columns_of(page))
    whole = Columns()
    whole.extend(held)
    count = data.draw(st.integers(0, len(held)))
    first = held.take(count)
    assert (len(first), len(held)) == (count, len(whole) - count)
    first.extend(held)
    assert (first.values, first.codes, first.durations, first.created) == (
        whole.values,
        whole.codes,
        whole.durations,
        whole.created,
    )


@pytest.mark.parametrize("direction", ["mt", None])
def test_a_direction_that_is_not_explained_is_in_extra(direction: Direction | None) -> None:
    page = page_of([raw(message(1, direction=0))], direction=direction)
    values = dict(zip(COLUMN_NAMES, columns_of(page).values, strict=True))
    assert values["direction"] == [direction]
    assert values["extra"] == ([json.dumps({"direction": 0}, separators=(",", ":"))] if direction is None else [None])


def test_a_traceback_with_local_variables_shows_no_message() -> None:
    shown = repr(columns_of(page_of([raw(message(1, body="Secret text"))])))
    assert "Secret" not in shown
    assert OWN_NUMBER not in shown and PARTICIPANT not in shown
