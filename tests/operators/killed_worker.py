# SPDX-License-Identifier: Apache-2.0
"""
A worker process that tests can kill: ``python -m tests.operators.killed_worker TRY_NUMBER``.

It runs the operator, prints ``sent`` and the result, and then stays until it is killed or its stdin is closed, as a
worker whose result has not reached Airflow.
"""

from __future__ import annotations

import json
import sys

from airflow_provider_ip1.client import send_once
from airflow_provider_ip1.operators.send_sms import SendSmsOperator
from tests.operators.sent_batches import NUMBER, TEXT, context

if __name__ == "__main__":
    # A quarter of the real time, so that the tests take less of it.
    send_once.PAUSES = (0.5, 1.0, 2.0, 4.0)  # type: ignore[misc]
    operator = SendSmsOperator(task_id="send", recipients=NUMBER, body=TEXT, on_unknown="retry")
    result = operator.execute(context(int(sys.argv[1])))
    print("sent " + json.dumps(result), flush=True)
    sys.stdin.read()
