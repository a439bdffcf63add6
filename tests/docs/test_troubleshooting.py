# SPDX-License-Identifier: Apache-2.0
"""docs/troubleshooting.md: its titles are texts that the code still has."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev import PROJECT

PAGE = (PROJECT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
TITLES = re.findall(r"^### `(.+)`$", PAGE, re.M)
UPGRADE = (PROJECT / "docs" / "upgrade.md").read_text(encoding="utf-8")


def texts_of(path: Path) -> Iterator[str]:
    """The texts in a file. Literals that follow one another are one text, and an f-string ends at each value."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


TEXTS = [
    text
    for path in sorted((PROJECT / "airflow_provider_ip1").rglob("*.py"))
    if not {"sandbox", "testing"} & set(path.parts)
    for text in texts_of(path)
]


@pytest.mark.parametrize("title", TITLES)
def test_the_code_has_the_text_of_each_title(title: str) -> None:
    assert any(title in text for text in TEXTS)


def test_the_page_has_titles_and_no_text_twice() -> None:
    assert len(TITLES) > 25
    assert len(set(TITLES)) == len(TITLES)


def test_a_text_that_the_code_lacks_is_noticed() -> None:
    assert not any("iP.1 does not exist" in text for text in TEXTS)


def test_the_upgrade_page_quotes_the_checkpoint() -> None:
    (quoted,) = re.findall(r"`(was written [^`]+)`", UPGRADE)
    assert any(quoted in text for text in TEXTS)
