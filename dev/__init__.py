# SPDX-License-Identifier: Apache-2.0
"""Tools for developers of this provider, run from the repository root as ``python -m dev.<package>.<module>``."""

from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
EXAMPLE_DAGS = PROJECT / "example_dags"
