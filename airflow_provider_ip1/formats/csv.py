# SPDX-License-Identifier: Apache-2.0
"""
CSV as RFC 4180 describes it: UTF-8, commas, CRLF, a header line, quotes doubled inside quotes.

Text is always in quotes and null is nothing at all, so that an empty text and null can be told apart.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

from airflow_provider_ip1.api.messages import MessageStatus
from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.formats.redacted_page import RedactedPage
from airflow_provider_ip1.formats.table import COLUMN_NAMES, Row, rows, utc_text


class _Bare:
    """
    A value that is written as it is given, without quotes.

    The csv module leaves the quotes away from what can be turned into a number, and writes None with quotes.

    :param text: what to write; nothing at all for null.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __float__(self) -> float:
        return float(self._text)

    def __str__(self) -> str:
        return self._text


_NULL: Final = _Bare("")
_PRICE, _STATUSES, _MODIFIED = (COLUMN_NAMES.index(name) for name in ("price", "statuses", "modified"))


def write_csv(pages: Iterable[Page | RedactedPage]) -> Iterator[bytes]:
    """
    Write messages as a csv file with the columns of :mod:`airflow_provider_ip1.formats.table`.

    :param pages: the messages.
    :return: the file's bytes; the header line alone for no messages.
    """
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\r\n")
    yield (",".join(COLUMN_NAMES) + "\r\n").encode()
    for page in pages:
        writer.writerows(map(_cells, rows(page)))
        yield text.getvalue().encode()
        text.seek(0)
        text.truncate()


def _cells(row: Row) -> list[Any]:
    cells = [_NULL if value is None else value for value in row]
    if (price := row[_PRICE]) is not None:
        cells[_PRICE] = _price_text(price)
    if (modified := row[_MODIFIED]) is not None:
        cells[_MODIFIED] = utc_text(modified)
    cells[_STATUSES] = _statuses_text(row[_STATUSES])
    return cells


@lru_cache(maxsize=1024)
def _price_text(price: Decimal) -> _Bare:
    return _Bare(f"{price.normalize():f}")


def _statuses_text(statuses: Iterable[MessageStatus]) -> str:
    reports = []
    for status in statuses:
        duration = "null" if status.duration is None else status.duration
        created = "null" if status.created is None else f'"{utc_text(status.created)}"'
        reports.append(f'{{"code":{status.code},"duration":{duration},"created":{created}}}')
    return f"[{','.join(reports)}]"
