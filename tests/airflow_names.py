# SPDX-License-Identifier: Apache-2.0
"""What tests need from Airflow and the provider itself does not, from wherever the installed version has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_ip1.compat import find

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag as DagBag
    from airflow.sdk import DAG as DAG, AssetAlias as AssetAlias
    from airflow.sdk.exceptions import (
        AirflowException as AirflowException,
        AirflowRescheduleException as AirflowRescheduleException,
        TaskDeferralError as TaskDeferralError,
        TaskDeferred as TaskDeferred,
    )
    from airflow.sdk.log import redact as redact  # type: ignore[attr-defined]
else:
    AirflowException = find("AirflowException", "airflow.sdk.exceptions", "airflow.exceptions")
    AirflowRescheduleException = find("AirflowRescheduleException", "airflow.sdk.exceptions", "airflow.exceptions")
    AssetAlias = find("AssetAlias", "airflow.sdk", "airflow.datasets:DatasetAlias")
    DAG = find("DAG", "airflow.sdk", "airflow")
    DagBag = find("DagBag", "airflow.dag_processing.dagbag", "airflow.models.dagbag")
    TaskDeferralError = find("TaskDeferralError", "airflow.sdk.exceptions", "airflow.exceptions")
    TaskDeferred = find("TaskDeferred", "airflow.sdk.exceptions", "airflow.exceptions")
    redact = find(
        "redact",
        "airflow.sdk.log",
        "airflow.sdk._shared.secrets_masker",
        "airflow.sdk.execution_time.secrets_masker",
        "airflow.utils.log.secrets_masker",
    )


def allow_execute_in_this_thread() -> None:
    """
    Let operators execute in a thread that tests have started.

    On Airflow 2, the state of the guard of ``execute`` exists only in the thread that imported Airflow.
    """
    guard = find("ExecutorSafeguard", "airflow.sdk.bases.operator", "airflow.models.baseoperator")
    sentinel = getattr(guard, "_sentinel", None)
    if sentinel is not None and not hasattr(sentinel, "callers"):
        sentinel.callers = {}
