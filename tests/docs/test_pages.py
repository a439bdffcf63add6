# SPDX-License-Identifier: Apache-2.0
"""Every page is listed, every link has a target, and every public name is documented."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from airflow_provider_ip1 import exceptions
from airflow_provider_ip1.api.settings import CHECKS
from airflow_provider_ip1.sensors.message_status import IP1DeliveryError
from airflow_provider_ip1.transfers.conversation_to_s3 import ConversationToS3Operator
from airflow_provider_ip1.transfers.messages_to_s3 import MessagesToS3Operator
from dev import PROJECT
from dev.docs import embed

DOCS = PROJECT / "docs"
OUTSIDE_OF_DOCS = [
    PROJECT / "README.md",
    PROJECT / "CHANGELOG.md",
    PROJECT / "airflow_provider_ip1" / "sandbox" / "README.md",
]


def test_every_page_is_in_a_table_of_contents() -> None:
    listed: list[str] = []
    pages = [page for page in DOCS.rglob("*.*") if page.suffix in (".md", ".rst") and "_build" not in page.parts]
    for page in pages:
        text = page.read_text()
        for toctree in re.findall(r"```\{toctree\}\n(.*?)```", text, re.S):
            listed += _entries(page, toctree)
        for toctree in re.findall(r"^\.\. toctree::\n((?:(?: {3}.*)?\n)+)", text, re.M):
            listed += _entries(page, toctree)
    assert sorted([*listed, "index"]) == sorted(str(page.relative_to(DOCS).with_suffix("")) for page in pages)


def _entries(page: Path, toctree: str) -> list[str]:
    lines = [line.strip() for line in toctree.splitlines()]
    return [str((page.parent / line).relative_to(DOCS)) for line in lines if line and not line.startswith(":")]


def test_links_have_a_text() -> None:
    """GitHub shows nothing for a link such as [](export.md)."""
    assert [page.name for page in embed.PAGES if re.search(r"(?<!\w)\[\]\(", page.read_text())] == []


def test_pages_are_markdown_that_github_renders() -> None:
    """Directives and roles belong in a comment that only the Sphinx build reads: see dev.docs.plain_markdown."""
    for page in embed.PAGES:
        # A comment ends at the first -->, wherever that is.
        visible = re.sub(r"<!--.*?-->", "", page.read_text(), flags=re.S)
        assert re.findall(r"-->|^`{3,}\{.*|^:{3,}.*|(?<!\S)\{[\w:]+\}`|^\(\S+\)=$", visible, re.M) == [], page


@pytest.mark.parametrize("page", embed.PAGES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_embedded_blocks_are_up_to_date(page: Path) -> None:
    text = page.read_text()
    assert embed.with_current_blocks(text) == text, "run `make docs`"


def test_every_embed_marker_is_closed_and_filled() -> None:
    for page in embed.PAGES:
        text = page.read_text()
        assert text.count("<!-- embed: ") == text.count("<!-- /embed -->") == len(embed.MARKED.findall(text)), page


@pytest.mark.parametrize("page", OUTSIDE_OF_DOCS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_links_lead_to_files(page: Path) -> None:
    """Sphinx checks the links of the pages in docs."""
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text())
    missing = [
        link
        for link in links
        if "://" not in link and not link.startswith("#") and not (page.parent / link.split("#")[0]).exists()
    ]
    assert missing == []


def test_every_error_has_its_section() -> None:
    errors = [error for _, error in inspect.getmembers(exceptions, inspect.isclass) if error.__name__.startswith("IP1")]
    sections = re.findall(r"^## (\w+)$", (DOCS / "errors.md").read_text(), re.M)
    assert {error.__name__ for error in [*errors, IP1DeliveryError]} - {"IP1Error"} == set(sections)


def test_the_connection_page_lists_every_extra() -> None:
    from airflow_provider_ip1.get_provider_info import get_provider_info

    (declared,) = get_provider_info()["connection-types"]
    assert declared["conn-fields"].keys() == CHECKS.keys()
    assert "<!-- embed: connection-extras -->" in (DOCS / "connection.md").read_text()


@pytest.mark.parametrize("operator", [ConversationToS3Operator, MessagesToS3Operator])
def test_every_argument_of_the_operator_is_documented(operator: type) -> None:
    arguments = set(inspect.signature(operator.__init__).parameters) - {"self", "base_operator"}  # type: ignore[misc]
    documented = set(re.findall(r":param (\w+):", inspect.getdoc(operator) or ""))
    assert documented == arguments


def test_references_in_docstrings_have_a_target() -> None:
    """Sphinx checks only the docstrings of classes in the reference."""
    package = PROJECT / "airflow_provider_ip1"
    wanted = {name for path in package.rglob("*.py") for name in re.findall(r":ref:`(howto/[^`]+)`", path.read_text())}
    targets = {name for path in DOCS.glob("*.md") for name in re.findall(r"^\((howto/\S+)\)=$", path.read_text(), re.M)}
    assert wanted <= targets
