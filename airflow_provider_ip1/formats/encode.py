# SPDX-License-Identifier: Apache-2.0
"""
Writing messages as a file: JSON Lines and csv here, parquet where pyarrow is needed.

A line of JSON Lines is the API object as iP.1 sent it. Csv is what RFC 4180 describes: UTF-8, commas, CRLF, a header
line, quotes doubled inside quotes. Text is always in quotes and null is an empty field, so the empty text and null
differ.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from importlib.util import find_spec
from typing import Any, Final

import msgspec

from airflow_provider_ip1.api.json_text import UNDECODABLE, BytesLike
from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.compat import AirflowOptionalProviderFeatureException
from airflow_provider_ip1.formats.columns import Columns, columns_of
from airflow_provider_ip1.formats.compression import compress
from airflow_provider_ip1.formats.redaction import RedactedPage
from airflow_provider_ip1.formats.table import COLUMNS

_TOKEN_OR_SPACE = re.compile(rb'("(?:[^"\\]|\\.)*+")|[ \t\r\n]+')
# Columns whose texts differ from message to message. The texts of all others are formatted once per page.
_VARIED: Final = frozenset({"id", "body", "modified", "reference"})


def encode(pages: Iterable[Page | RedactedPage], file_format: str, compression: str | None) -> Iterator[bytes]:
    """
    Write messages as a file.

    :param pages: the messages. They are consumed while the file is written.
    :param file_format: ``"jsonl"``, ``"csv"`` or ``"parquet"``.
    :param compression: the result of :func:`~airflow_provider_ip1.formats.compression.choose_compression`.
    :return: the file's bytes, cut anywhere.
    """
    if file_format != "parquet":
        return compress(write_csv(pages) if file_format == "csv" else write_jsonl(pages), compression)
    # Needs pyarrow, see check_pyarrow.
    from airflow_provider_ip1.formats.parquet import write_parquet

    return write_parquet(pages, compression)


def check_pyarrow() -> None:
    """
    Check that pyarrow is installed, without importing it.

    :raises AirflowOptionalProviderFeatureException: it is not installed.
    """
    if find_spec("pyarrow") is None:
        raise AirflowOptionalProviderFeatureException(
            "file_format='parquet' needs pyarrow. Install it with: pip install 'airflow-provider-ip1[parquet]'"
        )


def write_jsonl(pages: Iterable[Page | RedactedPage]) -> Iterator[bytes]:
    r"""
    Write messages as JSON Lines in UTF-8. Each line ends with ``\n``.

    The bytes of a message are written unchanged, except that line breaks between its JSON tokens are removed, because
    each line is a message. Line breaks inside JSON texts are always escaped (RFC 8259, section 7).

    :param pages: the messages.
    :return: the file's bytes; none if there are no messages.
    """
    for page in pages:
        if page.raws:
            yield _lines(page.raws)


def _lines(raws: Sequence[Any]) -> bytes:
    messages = b"".join(raws)
    if b"\n" in messages or b"\r" in messages:
        raws = [*map(one_line, raws)]
    return b"\n".join((*raws, b""))


def one_line(raw: BytesLike) -> bytes:
    """
    Put a JSON text on one line. A text without line breaks is returned unchanged.

    :param raw: one JSON text.
    :return: the same JSON without line breaks, and without other white space if there were any.
    """
    text = bytes(raw)
    # JSON strings contain line breaks only as escapes, so an unescaped one is white space between tokens.
    if b"\n" not in text and b"\r" not in text:
        return text
    try:
        return msgspec.json.format(text, indent=-1)
    except UNDECODABLE:
        # It contains half a UTF-16 pair, which msgspec rejects.
        return _TOKEN_OR_SPACE.sub(rb"\1", text)


def write_csv(pages: Iterable[Page | RedactedPage]) -> Iterator[bytes]:
    """
    Write messages as a csv file with the columns of :mod:`airflow_provider_ip1.formats.table`.

    :param pages: the messages.
    :return: the file's bytes; the header line alone if there are no messages.
    """
    yield (",".join(column.name for column in COLUMNS) + "\r\n").encode()
    for page in pages:
        columns = columns_of(page)
        if columns:
            lines = map(",".join, zip(*_cells(columns), strict=True))
            yield ("\r\n".join(lines) + "\r\n").encode()


def _cells(columns: Columns) -> Iterator[list[str]]:
    for column, values in zip(COLUMNS, columns.values, strict=True):
        if column.name == "statuses":
            yield _status_cells(columns)
        elif column.name in _VARIED:
            yield [_cell(value) for value in values]
        else:
            cells = {value: _cell(value) for value in set(values)}
            yield [cells[value] for value in values]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return '"' + value.replace('"', '""') + '"' if '"' in value else f'"{value}"'
    return f"{value.normalize():f}" if isinstance(value, Decimal) else str(value)


def _status_cells(columns: Columns) -> list[str]:
    """Return the reports as JSON, with the quotes doubled."""
    reports = [
        f'{{""code"":{code},""duration"":{"null" if duration is None else duration},""created"":'
        + ("null}" if created is None else f'""{created}""}}')
        for code, duration, created in zip(columns.codes, columns.durations, columns.created, strict=True)
    ]
    counts = columns.report_counts
    if len(reports) == len(counts) and all(counts):
        return [f'"[{report}]"' for report in reports]
    remaining = iter(reports)
    return ['"[' + ",".join([next(remaining) for _ in range(count)]) + ']"' for count in counts]
