# SPDX-License-Identifier: Apache-2.0
"""
New processes that have already imported Airflow, which takes seconds.

Python's fork server imports it once, without threads and without what the tests do, and forks for each process.
"""

from __future__ import annotations

import multiprocessing

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.preloaded"])
