# SPDX-License-Identifier: Apache-2.0
"""Runs an export with the real operators: only the two sockets and the clock are simulated."""

from __future__ import annotations

import inspect
from contextlib import ExitStack, suppress
from datetime import datetime, tzinfo
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from airflow_provider_ip1.client import base_client
from airflow_provider_ip1.compat import AirflowSkipException
from airflow_provider_ip1.exceptions import IP1NoMessagesError
from airflow_provider_ip1.transfers import export, readers
from airflow_provider_ip1.transfers.conversation_to_s3 import ConversationToS3Operator
from airflow_provider_ip1.transfers.messages_to_s3 import MessagesToS3Operator
from airflow_provider_ip1.transfers.stores import s3
from tests.checkpoints.memory_s3 import MemoryS3
from tests.checkpoints.world import CHECKPOINT, Run, World


def s3_hook(client: MemoryS3) -> Any:
    """Return what the store needs of an ``S3Hook``."""
    return SimpleNamespace(
        aws_conn_id="aws_default",
        extra_args={},
        service_config={},
        transfer_config=SimpleNamespace(multipart_chunksize=5 * 1024 * 1024),
        conn_config=SimpleNamespace(conn_type="aws", get_service_endpoint_url=lambda service_name: "http://s3.example"),
        get_conn=lambda: client,
    )


def export_with_operator(world: World, run: Run) -> dict[str, Any] | None:
    """
    Run one try of a task.

    :param world: where it runs.
    :param run: the run.
    :return: the result of the task; ``None`` if it was skipped, or ``on_empty`` failed it.
    """

    class WorkersClock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return world.utc_now()

    arguments: dict[str, Any] = {
        "task_id": "export",
        "s3_bucket": "lake",
        "s3_key": run.key,
        "checkpoint": CHECKPOINT,
        **run.options,
    }
    operator: ConversationToS3Operator | MessagesToS3Operator
    if run.participants is None:
        operator = MessagesToS3Operator(**arguments)
    else:
        operator = ConversationToS3Operator(participant=[*run.participants], **arguments)
    vars(operator).update(hook=world.hook())
    ti = SimpleNamespace(
        dag_id="sms",
        task_id="export",
        run_id=run.id,
        map_index=run.map_index,
        try_number=run.try_number,
        xcom_push=lambda **_: None,
    )
    with ExitStack() as stack:
        for module in (base_client, export, readers):
            stack.enter_context(patch.object(module, "datetime", WorkersClock))
        stack.enter_context(patch.object(s3, "s3_hook", lambda aws_conn_id: s3_hook(world.s3)))
        stack.enter_context(suppress(AirflowSkipException, IP1NoMessagesError))
        # Airflow lets only its own code call execute() itself.
        result: dict[str, Any] = inspect.unwrap(type(operator).execute)(operator, {"ti": ti, "run_id": run.id})
        return result
    return None
