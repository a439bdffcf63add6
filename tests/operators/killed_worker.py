# SPDX-License-Identifier: Apache-2.0
"""
A worker process that tests can kill.

It runs the operator, sends the result, and then stays until it is killed, as a worker whose result has not reached
Airflow.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from multiprocessing.connection import Connection

from airflow_provider_ip1.client import batch_search
from airflow_provider_ip1.operators.send_sms import SendSmsOperator
from tests.operators.sent_batches import NUMBER, TEXT, context


def work(try_number: int, env: Mapping[str, str], results: Connection) -> None:
    """
    Run one try of the task.

    :param try_number: which try.
    :param env: the environment, because the server that forks this process has the one it was started with.
    :param results: where to send the result.
    """
    os.environ.update(env)
    # A quarter of the real time, so that the tests take less of it.
    batch_search.PAUSES = (0.5, 1.0, 2.0, 4.0)  # type: ignore[misc]
    operator = SendSmsOperator(task_id="send", recipients=NUMBER, body=TEXT, on_unknown="retry")
    results.send(operator.execute(context(try_number)))
    threading.Event().wait()
