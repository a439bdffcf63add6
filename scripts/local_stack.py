# SPDX-License-Identifier: Apache-2.0
"""
The servers of a local Airflow with this provider: the iP.1 sandbox and a real S3 store, each on free loopback ports.

``make demo``, ``make airflow`` and the tests start the same parts from here. Nothing is installed, and nothing
outlives the program that started it.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

PROJECT = Path(__file__).resolve().parent.parent
EXAMPLE_DAGS = PROJECT / "example_dags"
SANDBOX_KEY = "sandbox-key"
END_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StackError(RuntimeError):
    """A program of the local stack did not start or failed; the text holds the end of its log."""


@dataclass
class Process:
    """A program in a process group of its own, so that stopping it stops its children too."""

    name: str
    popen: subprocess.Popen[bytes]
    log_path: Path

    def failure(self, what: str) -> StackError:
        tail = "\n".join(self.log_path.read_text(errors="replace").splitlines()[-20:])
        return StackError(f"{self.name} {what}. The end of {self.log_path.name}:\n{tail}")

    def wait_until(self, ready: Callable[[], bool], *, seconds: float) -> None:
        """
        Poll until the program serves.

        :param ready: true once it does.
        :param seconds: how long to wait at most.
        :raises StackError: when the program ended, or time is up.
        """
        deadline = time.monotonic() + seconds
        while self.popen.poll() is None:
            if ready():
                return
            if time.monotonic() > deadline:
                raise self.failure(f"did not answer within {seconds:.0f} s")
            time.sleep(0.05)
        raise self.failure(f"ended with exit code {self.popen.returncode}")

    def stop(self, *, patience: float = 15) -> None:
        """
        Ask the whole group to end, then insist.

        :param patience: seconds before it is killed.
        """
        for number, seconds in ((signal.SIGTERM, patience), (signal.SIGKILL, 5)):
            if not self._signal_group(number):
                break
            deadline = time.monotonic() + seconds
            while self._signal_group(0) and time.monotonic() < deadline:
                time.sleep(0.02)
        self.popen.wait()

    def _signal_group(self, number: int) -> bool:
        self.popen.poll()  # a finished child counts as a member of the group until it is reaped
        try:
            os.killpg(self.popen.pid, number)
        except (ProcessLookupError, PermissionError):  # macOS: permission error when only zombies are left
            return False
        return True


@contextmanager
def running(
    name: str, command: Sequence[str | Path], *, log_path: Path, env: Mapping[str, str] | None = None
) -> Iterator[Process]:
    """
    Run a program in the background for as long as the block lasts.

    :param name: what to call it in errors.
    :param command: program and arguments.
    :param log_path: file for everything it prints.
    :param env: its environment. Default: this program's.
    :return: the running program.
    """
    process = None
    try:
        with log_path.open("ab") as log:
            # A signal between the start of the program and its entry here would leave it behind.
            mask = signal.pthread_sigmask(signal.SIG_BLOCK, END_SIGNALS)
            try:
                process = Process(
                    name,
                    subprocess.Popen(
                        command,
                        env=env,
                        cwd=log_path.parent,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=subprocess.STDOUT,
                        start_new_session=True,
                        preexec_fn=partial(signal.pthread_sigmask, signal.SIG_SETMASK, mask),
                    ),
                    log_path,
                )
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        yield process
    finally:
        if process is not None:
            mask = signal.pthread_sigmask(signal.SIG_BLOCK, END_SIGNALS)
            try:
                process.stop()
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def stop_on_signals() -> None:
    """Make Ctrl-C, a closed terminal and ``kill`` end this program through its ``finally`` blocks, once."""

    def stop(number: int, _frame: object) -> None:
        for each in END_SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        sys.exit(128 + number)

    for each in END_SIGNALS:
        signal.signal(each, stop)


def free_ports(count: int) -> list[int]:
    """
    Find loopback ports that nobody listens on.

    :param count: how many.
    :return: as many different port numbers. Another program may take one before it is used: check what answers there.
    """
    sockets = [socket.socket() for _ in range(count)]
    try:
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return [sock.getsockname()[1] for sock in sockets]
    finally:
        for sock in sockets:
            sock.close()


def get(port: int, path: str) -> bytes | None:
    """
    Ask a local HTTP server, without a proxy.

    :param port: on 127.0.0.1.
    :param path: of the request, with its slash.
    :return: the body of a 200, ``None`` for every other outcome.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.read() if response.status == 200 else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


