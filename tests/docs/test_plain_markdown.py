# SPDX-License-Identifier: Apache-2.0
"""One page for GitHub and for Sphinx."""

from __future__ import annotations

from pathlib import Path

from dev.docs.plain_markdown import for_airflow_2, for_airflow_3, for_sphinx

CODE = """\
import pendulum
from airflow.sdk import DAG  # on Airflow 2.11: from airflow import DAG
with DAG("x"):  # a comment
    pass
"""
COMMANDS = """\
$ airflow backfill create --dag-id x
# on Airflow 2.11: airflow dags backfill x
$ airflow dags list
"""


def test_each_version_gets_its_own_line() -> None:
    assert "from airflow.sdk import DAG\n" in for_airflow_3(CODE)
    assert "from airflow import DAG\n" in for_airflow_2(CODE)
    for code in (for_airflow_3(CODE), for_airflow_2(CODE)):
        assert code.count("import DAG") == 1
        assert 'with DAG("x"):  # a comment' in code


def test_a_command_may_have_its_remark_on_the_next_line() -> None:
    assert for_airflow_3(COMMANDS) == "$ airflow backfill create --dag-id x\n$ airflow dags list\n"
    assert for_airflow_2(COMMANDS) == "$ airflow dags backfill x\n$ airflow dags list\n"


def test_code_that_differs_becomes_two_tabs() -> None:
    tabs = for_sphinx(f"Before\n\n```python\n{CODE}```\n\nAfter\n", Path())
    assert [line for line in tabs.splitlines() if "{tab}" in line] == ["````{tab} Airflow 3", "````{tab} Airflow 2.11"]
    assert tabs.startswith("Before\n") and tabs.endswith("After\n")


def test_code_that_does_not_differ_stays() -> None:
    page = "```python\nprint(1)  # one\n```\n"
    assert for_sphinx(page, Path()) == page


def test_comments_say_who_reads_what() -> None:
    page = "# Title\n\n<!-- github -->\nGitHub\n<!-- /github -->\n\n<!-- sphinx\n```{toctree}\na\n```\n-->\n\nBoth\n"
    assert for_sphinx(page, Path()) == "# Title\n\n\n\n```{toctree}\na\n```\n\n\nBoth\n"


def test_an_image_with_a_dark_version_changes_with_the_theme(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for name in ("form.png", "form-dark.png", "chart.png"):
        (tmp_path / "images" / name).touch()
    page = "Before\n\n![The form](images/form.png)\n\n![A chart](images/chart.png)\n"
    read = for_sphinx(page, tmp_path)
    assert read.count("{image}") == read.count(":alt: The form\n") == 2
    assert "```{image} images/form.png\n:alt: The form\n:class: only-light\n```\n" in read
    assert "```{image} images/form-dark.png\n:alt: The form\n:class: only-dark\n```\n" in read
    assert read.endswith("![A chart](images/chart.png)\n")


def test_an_included_section_is_read_like_the_page(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    readme = f"# Title\n## First\n[Export](docs/export.md)\n```python\n{CODE}```\n## Second\nNo\n"
    (tmp_path / "README.md").write_text(readme)
    include = (
        '```{include} ../README.md\n:start-after: "## First"\n:end-before: "## Second"\n:relative-docs: docs\n```\n'
    )
    read = for_sphinx(f"<!-- sphinx\n{include}-->\n", tmp_path / "docs")
    assert "[Export](export.md)" in read
    assert read.count("{tab}") == 2
    assert "Title" not in read and "Second" not in read and "No" not in read
