# SPDX-License-Identifier: Apache-2.0
"""The sandbox as a program: its help, its output, its log, and how it stops."""

from __future__ import annotations

import json
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import pytest
import requests

from airflow_provider_ip1.sandbox.__main__ import main
from airflow_provider_ip1.sandbox.participants import EMPTY, GENERATED, LIVE, MAIN, NAME, NAME_WITH_SPACE, SEVEN, SINGLE
from airflow_provider_ip1.sandbox.store import DEMO_BATCHES
from tests.sandbox.push_receiver import receiver

COMMAND = [sys.executable, "-m", "airflow_provider_ip1.sandbox"]
READY = re.compile(
    r"iP\.1 sandbox \(a stand-in, not iP\.1\) ready on (http://127\.0\.0\.1:\d+)\n"
    r"API key: .*\nAIRFLOW_CONN_IP1_DEFAULT=.*\n"
)
KEY = {"Authorization": "Bearer sandbox-key"}


@contextmanager
def running(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    process = subprocess.Popen(
        [*COMMAND, "--port", "0", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    watchdog = threading.Timer(60, process.kill)
    watchdog.start()
    try:
        stdout: IO[str] | None = process.stdout
        assert stdout is not None
        printed = READY.fullmatch("".join(stdout.readline() for _ in range(3)))
        assert printed, process.communicate()
        yield process, printed[1]
    finally:
        watchdog.cancel()
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_prints_when_it_is_ready_and_stops_at_a_signal(number: signal.Signals) -> None:
    with running("--messages", "3") as (process, url):
        path = f"{url}/v2/conversations/{MAIN}"
        assert len(requests.get(path, headers=KEY, timeout=30).json()) == 3
        assert requests.get(path, timeout=30).status_code == 401
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=30)
        assert (process.returncode, stdout, stderr) == (0, "", "")


def test_it_prints_a_connection_that_works() -> None:
    command = [*COMMAND, "--port", "0", "--messages", "1", "--key", 'it\'s "secret"']
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        _, key, connection = (process.stdout.readline().rstrip("\n") for _ in range(3))
        # As a shell reads it.
        name, _, value = shlex.split(connection)[0].partition("=")
        fields = json.loads(value)
        response = requests.get(
            f"{fields['host']}/v2/conversations/{MAIN}",
            headers={"Authorization": f"Bearer {fields['password']}"},
            timeout=30,
        )
        process.terminate()
    assert (name, fields["conn_type"], key) == ("AIRFLOW_CONN_IP1_DEFAULT", "ip1", f"API key: {fields['password']}")
    assert len(response.json()) == 1


def test_it_stops_while_a_response_is_due() -> None:
    with running("--latency", "300") as (process, url):
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            request = f"GET /v2/conversations/{MAIN} HTTP/1.1\r\nHost: x\r\n\r\n"
            connection.sendall(request.encode())
            assert requests.get(f"{url}/healthz", timeout=30).ok
            process.terminate()
            process.wait(timeout=60)  # The watchdog's SIGKILL would show as -9.
            assert process.returncode == 0


def test_log_contains_no_participant_and_no_key() -> None:
    with running("--log", "--fault", "503@2") as (process, url):
        path = f"{url}/v2/conversations/{MAIN}"
        for query in ("/mt?start=10&limit=5&order=DESC", f"?note={MAIN}", f"x/{MAIN}"):
            requests.get(path + query, headers=KEY, timeout=30)
        requests.get(f"{url}/v2/conversations/{NAME}", headers=KEY, timeout=30)
        process.terminate()
        stdout, stderr = process.communicate(timeout=30)
    assert stdout == ""
    assert "GET /v2/conversations/46***05/mt start=10&limit=5&order=DESC -> 200" in stderr
    assert "GET /v2/conversations/46***05  -> 503" in stderr
    assert len(stderr.splitlines()) == 4
    for secret in (MAIN, NAME, "sandbox-key"):
        assert secret not in stderr


def test_arguments_reach_the_server() -> None:
    arguments = ("--key", "k", "--conversations", "2", "--fault", "enums=strings", "--fault", "clamp=3", "--seed", "5")
    with running(*arguments) as (_, url):
        response = requests.get(
            f"{url}/v2/conversations/{GENERATED[1]}", headers={"Authorization": "Bearer k"}, timeout=30
        )
        messages = response.json()
        assert len(messages) == 3
        assert {message["direction"].lower() for message in messages} <= {"mt", "mo"}


def test_arguments_of_the_account_reach_the_server() -> None:
    arguments = ("--senders", "trial", "--balance", "0.5", "--delivery-seconds", "0.1", "--push-retry-seconds", "1")
    with receiver() as received:
        received.statuses = [500]
        with running(*arguments, "--incoming-url", received.url, "--log") as (process, url):
            assert requests.get(f"{url}/api/me", headers=KEY, timeout=30).json()["Balance"] == 0.5
            order = {"sender": "Skolan", "recipients": [MAIN], "body": "Hej", "deliveryReportUrl": received.url}
            assert requests.post(f"{url}/v2/batches", json=order, headers=KEY, timeout=30).ok
            received.wait_for(4)
            assert sorted(received.codes) == [101, 101, 102, 403]
            requests.post(f"{url}/sandbox/incoming", json={"sender": MAIN, "body": "Ja"}, headers=KEY, timeout=30)
            received.wait_for(5)
            process.terminate()
            _, log = process.communicate(timeout=30)
    assert received.bodies[-1]["body"] == "Ja"
    assert "push 1 (report), try 2 -> 200" in log
    assert received.url not in log and MAIN not in log


def test_help_tells_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert "stand-in" in text
    assert "It is not iP.1" in text
    assert "Assumed" in text
    for each in (
        MAIN,
        SEVEN,
        SINGLE,
        EMPTY,
        LIVE,
        NAME,
        NAME_WITH_SPACE,
    ):
        assert each in text
    for name, (batch_id, _) in DEMO_BATCHES.items():
        assert re.search(rf"{batch_id} +{name}:", text)
    assert max(map(len, text.splitlines())) <= 120


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--fault", "boom"], "unknown fault 'boom'"),
        (["--messages", "-1"], "messages must be"),
        (["--conversations", "1000"], "conversations must be"),
        (["--batch", "0"], "'0' is not a batch of 1 to 10000 messages"),
        (["--batch", "10001"], "'10001' is not a batch"),
        (["--batch", "3+soon"], "'3+soon' is not a batch"),
        (["--latency", "-1"], "latency must be"),
        (["--delivery-seconds", "0"], "delivery_seconds must be"),
        (["--reply", "JA"], "'JA' is not a reply"),
        (["--senders", "all"], "--senders"),
        (["--balance", "-1"], "balance must be"),
        (["--push-retry-seconds", "0"], "push_retry_seconds must be"),
        (["--incoming-url", "https://example.com/x"], "is not on this machine; allow it with --push-anywhere"),
        (["--incoming-url", "example.com"], "is not an http or https URL"),
        (["--history-end", "soon"], "--history-end"),
        (["--port", "many"], "--port"),
    ],
)
def test_invalid_arguments_exit_with_a_reason(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert reason in capsys.readouterr().err


def test_port_in_use_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["--port", str(port), "--messages", "1"]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"Cannot listen on 127.0.0.1 port {port}: ")
    assert len(error.splitlines()) == 1
