#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Start the compose stack, run the example DAGs through Airflow's REST API, look into the store, take it all down.

    compose_test.py local           LocalExecutor
    compose_test.py celery          CeleryExecutor, two workers
    compose_test.py local celery    one after the other (make compose-test)

It uses a project name, ports and secrets of its own, so it can run beside the stack of `make up`, and it needs only
Docker with Compose and Python's standard library. The last lines are a Markdown table of what was measured.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from dev import PROJECT
from dev.compose import make_env

COMPOSE_PROJECT = "ip1-compose-test"
FILES = {"local": ("docker-compose.yaml",), "celery": ("docker-compose.yaml", "dev/compose/docker-compose.celery.yaml")}
WORKERS = 2
# As docker-compose.yaml sets them for the example DAGs and the sandbox.
CONVERSATIONS = 200
# Requests a second: what iP.1 documents for its newer API, as nothing is documented for this one.
RATE_LIMIT = 30
MANY_DAG = "ip1_many_conversations"
# The DAG with the deferrable sensor, and whom it waits for: the sandbox's number for messages on their way.
WAITING_DAG = "ip1_wait_for_delivery"
RECIPIENT = "46701740609"

# Runs inside a container of Airflow. Prints what the example DAGs left in the bucket beside what the sandbox says:
# counts only, no content.
READ_STORE = """
import gzip, json, os, sys, urllib.request
import boto3
from botocore.config import Config
sys.path.insert(0, "/opt/airflow/dags")
from ip1_many_conversations import CUSTOMERS
aws, ip1 = (json.loads(os.environ["AIRFLOW_CONN_" + name]) for name in ("AWS_DEFAULT", "IP1_DEFAULT"))
bucket = os.environ["IP1_S3_BUCKET"]
s3 = boto3.client("s3", endpoint_url=aws["extra"]["endpoint_url"], region_name=aws["extra"]["region_name"],
    aws_access_key_id=aws["login"], aws_secret_access_key=aws["password"],
    config=Config(s3={"addressing_style": "path"}))
participants = {"customer-000": os.environ["IP1_PARTICIPANT"], **CUSTOMERS}

def total(participant):
    asked = urllib.request.Request(ip1["host"] + "/v2/conversations/" + participant + "/summary",
        headers={"Authorization": "Bearer " + ip1["password"]})
    with urllib.request.urlopen(asked, timeout=30) as answer:
        return json.load(answer)["totalMessageCount"]

found = {}
for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
    for entry in page.get("Contents", []):
        key = entry["Key"]
        body = gzip.decompress(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        rows = [json.loads(line) for line in body.splitlines()]
        counts = found[key] = {"rows": len(rows), "ids": len({row["id"] for row in rows})}
        folder, name = key.removesuffix(".jsonl.gz").split("/")[:2]
        if folder == "deliveries":
            counts["of the batch"] = sum(row["batchId"] == name for row in rows)
        else:
            counts["expected"] = total(participants[name])
print(json.dumps(found))
"""


# This machine's proxies are not for a port on loopback.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Failed(Exception):
    """The stack does not do what it should; the message says what was seen."""


def say(text: str) -> None:
    print(text, flush=True)


