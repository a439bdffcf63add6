# SPDX-License-Identifier: Apache-2.0
"""docs/patterns.md: the export that maps over customers shows their numbers to nobody who looks at Airflow."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

import pytest

from airflow_provider_ip1.sandbox.server import SandboxServer
from dev import PROJECT, stack
from dev.docs.plain_markdown import for_airflow_2, for_airflow_3

PAGE = (PROJECT / "docs" / "patterns.md").read_text(encoding="utf-8")
ON_AIRFLOW_2 = version("apache-airflow").startswith("2.")


@pytest.mark.slow
def test_a_mapped_export_keeps_the_numbers_out_of_airflow(tmp_path: Path) -> None:
    found = re.search(r"<!-- test: private-export -->\n\n```python\n(.*?)```", PAGE, re.S)
    assert found
    code = (for_airflow_2 if ON_AIRFLOW_2 else for_airflow_3)(found[1])
    customers = dict(re.findall(r'"(\d{4})": "(\d{11})"', code))
    assert len(customers) == 2
    # The numbers come from outside of the file of the DAG, as from a database.
    (tmp_path / "dags").mkdir()
    (tmp_path / "customers.json").write_text(str(customers).replace("'", '"'))
    body = re.search(r"    return \{.*\}\n", code)
    assert body
    path = str(tmp_path / "customers.json")
    code = code.replace(
        body[0], f"    import json, pathlib\n    return json.loads(pathlib.Path({path!r}).read_text())\n"
    )
    (tmp_path / "dags" / "sms_by_customer.py").write_text(code)
    with SandboxServer(messages=0) as sandbox, stack.s3_server(tmp_path, buckets=["my-lake"]) as store:
        env = stack.airflow_environment(tmp_path / "airflow") | {
            "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path / "dags"),
            "AIRFLOW_CONN_IP1_DEFAULT": stack.ip1_connection(sandbox.url),
            "AIRFLOW_CONN_AWS_DEFAULT": stack.aws_connection(store),
        }
        for command in ("db migrate", "pools set ip1 4 iP.1", "dags test sms_by_customer"):
            stack.run_airflow(env, *command.split(), seconds=300)
        written = store.client().list_objects_v2(Bucket="my-lake")["Contents"]
    assert [entry["Key"] for entry in written] == [
        f"sms/customer-{customer}.jsonl.gz" for customer in sorted(customers)
    ]
    stored = [file for file in (tmp_path / "airflow").rglob("*") if file.is_file()]
    # What is found elsewhere: the customers' ids.
    assert any(b"1042" in file.read_bytes() for file in stored)
    for number in customers.values():
        assert [file.name for file in stored if number.encode() in file.read_bytes()] == []
