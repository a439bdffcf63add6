#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write .env for docker-compose.yaml: .env.example with fresh secrets, readable only by its owner.

An .env that is there already is never changed. Needs only Python's standard library.
"""

from __future__ import annotations

import base64
import os
import re
import secrets
import sys
from collections.abc import Callable
from pathlib import Path

from dev import PROJECT

EXAMPLE = Path(__file__).resolve().parent / ".env.example"

# How each secret is made. All are safe inside a URL, JSON and a shell word.
SECRETS: dict[str, Callable[[], str]] = {
    "FERNET_KEY": lambda: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
    "JWT_SECRET": lambda: secrets.token_urlsafe(64),
    "API_SECRET_KEY": lambda: secrets.token_urlsafe(32),
    "POSTGRES_PASSWORD": lambda: secrets.token_urlsafe(24),
    "S3_ACCESS_KEY": lambda: secrets.token_hex(10),
    "S3_SECRET_KEY": lambda: secrets.token_urlsafe(30),
    "AIRFLOW_ADMIN_PASSWORD": lambda: secrets.token_urlsafe(12),
}


def fill_in(example: str) -> str:
    """Return the text of .env for the text of .env.example.

    :param example: The example file; it must hold an empty line ``NAME=`` for every name in ``SECRETS``.
    :return: The same text with fresh secrets, and with this user's id as ``AIRFLOW_UID``.
    :raises ValueError: If a secret has no such line.
    """
    text = example
    for name, make in SECRETS.items():
        text, found = re.subn(rf"(?m)^{name}=$", f"{name}={make()}", text)
        if found != 1:
            raise ValueError(f".env.example needs one empty line {name}=, it has {found}")
    # os.getuid is missing on Windows, where Docker maps file owners by itself. Airflow must not run as root.
    uid = os.getuid() if hasattr(os, "getuid") else 0
    if uid != 0:
        text = text.replace("#AIRFLOW_UID=50000", f"AIRFLOW_UID={uid}")
    return text


def write_env(path: Path, example: Path = EXAMPLE) -> bool:
    """Write ``path`` unless it exists.

    :param path: The file to write, with mode 0600.
    :param example: The file to start from.
    :return: Whether it was written.
    """
    text = fill_in(example.read_text(encoding="utf-8"))
    try:
        # Created with its final mode: there is no moment when others may read it.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)
    return True


def main() -> None:
    if len(sys.argv) > 2:
        sys.exit("usage: make_env.py [FILE]   (default: .env beside docker-compose.yaml)")
    path = Path(sys.argv[1]) if len(sys.argv) == 2 else PROJECT / ".env"
    print(f"wrote {path}" if write_env(path) else f"{path} is there already, nothing changed")


if __name__ == "__main__":
    main()
