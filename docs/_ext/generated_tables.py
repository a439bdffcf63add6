# SPDX-License-Identifier: Apache-2.0
"""Directives for what the code knows better than a page could: the pages cannot fall behind it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from airflow_provider_ip1.api.messages import DOCUMENTED_FIELDS
from airflow_provider_ip1.api.paging import Page
from airflow_provider_ip1.api.status import KNOWN_CODES, is_terminal, status_category, status_name
from airflow_provider_ip1.formats.table import COLUMN_NAMES, COLUMNS, rows
from airflow_provider_ip1.get_provider_info import get_provider_info

DOCS = Path(__file__).resolve().parent.parent
EXAMPLE = DOCS / "example-message.json"


def markdown_table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A Markdown table; cells must hold no line breaks."""
    cells = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in cells)


def code(text: object) -> str:
    return f"`{text}`"


class Generated(SphinxDirective):
    """A directive without arguments that stands for Markdown."""

    def run(self) -> list[nodes.Node]:
        return self.parse_text_to_nodes(self.markdown())

    def markdown(self) -> str:
        raise NotImplementedError


class Columns(Generated):
    """The columns of csv and parquet files, with the example message as they show it."""

    def markdown(self) -> str:
        message = json.loads(EXAMPLE.read_text())
        page = Page(message["recipient"], None, 0, 0, (message["id"],), (json.dumps(message).encode(),), None)
        shown = dict(zip(COLUMN_NAMES, next(rows(page)), strict=True))
        return markdown_table(
            ["Column", "Type", "From iP.1's field", "Example", "Meaning"],
            [
                [
                    code(column.name),
                    code(column.type),
                    code(column.source) if column.source in ("statuses[].code", *DOCUMENTED_FIELDS) else column.source,
                    self.example(shown[column.name]),
                    column.description,
                ]
                for column in COLUMNS
            ],
        )

    @staticmethod
    def example(value: Any) -> str:
        if value is None:
            return "null"
        if isinstance(value, tuple):
            value = [
                {"code": status.code, "duration": status.duration, "created": f"{status.created:%Y-%m-%dT%H:%M:%SZ}"}
                for status in value
            ]
            return code(json.dumps(value))
        return code(f"{value:%Y-%m-%dT%H:%M:%S.%fZ}" if hasattr(value, "isoformat") else value)


class StatusCodes(Generated):
    """Every status code that iP.1 documents."""

    def markdown(self) -> str:
        return markdown_table(
            ["Code", "iP.1's name", "Category", "An end?"],
            [
                [
                    code(number),
                    status_name(number) or "not documented for SMS",
                    code(status_category(number)),
                    "yes" if is_terminal(status_category(number)) else "no",
                ]
                for number in sorted(KNOWN_CODES)
            ],
        )


class ConnectionExtras(Generated):
    """The extras of the connection, as the form in Airflow declares them."""

    # In JSON they may be more than the form can show.
    types = {"timeout": "number or [connect, read]", "verify": "boolean or path", "proxies": "object"}

    def markdown(self) -> str:
        (connection_type,) = get_provider_info()["connection-types"]
        return markdown_table(
            ["Extra", "In the form", "Type", "Range", "Default", "Meaning"],
            [
                [
                    code(name),
                    declared["label"],
                    self.types.get(name, declared["schema"]["type"][0]),
                    self.range_of(declared["schema"]),
                    code(json.dumps(default).strip('"'))
                    if (default := declared["schema"].get("default")) is not None
                    else "not set",
                    declared["description"].split(" Default:")[0],
                ]
                for name, declared in connection_type["conn-fields"].items()
            ],
        )

    @staticmethod
    def range_of(schema: dict[str, Any]) -> str:
        if "maximum" in schema:
            return f"{schema['minimum']} to {schema['maximum']}"
        return f"from {schema['minimum']}" if "minimum" in schema else ""


class SandboxHelp(SphinxDirective):
    """What ``python -m airflow_provider_ip1.sandbox --help`` prints."""

    def run(self) -> list[nodes.Node]:
        printed = subprocess.run(  # noqa: S603
            [sys.executable, "-m", "airflow_provider_ip1.sandbox", "--help"],
            env={**os.environ, "COLUMNS": "100"},
            capture_output=True,
            text=True,
            check=True,
        )
        return [nodes.literal_block(printed.stdout, printed.stdout, language="text")]


class BenchmarkResults(Generated):
    """The newest results of ``make bench``."""

    def markdown(self) -> str:
        results = DOCS.parent / "benchmarks" / "results.md"
        self.env.note_dependency(str(results))
        if not results.exists():
            return "There are no results in this copy of the project yet. `make bench` measures them."
        return f"```{{include}} {os.path.relpath(results, DOCS)}\n:relative-images:\n:heading-offset: 1\n```"


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("ip1-columns", Columns)
    app.add_directive("ip1-status-codes", StatusCodes)
    app.add_directive("ip1-connection-extras", ConnectionExtras)
    app.add_directive("ip1-sandbox-help", SandboxHelp)
    app.add_directive("ip1-benchmark-results", BenchmarkResults)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
