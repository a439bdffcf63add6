# SPDX-License-Identifier: Apache-2.0
"""The lines that an export logs at its start and its end."""

from __future__ import annotations

from collections.abc import Mapping

from airflow_provider_ip1.transfers.selection import Window
from airflow_provider_ip1.transfers.target import Target
from airflow_provider_ip1.transfers.totals import Totals


def counted(number: int, noun: str) -> str:
    """
    Return a number with its noun, such as ``1 message`` or ``5,000 messages``.

    :param number: the number.
    :param noun: the noun in the singular; its plural ends in ``s``.
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def start_line(
    conversations: int,
    direction: str | None,
    window: Window,
    file_format: str,
    rules: Mapping[str, str],
    target: Target,
) -> str:
    """
    Describe an export that starts.

    :param conversations: number of conversations.
    :param direction: ``"mt"``, ``"mo"`` or ``None`` for both.
    :param window: the time window.
    :param file_format: ``"jsonl"``, ``"csv"`` or ``"parquet"``.
    :param rules: field -> action of the redaction.
    :param target: the object.
    """
    parts = [f"Exporting {counted(conversations, 'conversation')}"]
    if direction is not None:
        parts.append("sent messages only" if direction.lower() == "mt" else "received messages only")
    if window.since is not None:
        parts.append(f"modified from {window.since.isoformat()}")
    if window.until is not None:
        parts.append(f"modified before {window.until.isoformat()}")
    redacted = ", ".join(f"{field} ({action})" for field, action in rules.items())
    parts.append(f"redacting {redacted}" if redacted else "without redaction")
    return f"{', '.join(parts)}, as {file_format} to {target.uri}"


def final_line(totals: Totals, conversations: int, size: int, seconds: float, target: Target) -> str:
    """
    Describe an export that succeeded.

    :param totals: what was written.
    :param conversations: number of conversations.
    :param size: size of the object in bytes.
    :param seconds: duration of the export.
    :param target: the object.
    """
    rate = totals.messages / max(seconds, 1e-3)
    return (
        f"Wrote {counted(totals.messages, 'message')} of {counted(conversations, 'conversation')}, "
        f"{counted(size, 'byte')}, in {seconds:.1f} s ({rate:,.0f} messages/s) to {target.uri}"
    )
