# SPDX-License-Identifier: Apache-2.0
"""Parquet, in row groups of one size, so that the bytes do not depend on how the messages arrived."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from airflow.providers.common.compat.sdk import AirflowOptionalProviderFeatureException

from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.formats.redacted_page import RedactedPage
from airflow_provider_ip1.formats.table import COLUMNS, PRICE_PRECISION, PRICE_SCALE, Row, rows

if TYPE_CHECKING:
    import pyarrow

# About 10 MB of messages: what is in memory while a file is written.
ROW_GROUP_ROWS: Final = 10_000
_MISSING: Final = "file_format='parquet' needs pyarrow. Install it with: pip install 'airflow-provider-ip1[parquet]'"


def check_pyarrow() -> None:
    """
    Check that pyarrow is installed, without importing it.

    :raises AirflowOptionalProviderFeatureException: it is not installed.
    """
    if find_spec("pyarrow") is None:
        raise AirflowOptionalProviderFeatureException(_MISSING)


def import_pyarrow() -> Any:
    """
    Import what parquet files are written with.

    :raises AirflowOptionalProviderFeatureException: it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise AirflowOptionalProviderFeatureException(_MISSING) from error
    return pyarrow


def arrow_schema() -> pyarrow.Schema:
    """The columns of :mod:`airflow_provider_ip1.formats.table` as Arrow has them. All but ``id`` may be null."""
    pa = import_pyarrow()
    moment = pa.timestamp("us", tz="UTC")
    types = {
        "string": pa.string(),
        "int32": pa.int32(),
        f"decimal128({PRICE_PRECISION}, {PRICE_SCALE})": pa.decimal128(PRICE_PRECISION, PRICE_SCALE),
        "timestamp[us, tz=UTC]": moment,
        "list<struct<code: int32, duration: int32, created: timestamp[us, tz=UTC]>>": pa.list_(
            pa.struct([("code", pa.int32()), ("duration", pa.int32()), ("created", moment)])
        ),
    }
    return pa.schema([(column.name, types[column.type]) for column in COLUMNS])


def write_parquet(pages: Iterable[Page | RedactedPage], compression: str | None) -> Iterator[bytes]:
    """
    Write messages as a parquet file with the columns of :mod:`airflow_provider_ip1.formats.table`.

    :param pages: the messages.
    :param compression: of the columns' pages: ``"snappy"``, ``"gzip"``, ``"zstd"`` or ``None``.
    :return: the file's bytes; a file with the schema and no rows for no messages.
    :raises AirflowOptionalProviderFeatureException: pyarrow is not installed.
    """
    pa = import_pyarrow()
    schema = arrow_schema()
    written = _Written()
    every_row = (row for page in pages for row in rows(page))
    with pa.parquet.ParquetWriter(
        pa.PythonFile(written, mode="w"), schema, compression=compression or "none"
    ) as writer:
        while group := list(islice(every_row, ROW_GROUP_ROWS)):
            writer.write_batch(_record_batch(group, schema), row_group_size=ROW_GROUP_ROWS)
            yield from written.take()
    yield from written.take()


def _record_batch(group: list[Row], schema: pyarrow.Schema) -> pyarrow.RecordBatch:
    pa = import_pyarrow()
    arrays = []
    for field, column in zip(schema, zip(*group, strict=True), strict=True):
        values: Sequence[Any] = column
        if field.name == "statuses":
            values = [
                [{"code": s.code, "duration": s.duration, "created": s.created} for s in statuses]
                for statuses in column
            ]
        arrays.append(pa.array(values, type=field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


class _Written:
    """A file to write to that is emptied as it fills."""

    closed = False

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._position = 0

    def write(self, data: Any) -> int:
        self._chunks.append(bytes(data))
        self._position += len(self._chunks[-1])
        return len(self._chunks[-1])

    def tell(self) -> int:
        return self._position

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        self.closed = True

    def take(self) -> list[bytes]:
        chunks, self._chunks = self._chunks, []
        return chunks
