# SPDX-License-Identifier: Apache-2.0
"""
Run the code in the documentation.

For each page, the ``python`` and ``pycon`` blocks run from top to bottom in one namespace, against the sandbox and a
real S3 server. The tests compare the output in ``pycon`` blocks.
"""

from __future__ import annotations

import doctest
import json
import os
import re
import textwrap
from collections.abc import Callable, Iterator
from configparser import ConfigParser
from dataclasses import dataclass
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from airflow.timetables.base import DataInterval, TimeRestriction

from airflow_provider_ip1.hooks.ip1 import IP1Hook
from airflow_provider_ip1.sandbox.server import SandboxServer
from dev import PROJECT, stack
from dev.docs.embed import MARKED, PAGES
from dev.docs.plain_markdown import for_airflow_2, for_airflow_3
from tests.docs.test_loading import HAS_MERGE

BUCKET = "my-lake"
# Imports that older versions of Airflow lack, and the first version that has them.
NEWER = {"from airflow.sdk import": (3, 0), "CronPartitionTimetable": (3, 2), "ExceptionRetryPolicy": (3, 3)}
AIRFLOW = tuple(map(int, version("apache-airflow").split(".")[:2]))

_FENCE = re.compile(
    r"^(?P<indent> *)(?P<ticks>`{3,})(?P<language>[^\n`]*)\n(?P<code>.*?)^(?P=indent)(?P=ticks) *$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    code: str


def blocks_of(page: Path) -> list[Block]:
    # The tests of the example DAGs run the embedded sections, which are incomplete by themselves.
    text = MARKED.sub(lambda found: "\n" * found[0].count("\n"), page.read_text(encoding="utf-8"))
    # The test of the page itself runs these.
    text = re.sub(r"(?ms)^<!-- test: \S+ -->\n\n```.*?^```$", lambda found: "\n" * found[0].count("\n"), text)
    return [
        Block(page, text.count("\n", 0, found.start("code")) + 1, found["language"], found["code"])
        for found in _FENCE.finditer(text)
    ]


BLOCKS = [block for page in PAGES for block in blocks_of(page)]


def where(value: Any) -> str:
    path, line = (value.page, f":{value.line}") if isinstance(value, Block) else (value, "")
    return f"{path.relative_to(PROJECT)}{line}" if isinstance(path, Path) else ""


@pytest.fixture
def lake(s3_server: stack.S3Server, aws_connection: str) -> Iterator[None]:
    """The bucket that the pages write to."""
    client = s3_server.client()
    client.create_bucket(Bucket=BUCKET)
    yield
    client.delete_bucket(Bucket=BUCKET)


@pytest.fixture
def environment() -> Iterator[None]:
    """Restore the environment variables that the pages set."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.mark.usefixtures("environment", "lake")
@pytest.mark.parametrize(
    "page",
    [
        page
        for page in PAGES
        if page.stem not in ("tutorial", "testing") and any(b.language in ("python", "pycon") for b in blocks_of(page))
    ],
    ids=where,
)
def test_python_runs(page: Path) -> None:
    for_this_airflow = for_airflow_2 if AIRFLOW < (3, 0) else for_airflow_3
    namespace: dict[str, Any] = {"__name__": "__main__"}
    with SandboxServer() as sandbox:
        os.environ["AIRFLOW_CONN_IP1_DEFAULT"] = stack.ip1_connection(sandbox.url)
        for block in blocks_of(page):
            if block.language == "python":
                code = "\n" * (block.line - 1) + for_this_airflow(block.code)
                for needed, since in NEWER.items():
                    if AIRFLOW < since and needed in code:
                        pytest.skip(f"needs Airflow {since[0]}.{since[1]}")
                exec(compile(code, str(page), "exec"), namespace)  # noqa: S102
            elif block.language == "pycon":
                if "MERGE INTO" in block.code and not HAS_MERGE:
                    pytest.skip("needs DuckDB 1.4")
                run_doctest(block, namespace)


class WithoutLog(doctest.OutputChecker):
    """Compares the output without the lines of Airflow's log, which is printed to the same stream."""

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        log_line = re.compile(r"\[?\d{4}-\d\d-\d\dT\S+ [\[{]")
        printed = [line for line in got.splitlines(keepends=True) if not log_line.match(line)]
        return super().check_output(want, "".join(printed), optionflags)


def run_doctest(block: Block, namespace: dict[str, Any]) -> None:
    test = doctest.DocTestParser().get_doctest(block.code, namespace, where(block), str(block.page), block.line - 1)
    assert test.examples, f"{where(block)} is marked as pycon and has no >>>"
    # The next block of the page uses the same namespace.
    test.globs = namespace
    differences: list[str] = []
    doctest.DocTestRunner(WithoutLog(), verbose=False).run(test, out=differences.append, clear_globs=False)
    assert not differences, "".join(differences)


CONNECTIONS = [
    (block_or_page, value)
    for block_or_page in PAGES
    for value in re.findall(r"AIRFLOW_CONN_IP1_DEFAULT='([^']*)'", block_or_page.read_text(encoding="utf-8"))
]


@pytest.mark.parametrize(("page", "value"), CONNECTIONS, ids=where)
def test_connections_can_be_used(
    page: Path, value: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_IP1_DEFAULT", value)
    settings = IP1Hook().settings
    assert settings.api_key in ("YOUR-API-KEY", stack.SANDBOX_KEY)
    assert "extras that the iP.1 provider does not know" not in caplog.text


def test_the_two_forms_of_a_connection_are_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = []
    for page, value in CONNECTIONS:
        if page.name == "connection.md":
            monkeypatch.setenv("AIRFLOW_CONN_IP1_DEFAULT", value)
            parsed.append(IP1Hook().settings)
    in_json, in_uri, sandbox_in_json, sandbox_in_uri = parsed
    assert in_json == in_uri
    assert (in_json.timeout, in_json.page_size) == ((5.0, 30.0), 500)
    assert sandbox_in_json == sandbox_in_uri
    assert sandbox_in_json.base_url == "http://127.0.0.1:8099"


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language == "console"], ids=where)
def test_make_targets_and_programs_exist(block: Block) -> None:
    targets = set(re.findall(r"^([\w-]+):", (PROJECT / "Makefile").read_text(), re.M))
    lines = textwrap.dedent(block.code).splitlines()
    commands = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    assert commands, f"{where(block)} is marked as console and has no command after $"
    for command in commands:
        words = re.findall(r"[^\s;&|'\"]+", command.split(" #")[0])
        for before, word in zip(["", *words], words, strict=False):
            if before == "make" and "=" not in word:
                assert word in targets, command
            if re.fullmatch(r"benchmarks/\S+", word):
                assert (PROJECT / word).exists(), command
            if before == "-m" and word.startswith("dev."):
                assert (PROJECT / f"{word.replace('.', '/')}.py").exists(), command


