# SPDX-License-Identifier: Apache-2.0
"""What our Sphinx extensions add to a site: an index of numbers, descriptions, Markdown beside the HTML, llms.txt."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dev import PROJECT

pytest.importorskip("sphinx", reason="Sphinx is not installed everywhere")
pytest.importorskip("myst_parser")

CONFIGURATION = """
extensions = ["myst_parser", "dev.docs.plain_markdown", "dev.docs.plain_pages", "dev.docs.search"]
html_baseurl = "https://docs.example.com/"
"""
LONG = "This sentence is long enough to be cut, because it says the same thing over and over again. "
PAGES = {
    "index.md": """# The site

It has one sentence. <!-- sphinx
```{toctree}
:caption: Guides

errors
guides/export
```
-->
""".replace(". <!--", ".\n\n<!--"),
    "errors.md": """# Errors

Each error says what to do & why:

- 429 means: wait.
- 500 means: wait longer.

## TooFast

iP.1 returned 408, 429. Wait 0.430 s, or 1,431 s.

## NoEntry

The key was refused, 401 or 403.
""",
    "guides/export.md": f"""# Export

{LONG * 3}

<!-- github -->
Only GitHub.
<!-- /github -->

See [errors](../errors.md#toofast).

![A phone](../images/phone.svg)
""",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small site, built with our extensions."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "docs" / "guides").mkdir(parents=True)
    (folder / "docs" / "images").mkdir()
    (folder / "docs" / "images" / "phone.svg").write_text("<svg/>")
    (folder / "docs" / "conf.py").write_text(CONFIGURATION)
    for name, text in PAGES.items():
        (folder / "docs" / name).write_text(text)
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "--builder",
        "html",
        "--quiet",
        str(folder / "docs"),
        str(folder / "html"),
    ]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "html"


@pytest.fixture(scope="module")
def index(site: Path) -> dict[str, dict[str, object]]:
    """The index of the search."""
    text = (site / "searchindex.js").read_text()
    return json.loads(text.removeprefix("Search.setIndex(").removesuffix(")"))  # type: ignore[no-any-return]


def test_numbers_are_words_of_the_index(index: dict[str, dict[str, object]]) -> None:
    assert {"429", "401", "403"} <= index["terms"].keys()


def test_a_code_leads_to_the_section_that_mentions_it(index: dict[str, dict[str, object]]) -> None:
    errors = index["docnames"].index("errors")  # type: ignore[attr-defined]
    assert index["indexentries"] == {
        "500": [[errors, "errors", True]],
        "408": [[errors, "toofast", True]],
        "429": [[errors, "toofast", True]],
        "401": [[errors, "noentry", True]],
        "403": [[errors, "noentry", True]],
    }


def test_each_page_has_a_description_and_leads_to_its_markdown(site: Path) -> None:
    heads = {name: (site / f"{name}.html").read_text() for name in ("index", "errors", "guides/export")}
    found = {name: re.findall(r'<meta name="description" content="(.*)" />', head) for name, head in heads.items()}
    assert found["errors"] == ["Each error says what to do &amp; why."]
    assert found["index"] == ["It has one sentence."]
    assert found["guides/export"] == [LONG.strip()]
    assert '<link rel="alternate" type="text/markdown" href="export.md" />' in heads["guides/export"]
    assert 'name="description"' not in (site / "search.html").read_text()


def test_markdown_lies_beside_the_html(site: Path) -> None:
    assert (site / "index.md").read_text() == "# The site\n\nIt has one sentence.\n"
    export = (site / "guides" / "export.md").read_text()
    assert "Only GitHub" not in export
    assert "[errors](../errors.md#toofast)" in export
    assert "![A phone](../_images/phone.svg)" in export and (site / "_images" / "phone.svg").is_file()


def test_llms_txt_lists_the_pages(site: Path) -> None:
    assert (site / "llms.txt").read_text() == (
        "# The site\n\n> It has one sentence.\n\n## Guides\n\n"
        "- [Errors](https://docs.example.com/errors.md): Each error says what to do & why.\n"
        f"- [Export](https://docs.example.com/guides/export.md): {LONG.strip()}\n"
    )
