# SPDX-License-Identifier: Apache-2.0
"""Markdown that the generated parts of the documentation consist of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Format a Markdown table. Cells must not contain line breaks."""
    cells = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in cells)


def code(value: object) -> str:
    return f"`{value}`"
