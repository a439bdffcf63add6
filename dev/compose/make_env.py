#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write .env for docker-compose.yaml: a copy of .env.example with new secrets that only its owner can read.

It never changes an existing .env. It needs only Python's standard library.
"""

from __future__ import annotations

import base64
import os
import re
import secrets
import sys
from collections.abc import Callable
from pathlib import Path

from dev import EXAMPLE_DAGS, PROJECT

EXAMPLE = Path(__file__).resolve().parent / ".env.example"

# How to create each secret. All values are safe in URLs, in JSON and in shell commands.
SECRETS: dict[str, Callable[[], str]] = {
    "FERNET_KEY": lambda: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
    "JWT_SECRET": lambda: secrets.token_urlsafe(64),
    "API_SECRET_KEY": lambda: secrets.token_urlsafe(32),
    "POSTGRES_PASSWORD": lambda: secrets.token_urlsafe(24),
    "VALKEY_PASSWORD": lambda: secrets.token_urlsafe(24),
    "S3_ACCESS_KEY": lambda: secrets.token_hex(10),
    "S3_SECRET_KEY": lambda: secrets.token_urlsafe(30),
    "AIRFLOW_ADMIN_PASSWORD": lambda: secrets.token_urlsafe(12),
}


def fill_in(example: str) -> str:
    """Return the text of .env, given the text of .env.example.

    :param example: the text, with a line ``NAME=`` for every name in ``SECRETS``.
    :return: the text with new secrets, and with this user's id as ``AIRFLOW_UID``.
    :raises ValueError: if a secret does not have exactly one such line.
    """
    text = example
    for name, make in SECRETS.items():
        text, found = re.subn(rf"(?m)^{name}=$", f"{name}={make()}", text)
        if found != 1:
            raise ValueError(f".env.example needs one empty line {name}=, it has {found}")
    # Windows has no os.getuid, and Docker maps the owners of files there. Airflow must not run as root.
    uid = os.getuid() if hasattr(os, "getuid") else 0
    if uid != 0:
        text = text.replace("#AIRFLOW_UID=50000", f"AIRFLOW_UID={uid}")
    return text


def write_env(path: Path, example: Path = EXAMPLE) -> bool:
    """Write the settings and secrets, unless the file exists.

    :param path: the file to write, with mode 0600.
    :param example: the file to copy.
    :return: whether it was written.
    """
    text = fill_in(example.read_text(encoding="utf-8"))
    try:
        # Create it with its final mode, so that others can never read it.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)
    return True


def share_dags(folder: Path = EXAMPLE_DAGS) -> None:
    """Let Airflow's user read the example DAGs if root has cloned the repository with umask 077.

    Otherwise Airflow runs as the user who cloned it, and can read them anyway.

    :param folder: the folder that the containers mount.
    """
    if not hasattr(os, "getuid") or os.getuid() != 0:
        return
    for path in (folder, *folder.rglob("*")):
        mode = path.stat().st_mode
        path.chmod(mode | (0o555 if path.is_dir() else 0o444))


def main() -> None:
    if len(sys.argv) > 2:
        sys.exit("usage: python3 -m dev.compose.make_env [FILE]   (default: .env beside docker-compose.yaml)")
    path = Path(sys.argv[1]) if len(sys.argv) == 2 else PROJECT / ".env"
    share_dags()
    print(f"wrote {path}" if write_env(path) else f"{path} already exists and was not changed")


if __name__ == "__main__":
    main()