class Stack:
    """One running compose project."""

    def __init__(self, mode: str, env_file: Path, limit_s: float) -> None:
        self.mode = mode
        self.limit_s = limit_s
        self.command = ["docker", "compose", "--project-name", COMPOSE_PROJECT, "--env-file", str(env_file)]
        for name in FILES[mode]:
            self.command += ["--file", str(PROJECT / name)]
        # Variables of this shell win over the file. The user's own settings must not reach the test: least of all a
        # real API key. Which base image to build on is theirs to say.
        ours = set(re.findall(r"(?m)^#?([A-Z][A-Z0-9_]+)=", make_env.EXAMPLE.read_text(encoding="utf-8")))
        kept = {"AIRFLOW_IMAGE", "AIRFLOW_CONSTRAINTS"}
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if name in kept or (name not in ours and not name.startswith("COMPOSE_"))
        }
        self.password = re.findall(r"(?m)^AIRFLOW_ADMIN_PASSWORD=(.+)$", env_file.read_text(encoding="utf-8"))[0]
        self.token = ""

    def compose(self, *arguments: str, **options: Any) -> str:
        """Run `docker compose` and return what it prints; raise CalledProcessError, with its stderr, if it fails."""
        done: subprocess.CompletedProcess[str] = subprocess.run(
            [*self.command, *arguments],
            cwd=PROJECT,
            env=self.environment,
            check=True,
            text=True,
            capture_output=True,
            **options,
        )
        return done.stdout

    def up(self) -> None:
        scale = ["--scale", f"worker={WORKERS}"] if self.mode == "celery" else []
        self.compose("up", "--detach", "--wait", *scale, timeout=self.limit_s)

    def down(self) -> None:
        self.compose("down", "--volumes", "--remove-orphans", timeout=300)

    def address(self, service: str, port: int) -> str:
        return "http://" + self.compose("port", service, str(port)).strip()

    def log_in(self) -> None:
        self.url = self.address("api-server", 8080)
        answer = self.api("POST", "/auth/token", {"username": "admin", "password": self.password})
        self.token = answer["access_token"]

    def api(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"},
        )
        with DIRECT.open(request, timeout=60) as answer:
            loaded: dict[str, Any] = json.load(answer)
        return loaded

    def containers(self) -> list[str]:
        return self.compose("ps", "--quiet").split()

    def objects(self) -> dict[str, dict[str, int]]:
        text = self.compose("exec", "--no-TTY", "scheduler", "python", "-", input=READ_STORE)
        found: dict[str, dict[str, int]] = json.loads(text.strip().splitlines()[-1])
        return found

    def wait_for_dag(self, dag_id: str) -> None:
        """Wait until the dag-processor has parsed the file; until then Airflow answers 404."""

        def known() -> bool:
            try:
                self.api("GET", f"/api/v2/dags/{dag_id}")
            except urllib.error.HTTPError as error:
                if error.code == 404:
                    return False
                raise
            return True

        wait_until(f"{dag_id} is parsed", self.limit_s, known)

    def run_dag(self, dag_id: str, conf: dict[str, str] | None = None) -> DagRun:
        """Trigger a DAG and wait for its success."""
        self.wait_for_dag(dag_id)
        started = time.monotonic()
        run = self.api("POST", f"/api/v2/dags/{dag_id}/dagRuns", {"logical_date": None, "conf": conf or {}})
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run['dag_run_id']}"
        deferred: set[str] = set()

        def ended() -> bool:
            for task in self.tasks(path, "deferred") if dag_id == WAITING_DAG else ():
                # Only when a triggerer has taken it up; before that it has no such job.
                if task["triggerer_job"]:
                    deferred.add(task["task_id"])
            return self.api("GET", path)["state"] in ("success", "failed")

        wait_until(f"{dag_id} ends", self.limit_s, ended)
        tasks = self.tasks(path)
        failed = [task for task in tasks if task["state"] != "success"]
        if failed or not tasks:
            raise Failed(f"{dag_id}: {[(task['task_id'], task['map_index'], task['state']) for task in failed[:10]]}")
        return DagRun(
            seconds=time.monotonic() - started,
            tasks=len(tasks),
            hosts={task["hostname"] for task in tasks},
            deferred=deferred,
        )

    def send(self) -> str:
        """Send a message in the sandbox and return the id of its batch. It is delivered about 20 seconds later."""
        request = urllib.request.Request(
            self.address("sandbox", 8099) + "/v2/batches",
            data=json.dumps({"sender": "Grannen", "recipients": [RECIPIENT], "body": "compose-test"}).encode(),
            headers={"Content-Type": "application/json", "Authorization": "Bearer sandbox-key"},
        )
        with DIRECT.open(request, timeout=60) as answer:
            return str(json.load(answer)["id"])

    def run_waiting_dag(self) -> DagRun:
        """Have the DAG wait for a message that is on its way, in the triggerer."""
        for _ in range(5):
            run = self.run_dag(WAITING_DAG, {"batch_id": self.send(), "participant": RECIPIENT})
            if run.deferred:
                return run
            say(f"{WAITING_DAG}: delivered before the task started, which a busy machine does; once more")
        raise Failed(f"{WAITING_DAG}: no task was ever waiting in the triggerer")

    def tasks(self, run_path: str, state: str = "") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            query = f"?limit=100&offset={len(found)}" + (f"&state={state}" if state else "")
            page = self.api("GET", f"{run_path}/taskInstances{query}")
            found += page["task_instances"]
            if not page["task_instances"] or len(found) >= page["total_entries"]:
                return found

    def most_requests_in_a_second(self) -> tuple[int, int]:
        """How many API requests the sandbox has answered, and the most of them within one second."""
        log = self.compose("logs", "--timestamps", "--no-log-prefix", "sandbox")
        moments = sorted(
            datetime.fromisoformat(whole).timestamp() + float(f"0{fraction}")
            for whole, fraction in re.findall(r"(?m)^([-\dT:]+)(\.\d+)?Z .*GET /v2/conversations/", log)
        )
        most = first = 0
        for last, moment in enumerate(moments):
            while moments[first] <= moment - 1:
                first += 1
            most = max(most, last - first + 1)
        return len(moments), most

    def versions(self) -> dict[str, str]:
        def first_line(service: str, *command: str) -> str:
            return self.compose("exec", "--no-TTY", service, *command).splitlines()[0].strip()

        found = {
            "Docker": subprocess.run(
                ["docker", "version", "--format", "{{.Server.Version}}"], check=True, text=True, stdout=subprocess.PIPE
            ).stdout.strip(),
            "Compose": self.compose("version", "--short").strip(),
            "Airflow": self.api("GET", "/api/v2/version")["version"],
            "Python": first_line("scheduler", "python", "--version").removeprefix("Python "),
            "PostgreSQL": first_line("postgres", "postgres", "--version").split()[2],
            "SeaweedFS": first_line("seaweedfs", "weed", "version").split()[2],
        }
        providers = self.api("GET", "/api/v2/providers?limit=100")["providers"]
        names = ("airflow-provider-ip1", "apache-airflow-providers-amazon", "apache-airflow-providers-common-compat")
        found |= {p["package_name"]: p["version"] for p in providers if p["package_name"] in names}
        if self.mode == "celery":
            found["Valkey"] = re.findall(r" v=(\S+)", first_line("valkey", "valkey-server", "--version"))[0]
        return found


