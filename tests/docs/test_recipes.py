# SPDX-License-Identifier: Apache-2.0
"""The recipes that merge exports, with messages that changed twice within the same second."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pytest

from airflow_provider_ip1.formats.encode import encode
from dev import PROJECT
from tests.formats.odd_messages import PARTICIPANT, message, raw
from tests.formats.pages import page_of

RECIPES = (PROJECT / "docs/recipes.md").read_text(encoding="utf-8")
ENGINES = ["DuckDB", "Athena with Iceberg", "Snowflake", "BigQuery", "Redshift"]
COUNT = 200
# How DuckDB, which runs them all, calls what the engine has.
NAMES = {
    '"$path"': "filename",
    "_FILE_NAME": "filename",
    "file DESC": "filename DESC",
    "INSERT ROW": "INSERT",
    "sms.": "",
}


def statements(engine: str) -> str:
    section = RECIPES.split(f"### {engine}\n")[1].split("\n#")[0]
    block = re.search(r"```(?:sql|pycon)\n(.*?)```", section, re.DOTALL)
    assert block
    sql = block[1]
    if engine == "DuckDB":
        sql = re.sub(r"(?m)^(\.\.\. ?|>>> .*)", "", sql.split('merge = """')[1].split('"""')[0])
    sql = re.sub(r"(?ms)^COPY .*?;\n", "", sql)
    for theirs, ours in NAMES.items():
        sql = sql.replace(theirs, ours)
    return sql


def export(folder: Path, name: str, codes: list[int | None], minute: int = 0) -> None:
    """Write a file with the messages that have a status. All times are whole seconds."""
    page = page_of(
        [
            raw(
                message(
                    number,
                    modified=f"2026-11-01T10:{minute:02}:{number % 60:02}Z",
                    statuses=[{"code": code, "duration": 0, "created": None}],
                )
            )
            for number, code in enumerate(codes)
            if code is not None
        ],
        participant=PARTICIPANT,
    )
    (folder / name).write_bytes(b"".join(encode([page], "parquet", "zstd")))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_change_within_the_same_second_is_not_lost(engine: str, tmp_path: Path) -> None:
    merge = statements(engine)
    pending, delivered, final = 111, 201, 202
    expected = [final if number % 7 == 0 else delivered if number % 5 < 2 else pending for number in range(COUNT)]
    with duckdb.connect() as lake:
        # The name does not sort after that of the first file, but a final status never becomes a pending one.
        runs: list[tuple[str, list[int | None]]] = [
            ("scheduled-1.parquet", [pending] * COUNT),
            ("manual-2.parquet", [delivered if code != pending else None for code in expected]),
            ("scheduled-3.parquet", [final if code == final else None for code in expected]),
        ]
        lake.execute("CREATE TABLE parts (dummy INT)")
        for number, (name, codes) in enumerate(runs):
            export(tmp_path, name, codes)
            files = [str(tmp_path / name)] if engine == "Redshift" else str(tmp_path / "*.parquet")
            lake.execute(f"CREATE OR REPLACE TABLE parts AS FROM read_parquet({files!r}, filename=true)")
            if number == 0:
                lake.execute("CREATE TABLE messages AS FROM parts LIMIT 0")
            for _ in range(2):
                lake.execute(merge)
        assert [code for (code,) in lake.sql("SELECT status_code FROM messages ORDER BY id").fetchall()] == expected


def test_every_recipe_compares_with_equal_times() -> None:
    comparisons = re.findall(r"\.modified ([<>]=?) ", RECIPES)
    assert len(comparisons) == len(ENGINES)
    assert {comparison[1:] for comparison in comparisons} == {"="}
