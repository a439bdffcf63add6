# SPDX-License-Identifier: Apache-2.0
"""
Run Airflow with its web interface, the iP.1 sandbox and an S3 server until Ctrl-C. ``make airflow`` runs it.

Airflow's home is ``.airflow`` in the project. It keeps the run history and the password. The sandbox and the S3 server
start empty each time.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import signal
import socket
import sys
import sysconfig
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from dev import PROJECT, stack
from dev.stack import ProgramError

BUCKET = "ip1-demo"
DIRECTORY = PROJECT / ".airflow"
# Everyone who gets an SMS answers, so that ip1_ask_and_branch ends.
REPLY = "5=Yes, thank you"
USUAL_PORT = 8080


def is_free(port: int) -> bool:
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return sock.connect_ex(("127.0.0.1", port)) != 0


def set_connections(env: dict[str, str], **connections: str) -> None:
    """
    Write connections to Airflow's database, because the web interface does not list those in environment variables.

    :param env: an environment with AIRFLOW_HOME.
    :param connections: the connections by id, each as JSON.
    """
    stack.run_airflow(env, "db", "migrate", seconds=600)
    with tempfile.NamedTemporaryFile("w", suffix=".json", dir=env["AIRFLOW_HOME"]) as file:
        json.dump({name: json.loads(value) for name, value in connections.items()}, file)
        file.flush()
        stack.run_airflow(env, "connections", "import", "--overwrite", file.name, seconds=600)


def with_port(connection: str) -> str:
    """
    Set the port, too. Without one, the button *Test Connection* of Airflow 3.3.1 and 3.3.2 always fails.

    :param connection: a connection as JSON, whose base URL has a port.
    """
    fields = json.loads(connection)
    return json.dumps(fields | {"port": urlsplit(fields["host"]).port})


def command_line(env: dict[str, str]) -> str:
    """
    Return how a shell runs commands of the started Airflow, such as ``airflow dags list``.

    :param env: the environment of the started Airflow.
    """
    settings = [f"{name}={shlex.quote(env[name])}" for name in ("AIRFLOW_HOME", "AIRFLOW__CORE__DAGS_FOLDER")]
    return " ".join([*settings, shlex.quote(str(Path(sysconfig.get_path("scripts"), "airflow"))), "..."])


def serve(directory: Path, port: int) -> None:
    """
    Run everything until a signal arrives.

    :param directory: the folder for AIRFLOW_HOME, data and logs.
    :param port: the web interface's port on 127.0.0.1.
    :raises ProgramError: if a server does not start, or ends by itself.
    """
    home = directory / "home"
    home.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(directory / "s3", ignore_errors=True)
    for log in directory.glob("*.log"):
        log.unlink()
    env = (
        stack.airflow_environment(home)
        | stack.patient_database(home)
        | {
            "IP1_S3_BUCKET": BUCKET,
            # Each is a task of ip1_many_conversations, which takes seconds to start.
            "IP1_CONVERSATIONS": "5",
            # ip1_account_to_s3 would read the sandbox's history of 6,500 batches in five minutes.
            "IP1_SINCE": (datetime.now(UTC) - timedelta(days=1)).isoformat(timespec="seconds"),
            # On a busy machine, their first runs would start before the API server responds, and fail.
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",
        }
    )
    print("Starting the iP.1 sandbox, an S3 server (SeaweedFS) and Airflow; the first start takes a minute", flush=True)
    with (
        stack.sandbox(directory, "--conversations", "20", "--reply", REPLY, env=env) as sandbox_url,
        stack.s3_server(directory, buckets=[BUCKET], env=env) as store,
    ):
        ip1 = with_port(stack.ip1_connection(sandbox_url, sender="iP1", recipients="46701740606"))
        set_connections(env, ip1_default=ip1, aws_default=stack.aws_connection(store))
        with stack.airflow_standalone(directory, env, port=port) as airflow:
            print(
                f"\n  Airflow    {airflow.url}\n"
                f"             user {airflow.user}, password {airflow.password}\n"
                f"  Objects    {store.browser_url}{BUCKET}/\n"
                f"  Sandbox    {sandbox_url} (API key {stack.SANDBOX_KEY})\n"
                f"  Logs       {directory}/*.log\n"
                f"  Commands   {command_line(env)}\n\n"
                "The connections ip1_default and aws_default are set. The example DAGs are paused.\n"
                "Trigger ip1_conversation_to_s3, then open the objects. Ctrl-C stops everything.",
                flush=True,
            )
            airflow.process.popen.wait()
            raise airflow.process.failure(f"ended with exit code {airflow.process.popen.returncode}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    parser.add_argument(
        "--port", type=int, help=f"port of the web interface (default: {USUAL_PORT}, or a free one if that is taken)"
    )
    parser.add_argument(
        "--directory",
        type=Path,
        default=DIRECTORY,
        help="folder for AIRFLOW_HOME, data and logs (default: %(default)s)",
    )
    options = parser.parse_args()
    if options.port is None:
        port = USUAL_PORT if is_free(USUAL_PORT) else stack.free_ports(1)[0]
    elif is_free(options.port):
        port = options.port
    else:
        parser.error(f"port {options.port} is taken")
    stack.stop_on_signals()
    try:
        serve(options.directory.resolve(), port)
    except ProgramError as error:
        print(f"Failed: {error}", file=sys.stderr)
        sys.exit(1)
    except SystemExit as end:
        if end.code != 128 + signal.SIGINT:
            raise
        print("Stopped.")


if __name__ == "__main__":
    main()
