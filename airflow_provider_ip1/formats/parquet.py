# SPDX-License-Identifier: Apache-2.0
"""Parquet with row groups of equal size, so the bytes do not depend on how the messages were paged. Needs pyarrow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from io import BytesIO
from itertools import accumulate
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.formats.columns import Columns, columns_of
from airflow_provider_ip1.formats.redaction import RedactedPage
from airflow_provider_ip1.formats.table import COLUMNS, PRICE_PRECISION, PRICE_SCALE

# About 10 MB of messages, which are in memory while the file is written.
ROW_GROUP_ROWS: Final = 10_000


def arrow_schema() -> pa.Schema:
    """Return the Arrow schema of :mod:`airflow_provider_ip1.formats.table`."""
    timestamp = pa.timestamp("us", tz="UTC")
    types = {
        "string": pa.string(),
        "int32": pa.int32(),
        f"decimal128({PRICE_PRECISION}, {PRICE_SCALE})": pa.decimal128(PRICE_PRECISION, PRICE_SCALE),
        "timestamp[us, tz=UTC]": timestamp,
        "list<struct<code: int32, duration: int32, created: timestamp[us, tz=UTC]>>": pa.list_(
            pa.struct([("code", pa.int32()), ("duration", pa.int32()), ("created", timestamp)])
        ),
    }
    return pa.schema([(column.name, types[column.type]) for column in COLUMNS])


def write_parquet(pages: Iterable[Page | RedactedPage], compression: str | None) -> Iterator[bytes]:
    """
    Write messages as a parquet file with the columns of :mod:`airflow_provider_ip1.formats.table`.

    :param pages: the messages.
    :param compression: the compression of the columns' pages: ``"snappy"``, ``"gzip"``, ``"zstd"`` or ``None``.
    :return: the file's bytes; a file with the schema and without rows if there are no messages.
    """
    schema = arrow_schema()
    written = _Written()
    held = Columns()
    with pq.ParquetWriter(pa.PythonFile(written, mode="w"), schema, compression=compression or "none") as writer:
        for page in pages:
            held.extend(columns_of(page))
            while len(held) >= ROW_GROUP_ROWS:
                writer.write_batch(_record_batch(held.take(ROW_GROUP_ROWS), schema), row_group_size=ROW_GROUP_ROWS)
                yield written.take()
        if held:
            writer.write_batch(_record_batch(held, schema), row_group_size=ROW_GROUP_ROWS)
    yield written.take()


def _record_batch(columns: Columns, schema: pa.Schema) -> pa.RecordBatch:
    arrays = [_array(field, values, columns) for field, values in zip(schema, columns.values, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _array(field: pa.Field, values: list[Any], columns: Columns) -> pa.Array:
    if field.name == "statuses":
        return _lists(field.type, columns)
    if pa.types.is_timestamp(field.type):
        return pa.array(values, pa.string()).cast(field.type)
    if pa.types.is_decimal(field.type):
        # Converting a Decimal is slow, and few prices account for most messages.
        positions: dict[Any, int] = {}
        indices = [positions.setdefault(value, len(positions)) for value in values]
        return pa.array(list(positions), field.type).take(pa.array(indices, pa.int32()))
    return pa.array(values, field.type)


def _lists(list_type: pa.ListType, columns: Columns) -> pa.ListArray:
    """Convert the reports without an object per message or report."""
    fields = list(list_type.value_type)
    reports = pa.StructArray.from_arrays(
        [
            pa.array(columns.codes, fields[0].type),
            pa.array(columns.durations, fields[1].type),
            pa.array(columns.created, pa.string()).cast(fields[2].type),
        ],
        fields=fields,
    )
    offsets = pa.array([0, *accumulate(columns.report_counts)], pa.int32())
    return pa.ListArray.from_arrays(offsets, reports, type=list_type)


class _Written(BytesIO):
    """A file that returns what was written to it, and forgets it. Arrow itself counts the position."""

    def close(self) -> None:
        """Keep the end of the file for :meth:`take`."""

    def take(self) -> bytes:
        data = self.getvalue()
        self.seek(0)
        self.truncate()
        return data
