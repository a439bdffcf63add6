# SPDX-License-Identifier: Apache-2.0
"""The example DAGs load without a warning and do what they say."""

from __future__ import annotations

import gzip
import json
import re
import sqlite3
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from airflow_provider_ip1.sandbox.participants import MAIN
from airflow_provider_ip1.sandbox.server import SandboxServer
from dev import EXAMPLE_DAGS, stack
from tests.airflow_names import DagBag
from tests.airflow_runs import dags_test

EXAMPLES = sorted(EXAMPLE_DAGS.glob("*.py"))


# Each DAG is loaded in its own process, because Python shows many warnings only once. All of them are forked from one
# that has imported Airflow.
LOAD = """
import json, os, runpy, sys, traceback, warnings
# Ignore Airflow's own warnings. Airflow 3.0 imports more modules, and warns, when it creates the first operator and the
# first asset. The approval operator warns as well on Airflow 3.1, and Airflow 2 refuses to import it.
import aiohttp, msgspec, pendulum, requests
import airflow.providers.amazon.aws.hooks.s3, airflow.triggers.base
from airflow.providers_manager import ProvidersManager
from airflow_provider_ip1.compat import BaseOperator
from tests.airflow_names import DAG
BaseOperator(task_id="first")
ProvidersManager()
try:
    import airflow.providers.standard.operators.hitl
except Exception:
    pass
errors = {}
for path in sys.argv[1:]:
    reading, writing = os.pipe()
    if os.fork() == 0:
        warnings.simplefilter("error")
        try:
            runpy.run_path(path)
        except BaseException:
            os.write(writing, traceback.format_exc().encode())
            os._exit(1)
        os._exit(0)
    os.close(writing)
    with open(reading) as error:
        text = error.read()
    errors[path] = text if os.wait()[1] == 0 else text or "The process has died."
print(json.dumps(errors))
"""


@pytest.fixture(scope="module")
def errors() -> dict[str, str]:
    """Load all example DAGs with warnings as errors. Returns the traceback of each, or an empty text."""
    done = subprocess.run(
        [sys.executable, "-c", LOAD, *map(str, EXAMPLES)], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_loads_without_a_warning(path: Path, errors: dict[str, str]) -> None:
    assert errors[str(path)] == ""


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_describes_itself_and_each_field_of_its_form(path: Path) -> None:
    dags = DagBag(str(path)).dags.values()
    # Approvals need Airflow 3.1.
    assert len(dags) == 1 or path.stem == "ip1_approval"
    for dag in dags:
        assert dag.doc_md and dag.description
        params = {name: dag.params.get_param(name) for name in dag.params}
        texts = [param.description for param in params.values()]
        assert len(set(texts)) == len(texts)
        for name, param in params.items():
            assert param.schema["title"] not in ("", name)
            assert len(param.description or "") > 30
            # Airflow accepts the form as it is. An empty field must be allowed.
            param.resolve()
            assert param.value not in ("", None) or "null" in param.schema["type"]


@pytest.mark.slow
def test_many_conversations_each_get_their_object(
    airflow_db: Path, s3_server: stack.S3Server, s3_bucket: str, aws_connection: str
) -> None:
    with SandboxServer(conversations=3) as sandbox:
        log = dags_test(
            "ip1_many_conversations",
            AIRFLOW_CONN_IP1_DEFAULT=stack.ip1_connection(sandbox.url),
            IP1_CONVERSATIONS="3",
            IP1_S3_BUCKET=s3_bucket,
        )
        with sqlite3.connect(airflow_db / "airflow.db") as database:
            names = database.execute(
                "SELECT rendered_map_index FROM task_instance "
                "WHERE dag_id = 'ip1_many_conversations' AND map_index >= 0 ORDER BY map_index"
            ).fetchall()
        assert names == [("customer-001",), ("customer-002",), ("customer-003",)], "names of the mapped tasks"
        client = s3_server.client()
        keys = [item["Key"] for item in client.list_objects_v2(Bucket=s3_bucket)["Contents"]]
        assert keys == [f"conversations/customer-00{index}.jsonl.gz" for index in (1, 2, 3)]
        for key, participant in zip(keys, ("46701740610", "46701740611", "46701740612"), strict=True):
            exported = gzip.decompress(client.get_object(Bucket=s3_bucket, Key=key)["Body"].read())
            assert exported.splitlines() == sandbox.conversation_bytes(participant)
            assert participant not in log


def export_account(
    sandbox: SandboxServer, s3_server: stack.S3Server, bucket: str, *arguments: str
) -> tuple[str, list[bytes]]:
    """Run the DAG that exports the account. Returns its log, and the lines of the object that it wrote."""
    return export_new("ip1_account_to_s3", "account/", sandbox, s3_server, bucket, "2026-11-02", *arguments)


def export_new(
    dag_id: str, prefix: str, sandbox: SandboxServer, s3_server: stack.S3Server, bucket: str, *arguments: str
) -> tuple[str, list[bytes]]:
    """Run a DAG. Returns its log, and the lines of the only object with the prefix that was not there before."""
    client = s3_server.client()

    def keys() -> set[str]:
        return {found["Key"] for found in client.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])}

    before = keys()
    connection = stack.ip1_connection(sandbox.url)
    log = dags_test(dag_id, *arguments, AIRFLOW_CONN_IP1_DEFAULT=connection, IP1_S3_BUCKET=bucket)
    (key,) = keys() - before
    return log, gzip.decompress(client.get_object(Bucket=bucket, Key=key)["Body"].read()).splitlines()