@contextmanager
def sandbox(directory: Path, *arguments: str, env: Mapping[str, str] | None = None) -> Iterator[str]:
    """
    Run the iP.1 sandbox in a process of its own.

    :param directory: for its log, ``sandbox.log``.
    :param arguments: for ``python -m airflow_provider_ip1.sandbox``, beside the port.
    :param env: its environment. Default: this program's.
    :return: its base URL.
    """
    command = [sys.executable, "-m", "airflow_provider_ip1.sandbox", "--port", "0", "--log", *arguments]
    with running("The iP.1 sandbox", command, log_path=directory / "sandbox.log", env=env) as process:

        def url() -> str:
            ready = re.search(r" ready on (http://\S+)\n", process.log_path.read_text())
            return ready[1] if ready else ""

        process.wait_until(lambda: bool(url()), seconds=60)
        yield url()


@dataclass(frozen=True)
class S3Server:
    """
    A running S3 server and the keys to it.

    :param endpoint_url: ``http://127.0.0.1:<port>``.
    :param browser_url: web pages that list the buckets and show the objects.
    :param access_key: made for this run.
    :param secret_key: made for this run.
    """

    endpoint_url: str
    browser_url: str
    access_key: str
    secret_key: str
    region: str = "us-east-1"

    def client(self) -> Any:
        """:return: a boto3 client that needs no settings of the user's, and uses none."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint_url,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=self.region,
            config=Config(s3={"addressing_style": "path"}, proxies={}, retries={"total_max_attempts": 1}),
        )

    def serves(self, buckets: Sequence[str]) -> bool:
        """:return: whether it knows our keys, has these buckets and takes a write."""
        client = self.client()
        try:
            client.list_buckets()
            for bucket in buckets:
                client.put_object(Bucket=bucket, Key=".ready", Body=b"")
                client.delete_object(Bucket=bucket, Key=".ready")
        except (BotoCoreError, ClientError):
            return False
        return True


@contextmanager
def s3_server(
    directory: Path, *, buckets: Sequence[str] = (), env: Mapping[str, str] | None = None
) -> Iterator[S3Server]:
    """
    Run SeaweedFS, a real S3 server, in one process.

    :param directory: for its data and its log, ``s3.log``.
    :param buckets: to make at start.
    :param env: its environment. Default: this program's.
    :return: the server, once it takes writes.
    """
    data = directory / "s3"
    data.mkdir(parents=True, exist_ok=True)
    listeners = ["s3", "master", "volume", "filer", "admin"]
    ports = iter(free_ports(2 * len(listeners)))
    port_options = {f"{listener}.port{kind}": next(ports) for listener in listeners for kind in ("", ".grpc")}
    options = {
        **port_options,
        "dir": data,
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "s3.localSocket": data / "s3.sock",
        "filer.localSocket": data / "filer.sock",
        "webdav": "false",
        "admin.ui": "false",
        "master.telemetry": "false",
        # As in AWS: a write to a bucket that is not there is an error.
        "s3.autoCreateBucket": "false",
        # Each bucket takes volumes of its own; the default number runs out on a small disk.
        "volume.max": 1000,
        "bucket": ",".join(buckets),
    }
    server = S3Server(
        endpoint_url=f"http://127.0.0.1:{port_options['s3.port']}",
        browser_url=f"http://127.0.0.1:{port_options['filer.port']}/buckets/",
        access_key="local-s3",
        secret_key=secrets.token_urlsafe(24),
    )
    command = [
        Path(sysconfig.get_path("scripts"), "weed"),
        f"-logdir={data}",  # otherwise beside those of every other run, in /tmp
        "mini",
        *(f"-{name}={value}" for name, value in options.items()),
    ]
    keys = {"AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key}
    with running(
        "The S3 server (SeaweedFS)",
        command,
        log_path=directory / "s3.log",
        env={**(os.environ if env is None else env), **keys},
    ) as process:
        process.wait_until(lambda: get(port_options["s3.port"], "/healthz") is not None, seconds=60)
        process.wait_until(lambda: server.serves(buckets), seconds=60)
        yield server


def ip1_connection(base_url: str, **extra: Any) -> str:
    """
    Describe the sandbox to Airflow.

    :param base_url: of the sandbox.
    :param extra: extras of the connection.
    :return: the value for a variable ``AIRFLOW_CONN_<ID>``.
    """
    return json.dumps(
        {"conn_type": "ip1", "host": base_url, "password": SANDBOX_KEY} | ({"extra": extra} if extra else {})
    )


def aws_connection(server: S3Server) -> str:
    """
    Describe the S3 server to Airflow.

    :param server: a running one.
    :return: the value for a variable ``AIRFLOW_CONN_<ID>``.
    """
    return json.dumps(
        {
            "conn_type": "aws",
            "login": server.access_key,
            "password": server.secret_key,
            "extra": {
                "endpoint_url": server.endpoint_url,
                "region_name": server.region,
                "config_kwargs": {"s3": {"addressing_style": "path"}},
            },
        }
    )


def airflow_environment(home: Path) -> dict[str, str]:
    """
    Make an environment in which Airflow knows its home and the example DAGs, and nothing of the user's own Airflow.

    :param home: AIRFLOW_HOME; not below the DAGs folder, which Airflow walks.
    :return: this program's environment without its Airflow and AWS settings, plus those of the local stack.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW_", "AWS_"))}
    no_proxy = ",".join(filter(None, [kept.get("NO_PROXY") or kept.get("no_proxy"), "127.0.0.1,localhost"]))
    return kept | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(EXAMPLE_DAGS),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        # Airflow starts itself by name.
        "PATH": os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)]),
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": no_proxy,
        "no_proxy": no_proxy,
    }


