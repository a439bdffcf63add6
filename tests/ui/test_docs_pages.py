# SPDX-License-Identifier: Apache-2.0
"""The built documentation in a browser: pages fit their window, pictures follow the theme, and the search finds."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dev import PROJECT

pytestmark = pytest.mark.slow

# What the window cuts off: the page itself, content that is in no box with its own scroll bar, and tables on a phone.
TOO_WIDE = """() => {
    const width = document.documentElement.clientWidth;
    const scrolls = box => ["auto", "scroll"].includes(getComputedStyle(box).overflowX);
    const boxes = element => element === document.body ? [] : [element, ...boxes(element.parentElement)];
    const cut = [...document.querySelectorAll("article *")].filter(element => {
        const { width: own, right } = element.getBoundingClientRect();
        return own > 0 && right > width + 1 && !boxes(element.parentElement).some(scrolls);
    });
    const tables = [...document.querySelectorAll("div.table-wrapper")].filter(
        box => width < 500 && box.scrollWidth > box.clientWidth + 1);
    const page = document.documentElement.scrollWidth;
    return [
        ...(page > width ? [`the page: ${page} px`] : []),
        ...[...cut, ...tables].map(element => `${element.tagName}: ${element.textContent.trim().slice(0, 60)}`),
    ];
}"""


@pytest.fixture(scope="module")
def built(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built documentation."""
    folder = tmp_path_factory.mktemp("html")
    command = [sys.executable, "-m", "sphinx", "--builder", "html", "--quiet", "docs", str(folder)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """An empty page."""
    page = browser.new_page()
    yield page
    page.close()


def too_wide(page: Any, built: Path, width: int) -> dict[str, list[str]]:
    """Return what does not fit into a window of this width, for each page."""
    page.set_viewport_size({"width": width, "height": 900})
    found = {}
    for path in sorted(built.rglob("*.html")):
        page.goto(path.as_uri())
        if elements := page.evaluate(TOO_WIDE):
            found[str(path.relative_to(built))] = elements
    return found


@pytest.mark.parametrize("width", [1400, 1000, 400])
def test_no_page_is_wider_than_the_window(page: Any, built: Path, width: int) -> None:
    assert len(list(built.rglob("*.html"))) > 30
    assert too_wide(page, built, width) == {}


def test_a_page_that_is_too_wide_is_found(page: Any, tmp_path: Path) -> None:
    wide = "<div style='width: 500px'>wide</div>"
    (tmp_path / "wide.html").write_text(f"<article>{wide}</article>")
    (tmp_path / "cut.html").write_text(f"<div style='overflow: hidden'><article>{wide}</article></div>")
    (tmp_path / "scrolls.html").write_text(f"<article><div style='overflow: auto'>{wide}</div></article>")
    table = f"<div class='table-wrapper' style='overflow: auto'>{wide}</div>"
    (tmp_path / "table.html").write_text(f"<article>{table}</article>")
    assert set(too_wide(page, tmp_path, 400)) == {"wide.html", "cut.html", "table.html"}
    assert too_wide(page, tmp_path, 520) == {}


def test_a_table_becomes_a_list_only_on_a_phone(page: Any, built: Path) -> None:
    page.goto((built / "connection.html").as_uri())
    heads = page.locator("thead").nth(1)
    for width, is_table in ((1400, True), (400, False), (1400, True)):
        page.set_viewport_size({"width": width, "height": 900})
        heads.wait_for(state="visible" if is_table else "hidden")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["connection", "performance", "which-export"])
def test_pictures_follow_the_theme(page: Any, built: Path, name: str, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    page.goto((built / f"{name}.html").as_uri())
    visible = [image.get_attribute("src") for image in page.locator("article img").all() if image.is_visible()]
    assert visible
    assert all(Path(source).stem.endswith("-dark") == (scheme == "dark") for source in visible)


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("401", "errors.html#"),
        ("404", "errors.html#"),
        ("429", "errors.html#ip1ratelimiterror"),
        ("202", "status-codes.html"),
        ("511", "status-codes.html"),
        ("IP1PagingError", "errors.html#ip1pagingerror"),
        ("upgrade", "upgrade.html"),
    ],
)
def test_the_search_finds(page: Any, built: Path, query: str, first: str) -> None:
    page.goto((built / "index.html").as_uri())
    page.locator("input.sidebar-search").fill(query)
    page.locator("input.sidebar-search").press("Enter")
    page.get_by_text(re.compile("Search finished, found")).wait_for()
    found = [link.get_attribute("href") for link in page.locator("ul.search a").all()]
    assert any(first in address for address in found[:2]), found
    sections = [link.text_content() for link in page.locator("ul.search a[href^='errors.html#ip1']").all()]
    assert all(section.startswith("Errors > IP1") for section in sections)


def test_code_has_copy_buttons_and_one_tab_for_each_airflow(page: Any, built: Path) -> None:
    page.goto((built / "start.html").as_uri())
    assert page.locator("button.copybtn").count() == page.locator("div.highlight pre").count() > 0
    page.get_by_text("Airflow 2.11", exact=True).first.click()
    assert page.get_by_text("from airflow import DAG").first.is_visible()
    page.get_by_text("Airflow 3", exact=True).first.click()
    assert not page.get_by_text("from airflow import DAG").first.is_visible()
