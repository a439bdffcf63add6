# SPDX-License-Identifier: Apache-2.0
"""docs/push.md: its gateway alone, and the whole way from a push of the sandbox to an export by the example DAG."""

from __future__ import annotations

import gzip
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider_ip1.sandbox.participants import SEVEN, SINGLE
from airflow_provider_ip1.sandbox.server import SandboxServer
from dev import PROJECT, stack
from tests.sandbox.push_receiver import receiver
from tests.triggers.real_airflow import environment, log_in, wait_until

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
PATH = "/ip1/LONG-RANDOM-PATH"
TEXT = "Kastanjeallen 7"

needs_nginx = pytest.mark.skipif(NGINX is None, reason="nginx is not installed. On Debian: apt install nginx")


def receiver_version() -> str:
    try:
        return version("airflow-provider-inbound-webhooks")
    except PackageNotFoundError:
        return ""


def block(name: str) -> str:
    """A block of code that the page marks for the test."""
    page = (PROJECT / "docs" / "push.md").read_text(encoding="utf-8")
    found = re.search(rf"<!-- test: {name} -->\n\n```\w+\n(.*?)```", page, re.DOTALL)
    assert found, name
    return found[1]


@contextmanager
def gateway(directory: Path, upstream_port: int) -> Iterator[str]:
    """Run nginx with the page's configuration. Only ports and log files differ. Returns its address."""
    (port,) = stack.free_ports(1)
    server = block("gateway")
    for documented, used in (
        ("127.0.0.1:8088", f"127.0.0.1:{port}"),
        ("127.0.0.1:8080", f"127.0.0.1:{upstream_port}"),
        ("/var/log/nginx/ip1.log", f"{directory}/ip1.log"),
    ):
        assert server.count(documented) == 1
        server = server.replace(documented, used)
    folders = " ".join(
        f"{name}_temp_path {directory}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = directory / "nginx.conf"
    config.write_text(
        f"daemon off; pid {directory}/nginx.pid; error_log {directory}/nginx.log;\n"
        f"events {{}}\nhttp {{ {folders}\n{server}}}\n"
    )
    assert NGINX is not None
    command: list[str | Path] = [NGINX, "-p", directory, "-e", directory / "start.log", "-c", config]
    with stack.running("nginx", command, log_path=directory / "nginx-output.log") as process:
        url = f"http://127.0.0.1:{port}"
        process.wait_until(lambda: is_up(url), seconds=30)
        yield url


def is_up(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).status_code == 404
    except requests.ConnectionError:
        return False


@needs_nginx
def test_gateway_turns_a_push_into_a_wake_up(tmp_path: Path) -> None:
    with receiver() as airflow, gateway(tmp_path, airflow.port) as url:
        with SandboxServer(messages=0, incoming_url=url + PATH) as sandbox:
            airflow.statuses = [202, 200]
            for _ in range(2):
                sandbox.receive(SEVEN, TEXT)
            sandbox.push()
            assert [push.status for push in sandbox.pushes] == [200, 200]
    # Nothing of the message, and none of the client's headers.
    assert airflow.bodies == [{}, {}]
    assert airflow.paths == ["/webhooks/ip1"] * 2
    assert airflow.content_types == ["application/json"] * 2


@needs_nginx
@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
def test_gateway_lets_ip1_repeat_what_airflow_does_not_accept(tmp_path: Path, status: int) -> None:
    with receiver() as airflow, gateway(tmp_path, airflow.port) as url:
        with SandboxServer(messages=0, incoming_url=url + PATH, push_retry_seconds=0.01) as sandbox:
            airflow.statuses = [status]
            sandbox.receive(SEVEN, TEXT)
            airflow.wait_for(2)
    assert [push.is_last for push in sandbox.pushes][:1] == [False]


@needs_nginx
def test_gateway_without_airflow_is_an_error(tmp_path: Path) -> None:
    (port,) = stack.free_ports(1)
    with gateway(tmp_path, port) as url:
        assert requests.post(url + PATH, json={}, timeout=30).status_code == 500


@needs_nginx
def test_gateway_accepts_nothing_but_a_post_to_the_secret_path(tmp_path: Path) -> None:
    with receiver() as airflow, gateway(tmp_path, airflow.port) as url:
        assert requests.get(url + PATH, timeout=30).status_code == 403
        for path in ("/ip1/other", "/ip1-wake-up", "/webhooks/ip1", "/", f"{PATH}/x"):
            assert requests.post(url + path, json={}, timeout=30).status_code == 404
        assert requests.post(url + PATH, data=b"x" * 100_000, timeout=30).status_code == 413
    assert airflow.bodies == []
    for log in tmp_path.glob("*.log"):
        assert "LONG-RANDOM" not in log.read_text(errors="replace")


@pytest.mark.slow
@needs_nginx
@pytest.mark.skipif(
    not receiver_version(),
    reason="airflow-provider-inbound-webhooks is not installed. nox --session push of dev/noxfile.py has it",
)
@pytest.mark.skipif(
    tuple(map(int, version("apache-airflow").split(".")[:2])) < (3, 3), reason="docs/push.md is tested with Airflow 3.3"
)
def test_push_starts_the_dag(tmp_path: Path, s3_server: stack.S3Server, s3_bucket: str) -> None:
    with SandboxServer(messages=30, push_retry_seconds=1) as sandbox:
        env = environment(
            tmp_path,
            "ip1_export_on_push",
            AIRFLOW__INBOUND_WEBHOOKS__WEBHOOK_NAMES="ip1",
            AIRFLOW_CONN_WEBHOOK_IP1=json.dumps(json.loads(block("connection"))),
            AIRFLOW_CONN_IP1_DEFAULT=stack.ip1_connection(sandbox.url),
            AIRFLOW_CONN_AWS_DEFAULT=stack.aws_connection(s3_server),
            IP1_S3_BUCKET=s3_bucket,
        )

        def exported() -> dict[str, str]:
            """Each exported message: id -> text."""
            client = s3_server.client()
            found: dict[str, str] = {}
            for entry in client.list_objects_v2(Bucket=s3_bucket).get("Contents", []):
                if not entry["Key"].endswith(".gz"):
                    continue  # the checkpoint and its starting states
                body = client.get_object(Bucket=s3_bucket, Key=entry["Key"])["Body"].read()
                found |= {each["id"]: each["body"] for each in map(json.loads, gzip.decompress(body).splitlines())}
            return found

        with stack.airflow_standalone(tmp_path, env) as airflow:
            port = int(airflow.url.rpartition(":")[2])
            api = log_in(airflow)
            wait_until(lambda: subscribed(api.call("/api/v2/assets?limit=100")), "the DAG waits for the asset")
            with gateway(tmp_path, port) as url:
                # Forged: past the gateway without the secret, or to a wrong path.
                forged = requests.post(f"{airflow.url}/webhooks/ip1", json={"event": "sms"}, timeout=60)
                assert forged.status_code == 401
                assert requests.post(f"{url}/ip1/guessed", json={}, timeout=60).status_code == 404

                sandbox.incoming_url = url + PATH
                sandbox.faults.add("push-twice@1")
                first = sandbox.receive(SEVEN, TEXT)
                wait_until(lambda: first in exported(), "the message is exported")
                assert exported()[first] == TEXT
                assert [push.status for push in sandbox.pushes] == [200, 200]

                # A lost push costs nothing: the next one exports both messages. A burst starts few runs.
                sandbox.faults.add("push-lost@2")
                ids = [sandbox.receive(SINGLE, f"{TEXT} {number}") for number in range(20)]
                wait_until(lambda: set(ids) <= set(exported()), "all messages are exported")
                runs = api.runs("ip1_export_on_push")
                print(len(runs), "runs for", len(sandbox.pushes), "pushes")
                assert len(runs) < 12
                wait_until(
                    lambda: {run["state"] for run in api.runs("ip1_export_on_push")} == {"success"}, "all runs end"
                )
            # Only incoming messages of the last hour, and nothing of them in Airflow's database or logs.
            assert set(exported()) == {first, *ids}
        for path in (tmp_path / "home").rglob("*"):
            if path.is_file():
                content = path.read_bytes()
                assert TEXT.encode() not in content, path
                assert SINGLE.encode() not in content, path


def subscribed(assets: dict[str, Any]) -> bool:
    return any(asset["name"] == "ip1/sms" and asset["scheduled_dags"] for asset in assets["assets"])
