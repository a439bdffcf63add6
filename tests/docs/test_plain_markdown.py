# SPDX-License-Identifier: Apache-2.0
"""One page for GitHub and for Sphinx."""

from __future__ import annotations

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
    tabs = for_sphinx(f"Before\n\n```python\n{CODE}```\n\nAfter\n")
    assert [line for line in tabs.splitlines() if "{tab}" in line] == ["````{tab} Airflow 3", "````{tab} Airflow 2.11"]
    assert tabs.startswith("Before\n") and tabs.endswith("After\n")


def test_code_that_does_not_differ_stays() -> None:
    page = "```python\nprint(1)  # one\n```\n"
    assert for_sphinx(page) == page


def test_comments_say_who_reads_what() -> None:
    page = "# Title\n\n<!-- github -->\nGitHub\n<!-- /github -->\n\n<!-- sphinx\n```{toctree}\na\n```\n-->\n\nBoth\n"
    assert for_sphinx(page) == "# Title\n\n\n\n```{toctree}\na\n```\n\n\nBoth\n"
