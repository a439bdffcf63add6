# SPDX-License-Identifier: Apache-2.0
"""
A type checker finds a wrong argument in the editor, before the DAG is parsed.

The calls below are checked by mypy and by pyright, which editors use. Both must report exactly the lines that end in
``# wrong``.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

IMPORTS = """
import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, assert_type

from airflow_provider_ip1.api.batches import Batch
from airflow_provider_ip1.api.messages import ConversationSummary, Message
from airflow_provider_ip1.hooks.ip1 import IP1AsyncHook, IP1Hook
from airflow_provider_ip1.notifications.ip1 import IP1Notifier, send_ip1_notification
from airflow_provider_ip1.operators.send_sms import SendSmsOperator
from airflow_provider_ip1.sandbox.server import SandboxServer
from airflow_provider_ip1.sensors.incoming_sms import IncomingSmsSensor
from airflow_provider_ip1.sensors.message_status import MessageStatusSensor
from airflow_provider_ip1.testing.s3_store import S3Bucket, S3Store
from airflow_provider_ip1.transfers.conversation_to_s3 import ConversationToS3Operator
from airflow_provider_ip1.transfers.conversation_to_wasb import ConversationToWasbOperator
from airflow_provider_ip1.transfers.export_conversations import export_conversations
from airflow_provider_ip1.transfers.messages_to_s3 import MessagesToS3Operator
from airflow_provider_ip1.triggers.incoming_sms import IncomingSmsTrigger