@dataclass(frozen=True)
class DagRun:
    """What one successful run of a DAG showed."""

    seconds: float
    tasks: int
    hosts: set[str]
    deferred: set[str]


class Memory(threading.Thread):
    """Samples the memory of the stack's containers, as `docker stats` counts it."""

    def __init__(self, stack: Stack) -> None:
        super().__init__(daemon=True)
        self.stack = stack
        self.stop = threading.Event()
        self.peak_mib = 0.0

    def now_mib(self) -> float:
        containers = self.stack.containers()
        if not containers:
            return 0.0
        text = subprocess.run(
            ["docker", "stats", "--no-stream", "--format", "{{.MemUsage}}", *containers],
            check=True,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ).stdout
        unit = {"B": 2**-20, "KiB": 2**-10, "MiB": 1.0, "GiB": 2.0**10}
        return sum(float(n) * unit[u] for n, u in re.findall(r"(?m)^([\d.]+)\s*(B|KiB|MiB|GiB)\b", text))

    def run(self) -> None:
        while not self.stop.wait(10):
            try:
                self.peak_mib = max(self.peak_mib, self.now_mib())
            except subprocess.CalledProcessError:
                continue  # a container went away between the two commands; the next sample will do


def wait_until(what: str, limit_s: float, check: Callable[[], Any]) -> None:
    """Ask ``check`` once a second until it answers true; raise :class:`Failed` after ``limit_s`` seconds."""
    deadline = time.monotonic() + limit_s
    while True:
        trouble = ""
        try:
            if check():
                return
        except urllib.error.HTTPError:
            raise
        except OSError as error:  # a busy machine: no answer in time
            trouble = f"; last: {error}"
        if time.monotonic() > deadline:
            raise Failed(f"{what}: not within {limit_s:.0f} s{trouble}")
        time.sleep(1)


