# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import inspect
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from airflow.providers.amazon.aws.hooks.s3 import S3Hook

from airflow_provider_ip1.compat import AirflowSkipException
from airflow_provider_ip1.exceptions import IP1NoMessagesError
from airflow_provider_ip1.hooks.ip1 import IP1Hook
from airflow_provider_ip1.sandbox.participants import EMPTY, SEVEN
from airflow_provider_ip1.sandbox.server import SandboxServer
from airflow_provider_ip1.transfers.conversation_to_s3 import ConversationToS3Operator
from airflow_provider_ip1.transfers.export_conversations import export_conversations
from dev import stack
from tests.transfers.bucket_contents import Bucket

SCRIPT = """
import logging, sys
from airflow_provider_ip1.transfers.export_conversations import export_conversations

logging.basicConfig(level=logging.INFO)
print(export_conversations(sys.argv[1], sys.argv[2])["messages"])
"""


def lines(sandbox: SandboxServer, participant: str) -> bytes:
    return b"".join(message + b"\n" for message in sandbox.conversation_bytes(participant))


@pytest.mark.slow
def test_a_script_needs_no_task_and_no_database(sandbox: SandboxServer, ip1_connection: str, bucket: Bucket) -> None:
    """Only Airflow connections in the environment. Airflow prints no warning about code that runs outside a task."""
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", SCRIPT, SEVEN, f"s3://{bucket.name}/seven.jsonl"],
        env=os.environ | {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "sqlite:////nonexistent/airflow.db"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    printed = done.stdout + done.stderr
    assert done.stdout.splitlines()[-1:] == ["7"], printed
    assert bucket.get("seven.jsonl") == lines(sandbox, SEVEN)
    assert f"to s3://{bucket.name}/seven.jsonl" in printed
    assert "Task Runner" not in printed
    assert "TaskInstance" not in printed
    assert SEVEN not in printed


def test_it_takes_the_operators_arguments_with_the_same_defaults() -> None:
    operator = dict(inspect.signature(ConversationToS3Operator.__init__).parameters)
    function = dict(inspect.signature(export_conversations).parameters)
    for name in ("self", "base_operator"):
        del operator[name]
    for name in ("hook", "s3_hook", "wasb_hook", "url"):
        assert function.pop(name).default is None
    assert function.pop("wasb_conn_id").default == "wasb_default"
    # The key may be in the URL.
    assert (operator.pop("s3_key").default, function.pop("s3_key").default) == (inspect.Parameter.empty, None)
    assert {name: parameter.default for name, parameter in function.items()} == {
        name: parameter.default for name, parameter in operator.items()
    }


def test_every_argument_reaches_the_export(sandbox: SandboxServer, ip1_connection: str, bucket: Bucket) -> None:
    arguments = {
        "participant": [SEVEN, EMPTY],
        "s3_key": "seven.csv.gz",
        "s3_bucket": bucket.name,
        "direction": "mt",
        "file_format": "csv",
        "since": "2020-01-01",
        "until": "2100-01-01",
        "status_lookback": None,
        "redact": {"body": "drop"},
        "verify_total": True,
        "page_size": 2,
        "concurrency": 2,
    }
    expected = ConversationToS3Operator(task_id="export", **arguments).execute({})
    written = bucket.get("seven.csv.gz")
    result = export_conversations(**arguments)  # type: ignore[arg-type]
    assert bucket.get("seven.csv.gz") == written
    assert result | {"seconds": None} == expected | {"seconds": None}
    with pytest.raises(ValueError, match="replace is False"):
        export_conversations(**arguments, replace=False)  # type: ignore[arg-type]


def test_it_uses_the_callers_hooks_and_leaves_them_open(
    sandbox: SandboxServer, ip1_connection: str, bucket: Bucket, aws_connection: str
) -> None:
    s3_hook = S3Hook(aws_connection)
    with IP1Hook(ip1_connection, page_size=3) as hook:
        session = hook.get_conn()
        for name in ("first", "second"):
            result = export_conversations(
                SEVEN,
                f"{name}.jsonl",
                bucket.name,
                hook=hook,
                s3_hook=s3_hook,
                ip1_conn_id="missing",
                aws_conn_id="missing",
            )
            assert result["messages"] == 7
        assert hook.get_conn() is session
    assert {request.query["limit"] for request in sandbox.requests} == {"3"}
    assert bucket.get("first.jsonl") == bucket.get("second.jsonl") == lines(sandbox, SEVEN)


def test_boto3_finds_the_credentials_without_an_aws_connection(
    sandbox: SandboxServer,
    ip1_connection: str,
    s3_server: stack.S3Server,
    s3_bucket: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    credentials = tmp_path / "credentials"
    credentials.write_text(
        f"[default]\naws_access_key_id = {s3_server.access_key}\naws_secret_access_key = {s3_server.secret_key}\n"
        f"region = {s3_server.region}\nendpoint_url = {s3_server.endpoint_url}\ns3 =\n    addressing_style = path\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
    export_conversations(SEVEN, "seven.jsonl", s3_bucket, aws_conn_id=None)
    assert Bucket(s3_server.client(), s3_bucket).get("seven.jsonl") == lines(sandbox, SEVEN)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"file_format": "json"}, "^file_format: "),
        ({"on_empty": "ignore"}, "^on_empty: "),
        ({"redact": {"body": "hush"}}, "^redact: "),
        ({"page_size": 0}, "page_size"),
        ({"s3_key": f"s3://lake/{SEVEN}.jsonl"}, "^s3_key: "),
    ],
)
def test_it_rejects_wrong_arguments_before_any_request(
    arguments: dict[str, object], error: str, sandbox: SandboxServer, ip1_connection: str
) -> None:
    with pytest.raises(ValueError, match=error):
        export_conversations(**{"participant": SEVEN, "s3_key": "s3://lake/out.jsonl"} | arguments)  # type: ignore[arg-type]
    assert not sandbox.requests


def test_an_empty_conversation(ip1_connection: str, bucket: Bucket, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    with pytest.raises(AirflowSkipException):
        export_conversations(EMPTY, "out.jsonl", bucket.name, on_empty="skip")
    with pytest.raises(IP1NoMessagesError):
        export_conversations(EMPTY, "out.jsonl", bucket.name, on_empty="fail")
    assert bucket.keys() == []
    assert export_conversations(EMPTY, "out.jsonl", bucket.name)["messages"] == 0
    assert "no messages for 1 of 1 conversation" in caplog.text
