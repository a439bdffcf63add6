# SPDX-License-Identifier: Apache-2.0
"""Writing messages as a file, in any format and compression."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.formats.compression import compress
from airflow_provider_ip1.formats.csv import write_csv
from airflow_provider_ip1.formats.jsonl import write_jsonl
from airflow_provider_ip1.formats.redacted_page import RedactedPage


def encode(pages: Iterable[Page | RedactedPage], file_format: str, compression: str | None) -> Iterator[bytes]:
    """
    Write messages as a file.

    :param pages: the messages. They are consumed while the file is written.
    :param file_format: ``"jsonl"``, ``"csv"`` or ``"parquet"``.
    :param compression: the result of :func:`~airflow_provider_ip1.formats.compression.choose_compression`.
    :return: the file's bytes, cut anywhere.
    :raises AirflowOptionalProviderFeatureException: the format is parquet, and pyarrow is not installed.
    """
    if file_format == "parquet":
        from airflow_provider_ip1.formats.parquet import write_parquet

        return write_parquet(pages, compression)
    write = write_csv if file_format == "csv" else write_jsonl
    return compress(write(pages), compression)