def run_airflow(env: Mapping[str, str], *arguments: str, seconds: float) -> None:
    """
    Run an Airflow command to its end.

    :param env: from :func:`airflow_environment`. What the command prints goes to ``airflow.log`` beside AIRFLOW_HOME.
    :param arguments: after ``airflow``.
    :param seconds: the longest it may take.
    :raises StackError: it failed, or took longer.
    """
    log_path = Path(env["AIRFLOW_HOME"]).parent / "airflow.log"
    command = [sys.executable, "-m", "airflow", *arguments]
    with running(f"airflow {' '.join(arguments)}", command, log_path=log_path, env=env) as process:
        try:
            code = process.popen.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise process.failure(f"was not done within {seconds:.0f} s") from None
        if code != 0:
            raise process.failure(f"ended with exit code {code}")


@dataclass(frozen=True)
class AirflowServer:
    """
    A running Airflow: api-server with web interface, scheduler, dag-processor and triggerer.

    :param url: of the web interface.
    :param user: to log in with; may do everything.
    :param password: of the user.
    :param process: all its programs.
    """

    url: str
    user: str
    password: str
    process: Process


@contextmanager
def airflow_standalone(directory: Path, env: Mapping[str, str], *, port: int | None = None) -> Iterator[AirflowServer]:
    """
    Run ``airflow standalone``.

    :param directory: for its log, ``airflow.log``.
    :param env: from :func:`airflow_environment`, with the connections.
    :param port: for the web interface, on 127.0.0.1. Default: a free one.
    :return: the server, once every part of it reports that it is healthy.
    """
    *free, worker_logs, trigger_logs = free_ports(3)
    port = port or free[0]
    url = f"http://127.0.0.1:{port}"
    settings = {
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "15",
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(trigger_logs),
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(worker_logs),
        # On a busy machine the scheduler starts tasks long before the api-server answers them. Let them wait for it.
        "AIRFLOW__WORKERS__EXECUTION_API_RETRIES": "20",
        "AIRFLOW__WORKERS__EXECUTION_API_RETRY_WAIT_MAX": "10",
    }

    def healthy() -> bool:
        answer = get(port, "/api/v2/monitor/health")
        return answer is not None and all(part["status"] == "healthy" for part in json.loads(answer).values())

    command = [sys.executable, "-m", "airflow", "standalone"]
    with running("Airflow", command, log_path=directory / "airflow.log", env={**settings, **env}) as process:
        process.wait_until(healthy, seconds=600)
        passwords = json.loads(Path(env["AIRFLOW_HOME"], "simple_auth_manager_passwords.json.generated").read_text())
        yield AirflowServer(url, "admin", passwords["admin"], process)
