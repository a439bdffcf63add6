# SPDX-License-Identifier: Apache-2.0
"""
The time that importing a module adds to ``airflow.sdk``: ``python -m benchmarks.imports MODULE``.

Airflow imports a DAG file's modules each time it parses the file in a new process.
"""

from __future__ import annotations

import importlib
import json
import sys
import time

if __name__ == "__main__":
    import airflow.sdk  # noqa: F401

    began = time.perf_counter()
    importlib.import_module(sys.argv[1])
    print("RESULT " + json.dumps(time.perf_counter() - began))