def whole_account(sandbox: SandboxServer) -> list[bytes]:
    participants = sandbox.sandbox.store.conversations
    return [line for participant in participants for line in sandbox.conversation_bytes(participant)]


@pytest.mark.slow
def test_the_whole_account_is_exported(
    airflow_db: Path, s3_server: stack.S3Server, s3_bucket: str, aws_connection: str
) -> None:
    with SandboxServer(messages=50, delivery_seconds=0.001) as sandbox:
        log, exported = export_account(sandbox, s3_server, s3_bucket)
        expected = whole_account(sandbox)
        assert sorted(exported) == sorted(expected)
        assert re.search(rf"Wrote {len(expected)} messages of \d+ batches", log)
        participants = list(sandbox.sandbox.store.conversations)
        assert not any(participant in log for participant in participants if participant.isdigit())


@pytest.mark.slow
def test_the_first_run_can_start_later(
    airflow_db: Path, s3_server: stack.S3Server, s3_bucket: str, aws_connection: str
) -> None:
    with SandboxServer(messages=50, delivery_seconds=0.001) as sandbox:
        _, exported = export_account(sandbox, s3_server, s3_bucket, "--conf", '{"since": "2026-10-31T00:00:00Z"}')
        everything = [json.loads(line) for line in whole_account(sandbox)]
        expected = {message["id"] for message in everything if message["modified"] >= "2026-10-31"}
        assert {json.loads(line)["id"] for line in exported} == expected
        assert 0 < len(expected) < len(everything)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dag_id", "prefix"),
    [
        ("ip1_account_to_s3", "account/"),
        ("ip1_new_messages_to_s3", "new-messages/customer-000/"),
        ("ip1_export_on_any_reply", "any-reply/"),
    ],
)
def test_the_second_run_exports_what_is_new(
    airflow_db: Path, s3_server: stack.S3Server, s3_bucket: str, aws_connection: str, dag_id: str, prefix: str
) -> None:
    with SandboxServer(messages=50, delivery_seconds=0.001) as sandbox:
        export = partial(export_new, dag_id, prefix, sandbox, s3_server, s3_bucket)
        _, first = export("2026-11-02")
        message_id = sandbox.receive(MAIN, "Hej")
        _, second = export("2026-11-03")
    assert message_id in {json.loads(line)["id"] for line in second}
    # It contains again what is less than five minutes older than the first run. Some of the sandbox's batches are.
    assert len(second) < len(first)
