# SPDX-License-Identifier: Apache-2.0
"""What tests need from Airflow and the provider itself does not, from wherever the installed version has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_ip1.compat import find

if TYPE_CHECKING:
    from airflow.sdk import DAG as DAG, AssetAlias as AssetAlias
    from airflow.sdk.exceptions import (
        AirflowRescheduleException as AirflowRescheduleException,
        TaskDeferred as TaskDeferred,
    )
    from airflow.sdk.log import redact as redact  # type: ignore[attr-defined]
else:
    AirflowRescheduleException = find("AirflowRescheduleException", "airflow.sdk.exceptions", "airflow.exceptions")
    AssetAlias = find("AssetAlias", "airflow.sdk", "airflow.datasets:DatasetAlias")
    DAG = find("DAG", "airflow.sdk", "airflow")
    TaskDeferred = find("TaskDeferred", "airflow.sdk.exceptions", "airflow.exceptions")
    redact = find(
        "redact",
        "airflow.sdk.log",
        "airflow.sdk._shared.secrets_masker",
        "airflow.sdk.execution_time.secrets_masker",
        "airflow.utils.log.secrets_masker",
    )
