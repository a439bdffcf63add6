# SPDX-License-Identifier: Apache-2.0
"""Writers that convert one message at a time, without caches: the reference for the fast ones."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from airflow_provider_ip1.api.messages import MessageStatus
from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.formats.parquet import ROW_GROUP_ROWS, arrow_schema
from airflow_provider_ip1.formats.redaction import RedactedPage
from airflow_provider_ip1.formats.table import COLUMN_NAMES
from tests.formats.message_rows import rows, utc_text


class _Bare:
    """A value that the csv module writes without quotes, because it converts to a number."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __float__(self) -> float:
        return 0.0

    def __str__(self) -> str:
        return self._text


def csv_by_row(pages: Iterable[Page | RedactedPage]) -> bytes:
    """Write a csv file."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(COLUMN_NAMES)
    writer = csv.writer(text, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\r\n")
    for page in pages:
        for row in rows(page):
            writer.writerow([_cell(name, value) for name, value in zip(COLUMN_NAMES, row, strict=True)])
    return text.getvalue().encode()


def _cell(name: str, value: Any) -> Any:
    if name == "statuses":
        return f"[{','.join(map(_report, value))}]"
    if value is None:
        return _Bare("")
    if name == "price":
        return _Bare(f"{value.normalize():f}")
    return utc_text(value) if name == "modified" else value


def _report(status: MessageStatus) -> str:
    duration = "null" if status.duration is None else status.duration
    created = "null" if status.created is None else f'"{utc_text(status.created)}"'
    return f'{{"code":{status.code},"duration":{duration},"created":{created}}}'


def parquet_by_row(pages: Iterable[Page | RedactedPage], compression: str = "none") -> bytes:
    """Write a parquet file."""
    file = io.BytesIO()
    schema = arrow_schema()
    every = [row for page in pages for row in rows(page)]
    with pq.ParquetWriter(file, schema, compression=compression) as writer:
        for start in range(0, len(every), ROW_GROUP_ROWS):
            group = every[start : start + ROW_GROUP_ROWS]
            arrays = []
            for field, column in zip(schema, zip(*group, strict=True), strict=True):
                values: Any = column
                if field.name == "statuses":
                    values = [
                        [{"code": s.code, "duration": s.duration, "created": s.created} for s in each]
                        for each in column
                    ]
                arrays.append(pa.array(values, type=field.type))
            batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
            writer.write_batch(batch, row_group_size=ROW_GROUP_ROWS)
    return file.getvalue()
