# SPDX-License-Identifier: Apache-2.0
"""The lines that an export logs at its start and its end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from airflow_provider_ip1.api.wording import counted

if TYPE_CHECKING:
    from airflow_provider_ip1.transfers.selection import Window
    from airflow_provider_ip1.transfers.target import Target
    from airflow_provider_ip1.transfers.totals import Totals


def start_line(
    what: str,
    direction: str | None,
    window: Window,
    file_format: str,
    rules: Mapping[str, str],
    target: Target,
) -> str:
    """
    Describe an export that starts.

    :param what: what is exported, such as ``3 conversations``.
    :param direction: ``"mt"``, ``"mo"`` or ``None`` for both.
    :param window: the time window.
    :param file_format: ``"jsonl"``, ``"csv"`` or ``"parquet"``.
    :param rules: field -> action of the redaction.
    :param target: the object.
    """
    parts = [f"Exporting {what}"]
    if direction is not None:
        parts.append("sent messages only" if direction.lower() == "mt" else "received messages only")
    if window.since is not None:
        parts.append(f"modified from {window.since.isoformat()}")
    if window.until is not None:
        parts.append(f"modified before {window.until.isoformat()}")
    redacted = ", ".join(f"{field} ({action})" for field, action in rules.items())
    parts.append(f"redacting {redacted}" if redacted else "without redaction")
    return f"{', '.join(parts)}, as {file_format} to {target.uri}"


def final_line(totals: Totals, what: str, size: int, seconds: float, target: Target) -> str:
    """
    Describe an export that succeeded.

    :param totals: what was written.
    :param what: what was read, such as ``3 conversations``.
    :param size: size of the object in bytes.
    :param seconds: duration of the export.
    :param target: the object.
    """
    rate = totals.messages / max(seconds, 1e-3)
    return (
        f"Wrote {counted(totals.messages, 'message')} of {what}, "
        f"{counted(size, 'byte')}, in {seconds:.1f} s ({rate:,.0f} messages/s) to {target.uri}"
    )
