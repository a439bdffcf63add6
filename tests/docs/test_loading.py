# SPDX-License-Identifier: Apache-2.0
"""docs/loading.md: each way into a table, the views, and the statements for engines that are not here."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from packaging.version import Version

from airflow_provider_ip1.formats.encode import encode
from airflow_provider_ip1.sandbox.participants import MAIN, SEVEN
from airflow_provider_ip1.sandbox.server import SandboxServer
from airflow_provider_ip1.testing.s3_store import S3Bucket, S3Store
from airflow_provider_ip1.transfers.export_conversations import export_conversations
from dev import PROJECT
from tests.formats.odd_messages import PARTICIPANT, message, raw
from tests.formats.pages import page_of

HAS_MERGE = Version(duckdb.__version__) >= Version("1.4")
PAGE = (PROJECT / "docs/loading.md").read_text(encoding="utf-8")
# The name of each engine's dialect in sqlglot. DuckDB itself runs its own.
DIALECTS = {"Athena with Iceberg": "athena", "Snowflake": "snowflake", "BigQuery": "bigquery", "Redshift": "redshift"}
COUNT = 200
# How DuckDB, which runs them all, calls what the engine has.
NAMES = {
    '"$path"': "filename",
    "_FILE_NAME": "filename",
    "file DESC": "filename DESC",
    "INSERT ROW": "INSERT",
    "sms.": "",
}
CONVERSATIONS = (MAIN, SEVEN, "Grannen")


def block_of(engine: str) -> str:
    section = PAGE.split(f"## {engine}\n")[1].split("\n#")[0]
    block = re.search(r"```(?:sql|pycon)\n(.*?)```", section, re.DOTALL)
    assert block
    return block[1]


def merge_in_duckdb() -> str:
    return re.sub(r"(?m)^(\.\.\. ?|>>> .*)", "", block_of("DuckDB").split('merge = """')[1].split('"""')[0])


def statements(engine: str) -> str:
    """What the page shows for an engine, in DuckDB's words."""
    if engine == "DuckDB":
        return merge_in_duckdb()
    sql = re.sub(r"(?ms)^COPY .*?;\n", "", block_of(engine))
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


@pytest.mark.skipif(not HAS_MERGE, reason="needs DuckDB 1.4")
@pytest.mark.parametrize("engine", ["DuckDB", *DIALECTS])
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


def test_every_merge_compares_with_equal_times() -> None:
    comparisons = re.findall(r"(?:old|new|messages|parts)\.modified ([<>]=?) ", PAGE)
    assert len(comparisons) == 1 + len(DIALECTS)
    assert {comparison[1:] for comparison in comparisons} == {"="}


@pytest.mark.parametrize("engine", DIALECTS)
def test_the_statements_are_sql_of_their_engine(engine: str) -> None:
    sqlglot = pytest.importorskip("sqlglot", reason="sqlglot is not installed. nox --session loading has it")
    parsed = sqlglot.parse(block_of(engine), dialect=DIALECTS[engine], error_level=sqlglot.ErrorLevel.RAISE)
    # What sqlglot does not understand becomes a command. It has no grammar for transactions in some dialects.
    kinds = [type(statement).__name__ for statement in parsed if statement is not None]
    assert {"Merge", "Delete"} & set(kinds)
    assert "Command" not in kinds


def test_a_statement_of_another_engine_is_noticed() -> None:
    sqlglot = pytest.importorskip("sqlglot", reason="sqlglot is not installed. nox --session loading has it")
    with pytest.raises(sqlglot.errors.ParseError):
        sqlglot.parse("MERGE INTO a USING b ON a.id = b.id WHEN MATCHED THEN UPDATE WHERE", dialect="snowflake")


# Three ways into the table, from a sandbox whose messages change between two runs.

Load = Callable[[], duckdb.DuckDBPyConnection]


@pytest.fixture
def ip1_sandbox_options(ip1_sandbox_options: dict[str, Any]) -> dict[str, Any]:
    return ip1_sandbox_options | {"messages": 400}


@pytest.fixture
def lake(ip1_connection: str, ip1_s3: S3Store) -> S3Bucket:
    return ip1_s3.create_bucket("my-lake")


def change(sandbox: SandboxServer) -> None:
    """A failed delivery, a price, an incoming SMS without an answer, and new messages of the past."""
    status = {"code": 202, "duration": 1, "created": "2026-11-01T10:00:00Z"}
    sandbox.override(5, statuses=[status], modified="2026-11-01T10:00:00Z", direction=0, price=1.25, currency="EUR")
    sandbox.receive(SEVEN, "Hej!")
    sandbox.insert(count=3)


def page_code(name: str, folder: Path) -> dict[str, Any]:
    """Run a block that the page marks for the test, in the current folder. Return its names."""
    found = re.search(rf"<!-- test: {name} -->\n\n```python\n(.*?)```", PAGE, re.S)
    assert found
    namespace: dict[str, Any] = {"__name__": "__main__"}
    code = found[1].replace('["46701740605", "46701740606"]', repr(list(CONVERSATIONS)))
    exec(compile(code, f"loading.md: {name}", "exec"), namespace)  # noqa: S102
    return namespace


