# SPDX-License-Identifier: Apache-2.0
"""
Imports what the processes of :mod:`tests.forks` need.

Not all versions of Airflow have all of these modules, and a process imports what is missing here.
"""

from contextlib import suppress
from importlib import import_module

for module in (
    "airflow.__main__",
    "airflow.cli.commands.dag_command",
    "airflow.cli.commands.task_command",
    "airflow.dag_processing.dagbag",
    "airflow.api_fastapi.execution_api.app",
    "airflow.sdk.execution_time.task_runner",
    "airflow.providers.amazon.aws.hooks.s3",
    "airflow.providers.standard.operators.python",
    "airflow_provider_ip1.client.async_client",
    "airflow_provider_ip1.operators.send_sms",
    "airflow_provider_ip1.transfers.conversation_to_s3",
):
    with suppress(ImportError):
        import_module(module)
