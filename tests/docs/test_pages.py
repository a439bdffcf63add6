# SPDX-License-Identifier: Apache-2.0
"""The documentation is whole: every page can be found, every link leads somewhere, every name is told."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from airflow_provider_ip1 import exceptions
from airflow_provider_ip1.api.settings import CHECKS
from airflow_provider_ip1.sensors.message_status import IP1DeliveryError
from airflow_provider_ip1.transfers.conversation_to_s3 import ConversationToS3Operator
from dev import PROJECT

DOCS = PROJECT / "docs"
OUTSIDE_OF_DOCS = [
    PROJECT / "README.md",
    PROJECT / "CHANGELOG.md",
    PROJECT / "airflow_provider_ip1" / "sandbox" / "README.md",
]


def test_every_page_is_in_the_table_of_contents() -> None:
    toctrees = re.findall(r"```\{toctree\}\n(.*?)```", (DOCS / "index.md").read_text(), re.S)
    listed = [
        line for toctree in toctrees for line in toctree.splitlines() if line.strip() and not line.startswith(":")
    ]
    pages = {path.stem for path in DOCS.iterdir() if path.suffix in (".md", ".rst")} - {"index"}
    assert sorted(listed) == sorted(pages)


@pytest.mark.parametrize("page", OUTSIDE_OF_DOCS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_links_lead_to_files(page: Path) -> None:
    """Within docs/, Sphinx checks them."""
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
    assert {error.__name__ for error in [*errors, IP1DeliveryError]} - {"IP1Error"} == set(sections) - {"Others"}


def test_the_connection_page_tells_of_every_extra() -> None:
    from airflow_provider_ip1.get_provider_info import get_provider_info

    (declared,) = get_provider_info()["connection-types"]
    assert declared["conn-fields"].keys() == CHECKS.keys() | {"allow_http"}
    assert "{ip1-connection-extras}" in (DOCS / "connection.md").read_text()


def test_every_argument_of_the_operator_is_documented() -> None:
    arguments = set(inspect.signature(ConversationToS3Operator.__init__).parameters) - {"self", "base_operator"}
    documented = set(re.findall(r":param (\w+):", inspect.getdoc(ConversationToS3Operator) or ""))
    assert documented == arguments


def test_references_in_docstrings_have_a_target() -> None:
    """Such as :ref:`howto/operator:ConversationToS3Operator`. Sphinx sees only those of classes that it shows."""
    package = PROJECT / "airflow_provider_ip1"
    wanted = {name for path in package.rglob("*.py") for name in re.findall(r":ref:`(howto/[^`]+)`", path.read_text())}
    targets = {name for path in DOCS.glob("*.md") for name in re.findall(r"^\((howto/\S+)\)=$", path.read_text(), re.M)}
    assert wanted <= targets
