# SPDX-License-Identifier: Apache-2.0
"""The keys in the documentation, the example DAGs and our messages can be read by every engine, whatever the run is."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jinja2
import pendulum
import pytest

from airflow_provider_ip1.formats.compression import choose_compression
from dev import EXAMPLE_DAGS, PROJECT
from dev.docs.embed import PAGES
from tests.airflow_names import DAG

_KEY = re.compile(r"""\b(?:s3_key|checkpoint|blob_name|key)["']? ?[=:] ?f?"([^"]*)"|"(s3://[^"]*)\"""")
# Spark and Hadoop fail for a colon, and some programs read a plus as a space.
_READABLE = re.compile(r"[\w./=-]+", re.ASCII)

MOMENT = pendulum.datetime(2026, 11, 24, 12, 0, 0, 123456, tz="Europe/Stockholm")
RUN_IDS = (
    "scheduled__2026-11-24T12:00:00+00:00",
    "manual__2026-11-24T12:00:00.123456+00:00_aB3xYz",
    "asset__2026-11-24T12:00:00.1+00:00_x",
)
WRITTEN = [*PAGES, *sorted(EXAMPLE_DAGS.glob("*.py"))]
PACKAGE = sorted((PROJECT / "airflow_provider_ip1").rglob("*.py"))


def keys_in(path: Path) -> list[str]:
    return [key or url for key, url in _KEY.findall(path.read_text(encoding="utf-8"))]


def render(template: str, run_id: str) -> str:
    """Render as Airflow does, with the values that are hardest on a key."""
    environment = DAG("any", schedule=None).get_template_env()
    environment.undefined = jinja2.StrictUndefined
    context = {
        "run_id": run_id,
        "ts": MOMENT.isoformat(),
        "logical_date": MOMENT,
        "data_interval_start": MOMENT,
        "partition_date": MOMENT,
        "partition_key": "2026-11-24T12:00:00",
        "dag_run": SimpleNamespace(run_after=MOMENT, run_id=run_id),
        "params": SimpleNamespace(batch_id="5f2e0c", key="sms/out.jsonl.gz", blob="sms/out.jsonl.gz"),
        "ti": SimpleNamespace(map_index=0, xcom_pull=lambda task_ids: {"batch_id": "5f2e0c"}),
    }
    return environment.from_string(template).render(context)


@pytest.mark.parametrize("path", [path for path in WRITTEN if keys_in(path)], ids=lambda path: path.name)
def test_every_engine_reads_the_keys(path: Path) -> None:
    for key in keys_in(path):
        for run_id in RUN_IDS:
            # What is left in braces belongs to an f-string.
            rendered = re.sub(r"\{\w+\}", "x", render(key, run_id)).removeprefix("s3://")
            assert rendered in ("", "…") or _READABLE.fullmatch(rendered), f"{key} becomes {rendered}"


def exports_in(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return the key of each export in Python code that is not run line by line, or its end, and its other texts."""
    text = path.read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S) if path.suffix == ".md" else [text]
    for call in (node for block in blocks for node in ast.walk(ast.parse(block)) if isinstance(node, ast.Call)):
        arguments = {one.arg: one.value for one in call.keywords if one.arg}
        keys = [arguments[name] for name in ("s3_key", "blob_name", "url") if name in arguments]
        if isinstance(call.func, ast.Name) and call.func.id == "export_conversations":
            keys += call.args[1:2]
        for key in keys:
            last = key.values[-1] if isinstance(key, ast.JoinedStr) else key
            if isinstance(last, ast.Constant):
                texts = {
                    name: ast.literal_eval(one) for name, one in arguments.items() if isinstance(one, ast.Constant)
                }
                yield str(last.value), texts


def test_the_keys_end_as_their_formats_do() -> None:
    exports = [found for path in WRITTEN for found in exports_in(path)]
    assert len(exports) > 20
    for key, texts in exports:
        choose_compression(texts.get("file_format", "jsonl"), texts.get("compression", "infer"), key=key)


def test_nothing_recommends_a_key_with_the_plain_run_id() -> None:
    # The text of an SMS is not a key.
    plain = re.compile(r"(?<!body=)\"[^\"\n]*\{\{ ?(run_id|ts|dag_run\.run_id|partition_key) ?\}\}")
    assert [path.name for path in WRITTEN + PACKAGE if plain.search(path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize("name", ["run_id", "ts", "partition_key"])
def test_a_key_with_a_time_as_airflow_writes_it_is_noticed(name: str) -> None:
    assert not _READABLE.fullmatch(render(f"sms/{{{{ {name} }}}}.jsonl", RUN_IDS[0]))