# How blocks that are neither Python nor commands are checked, or why they are not.
READERS: dict[str, Callable[[str], object]] = {
    "json": json.loads,
    "yaml": yaml.safe_load,
    "ini": lambda text: ConfigParser(interpolation=None).read_string(f"[section]\n{text}"),
}
NOT_HERE = {
    "shell": "the tests of connections, above, and of the tutorial",
    "sql": "test_loading.py",
    "nginx": "test_push.py",
    "": "the sandbox's README: tests/sandbox sends such requests",
    "bash": "needs an account of iP.1",
    "dockerfile": "needs Docker and the network",
    "text": "files for services that nobody here can use, and pictures",
}


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language not in ("python", "pycon", "console")], ids=where)
def test_every_other_block_can_be_read_or_has_a_reason(block: Block) -> None:
    if reader := READERS.get(block.language):
        reader(block.code)
    else:
        assert block.language in NOT_HERE or block.language.startswith("{")


@pytest.mark.skipif(AIRFLOW < (3, 0), reason="needs Airflow 3.0")
def test_the_intervals_of_the_scheduled_export_follow_one_another() -> None:
    """As the page promises, each moment belongs to a run. Ten minutes belong to two."""
    (block,) = (
        b for b in blocks_of(PROJECT / "docs" / "incremental.md") if 'DAG(\n    "conversation_by_day"' in b.code
    )
    namespace: dict[str, Any] = {}
    exec(compile(block.code, where(block), "exec"), namespace)  # noqa: S102
    dag = namespace["by_day"]
    (task,) = dag.tasks
    assert (task.since, task.until) == ("{{ data_interval_start.subtract(minutes=10) }}", "{{ data_interval_end }}")
    restriction = TimeRestriction(earliest=dag.start_date, latest=None, catchup=dag.catchup)
    intervals: list[DataInterval] = []
    for _ in range(3):
        last = intervals[-1] if intervals else None
        run = dag.timetable.next_dagrun_info(last_automated_data_interval=last, restriction=restriction)
        intervals.append(run.data_interval)
    assert intervals[0].start == dag.start_date
    assert all(before.end == after.start > before.start for before, after in pairwise(intervals))
