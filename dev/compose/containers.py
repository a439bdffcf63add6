# SPDX-License-Identifier: Apache-2.0
"""A running compose project: its containers, Airflow's REST API, its memory and its versions."""

from __future__ import annotations

import json
import os
import re
import subprocess
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
FILES = {
    "local": ("docker-compose.yaml",),
    "celery": ("docker-compose.yaml", "dev/compose/docker-compose.celery.yaml"),
}
WORKERS = 2
# The DAG with the deferrable sensor, and the sandbox's number for messages that are on their way.
WAITING_DAG = "ip1_wait_for_delivery"
RECIPIENT = "46701740609"

# Runs inside an Airflow container. Prints how many messages each object contains and how many the sandbox has, but no
# content.
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
    with urllib.request.urlopen(asked, timeout=30) as response:
        return json.load(response)["totalMessageCount"]

found = {}
for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
    for entry in page.get("Contents", []):
        key = entry["Key"]
        if key.startswith("checkpoints/"):
            continue
        body = gzip.decompress(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        rows = [json.loads(line) for line in body.splitlines()]
        counts = found[key] = {"rows": len(rows), "ids": len({row["id"] for row in rows})}
        folder, name = key.removesuffix(".jsonl.gz").split("/")[:2]
        if folder in ("deliveries", "sent"):
            counts["of the batch"] = sum(row["batchId"] == name for row in rows)
        elif folder != "account":
            counts["expected"] = total(participants[name])
print(json.dumps(found))
"""


# No proxy: all addresses are on loopback.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Failed(Exception):
    """The stack did not do what it should. The message says what it did."""


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
        # Compose prefers variables of this shell to those of the file. Remove the user's settings, above all a real API
        # key. Only the base image is the user's choice.
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
        """Run `docker compose` and return its output. Raises CalledProcessError, with its stderr, if it fails."""
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
        response = self.api("POST", "/auth/token", {"username": "admin", "password": self.password})
        self.token = response["access_token"]

    def api(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"},
        )
        with DIRECT.open(request, timeout=60) as response:
            loaded: dict[str, Any] = json.load(response)
        return loaded

    def containers(self) -> list[str]:
        return self.compose("ps", "--quiet").split()

    def objects(self) -> dict[str, dict[str, int]]:
        text = self.compose("exec", "--no-TTY", "scheduler", "python", "-", input=READ_STORE)
        found: dict[str, dict[str, int]] = json.loads(text.strip().splitlines()[-1])
        return found

    def wait_for_dag(self, dag_id: str) -> None:
        """Wait until the DAG processor has parsed the file. Until then Airflow returns 404."""

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
        """Trigger a DAG and wait until it has succeeded. Raises :class:`Failed` if a task fails."""
        self.wait_for_dag(dag_id)
        started = time.monotonic()
        run = self.api("POST", f"/api/v2/dags/{dag_id}/dagRuns", {"logical_date": None, "conf": conf or {}})
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run['dag_run_id']}"
        deferred: set[str] = set()

        def ended() -> bool:
            for task in self.tasks(path, "deferred") if dag_id == WAITING_DAG else ():
                # A deferred task has this job only once a triggerer runs its trigger.
                if task["triggerer_job"]:
                    deferred.add(task["task_id"])
            return self.api("GET", path)["state"] in ("success", "failed")

        wait_until(f"{dag_id} ends", self.limit_s, ended)
        tasks = self.tasks(path)
        # A DAG that branches skips the tasks of the other branch.
        failed = [task for task in tasks if task["state"] not in ("success", "skipped")]
        if failed or all(task["state"] == "skipped" for task in tasks):
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
        with DIRECT.open(request, timeout=60) as response:
            return str(json.load(response)["id"])

    def run_waiting_dag(self) -> DagRun:
        """Run the DAG that waits, for a message that is on its way, until a triggerer has waited for it."""
        for _ in range(5):
            run = self.run_dag(WAITING_DAG, {"batch_id": self.send(), "participant": RECIPIENT})
            if run.deferred:
                return run
            say(f"{WAITING_DAG}: the message was delivered before the task started (a busy machine); trying again")
        raise Failed(f"{WAITING_DAG}: the triggerer never ran a task")

    def tasks(self, run_path: str, state: str = "") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            query = f"?limit=100&offset={len(found)}" + (f"&state={state}" if state else "")
            page = self.api("GET", f"{run_path}/taskInstances{query}")
            found += page["task_instances"]
            if not page["task_instances"] or len(found) >= page["total_entries"]:
                return found

    def most_requests_in_a_second(self) -> tuple[int, int]:
        """Return the number of requests to the sandbox, and the most within one second."""
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
    """The measurements of a successful DAG run."""

    seconds: float
    tasks: int
    hosts: set[str]
    deferred: set[str]


class Memory(threading.Thread):
    """Samples the memory that the stack's containers use, according to `docker stats`."""

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
                continue  # A container has stopped between the two commands. Wait for the next sample.


def wait_until(what: str, limit_s: float, check: Callable[[], Any]) -> None:
    """Call ``check`` once a second until it returns a true value. Raises :class:`Failed` after ``limit_s`` seconds."""
    deadline = time.monotonic() + limit_s
    while True:
        trouble = ""
        try:
            if check():
                return
        except urllib.error.HTTPError:
            raise
        except OSError as error:  # A busy machine may not respond in time.
            trouble = f"; last: {error}"
        if time.monotonic() > deadline:
            raise Failed(f"{what}: not within {limit_s:.0f} s{trouble}")
        time.sleep(1)
