# SPDX-License-Identifier: Apache-2.0
"""
CSV as RFC 4180 describes it: UTF-8, commas, CRLF, a header line, quotes doubled inside quotes.

Text is always in quotes and null is an empty field, so the empty text and null differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any, Final

from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.formats.columns import Columns, columns_of
from airflow_provider_ip1.formats.redacted_page import RedactedPage
from airflow_provider_ip1.formats.table import COLUMNS

# Columns whose texts differ from message to message. The texts of all others are formatted once per page.
_VARIED: Final = frozenset({"id", "body", "modified", "reference"})


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
