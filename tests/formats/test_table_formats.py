# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.formats import parquet
from airflow_provider_ip1.formats.encode import encode
from airflow_provider_ip1.formats.table import COLUMN_NAMES, COLUMNS
from tests.formats.odd_messages import ODD, ODD_RAWS, PARTICIPANT, message, raw
from tests.formats.pages import page_of


def write(file_format: str, raws: Iterable[bytes], compression: str | None = None, page: int = 7) -> bytes:
    every = list(raws)
    cuts = (every[start : start + page] for start in range(0, len(every), page))
    pages = (page_of(rows, participant=PARTICIPANT) for rows in cuts)
    return b"".join(encode(pages, file_format, compression))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def from_parquet(data: bytes) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(io.BytesIO(data)).to_pylist()
    return rows


def from_csv(data: bytes) -> list[dict[str, Any]]:
    """Read a file by the documented rules: a quoted field is text, and an empty field without quotes is null."""
    rows = csv.reader(io.StringIO(data.decode(), newline=""), strict=True)
    header = next(rows)
    bare = {"segments", "priority", "status_code"}
    read = []
    for cells in rows:
        row: dict[str, Any] = dict(zip(header, cells, strict=True))
        for name in bare:
            row[name] = int(row[name]) if row[name] else None
        row["price"] = Decimal(row["price"]) if row["price"] else None
        row["modified"] = at(row["modified"]) if row["modified"] else None
        row["statuses"] = [
            report | {"created": report["created"] and at(report["created"])} for report in json.loads(row["statuses"])
        ]
        read.append(row)
    return read


READERS = {"csv": from_csv, "parquet": from_parquet}

# Derived by hand from odd_messages.ODD: the columns in which a row differs from the usual message's row.
USUAL_ROW = {
    "batch_id": "69054e12b000c3378f000000",
    "owner": "ip1-00000",
    "sender": "46846500499",
    "recipient": "46701740605",
    "participant": PARTICIPANT,
    "body": "Hej, din tid är bokad.",
    "direction": "mt",
    "segments": 1,
    "type": "sms",
    "datacoding": "gsm",
    "priority": 1,
    "price": Decimal("0.35"),
    "currency": "SEK",
    "status_code": 201,
    "status_category": "delivered",
    "status_name": "DeliveredToHandset",
    "statuses": [{"code": 201, "duration": 1, "created": at("2026-10-31T10:00:00.123Z")}],
    "modified": at("2026-10-31T10:00:01Z"),
    "reference": "ref-1",
    "mcc": "240",
    "mnc": "07",
    "extra": None,
}
NO_STATUS = {"statuses": [], "status_code": None, "status_category": None, "status_name": None}
DIFFERENCES: list[dict[str, Any]] = [
    {},
    {"body": "Emoji 🎂 ✔, \"quotes\", 'single', a; semicolon, a \\ backslash"},
    {"body": "lines\nin\r\nsome\rforms\tand\u2028more\x00", "reference": ""},
    {"body": None, "price": None, "currency": None, "modified": None, "reference": None, "mcc": None, **NO_STATUS},
    {
        **{name: None for name in ("body", "price", "currency", "reference", "mcc", "mnc", "segments")},
        **NO_STATUS,
    },
    {"body": "", **NO_STATUS},
    {"direction": "mo", "type": "flash", "datacoding": "ucs", "priority": 2, "sender": PARTICIPANT, "recipient": "iP1"},
    {
        "direction": None,
        "type": "9",
        "datacoding": "rot13",
        "priority": None,
        "sender": "a",
        "recipient": "b",
        "extra": {"direction": 7, "priority": "urgent"},
    },
    {
        "status_code": 777,
        "status_category": "pending",
        "status_name": None,
        "statuses": [{"code": 777, "duration": 1, "created": at("2026-10-31T10:00:00Z")}],
    },
    {
        "statuses": [
            {"code": 201, "duration": 1, "created": at("2026-10-31T08:00:02Z")},
            {"code": 102, "duration": 0, "created": at("2026-10-31T07:59:00Z")},
            {"code": 111, "duration": None, "created": None},
        ],
        # Nothing is pending after a delivery.
        "status_code": 201,
        "status_category": "delivered",
        "status_name": "DeliveredToHandset",
        "extra": {"statuses": ODD[9]["statuses"]},
    },
    {"extra": {"tags": ["a", {"b": None}], "links": {"self": "https://example.com/?a=1&b=2"}, "score": 1.5}},
    {"price": Decimal("0.3"), "mnc": "007", "extra": {"price": 0.30000000000000004}},
    {"price": None, "extra": {"price": 12345678901.5}},
    {"modified": at("2026-10-31T10:00:01.123456Z")},
    {
        "modified": None,
        "segments": None,
        "price": None,
        "extra": {"modified": "yesterday", "segments": "two", "price": "free"},
    },
    {"body": "=1+1", "reference": "a,b\n"},
]


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_reading_a_file_returns_the_odd_messages(file_format: str) -> None:
    rows = READERS[file_format](write(file_format, map(raw, ODD)))
    for number, (row, differences) in enumerate(zip(rows, DIFFERENCES, strict=True), start=1):
        assert list(row) == list(COLUMN_NAMES)
        expected = USUAL_ROW | {"id": f"{number:024x}"} | differences
        row["extra"] = json.loads(row["extra"]) if row["extra"] else None
        if file_format == "csv":  # another test distinguishes null from an empty text
            expected = {name: "" if value is None else value for name, value in expected.items()}
            row = {name: "" if value is None else value for name, value in row.items()}
        assert row == expected


