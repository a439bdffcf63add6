# SPDX-License-Identifier: Apache-2.0
"""What an export does: the arguments of the operator and of ``export_conversations``, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from airflow_provider_ip1.api.paging.listing import check_direction
from airflow_provider_ip1.api.requests import Direction
from airflow_provider_ip1.api.settings import check_argument
from airflow_provider_ip1.formats.compression import Compression, FileFormat, choose_compression
from airflow_provider_ip1.formats.redaction import Action, check_rules
from airflow_provider_ip1.template_values import text_or_none
from airflow_provider_ip1.transfers.replacing import ON_EMPTY, OnEmpty, Replace
from airflow_provider_ip1.transfers.selection import Window
from airflow_provider_ip1.transfers.source import Source
from airflow_provider_ip1.transfers.target import Target


def check_options(
    *,
    file_format: FileFormat,
    compression: Compression | Literal["infer"] | None,
    since: Any,
    status_lookback: timedelta | None,
    on_empty: OnEmpty,
    redact: Mapping[str, Action] | None,
    replace: Replace,
    verify_total: bool,
    page_size: int | None,
    concurrency: int | None,
) -> None:
    """
    Check the arguments that are not templated. The operator does so when the DAG is parsed.

    :param since: only whether it is set matters. The operator documents the others.
    :raises ValueError: an argument is invalid. The message names the argument.
    :raises AirflowOptionalProviderFeatureException: the format is parquet, and pyarrow is not installed.
    """
    if on_empty not in ON_EMPTY:
        raise ValueError(f"on_empty: {on_empty!r} is not one of {', '.join(ON_EMPTY)}.")
    if replace not in (True, False, "always") or not isinstance(replace, (bool, str)):
        raise ValueError(f"replace: {replace!r} is not True, False or 'always'.")
    if status_lookback is not None and (not isinstance(status_lookback, timedelta) or status_lookback < timedelta(0)):
        raise ValueError("status_lookback: must be None or a timedelta of 0 or more.")
    if verify_total and since is not None and status_lookback is not None:
        raise ValueError(
            "verify_total: with since, the export stops reading at status_lookback, so it cannot compare totals. "
            "Set status_lookback=None to read everything, or leave verify_total out."
        )
    if file_format == "parquet":
        from airflow_provider_ip1.formats.encode import check_pyarrow

        check_pyarrow()
    check_argument("page_size", page_size)
    check_argument("concurrency", concurrency)
    check_rules(redact)
    choose_compression(file_format, compression, key="")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """
    The arguments of an export, checked. The operator documents those that are not described here.

    :param source: where the messages are read from.
    :param target: the object.
    :param window: the time window.
    :param compression: the compression of the object.
    :param rules: the redaction: iP.1's name of a field -> action.
    """

    source: Source
    target: Target
    direction: Direction | None
    window: Window
    file_format: FileFormat
    compression: Compression | None
    rules: Mapping[str, str]
    on_empty: OnEmpty
    replace: Replace
    verify_total: bool
    encrypt: bool
    acl_policy: str | None
    page_size: int | None
    concurrency: int | None

    @classmethod
    def from_arguments(
        cls,
        *,
        source: Source,
        s3_key: str,
        s3_bucket: str | None,
        direction: str | None,
        file_format: FileFormat,
        compression: Compression | Literal["infer"] | None,
        since: str | datetime | None,
        until: str | datetime | None,
        status_lookback: timedelta | None,
        on_empty: OnEmpty,
        redact: Mapping[str, Action] | None,
        replace: Replace,
        verify_total: bool,
        encrypt: bool,
        acl_policy: str | None,
        page_size: int | None,
        concurrency: int | None,
    ) -> Plan:
        """
        Check the operator's arguments, with templates rendered and options that passed :func:`check_options`.

        :param source: where the messages are read from.
        :raises ValueError: an argument is invalid. The message names the argument.
        """
        target = Target.from_arguments(s3_bucket, s3_key)
        target.check_impersonal(source.participants)
        return cls(
            source=source,
            target=target,
            direction=check_direction(text_or_none(direction, "direction")),
            window=Window.from_arguments(since, until, status_lookback),
            file_format=file_format,
            compression=choose_compression(file_format, compression, target.key),
            rules=check_rules(redact),
            on_empty=on_empty,
            replace=replace,
            verify_total=verify_total,
            encrypt=encrypt,
            acl_policy=acl_policy,
            page_size=page_size,
            concurrency=concurrency,
        )
