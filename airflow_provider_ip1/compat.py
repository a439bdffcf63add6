# SPDX-License-Identifier: Apache-2.0
"""
The only module that knows where each supported version of Airflow has what this provider uses.

The official ``common.compat`` provider does the same, but the constraints of Airflow 2.11.0 pin a release that lacks
most of these names. Nothing is loaded before it is used, because a DAG file should not load what only a task needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    from airflow.providers.openlineage.extractors import OperatorLineage as OperatorLineage
    from airflow.sdk import (
        Asset as Asset,
        BaseHook as BaseHook,
        BaseNotifier as BaseNotifier,
        BaseOperator as BaseOperator,
        BaseOperatorLink as BaseOperatorLink,
        BaseSensorOperator as BaseSensorOperator,
        Connection as Connection,
        Context as Context,
        PokeReturnValue as PokeReturnValue,
    )
    from airflow.sdk._shared.secrets_masker import redact as redact
    from airflow.sdk.configuration import conf as conf
    from airflow.sdk.exceptions import (
        AirflowFailException as AirflowFailException,
        AirflowNotFoundException as AirflowNotFoundException,
        AirflowOptionalProviderFeatureException as AirflowOptionalProviderFeatureException,
        AirflowSensorTimeout as AirflowSensorTimeout,
        AirflowSkipException as AirflowSkipException,
    )
    from airflow.sdk.execution_time.xcom import XCom as XCom
    from airflow.sdk.lineage import get_hook_lineage_collector as get_hook_lineage_collector
    from airflow.sdk.log import mask_secret as mask_secret
    from airflow.sdk.observability.stats import Stats as Stats
    from airflow.sdk.types import TaskInstanceKey as TaskInstanceKey
    from airflow.triggers.base import (
        BaseEventTrigger as BaseEventTrigger,
        BaseTrigger as BaseTrigger,
        TriggerEvent as TriggerEvent,
    )

# Of every name that begins with Airflow.
_EXCEPTIONS = ("airflow.sdk.exceptions", "airflow.exceptions")
_MASKER = ("airflow.sdk.log", "airflow.sdk.execution_time.secrets_masker", "airflow.utils.log.secrets_masker")
# Where to look for a name, the newest home first. After a colon: its name there, if it was renamed since.
_HOMES: dict[str, tuple[str, ...]] = {
    "Asset": ("airflow.sdk", "airflow.datasets:Dataset"),
    # Airflow 2 does not start DAGs with triggers.
    "BaseEventTrigger": ("airflow.triggers.base", "airflow.triggers.base:BaseTrigger"),
    "BaseHook": ("airflow.sdk", "airflow.hooks.base"),
    "BaseNotifier": ("airflow.sdk", "airflow.notifications.basenotifier"),
    "BaseOperator": ("airflow.sdk", "airflow.models.baseoperator"),
    "BaseOperatorLink": ("airflow.sdk", "airflow.models.baseoperatorlink"),
    "BaseSensorOperator": ("airflow.sdk", "airflow.sensors.base"),
    "BaseTrigger": ("airflow.triggers.base",),
    "Connection": ("airflow.sdk", "airflow.models.connection"),
    "Context": ("airflow.sdk", "airflow.utils.context"),
    "OperatorLineage": ("airflow.providers.openlineage.extractors",),
    "PokeReturnValue": ("airflow.sdk", "airflow.sensors.base"),
    "Stats": ("airflow.sdk.observability.stats", "airflow.observability.stats", "airflow.stats"),
    "TaskInstanceKey": ("airflow.sdk.types", "airflow.models.taskinstancekey"),
    "TriggerEvent": ("airflow.triggers.base",),
    "XCom": ("airflow.sdk.execution_time.xcom", "airflow.models.xcom"),
    "conf": ("airflow.sdk.configuration", "airflow.configuration"),
    "get_hook_lineage_collector": ("airflow.sdk.lineage", "airflow.lineage.hook"),
    "mask_secret": _MASKER,
    "redact": _MASKER,
}


def find(name: str, *homes: str) -> Any:
    """
    Import a name from the first module that has it.

    :param name: what to import.
    :param homes: modules, each with a colon and the name there if that differs.
    :raises ImportError: none of the modules has it, or one of them cannot be imported.
    """
    from importlib import import_module

    for home in homes:
        module, _, old_name = home.partition(":")
        try:
            return getattr(import_module(module), old_name or name)
        except AttributeError:
            continue
        except ModuleNotFoundError as error:
            # A missing dependency of the module is not the same as a missing module.
            if not f"{module}.".startswith(f"{error.name}."):
                raise
    raise ImportError(f"This Airflow has no {name} in {' or '.join(homes)}", name=name)


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        homes = _EXCEPTIONS if name.startswith("Airflow") else _HOMES.get(name)
        if homes is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = globals()[name] = find(name, *homes)
        return found


def event_loops_look_up_connections() -> bool:
    """Return false before Airflow 3.3.2, where an event loop deadlocks if it masks the secrets of a connection."""
    from airflow_provider_ip1.compat import Connection

    return hasattr(Connection, "aextra_dejson")


def add_output_asset(hook: BaseHook, scheme: str, **asset: str) -> None:
    """
    Report to the lineage of hooks that a hook wrote an asset. Airflow 2 calls it a dataset.

    :param hook: the hook.
    :param scheme: of the asset's URI, such as ``"s3"``.
    :param asset: what its provider makes the URI from.
    """
    from airflow_provider_ip1.compat import get_hook_lineage_collector

    collector: Any = get_hook_lineage_collector()
    if hasattr(collector, "add_output_asset"):
        collector.add_output_asset(context=hook, scheme=scheme, asset_kwargs=asset)
    else:
        collector.add_output_dataset(context=hook, scheme=scheme, dataset_kwargs=asset)


def first_reschedule_date(sensor: BaseSensorOperator, context: Context) -> datetime | None:
    """
    Find out when a rescheduled sensor was poked first.

    :param sensor: the sensor.
    :param context: of the task, with its ``ti``.
    :return: the start of the first poke; ``None`` during the first poke.
    """
    task_instance: Any = context["ti"]
    if hasattr(task_instance, "get_first_reschedule_date"):
        started: datetime | None = task_instance.get_first_reschedule_date(context)
        return started
    # Airflow 2 sets the start of the task again at each poke, and keeps the reschedules in its database.
    original = find("_orig_start_date", "airflow.sensors.base")
    started = original(
        dag_id=task_instance.dag_id,
        task_id=task_instance.task_id,
        run_id=task_instance.run_id,
        map_index=task_instance.map_index,
        # The first try since the task was last cleared, as in BaseSensorOperator.
        try_number=(task_instance.max_tries or 0) - (sensor.retries or 0) + 1,
    )
    return started


async def call_store(store: Any, method: str, *arguments: Any) -> Any:
    """
    Call a method of one of Airflow's state stores without blocking the event loop.

    Airflow 3.3.0 and 3.3.1 have only methods that block.

    :param store: the store of an asset, which triggers have since Airflow 3.3.
    :param method: ``"get"`` or ``"set"``.
    :param arguments: of the method.
    :return: what the method returns.
    """
    if hasattr(store, f"a{method}"):
        return await getattr(store, f"a{method}")(*arguments)

    import asyncio

    return await asyncio.to_thread(getattr(store, method), *arguments)