def test_csv_distinguishes_null_from_an_empty_text() -> None:
    data = write("csv", [raw(message(1, body="", reference=None, mcc=...))]).decode()
    cells = data.split("\r\n")[1].split(",")
    # The body contains no comma, so the line can be split.
    by_name = dict(zip(COLUMN_NAMES, cells, strict=False))
    assert by_name["body"] == '""'
    line = data.split("\r\n")[1]
    assert line.endswith(',"2026-10-31T10:00:01.000000Z",,,"07",')


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_a_message_of_a_batch_tells_its_participant_by_its_direction(file_format: str) -> None:
    raws = [raw(message(1, direction="mt")), raw(message(2, direction="MO", sender="46701740606"))]
    rows = READERS[file_format](b"".join(encode([page_of(raws)], file_format, None)))
    assert [row["participant"] for row in rows] == [PARTICIPANT, "46701740606"]


def test_csv_and_parquet_contain_half_a_utf16_pair_and_an_indented_object() -> None:
    for file_format, read in READERS.items():
        half, pretty = read(write(file_format, ODD_RAWS[-2:]))
        assert half["body"] == "half \ufffd"
        assert json.loads(half["extra"]) == {"unknown \ud83d": "\udc00"}
        assert pretty["body"] == "on\nlines"
        assert json.loads(pretty["extra"]) == {"extra": [1, 2]}


@pytest.mark.parametrize("compression", [None, "gzip", "zstd", "snappy"])
def test_parquet_pages_have_the_requested_compression(compression: str | None) -> None:
    file = pq.ParquetFile(io.BytesIO(write("parquet", map(raw, ODD), compression)))
    column = file.metadata.row_group(0).column(COLUMN_NAMES.index("body"))
    assert column.compression == (compression or "uncompressed").upper()
    assert file.metadata.num_rows == len(ODD)


def test_every_parquet_file_has_the_documented_schema() -> None:
    empty = pq.read_schema(io.BytesIO(write("parquet", [])))
    full = pq.read_schema(io.BytesIO(write("parquet", map(raw, ODD))))
    assert empty.equals(full)
    assert pq.read_table(io.BytesIO(write("parquet", []))).num_rows == 0
    for column, field in zip(COLUMNS, full, strict=True):
        assert field.name == column.name
        assert str(field.type).replace("element: ", "") == column.type


def test_an_empty_csv_file_has_the_header() -> None:
    assert write("csv", []).decode() == ",".join(COLUMN_NAMES) + "\r\n"
    assert gzip.decompress(write("csv", [], "gzip")).decode() == ",".join(COLUMN_NAMES) + "\r\n"


@pytest.mark.parametrize(("file_format", "compression"), [("csv", "gzip"), ("csv", "zstd"), ("parquet", "zstd")])
def test_the_bytes_do_not_depend_on_how_the_pages_were_cut(file_format: str, compression: str) -> None:
    raws = [raw(message(number, body=f"Nummer {number}")) for number in range(1, 2501)]
    assert write(file_format, raws, compression, page=50) == write(file_format, raws, compression, page=999)


def test_parquet_row_groups_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "ROW_GROUP_ROWS", 100)
    file = pq.ParquetFile(io.BytesIO(write("parquet", [raw(message(number)) for number in range(250)], page=33)))
    sizes = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
    assert sizes == [100, 100, 50]


def test_a_row_group_is_written_before_the_next_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "ROW_GROUP_ROWS", 100)
    requested = 0

    def pages() -> Iterable[Page]:
        nonlocal requested
        for number in range(10):
            requested += 1
            yield page_of([raw(message(number * 100 + row, body="x" * 500)) for row in range(100)])

    chunks = parquet.write_parquet(pages(), "none")
    written = 0
    while written < 10_000:
        written += len(next(chunks))
    assert requested <= 2


def test_duckdb_reads_both_formats_alike(tmp_path: Path) -> None:
    raws = [raw(fields) for fields in ODD if "\x00" not in (fields.get("body") or "")]
    (tmp_path / "a.csv.gz").write_bytes(write("csv", raws, "gzip"))
    (tmp_path / "a.parquet").write_bytes(write("parquet", raws, "zstd"))
    columns = [
        "id", "sender", "body", "direction", "segments", "price", "status_code", "status_category", "modified", "extra"
    ]  # fmt: skip
    query = f"SELECT {', '.join(columns)} FROM %s ORDER BY id"  # noqa: S608 - no input
    database = duckdb.connect()
    database.execute("SET TimeZone = 'UTC'")
    types = {"segments": "INTEGER", "price": "DECIMAL(18,9)", "status_code": "INTEGER", "modified": "TIMESTAMPTZ"}
    all_types = {name: types.get(name, "VARCHAR") for name in COLUMN_NAMES}
    in_csv = database.execute(
        query % "read_csv($path, columns = $types, header = true, allow_quoted_nulls = false)",
        {"path": str(tmp_path / "a.csv.gz"), "types": all_types},
    ).fetchall()
    in_parquet = database.execute(query % "read_parquet($path)", {"path": str(tmp_path / "a.parquet")}).fetchall()
    assert in_csv == in_parquet
    assert len(in_csv) == len(raws)
    assert [row[2] for row in in_parquet] == [json.loads(text).get("body") for text in raws]
    (total,) = database.execute(
        "SELECT sum(price) FROM read_parquet($p)", {"p": str(tmp_path / "a.parquet")}
    ).fetchall()
    assert total[0] == Decimal("0.35") * 10 + Decimal("0.3")


def test_arrow_types_of_the_schema_are_what_analysts_expect() -> None:
    schema = parquet.arrow_schema()
    assert schema.field("price").type == pa.decimal128(18, 9)
    assert schema.field("modified").type == pa.timestamp("us", tz="UTC")