def check_store(stack: Stack) -> int:
    """Compare each object with what the sandbox says, and return how many messages there are."""
    objects = stack.objects()
    wanted = {f"conversations/customer-{index:03}.jsonl.gz" for index in range(CONVERSATIONS + 1)}
    others = {key.split("/")[0] for key in set(objects) - wanted}
    if wanted - set(objects) or others != {"deliveries", "new-messages"}:
        raise Failed(f"missing: {sorted(wanted - set(objects))[:10]}; other folders: {sorted(others)}")
    for key, counts in objects.items():
        same = {counts["rows"], counts["ids"], counts.get("expected", counts["rows"])}
        if len(same) != 1 or counts["rows"] == 0 or counts.get("of the batch", 1) != 1:
            raise Failed(f"{key}: {counts}")
    return sum(counts["rows"] for counts in objects.values())


def exercise(stack: Stack, started: float) -> dict[str, str]:
    """Run everything in a stack that is up, and return what was measured."""
    measured = {"`up --wait`": f"{time.monotonic() - started:.0f} s"}
    say(f"up and healthy after {measured['`up --wait`']}")
    memory = Memory(stack)
    measured["memory, idle"] = f"{memory.now_mib():.0f} MiB"
    memory.start()
    try:
        stack.log_in()
        dags = sorted(path.stem for path in (PROJECT / "example_dags").glob("ip1_*.py"))
        # The one that takes minutes comes last.
        for dag_id in sorted(dags, key=MANY_DAG.__eq__):
            run = stack.run_waiting_dag() if dag_id == WAITING_DAG else stack.run_dag(dag_id)
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
            raise Failed(f"{most} requests within a second; the pool should keep them under {RATE_LIMIT}")
        measured["messages in the store"] = str(check_store(stack))
        errors = stack.api("GET", "/api/v2/importErrors")["import_errors"]
        if errors:
            raise Failed(f"DAG files that cannot be imported: {[error['filename'] for error in errors]}")
        measured |= stack.versions()
    finally:
        memory.stop.set()
        memory.join()
    measured["memory, peak"] = f"{memory.peak_mib:.0f} MiB"
    return measured


def test(mode: str, keep: bool, limit_s: float) -> dict[str, str]:
    """Bring one stack up, exercise it and take it down, whatever happens."""
    with tempfile.TemporaryDirectory() as folder:
        env_file = Path(folder) / "env"
        make_env.write_env(env_file)
        with env_file.open("a", encoding="utf-8") as file:
            # 0: any free port.
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
            # What the containers say, before they are gone. They log no key, text or whole number.
            say(stack.compose("ps", "--all"))
            say(stack.compose("logs", "--no-color", "--tail", "25"))
            raise
        finally:
            if keep:
                say(f"left running: docker compose --project-name {COMPOSE_PROJECT} down --volumes takes it down")
            else:
                started = time.monotonic()
                stack.down()
                say(f"taken down after {time.monotonic() - started:.0f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modes", nargs="+", choices=sorted(FILES), metavar="MODE", help="local, celery")
    parser.add_argument("--keep", action="store_true", help="leave the last stack running")
    parser.add_argument(
        "--limit", type=float, default=900, metavar="SECONDS", help="for each start and DAG run (default: %(default)s)"
    )
    arguments = parser.parse_args()
    if shutil.which("docker") is None:
        sys.exit("Docker is not installed: https://docs.docker.com/get-started/get-docker/")
    # So that the stack is also taken down when this is stopped from outside.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    results: dict[str, dict[str, str]] = {}
    for mode in arguments.modes:
        try:
            results[mode] = test(mode, arguments.keep and mode == arguments.modes[-1], arguments.limit)
        except subprocess.CalledProcessError as error:
            # The end of it is enough: a build prints everything it does.
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
