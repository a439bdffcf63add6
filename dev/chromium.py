# SPDX-License-Identifier: Apache-2.0
"""Make sure that Chromium is installed, for ``make test-ui``. Installs it only where this is Debian and we are root."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")


def main() -> None:
    if any(shutil.which(name) for name in NAMES):
        return
    if os.geteuid() != 0 or not Path("/etc/debian_version").is_file():
        sys.exit("Chromium is not installed. Install it (Debian: sudo apt-get install chromium), then run this again.")
    subprocess.run(["apt-get", "update", "-qq"], check=True)
    subprocess.run(["apt-get", "install", "--yes", "-qq", "--no-install-recommends", "chromium"], check=True)


if __name__ == "__main__":
    main()
