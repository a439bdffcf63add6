# SPDX-License-Identifier: Apache-2.0
"""
The ceiling's file formats: the fewest instructions from the JSON of a page to a file.

They write iP.1's fields unchanged. The operator's tables also have columns that it derives (participant, status name),
one spelling for each value, and a place for values that do not fit.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec
from isal import igzip

#: Rows per row group, as in the operator.
ROW_GROUP = 10_000


class Encoder(Protocol):
    """Writes rows to the buffer it was made for."""

    def write(self, rows: Sequence[msgspec.Raw]) -> None: ...

    def close(self) -> None: ...


def encoder(file_format: str, buffer: io.BytesIO) -> Encoder:
    """Return the encoder of a format. JSON Lines and csv are gzipped."""
    encoders: dict[str, Callable[[io.BytesIO], Encoder]] = {"jsonl": JsonLines, "csv": Csv, "parquet": Parquet}
    return encoders[file_format](buffer)


class JsonLines:
    def __init__(self, buffer: io.BytesIO) -> None:
        self._file = igzip.IGzipFile(fileobj=buffer, mode="wb", compresslevel=1, mtime=0)

    def write(self, rows: Sequence[Any]) -> None:
        self._file.write(b"\n".join(rows) + b"\n")

    def close(self) -> None:
        self._file.close()


class Row(msgspec.Struct, rename="camel", gc=False):
    """A message. ``statuses`` stays JSON."""

    id: str
    batch_id: str
    owner: str
    sender: str
    recipient: str
    body: str
    direction: int
    segments: int
    type: int
    datacoding: int
    priority: int
    statuses: msgspec.Raw
    modified: str
    price: float | None = None
    currency: str | None = None
    reference: str | None = None
    mcc: str | None = None
    mnc: str | None = None


class Csv:
    def __init__(self, buffer: io.BytesIO) -> None:
        self._file = igzip.IGzipFile(fileobj=buffer, mode="wb", compresslevel=1, mtime=0)
        self._decode = msgspec.json.Decoder(Row).decode
        self._file.write((",".join(Row.__struct_encode_fields__) + "\r\n").encode())

    def write(self, rows: Sequence[Any]) -> None:
        text = io.StringIO()
        astuple = msgspec.structs.astuple
        for row in map(self._decode, rows):
            row.statuses = str(row.statuses, "utf-8")  # type: ignore[assignment]
            csv.writer(text).writerow(astuple(row))
        self._file.write(text.getvalue().encode())

    def close(self) -> None:
        self._file.close()


class Parquet:
    """pyarrow reads the JSON itself, in C++ and on all cores."""

    def __init__(self, buffer: io.BytesIO) -> None:
        import pyarrow

        text, number = pyarrow.string(), pyarrow.int64()
        report = pyarrow.struct([("code", number), ("duration", number), ("created", pyarrow.timestamp("ns"))])
        types = {
            str: text,
            int: number,
            float | None: pyarrow.float64(),
            str | None: text,
            msgspec.Raw: pyarrow.list_(report),
        }
        fields = msgspec.structs.fields(Row)
        self._schema = pyarrow.schema([(field.encode_name, types[field.type]) for field in fields])
        self._schema = self._schema.set(
            self._schema.get_field_index("modified"), pyarrow.field("modified", pyarrow.timestamp("ns"))
        )
        self._writer = pyarrow.parquet.ParquetWriter(buffer, self._schema, compression="zstd")
        self._rows: list[Any] = []

    def write(self, rows: Sequence[Any]) -> None:
        self._rows += rows
        if len(self._rows) >= ROW_GROUP:
            self._flush()

    def close(self) -> None:
        if self._rows:
            self._flush()
        self._writer.close()

    def _flush(self) -> None:
        import pyarrow.json

        lines = io.BytesIO(b"\n".join(self._rows))
        self._rows = []
        options = pyarrow.json.ParseOptions(explicit_schema=self._schema, unexpected_field_behavior="error")
        self._writer.write_table(pyarrow.json.read_json(lines, parse_options=options))
