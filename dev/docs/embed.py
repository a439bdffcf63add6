# SPDX-License-Identifier: Apache-2.0
"""
Write what the code defines into the pages that show it: tables, examples and the output of ``--help``.

A page marks the place with ``<!-- embed: NAME ARGUMENTS -->`` and ``<!-- /embed -->``. The text between the two markers
belongs to this program, so the pages need no directives and read the same on GitHub and PyPI. ``make docs`` runs
``python -m dev.docs.embed``; a test fails if the text in a page is out of date.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from typing import Any

from dev import EXAMPLE_DAGS, PROJECT
from dev.docs import diagrams, performance
from dev.docs.reference import reference
from dev.docs.tables import code, table

DOCS = PROJECT / "docs"
PAGES = [
    PROJECT / "README.md",
    PROJECT / "CONTRIBUTING.md",
    PROJECT / "airflow_provider_ip1" / "sandbox" / "README.md",
    *sorted(page for page in DOCS.rglob("*.md") if "_build" not in page.parts),
]
MARKED = re.compile(r"(?P<start>^<!-- embed: (?P<call>.+?) -->\n)(?P<text>.*?)(?P<end>^<!-- /embed -->$)", re.M | re.S)


def fenced(text: str, language: str) -> str:
    return f"```{language}\n{text.strip()}\n```"


def columns() -> str:
    """The columns of csv and parquet files, with the values of the example message."""
    from airflow_provider_ip1.api.messages import DOCUMENTED_FIELDS
    from airflow_provider_ip1.api.paging.page import Page
    from airflow_provider_ip1.formats.columns import columns_of
    from airflow_provider_ip1.formats.table import COLUMN_NAMES, COLUMNS

    message = json.loads((DOCS / "example-message.json").read_text())
    page = Page(message["recipient"], None, 0, 0, (message["id"],), (json.dumps(message).encode(),), None)
    values = {name: value for name, (value,) in zip(COLUMN_NAMES, columns_of(page).values, strict=True)}
    values["statuses"] = json.dumps(message["statuses"])
    return table(
        ["Column", "Type", "iP.1 field", "Example", "Meaning"],
        [
            [
                code(column.name),
                code(column.type),
                code(column.source) if column.source in ("statuses[].code", *DOCUMENTED_FIELDS) else column.source,
                "null" if values[column.name] is None else code(values[column.name]),
                column.description,
            ]
            for column in COLUMNS
        ],
    )


def status_codes() -> str:
    """Every status code that iP.1 documents."""
    from airflow_provider_ip1.api.status import KNOWN_CODES, is_terminal, status_category, status_name

    return table(
        ["Code", "iP.1's name", "Category", "Final?"],
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


def connection_extras() -> str:
    """The extras of the connection, as the connection form declares them."""
    from airflow_provider_ip1.get_provider_info import get_provider_info

    # JSON allows more types than the form can show.
    types = {"timeout": "number or [connect, read]", "verify": "boolean or path", "proxies": "object"}

    def range_of(schema: dict[str, Any]) -> str:
        if "maximum" in schema:
            return f"{schema['minimum']} to {schema['maximum']}"
        return f"from {schema['minimum']}" if "minimum" in schema else ""

    def default_of(description: str) -> str:
        default = description.partition(" Default: ")[2].removesuffix(".")
        return code(default) if re.fullmatch(r"[\d\[].*", default) else default or "not set"

    (connection_type,) = get_provider_info()["connection-types"]
    return table(
        ["Extra", "Label in the form", "Type", "Range", "Default", "Meaning"],
        [
            [
                code(name),
                declared["label"],
                types.get(name, declared["schema"]["type"][0]),
                range_of(declared["schema"]),
                default_of(declared["description"]),
                declared["description"].split(" Default:")[0],
            ]
            for name, declared in connection_type["conn-fields"].items()
        ],
    )


def sandbox_help() -> str:
    """The output of ``python -m airflow_provider_ip1.sandbox --help``."""
    printed = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "airflow_provider_ip1.sandbox", "--help"],
        env={**os.environ, "COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=True,
    )
    return fenced(printed.stdout, "text")


def example(module: str, section: str) -> str:
    """
    A section of an example DAG.

    :param module: file name in ``example_dags``, without ``.py``.
    :param section: the name between ``[START`` or ``[END`` and ``]`` in that file.
    """
    source = (EXAMPLE_DAGS / f"{module}.py").read_text(encoding="utf-8")
    found = re.search(rf"# \[START {section}\]\n(.*?)^ *# \[END {section}\]", source, re.M | re.S)
    if not found:
        raise ValueError(f"example_dags/{module}.py has no section {section}")
    return fenced(textwrap.dedent(found[1]), "python")


def performance_gains() -> str:
    """What users gain, in the words of :mod:`dev.docs.performance`."""
    return performance.gains()


def performance_targets() -> str:
    """The performance targets, compared with ``benchmarks/results.json``."""
    from benchmarks.results import Results
    from benchmarks.targets import rows

    return table(["What", "Target", "Measured", "Reached"], rows(Results.load(PROJECT / "benchmarks" / "results.json")))


def open_questions() -> str:
    """What iP.1 does not document, from ``dev.live.questions``."""
    from dev.live.questions import COSTS, QUESTIONS

    groups = ((cost, [each for each in QUESTIONS if each.cost == cost]) for cost in COSTS)
    return "\n\n".join(
        f"### {cost}\n\n{table(['Question', 'What the provider does'], [[each.text, each.provider] for each in group])}"
        for cost, group in groups
    )


def example_message() -> str:
    return fenced((DOCS / "example-message.json").read_text(encoding="utf-8"), "json")


EMBEDDED: dict[str, Callable[..., str]] = {
    "columns": columns,
    "status-codes": status_codes,
    "connection-extras": connection_extras,
    "sandbox-help": sandbox_help,
    "example": example,
    "example-message": example_message,
    "reference": reference,
    "open-questions": open_questions,
    "performance-gains": performance_gains,
    "performance-targets": performance_targets,
}


def with_current_blocks(page: str) -> str:
    """
    Return the page's text with every marked block brought up to date.

    :param page: the Markdown text of a page.
    :raises KeyError: a marker names a block that does not exist.
    """

    def replace(found: re.Match[str]) -> str:
        name, *arguments = found["call"].split()
        return f"{found['start']}\n{EMBEDDED[name](*arguments)}\n\n{found['end']}"

    return MARKED.sub(replace, page)


def main() -> None:
    diagrams.write()
    for page in PAGES:
        before = page.read_text(encoding="utf-8")
        after = with_current_blocks(before)
        if after != before:
            page.write_text(after, encoding="utf-8")
            print(f"updated {page.relative_to(PROJECT)}")


if __name__ == "__main__":
    main()
