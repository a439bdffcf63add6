# SPDX-License-Identifier: Apache-2.0
"""Run programs in the background and stop them, with all their children, when the caller ends."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

END_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class ProgramError(RuntimeError):
    """A local program did not start, or failed. The message contains the end of its log."""


@dataclass
class Process:
    """A program that leads its own process group, so that stopping it also stops its children."""

    name: str
    popen: subprocess.Popen[bytes]
    log_path: Path

    def failure(self, what: str) -> ProgramError:
        """Return an error that says what happened to the program, with the end of its log."""
        tail = "\n".join(self.log_path.read_text(errors="replace").splitlines()[-20:])
        return ProgramError(f"{self.name} {what}. The end of {self.log_path.name}:\n{tail}")

    def wait_until(self, ready: Callable[[], bool], *, seconds: float) -> None:
        """
        Wait until the program is ready.

        :param ready: returns whether it is; called every 50 ms.
        :param seconds: how long to wait, in seconds.
        :raises ProgramError: the program ended, or is not ready in time.
        """
        deadline = time.monotonic() + seconds
        while self.popen.poll() is None:
            if ready():
                return
            if time.monotonic() > deadline:
                raise self.failure(f"was not ready within {seconds:.0f} s")
            time.sleep(0.05)
        raise self.failure(f"ended with exit code {self.popen.returncode}")

    def stop(self, *, patience: float = 15) -> None:
        """
        Stop the whole process group: send SIGTERM, and SIGKILL to those that do not end.

        :param patience: how long to wait after SIGTERM, in seconds.
        """
        for number, seconds in ((signal.SIGTERM, patience), (signal.SIGKILL, 5)):
            if not self._signal_group(number):
                break
            deadline = time.monotonic() + seconds
            while self._signal_group(0) and time.monotonic() < deadline:
                time.sleep(0.02)
        self.popen.wait()

    def _signal_group(self, number: int) -> bool:
        self.popen.poll()  # A child that has ended belongs to the group until it is reaped.
        try:
            os.killpg(self.popen.pid, number)
        except (ProcessLookupError, PermissionError):  # macOS: PermissionError if only zombies are left
            return False
        return True


@contextmanager
def running(
    name: str, command: Sequence[str | Path], *, log_path: Path, env: Mapping[str, str] | None = None
) -> Iterator[Process]:
    """
    Run a program in the background until the block ends.

    :param name: the program's name in errors.
    :param command: the program and its arguments.
    :param log_path: the file that collects everything it prints; its folder is the working directory.
    :param env: its environment; default: this program's.
    :return: the running program.
    """
    process = None
    try:
        with log_path.open("ab") as log:
            # A signal right after the start, before ``process`` is assigned, would leave the program running.
            mask = signal.pthread_sigmask(signal.SIG_BLOCK, END_SIGNALS)
            try:
                process = Process(
                    name,
                    subprocess.Popen(  # noqa: S603 - the caller's own program
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
