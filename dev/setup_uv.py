# SPDX-License-Identifier: Apache-2.0
"""Install uv into .tools/venv, with any Python that has ensurepip or pip. Uses only the standard library."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from dev import PROJECT

REQUIREMENTS = PROJECT / "dev" / "requirements" / "uv.txt"
VENV = PROJECT / ".tools" / "venv"
PYTHON = VENV / "bin" / "python"


def main() -> None:
    print("Installing uv into .tools", flush=True)
    shutil.rmtree(VENV, ignore_errors=True)
    created = subprocess.run([sys.executable, "-m", "venv", VENV], capture_output=True, check=False)
    pip: list[str | Path] = [PYTHON, "-m", "pip"]
    if created.returncode != 0:
        # Debian without python3-venv has no ensurepip, but its own pip can install into the new environment.
        subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", VENV], check=True)
        pip = [sys.executable, "-m", "pip", "--python", PYTHON]
    pip += ["install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*pip, "--require-hashes", "--requirement", REQUIREMENTS], check=False)
    if done.returncode != 0:
        shutil.rmtree(VENV, ignore_errors=True)
        sys.exit("Could not install uv: see above. If this Python has no pip, install python3-venv or python3-pip.")


if __name__ == "__main__":
    main()