N = "46701740605"
"""

# A call, and the arguments that complete it.
CALLS = {
    'ConversationToS3Operator(task_id="export", participant=[N], s3_key="s3://lake/out", {})': [
        'file_format="parquet", compression="snappy", page_size=1000, concurrency=8, retries=3',
        'on_empty="skip", redact={"sender": "hash", "body": "drop", "recipient": "mask"}, pool="ip1"',
        'since="{{ data_interval_start }}", until=datetime.now(UTC), compression=None, verify_total=True',
        'direction="{{ params.direction }}", status_lookback=None, aws_conn_id=None, replace="always"',
        'status_lookback=timedelta(days=1), replace=False, extra_args={"ACL": "private"}, s3_bucket="lake"',
        'execution_timeout=timedelta(hours=1), trigger_rule="all_done", outlets=[], do_xcom_push=False',
        'file_format="json"  # wrong',
        'compression="lzma"  # wrong',
        'on_empty="ignore"  # wrong',
        'redact={"phone": "hush"}  # wrong',
        'redact="body"  # wrong',
        'verify_total="yes"  # wrong',
        'replace="never"  # wrong',
        'extra_args="ACL"  # wrong',
        "encrypt=True  # wrong",
        "partcipant=N  # wrong",
        'retries="3"  # wrong',
        "status_lookback=3  # wrong",
        'page_size="200"  # wrong',
    ],
    'ConversationToS3Operator(task_id="export", {})': [
        's3_key="s3://lake/out"  # wrong',
        "participant=N  # wrong",
        's3_key="s3://lake/out", participant=46701740605  # wrong',
    ],
    'MessagesToS3Operator(task_id="export", s3_key="s3://lake/out", {})': [
        'file_format="parquet", on_empty="skip", redact={"body": "drop"}, since="{{ ts }}", pool="ip1"',
        'file_format="json"  # wrong',
        'on_empty="ignore"  # wrong',
        'redact={"phone": "hush"}  # wrong',
        "participant=N  # wrong",
        "since=17  # wrong",
    ],
    'MessagesToS3Operator(task_id="export", {})': ['s3_bucket="lake"  # wrong'],
    'ConversationToWasbOperator(task_id="export", participant=[N], blob_name="wasb://lake/out", {})': [
        'container_name="lake", wasb_conn_id="azure", extra_args={"tags": {}}, file_format="csv", retries=3',
        's3_bucket="lake"  # wrong',
        "wasb_conn_id=None  # wrong",
    ],
    "export_conversations({})": [
        'N, url="abfss://lake/out", wasb_conn_id="azure", direction="mo", page_size=1000',
        '[N, N], "out.csv.gz", "lake", file_format="csv", direction="mo", compression="gzip"',
        'N, "s3://lake/out", hook=IP1Hook(), aws_conn_id=None, since=datetime.now(UTC)',
        'N, s3_key="out", s3_bucket="lake", verify_total=True, page_size=1000, replace="always"',
        'N, "s3://lake/out", direction="in"  # wrong',
        'N, "s3://lake/out", verify_total=1.5  # wrong',
        'N, "s3://lake/out", file_format="json"  # wrong',
        'N, "s3://lake/out", on_empty="ignore"  # wrong',
        'N, "s3://lake/out", redact={"phone": "hush"}  # wrong',
        'N, "s3://lake/out", hook="ip1_default"  # wrong',
        'N, "s3://lake/out", pool="ip1"  # wrong',
    ],
    'MessageStatusSensor(task_id="wait", batch_id="{{ params.batch }}", {})': [
        'expected="delivered", failed=[404, "rejected"], require="any", mode="reschedule"',
        'expected=[201, 202], expected_count="{{ params.count }}", not_found_timeout=None, deferrable=True',
        'failed=[], on_failure="return", not_found_timeout=timedelta(minutes=5), timeout=3600',
        'expected="deliverd"  # wrong',
        'expected=[201, "deliverd"]  # wrong',
        'failed="undeliverable"  # wrong',
        'require="some"  # wrong',
        'on_failure="ignore"  # wrong',
        'not_found_timeout="1h"  # wrong',
    ],
    'IncomingSmsSensor(task_id="wait", {})': [
        'participant=N, since="{{ ts }}", pattern="(?i)ja", return_text=True, deferrable=True, timeout=60',
        "participant=N, since=datetime.now(UTC)",
        'pattern="ja"  # wrong',
        "participant=46701740605  # wrong",
        "participant=N, since=3600  # wrong",
        'participant=N, return_text="yes"  # wrong',
    ],
    "IncomingSmsTrigger({})": [
        "participant=N, start=datetime.now(UTC), poke_interval=30",
        'start="now"  # wrong',
        "participant=N, poke_interval=[60]  # wrong",
    ],
    'SendSmsOperator(task_id="send", body="Hej", {})': [
        'recipients=N, sender="Shop", type="flash", datacoding="gsm", priority=2, on_unknown="retry"',
        'recipients=[N], reference="order-17", tags=["orders"], max_recipients=5, max_segments=1',
        'recipients={N: {"name": "Anna"}}, delivery_windows=[{"opens": datetime.now(UTC)}]',
        "recipients=46701740605  # wrong",
        'recipients=N, type="mms"  # wrong',
        'recipients=N, datacoding="ucs2"  # wrong',
        "recipients=N, priority=3  # wrong",
        'recipients=N, on_unknown="skip"  # wrong',
        'recipients=N, max_segments="3"  # wrong',
        'sender="Shop"  # wrong',
    ],
    'IP1Notifier(body="{{ dag.dag_id }} failed", {})': [
        'recipients=[N], sender="Airflow", priority=2, on_error="log", max_segments=1',
        'on_error="ignore"  # wrong',
        "priority=0  # wrong",
        "recipients=46701740605  # wrong",
    ],
    "send_ip1_notification({})": ['body="Failed"', "recipients=N  # wrong", 'body="Failed", on_error="skip"  # wrong'],
    "IP1Hook({})": [
        '"ip1_default", timeout=5, page_size=1000, concurrency=8, max_attempts=2, requests_per_second=0.5',
        "timeout=(3, 30)",
        'timeout="5"  # wrong',
        "retries=3  # wrong",
        "verify=False  # wrong",
    ],
    "IP1AsyncHook({})": [
        '"ip1_default", timeout=(3, 30), page_size=1000',
        'page_size="10"  # wrong',
        "sender=N  # wrong",
    ],
    "IP1Hook().iter_messages(N, {})": [
        'direction="mt", order="DESC", page_size=10, concurrency=1',
        'order="UP"  # wrong',
        'order="desc"  # wrong',
        'direction="in"  # wrong',
        'page_size="10"  # wrong',
        "pagesize=10  # wrong",
        "concurrency=[1]  # wrong",
    ],
    "IP1Hook().iter_pages_of({})": ['[N], order="ASC"', 'N, order="UP"  # wrong', '[N], direction="in"  # wrong'],
    "IP1Hook().iter_batches({})": ['order="ASC", page_size=1', 'order="UP"  # wrong'],
    "IP1Hook().iter_batch_messages({})": ['"b", order="DESC"', '"b", order="UP"  # wrong', "17  # wrong"],
    "IP1Hook().send_batch({})": [
        'recipients=[N], body="Hej", type="flash", datacoding="gsm", priority=2, tags=["a"]',
        'recipients=[N], body="Hej", type="mms"  # wrong',
        'recipients=[N], body="Hej", datacoding="ucs2"  # wrong',
        'recipients=[N], body="Hej", priority=9  # wrong',
        "recipients=[N]  # wrong",
    ],
    "IP1AsyncHook().iter_messages(N, {})": ['direction="mo", order="DESC"', 'order="UP"  # wrong'],
    "IP1AsyncHook().iter_pages(N, {})": ['order="ASC"', 'direction="in"  # wrong', "limit=5  # wrong"],
    "IP1Hook().iter_batch_pages({})": ['direction="mo", order="DESC", page_size=5, concurrency=2', "since=N  # wrong"],
    "IP1AsyncHook().iter_batches({})": ['order="ASC"', 'order="UP"  # wrong'],
    "asyncio.run(IP1AsyncHook().get_batch({}))": ['"b"', "17  # wrong"],
}

# What the methods return.
RESULTS = """
with IP1Hook() as hook:
    assert_type(hook, IP1Hook)
    assert_type(hook.iter_messages(N), Iterator[Message])
    assert_type(hook.get_message("b", "m"), Message)
    assert_type(hook.get_message("b", "m").to_dict(), dict[str, Any])
    assert_type(hook.get_summary(N), ConversationSummary)
    assert_type(hook.get_summary(N).total_messages, int | None)
    assert_type(hook.iter_batches(), Iterator[Batch])
    assert_type(next(hook.iter_senders()).sender, str)
    assert_type(next(hook.iter_blacklist(page_size=5)).msisdn, str)
    assert_type(hook.get_batch("b"), Batch)
    assert_type(hook.test_connection(), tuple[bool, str])
    assert_type(export_conversations(N, "s3://lake/out", hook=hook), dict[str, Any])
    print(hook.get_message("b", "m").prize)  # wrong
    hook.get_summary(N).total_messages.lower()  # wrong

