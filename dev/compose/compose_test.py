#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Start the compose stack, run the example DAGs through Airflow's REST API, check the store, take everything down.

    python3 -m dev.compose.compose_test local           LocalExecutor
    python3 -m dev.compose.compose_test celery          CeleryExecutor, two workers
    python3 -m dev.compose.compose_test local celery    one after the other (make compose-test)

It has its own project name, ports and secrets, so it can run beside the stack of `make up`. It needs only Docker with
Compose and Python's standard library. At the end it prints its measurements as a Markdown table.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dev import EXAMPLE_DAGS
from dev.compose import make_env
from dev.compose.containers import COMPOSE_PROJECT, FILES, WAITING_DAG, WORKERS, Failed, Memory, Stack, say
from dev.compose.isolation import check_isolation

# The value in docker-compose.yaml, for the example DAGs and the sandbox.
CONVERSATIONS = 200
# Requests per second: what iP.1 documents for its newer API, because it documents nothing for this one.
RATE_LIMIT = 30
ACCOUNT_DAG, MANY_DAG = "ip1_account_to_s3", "ip1_many_conversations"
# They wait for a person, or need a receiver of pushes or Azure.
INTERACTIVE_DAGS = {
    "ip1_approval",
    "ip1_ask_and_branch",
    "ip1_conversation_to_wasb",
    "ip1_export_on_any_reply",
    "ip1_export_on_push",
    "ip1_export_on_reply",
}


def check_store(stack: Stack) -> int:
    """Compare each object with the sandbox, and return the total number of messages."""
    objects = stack.objects()
    wanted = {f"conversations/customer-{index:03}.jsonl.gz" for index in range(CONVERSATIONS + 1)}
    others = {key.split("/")[0] for key in set(objects) - wanted}
    if wanted - set(objects) or others != {"account", "deliveries", "new-messages", "sent"}:
        raise Failed(f"missing: {sorted(wanted - set(objects))[:10]}; other folders: {sorted(others)}")
    for key, counts in objects.items():
        same = {counts["rows"], counts["ids"], counts.get("expected", counts["rows"])}
        if len(same) != 1 or counts["rows"] == 0 or counts.get("of the batch", 1) != 1:
            raise Failed(f"{key}: {counts}")
    return sum(counts["rows"] for counts in objects.values())


def exercise(stack: Stack, started: float) -> dict[str, str]:
    """Run all DAGs in a running stack, and return the measurements."""
    measured = {"`up --wait`": f"{time.monotonic() - started:.0f} s"}
    say(f"up and healthy after {measured['`up --wait`']}")
    memory = Memory(stack)
    measured["memory, idle"] = f"{memory.now_mib():.0f} MiB"
    memory.start()
    try:
        check_isolation(stack)
        stack.log_in()
        dags = sorted(path.stem for path in EXAMPLE_DAGS.glob("ip1_*.py") if path.stem not in INTERACTIVE_DAGS)
        # The sandbox's whole account would take an hour.
        conf = {ACCOUNT_DAG: {"since": (datetime.now(UTC) - timedelta(days=1)).isoformat()}}
        # The DAG that takes minutes comes last.
        for dag_id in sorted(dags, key=MANY_DAG.__eq__):
            run = stack.run_waiting_dag() if dag_id == WAITING_DAG else stack.run_dag(dag_id, conf.get(dag_id))
            measured[f"`{dag_id}`"] = f"{run.seconds:.0f} s, tasks: {run.tasks}, hosts: {len(run.hosts)}"
            say(f"{dag_id}: success, {measured[f'`{dag_id}`']}")
            if dag_id == MANY_DAG:
                if run.tasks != CONVERSATIONS:
                    raise Failed(f"{dag_id}: {run.tasks} tasks, not {CONVERSATIONS}")
                if stack.mode == "celery" and len(run.hosts) != WORKERS:
                    raise Failed(f"{dag_id}: ran on {len(run.hosts)} of {WORKERS} workers")
        requests, most = stack.most_requests_in_a_second()
        measured["requests to iP.1, most in a second"] = f"{requests}, {most}"
        if most > RATE_LIMIT:
            raise Failed(f"{most} requests within a second; the pool should keep the rate below {RATE_LIMIT}")
        measured["messages in the store"] = str(check_store(stack))
        errors = stack.api("GET", "/api/v2/importErrors")["import_errors"]
        if errors:
            raise Failed(f"Airflow cannot import these DAG files: {[error['filename'] for error in errors]}")
        measured |= stack.versions()
    finally:
        memory.stop.set()
        memory.join()
    measured["memory, peak"] = f"{memory.peak_mib:.0f} MiB"
    return measured


def test(mode: str, keep: bool, limit_s: float) -> dict[str, str]:
    """Start one stack, run everything in it, and always take it down. Returns the measurements."""
    with tempfile.TemporaryDirectory() as folder:
        env_file = Path(folder) / "env"
        make_env.write_env(env_file)
        make_env.share_dags()
        with env_file.open("a", encoding="utf-8") as file:
            # 0 means any free port.
            file.write("AIRFLOW_PORT=0\nS3_PORT=0\nSANDBOX_PORT=0\n")
        stack = Stack(mode, env_file, limit_s)
        say(f"--- {mode} ---")
        try:
            stack.down()
            started = time.monotonic()
            stack.compose("build", timeout=limit_s)
            say(f"image built after {time.monotonic() - started:.0f} s")
            started = time.monotonic()
            stack.up()
            return exercise(stack, started)
        except (Failed, subprocess.SubprocessError, OSError):
            # Show the logs before the containers are removed. They contain no key, text or complete number.
            say(stack.compose("ps", "--all"))
            say(stack.compose("logs", "--no-color", "--tail", "25"))
            raise
        finally:
            if keep:
                say(f"still running; stop it with: docker compose --project-name {COMPOSE_PROJECT} down --volumes")
            else:
                started = time.monotonic()
                stack.down()
                say(f"taken down after {time.monotonic() - started:.0f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modes", nargs="+", choices=sorted(FILES), metavar="MODE", help="local, celery")
    parser.add_argument("--keep", action="store_true", help="leave the last stack running")
    parser.add_argument(
        "--limit",
        type=float,
        default=900,
        metavar="SECONDS",
        help="limit for each start and DAG run (default: %(default)s)",
    )
    arguments = parser.parse_args()
    if shutil.which("docker") is None:
        sys.exit("Docker is not installed: https://docs.docker.com/get-started/get-docker/")
    # Take the stack down even if this program is terminated.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    results: dict[str, dict[str, str]] = {}
    for mode in arguments.modes:
        try:
            results[mode] = test(mode, arguments.keep and mode == arguments.modes[-1], arguments.limit)
        except subprocess.CalledProcessError as error:
            # Only the end, because a build prints all its steps.
            said = (error.stderr or "")[-4000:]
            sys.exit(f"{mode}: {' '.join(error.cmd)} failed:\n{said}")
        except (Failed, subprocess.TimeoutExpired) as error:
            sys.exit(f"{mode}: {error}")
    names = list(dict.fromkeys(name for measured in results.values() for name in measured))
    say("\n| | " + " | ".join(results) + " |\n|" + " --- |" * (len(results) + 1))
    for name in names:
        say(f"| {name} | " + " | ".join(measured.get(name, "") for measured in results.values()) + " |")


if __name__ == "__main__":
    main()
