# SPDX-License-Identifier: Apache-2.0
"""A type checker finds a wrong argument in the editor, before the DAG is parsed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy")

OPERATOR = """
from airflow_provider_ip1.transfers.conversation_to_s3 import ConversationToS3Operator

ConversationToS3Operator(task_id="export", participant=["46701740605"], s3_key="s3://lake/out.jsonl", {})
"""

RIGHT = [
    'file_format="parquet", compression="snappy"',
    'on_empty="skip", redact={"sender": "hash", "body": "drop"}',
    'since="{{ data_interval_start }}", compression=None, verify_total=True',
]
WRONG = {
    'file_format="json"': 'Argument "file_format"',
    'compression="lzma"': 'Argument "compression"',
    'on_empty="ignore"': 'Argument "on_empty"',
    'redact={"phone": "hush"}': "Dict entry",
    'verify_total="yes"': 'Argument "verify_total"',
}


@pytest.mark.slow
def test_a_type_checker_knows_the_operators_arguments(tmp_path: Path) -> None:
    """All files in one run, because mypy takes most of its time for the imports."""
    for number, arguments in enumerate([*RIGHT, *WRONG]):
        (tmp_path / f"dag_{number}.py").write_text(OPERATOR.format(arguments))
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    errors = [line for line in done.stdout.splitlines() if " error: " in line]
    assert [line.partition(" error: ")[2].startswith(tuple(WRONG.values())) for line in errors] == [True] * len(WRONG)
    for number, error in enumerate(WRONG.values(), start=len(RIGHT)):
        assert [line for line in errors if f"dag_{number}.py" in line and error in line], done.stdout