async def read() -> None:
    async with IP1AsyncHook() as hook:
        assert_type(hook, IP1AsyncHook)
        assert_type(await hook.get_message("b", "m"), Message)
        assert_type(await hook.get_summary(N), ConversationSummary)
        assert_type(await hook.get_batch("b"), Batch)
        async for message in hook.iter_messages(N):
            assert_type(message, Message)
        for message in hook.iter_messages(N):  # wrong
            pass

def test_dag(ip1_sandbox: SandboxServer, ip1_s3: S3Store) -> None:
    assert_type(ip1_s3.create_bucket("lake"), S3Bucket)
    assert_type(ip1_s3.create_bucket().read("key"), bytes)
    ip1_sandbox.faults.add("503@1")
    ip1_s3.create_bucket(17)  # wrong
"""

WRONG = "  # wrong"


def statements() -> list[str]:
    calls = []
    for call, completions in CALLS.items():
        for completion in completions:
            arguments = completion.removesuffix(WRONG)
            calls.append(call.format(arguments) + (WRONG if arguments != completion else ""))
    return (IMPORTS + "\n".join(calls) + "\n" + RESULTS).splitlines()


def mypy(path: Path) -> set[int]:
    """Return the numbers of the lines that mypy reports."""
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "--hide-error-context", path.name],
        cwd=path.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return {int(number) for number in re.findall(rf"^{path.name}:(\d+): error: ", done.stdout, re.M)}


def pyright(path: Path) -> set[int]:
    """Return the numbers of the lines that pyright reports."""
    done = subprocess.run(
        [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson", path.name],
        cwd=path.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    reports = json.loads(done.stdout)["generalDiagnostics"]
    return {report["range"]["start"]["line"] + 1 for report in reports if report["severity"] == "error"}


@pytest.mark.slow
@pytest.mark.parametrize("checker", [mypy, pyright])
def test_a_type_checker_reports_exactly_the_wrong_lines(checker: Callable[[Path], set[int]], tmp_path: Path) -> None:
    pytest.importorskip(checker.__name__)
    lines = statements()
    (tmp_path / "dag.py").write_text("\n".join(lines) + "\n")
    wrong = {number for number, line in enumerate(lines, start=1) if line.endswith(WRONG)}
    assert len(wrong) > 40
    reported = checker(tmp_path / "dag.py")
    assert [lines[number - 1] for number in sorted(wrong - reported)] == [], "not reported"
    assert [lines[number - 1] for number in sorted(reported - wrong)] == [], "reported, although it is right"