def by_merge(sandbox: SandboxServer, lake: S3Bucket, folder: Path) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    for run in ("first", "second"):
        export_conversations(CONVERSATIONS, f"s3://my-lake/sms/{run}.parquet", file_format="parquet")
        (folder / f"{run}.parquet").write_bytes(lake.read(f"sms/{run}.parquet"))
        files = str(folder / "*.parquet")
        connection.execute(f"CREATE OR REPLACE VIEW parts AS FROM read_parquet({files!r}, filename=true)")
        connection.execute("CREATE TABLE IF NOT EXISTS messages AS FROM parts LIMIT 0")
        connection.execute(merge_in_duckdb())
        if run == "first":
            change(sandbox)
    return connection


def by_dlt(sandbox: SandboxServer, lake: S3Bucket, folder: Path) -> duckdb.DuckDBPyConnection:
    pytest.importorskip("dlt", reason="dlt is not installed. nox --session loading has it")
    names = page_code("dlt", folder)
    change(sandbox)
    names["pipeline"].run(names["messages"](list(CONVERSATIONS)))
    connection = duckdb.connect(str(folder / "lake.duckdb"))
    connection.execute("USE sms")
    return connection


def by_iceberg(sandbox: SandboxServer, lake: S3Bucket, folder: Path) -> duckdb.DuckDBPyConnection:
    pytest.importorskip("pyiceberg", reason="pyiceberg is not installed. nox --session loading has it")
    names = page_code("iceberg", folder)
    for run in ("first", "second", "second"):
        export_conversations(CONVERSATIONS, f"s3://my-lake/sms/{run}.parquet", file_format="parquet")
        names["load"](f"sms/{run}.parquet")
        if run == "first":
            change(sandbox)
    connection = duckdb.connect()
    connection.register("rows", names["catalog"].load_table("sms.messages").scan().to_arrow())
    connection.execute("CREATE TABLE messages AS FROM rows")
    return connection


def moment(row: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(row["modified"]).astimezone(UTC)


def totals(rows: dict[str, list[dict[str, Any]]]) -> tuple[dict[Any, Any], dict[Any, Any], set[str]]:
    """The answers of the three views, from the sandbox's messages: conversation -> messages."""
    counts: dict[tuple[date, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    costs: dict[tuple[date, str, str], list[Any]] = defaultdict(lambda: [0, Decimal(0)])
    unanswered = set()
    for conversation in rows.values():
        sent = [row for row in conversation if row["direction"] == 0]
        for row in sent:
            code = row["statuses"][-1]["code"] if row["statuses"] else 0
            count = counts[moment(row).date(), row.get("mcc") or "unknown"]
            for place, holds in enumerate((True, code == 201, code < 200)):
                count[place] += holds
            if row.get("price") is not None:
                cost = costs[moment(row).date(), row["sender"], row["currency"].upper()]
                cost[0] += row["segments"]
                cost[1] += Decimal(str(row["price"]))
        last = max(map(moment, sent), default=None)
        for row in conversation:
            if row["direction"] == 1 and (last is None or last <= moment(row)):
                unanswered.add(row["id"])
    rates = {
        key: (sent, delivered, pending, delivered / (sent - pending) if sent > pending else None)
        for key, (sent, delivered, pending) in counts.items()
    }
    return rates, {key: tuple(cost) for key, cost in costs.items()}, unanswered


@pytest.mark.skipif(not HAS_MERGE, reason="needs DuckDB 1.4")
@pytest.mark.parametrize("way", [by_merge, by_dlt, by_iceberg])
def test_the_views_have_the_right_totals(
    way: Callable[..., duckdb.DuckDBPyConnection],
    ip1_sandbox: SandboxServer,
    lake: S3Bucket,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "PROVIDERS__ENABLE_AIRFLOW_SECRETS": "false",
        "DLT_DATA_DIR": str(tmp_path / "dlt"),
    }.items():
        monkeypatch.setenv(name, value)
    with way(ip1_sandbox, lake, tmp_path) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for view in re.findall(r"```sql\n(CREATE OR REPLACE VIEW .*?)```", PAGE, re.S):
            connection.execute(view)
        shown = {participant: ip1_sandbox.conversation(participant) for participant in CONVERSATIONS}
        rates, costs, unanswered = totals(shown)
        total = sum(map(len, shown.values()))
        assert connection.sql("SELECT count(*), count(DISTINCT id) FROM messages").fetchall() == [(total, total)]
        found = connection.sql("SELECT day, country, sent, delivered, pending, rate FROM delivery_rate").fetchall()
        assert {(day, country): tuple(others) for day, country, *others in found} == rates
        found = connection.sql("SELECT day, sender, currency, sms, cost FROM cost").fetchall()
        assert {(day, sender, currency): tuple(others) for day, sender, currency, *others in found} == costs
        found = connection.sql("SELECT id, participant FROM unanswered").fetchall()
        assert {message_id for message_id, _ in found} == unanswered
        assert {participant for _, participant in found} >= {SEVEN, "Grannen"}
    # The change and all three kinds of an answer are in the data.
    assert {currency for _, _, currency in costs} >= {"EUR", "SEK"}
    assert any(0 < rate < 1 for *_, rate in rates.values() if rate is not None)
