# SPDX-License-Identifier: Apache-2.0
"""`make demo`: the conversation arrives, no output contains personal data, and nothing keeps running."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from airflow_provider_ip1.sandbox.server import SandboxServer
from dev import stack
from dev.stack import demo
from tests.airflow_runs import without_debug_lines

MESSAGES = 450
SECRET_KEY = "a-secret-key-that-only-this-test-knows"  # noqa: S105


def personal_data(messages: list[bytes]) -> set[str]:
    """Return each phone number, and each text in plain form, as JSON and as Python's repr."""
    found = set()
    for message in map(json.loads, messages):
        found |= {address for address in (message["sender"], message["recipient"]) if address.isdigit()}
        # Every log contains short texts such as "ok".
        if len(body := message["body"]) >= 20:
            found |= {body, json.dumps(body)[1:-1], repr(body)[1:-1], body[:20]}
    return found


@pytest.mark.slow
def test_conversation_arrives_and_no_line_contains_a_number_a_text_or_a_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("secrets.token_urlsafe", lambda _length: SECRET_KEY)
    demo.demo(tmp_path, MESSAGES)

    printed = capsys.readouterr().out
    assert f"Messages: {MESSAGES}\n" in printed
    assert re.search(r"In S3: +s3://ip1-demo/conversations/customer-000\.jsonl\.gz\n", printed)
    # No server is there any more for a person who reads this.
    assert "http" not in printed
    assert re.search(r"Size: +[\d,]+ bytes", printed)

    logs = {
        path.relative_to(tmp_path): path.read_text(errors="replace")
        for pattern in ("*.log", "airflow/**/*.log", "s3/weed.*.log.*")
        for path in tmp_path.glob(pattern)
    }
    # The sandbox prints its key when it starts, for people to use.
    logs[Path("sandbox.log")] = re.sub(r"(?m)^(API key: |AIRFLOW_CONN_).*\n", "", logs[Path("sandbox.log")])
    assert {"airflow.log", "sandbox.log", "s3.log"} <= {path.name for path in logs}
    logs[Path("airflow.log")] = without_debug_lines(logs[Path("airflow.log")])
    assert "export_conversation" in logs[Path("airflow.log")], "the task's log is not among them"
    with SandboxServer(messages=MESSAGES) as sandbox:
        secret = personal_data(sandbox.conversation_bytes()) | {stack.SANDBOX_KEY, SECRET_KEY}
    assert len(secret) > MESSAGES, "there is too little to search for"
    for name, text in {"what it printed": printed, **{str(path): text for path, text in logs.items()}}.items():
        found = [value for value in secret if value in text]
        assert not found, f"{name} contains {found[:3]}"


def test_a_missing_object_is_a_failure(s3_server: stack.S3Server) -> None:
    client = s3_server.client()
    client.create_bucket(Bucket=demo.BUCKET)
    try:
        with pytest.raises(stack.ProgramError, match="is not there"):
            demo.show(s3_server)
    finally:
        client.delete_bucket(Bucket=demo.BUCKET)


@pytest.fixture
def process(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "dev.stack.demo"],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with closing(process.stdout):  # type: ignore[type-var]
        yield process
    if process.poll() is None:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("number", "when"),
    [
        (signal.SIGINT, "Starting"),
        (signal.SIGINT, "airflow db migrate"),
        (signal.SIGTERM, "airflow db migrate"),
        (signal.SIGHUP, "Both have started"),
    ],
)
def test_a_signal_stops_everything(
    process: subprocess.Popen[str], number: signal.Signals, when: str, tmp_path: Path
) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if when in line:
            break
    started = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    rest = process.stdout.read()
    assert process.wait(timeout=60) == 128 + number, rest
    assert [child for child in started if child.is_running()] == []
    assert [other for other in psutil.process_iter() if str(tmp_path) in " ".join(cmdline(other))] == []
    assert list(tmp_path.iterdir()) == []


def cmdline(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess, psutil.AccessDenied):
        return []
