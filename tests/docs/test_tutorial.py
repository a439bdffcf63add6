# SPDX-License-Identifier: Apache-2.0
"""Follow the tutorial: run its DAG in Airflow, its query and its plot, against the sandbox and a real S3 server."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import pytest

from airflow_provider_ip1.sandbox.server import SandboxServer
from dev import PROJECT, stack
from dev.docs.plain_markdown import for_airflow_2, for_airflow_3

PAGE = (PROJECT / "docs" / "tutorial.md").read_text(encoding="utf-8")
ON_AIRFLOW_2 = version("apache-airflow").startswith("2.")


def connection(conn_id: str, **changed: str) -> str:
    """Return the page's connection as JSON, with other addresses and keys."""
    found = re.search(rf"AIRFLOW_CONN_{conn_id}='([^']*)'", PAGE)
    assert found
    value = json.loads(found[1])
    endpoint = changed.pop("endpoint_url", None)
    if endpoint:
        value["extra"]["endpoint_url"] = endpoint
    return json.dumps(value | changed)


@pytest.mark.slow
def test_the_tutorial_ends_with_a_chart(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    dag, *query_and_plot = re.findall(r"^```python\n(.*?)^```$", PAGE, re.M | re.S)
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "sms_to_lake.py").write_text((for_airflow_2 if ON_AIRFLOW_2 else for_airflow_3)(dag))
    with (
        SandboxServer(history_end=datetime.now(UTC)) as sandbox,
        stack.s3_server(tmp_path, buckets=["my-lake"]) as store,
    ):
        env = stack.airflow_environment(tmp_path / "airflow") | {
            "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path / "dags"),
            "AIRFLOW_CONN_IP1_DEFAULT": connection("IP1_DEFAULT", host=sandbox.url, password=sandbox.key),
            "AIRFLOW_CONN_AWS_DEFAULT": connection(
                "AWS_DEFAULT", endpoint_url=store.endpoint_url, login=store.access_key, password=store.secret_key
            ),
        }
        for command in re.findall(r"^\$ airflow (db migrate|dags test \w+)$", PAGE, re.M):
            stack.run_airflow(env, *command.split(), seconds=300)
        (written,) = store.client().list_objects_v2(Bucket="my-lake", Prefix="sms/")["Contents"]
        assert written["Size"] > 100_000

        program = "\n".join(query_and_plot)
        for shown, used in {
            "http://127.0.0.1:8333": store.endpoint_url,
            '"tutorial"': f'"{store.access_key}"',
            "tutorial-secret": store.secret_key,
        }.items():
            assert shown in program
            program = program.replace(shown, used)
        styles = {"": "default"}
        if os.environ.get("IP1_SCREENSHOTS"):
            styles["-dark"] = "dark_background"
        for ending, style in styles.items():
            styled = f"import matplotlib.style\nmatplotlib.style.use({style!r})\n{program}"
            done = subprocess.run(
                [sys.executable, "-c", styled],
                cwd=tmp_path,
                env=env | {"MPLBACKEND": "Agg"},
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, done.stderr
            assert "delivered" in done.stdout
            chart = tmp_path / "messages-per-day.png"
            assert chart.stat().st_size > 5_000
            if os.environ.get("IP1_SCREENSHOTS"):
                chart.rename(PROJECT / "docs" / "images" / f"tutorial-chart{ending}.png")
