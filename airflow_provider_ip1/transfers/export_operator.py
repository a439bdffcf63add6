# SPDX-License-Identifier: Apache-2.0
"""The base class of the operators that export messages to one object. Subclasses say from where, and to which store."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_ip1.compat import Asset, BaseOperator, Stats
from airflow_provider_ip1.formats.compression import FileFormat
from airflow_provider_ip1.template_values import failing_at_once, required_text
from airflow_provider_ip1.transfers.lineage import lineage_of_export
from airflow_provider_ip1.transfers.options import ExportOptions, with_option_texts

if TYPE_CHECKING:
    from airflow_provider_ip1.compat import Context
    from airflow_provider_ip1.hooks.ip1 import IP1Hook
    from airflow_provider_ip1.links.base import BaseObjectLink
    from airflow_provider_ip1.transfers.export import Export
    from airflow_provider_ip1.transfers.readers import Reader


class BaseExportOperator(BaseOperator):
    """Write messages of iP.1 to one object. A subclass decides which messages, and where."""

    options_class: ClassVar[type[ExportOptions]]
    template_fields: Sequence[str] = ("direction", "since", "until", "checkpoint", "ip1_conn_id")
    operator_extra_links: tuple[BaseObjectLink, ...] = ()

    file_format: FileFormat
    ip1_conn_id: str
    checkpoint: str | None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.__doc__ = with_option_texts(cls.__doc__, cls.options_class)

    @failing_at_once()
    def __init__(self, **arguments: Any) -> None:
        names = [field.name for field in fields(self.options_class)]
        options = {name: arguments.pop(name) for name in names if name in arguments}
        super().__init__(**arguments)
        # A mistake in an option that is not templated shows when the DAG is parsed. execute() checks the others.
        for name, value in vars(self.options_class(**options)).items():
            setattr(self, name, value)
        # Native rendering turns a missing value into None, which would silently export everything.
        self._has_checkpoint = self.checkpoint is not None
        self.object_url: str | None = None
        """The page that shows the object to a person, once it is written. The link reads it."""
        self._export: Export | None = None
        self._is_killed = False
        self._finished: tuple[str, tuple[str, str], dict[str, Any]] | None = None

    @abstractmethod
    def _reader(self, options: ExportOptions) -> Reader:
        """Return the reader of the messages. Airflow has rendered the templates before."""

    @cached_property
    def hook(self) -> IP1Hook:
        """The hook that reads the messages."""
        from airflow_provider_ip1.hooks.ip1 import IP1Hook

        return IP1Hook(self.ip1_conn_id)

    def execute(self, context: Context) -> dict[str, Any]:
        """
        Run the export.

        :param context: context of the task's run; may be empty.
        """
        from airflow_provider_ip1.transfers.export import Export

        with failing_at_once():
            self.ip1_conn_id = required_text(self.ip1_conn_id, "ip1_conn_id")
            if self._has_checkpoint:
                required_text(self.checkpoint, "checkpoint")
            names = [field.name for field in fields(self.options_class)]
            options = self.options_class(**{name: getattr(self, name) for name in names})
            reader = self._reader(options)
            store = options.store()
            self._export = export = Export(options, reader, self.hook, store, context, self.log)
        if self._is_killed:
            export.cancel()
        try:
            with failing_at_once():
                result = export.run()
        finally:
            Stats.incr("ip1.requests", self.hook.requests_sent)
            Stats.incr("ip1.retries", self.hook.retries)
            self.hook.close()
        Stats.incr("ip1.messages_exported", result["messages"])
        self.object_url = store.link
        self._finished = (reader.dataset, store.dataset, result)
        if self.object_url and (ti := context.get("ti")) is not None:
            ti.xcom_push(key=self.operator_extra_links[0].key, value=self.object_url)
        if (events := context.get("outlet_events")) is not None:
            for outlet in self.outlets:
                if isinstance(outlet, Asset):
                    events[outlet].extra.update(result)
        return result

    def on_kill(self) -> None:
        """
        Stop reading and leave no object. Airflow calls this from a signal handler.

        On Airflow 3, the task would go on after the handler, and wait for iP.1 or the store until the supervisor kills
        it a few seconds later. So it is interrupted here. Airflow 2 itself raises an exception in the handler.
        """
        self._is_killed = True
        if self._export is not None:
            self._export.cancel(interrupt=BaseOperator.__module__.startswith("airflow.sdk"))

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """
        Return the lineage of the export. The OpenLineage provider calls this if it is installed.

        :param task_instance: not used.
        :return: an ``OperatorLineage``, empty if the export did not finish.
        """
        if self._finished is None:
            from airflow_provider_ip1.compat import OperatorLineage

            return OperatorLineage()
        return lineage_of_export(self.hook.settings.base_url, self.file_format, *self._finished)
