# SPDX-License-Identifier: Apache-2.0
"""A real MariaDB, with which iP.1's older documentation compares its paging."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

END = "-- end of the result --"


def find_program(name: str) -> str | None:
    """Return the path of one of MariaDB's programs. Debian installs the server where a user's PATH may not reach."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/usr/local/bin:/usr/bin")


IS_INSTALLED = all(find_program(name) for name in ("mariadbd", "mariadb-install-db", "mariadb"))


class MariaDB:
    """A session of the command line client. No Python driver is needed, and none has to be pinned."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def rows(self, statement: str) -> list[list[str]]:
        """Run one statement and return the rows of its result, as text."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(f"{statement};\nSELECT '{END}';\n")
        stdin.flush()
        rows: list[list[str]] = []
        for line in stdout:
            if line.rstrip("\n") == END:
                return rows
            rows.append(line.rstrip("\n").split("\t"))
        raise RuntimeError("MariaDB's client has ended.")

    def insert(self, table: str, rows: Sequence[Sequence[object]]) -> None:
        """Insert rows of numbers and texts without quotes."""
        for first in range(0, len(rows), 5000):
            values = ",".join("(" + ",".join(map(repr, row)) + ")" for row in rows[first : first + 5000])
            self.rows(f"INSERT INTO {table} VALUES {values}")  # noqa: S608


@contextmanager
def running_mariadb(folder: Path) -> Iterator[MariaDB]:
    """Run a server without network in an empty folder, and a client with a database."""
    data, socket = folder / "data", folder / "socket"
    log = (folder / "log").open("w")
    subprocess.run(
        [
            find_program("mariadb-install-db") or "",
            "--no-defaults",
            f"--datadir={data}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        ],
        check=True,
        stdout=log,
        stderr=log,
    )
    server = subprocess.Popen(
        [
            find_program("mariadbd") or "",
            "--no-defaults",
            f"--datadir={data}",
            f"--socket={socket}",
            f"--pid-file={folder / 'pid'}",
            "--skip-networking",
            "--skip-grant-tables",
            "--innodb-buffer-pool-size=64M",
            "--innodb-flush-log-at-trx-commit=0",
            "--user=root",
        ],
        stdout=log,
        stderr=log,
    )
    try:
        client = _client(socket, server)
        with client:
            session = MariaDB(client)
            session.rows("CREATE DATABASE paging")
            session.rows("USE paging")
            yield session
            assert client.stdin is not None
            client.stdin.close()
    finally:
        server.terminate()
        server.wait(60)
        log.close()


def _client(socket: Path, server: subprocess.Popen[bytes]) -> subprocess.Popen[str]:
    command = [find_program("mariadb") or "", "--no-defaults", f"--socket={socket}", "--user=root"]
    for _ in range(600):
        ready = subprocess.run([*command, "--execute=SELECT 1"], capture_output=True, check=False)
        if ready.returncode == 0:
            return subprocess.Popen(
                [*command, "--batch", "--skip-column-names", "--unbuffered", "--quick"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        if server.poll() is not None:
            break
        time.sleep(0.1)
    raise RuntimeError("MariaDB does not start. Its log is in the folder of the test.")
