# SPDX-License-Identifier: Apache-2.0
"""Which ports of a running compose project answer, seen from its containers and from this machine."""

from __future__ import annotations

import json
import subprocess
import sys

from dev.compose.containers import Failed, Stack, say

S3 = 8333
# Filer, master and volume server, each with its gRPC port, and WebDAV. None of them asks for a key.
WITHOUT_A_KEY = (8888, 18888, 9333, 19333, 8080, 18080, 7333)

# Prints those of its arguments, each HOST:PORT, that accept a connection.
CONNECT = """
import socket, sys
from concurrent.futures import ThreadPoolExecutor

def accepts(target):
    host, _, port = target.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=3).close()
    except OSError:
        return False
    return True

targets = sys.argv[1:]
with ThreadPoolExecutor(32) as pool:
    print(*(target for target, open in zip(targets, pool.map(accepts, targets)) if open))
"""


def address_of(stack: Stack, service: str) -> str:
    """Return the address of a service's only container, in the first of its networks."""
    (container,) = stack.compose("ps", "--quiet", service).split()
    printed = subprocess.run(["docker", "inspect", container], check=True, text=True, stdout=subprocess.PIPE).stdout
    networks = json.loads(printed)[0]["NetworkSettings"]["Networks"]
    return str(next(iter(networks.values()))["IPAddress"])


def reachable(stack: Stack, service: str, *targets: str) -> set[str]:
    """Return which of the targets accept a connection from a container with Python."""
    return set(stack.compose("exec", "--no-TTY", service, "python", "-", *targets, input=CONNECT).split())


def check_isolation(stack: Stack) -> None:
    """
    Check that other containers and local users reach the store only through S3, and the sandbox reaches nothing.

    :raises Failed: if a port accepts a connection that should not, or S3 does not.
    """
    store = address_of(stack, "seaweedfs")
    closed = [f"{host}:{port}" for host in ("seaweedfs", store) for port in WITHOUT_A_KEY]
    from_airflow = reachable(stack, "scheduler", *closed, f"seaweedfs:{S3}")
    if from_airflow != {f"seaweedfs:{S3}"}:
        raise Failed(f"Airflow should reach only S3, at port {S3} of the store, and reaches {sorted(from_airflow)}")
    others = [f"{store}:{S3}", f"{address_of(stack, 'postgres')}:5432"]
    if stack.mode == "celery":
        others.append(f"{address_of(stack, 'valkey')}:6379")
        response = stack.compose("exec", "--no-TTY", "valkey", "env", "--unset=REDISCLI_AUTH", "valkey-cli", "ping")
        if "NOAUTH" not in response:
            raise Failed(f"Valkey responds without a password: {response.strip()}")
    if found := reachable(stack, "sandbox", *closed, *others):
        raise Failed(f"the sandbox reaches {sorted(found)}")
    # On Linux, this machine reaches the addresses of containers, whatever ports they publish.
    command = [sys.executable, "-c", CONNECT, *closed]
    if found := set(subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout.split()):
        raise Failed(f"local users reach {sorted(found)} without a key")
    say("only S3 of the store can be reached, and only by Airflow")
