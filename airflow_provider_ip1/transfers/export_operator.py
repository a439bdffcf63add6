# SPDX-License-Identifier: Apache-2.0
"""The base class of the operators that export messages to one S3 object. Subclasses say where to read the messages."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Unpack

from airflow_provider_ip1.compat import Asset, BaseOperator, Stats
from airflow_provider_ip1.formats.compression import FileFormat
from airflow_provider_ip1.links.s3 import S3ObjectLink
from airflow_provider_ip1.template_values import failing_at_once, required_text
from airflow_provider_ip1.transfers.lineage import lineage_of_export
from airflow_provider_ip1.transfers.options import (
    OPTIONS,
    ExportOptions,
    OperatorArguments,
    with_option_texts,
    with_options,
)

if TYPE_CHECKING:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    from airflow_provider_ip1.compat import Context
    from airflow_provider_ip1.hooks.ip1 import IP1Hook
    from airflow_provider_ip1.transfers.export import Export
    from airflow_provider_ip1.transfers.readers import Reader


class BaseExportOperator(BaseOperator):
    """Write messages of iP.1 to one S3 object. A subclass decides which messages, and documents the arguments."""

    template_fields: Sequence[str] = (
        "s3_key",
        "s3_bucket",
        "direction",
        "since",
        "until",
        "checkpoint",
        "ip1_conn_id",
        "aws_conn_id",
    )
    template_ext: Sequence[str] = ()
    operator_extra_links = (S3ObjectLink(),)

    file_format: FileFormat
    ip1_conn_id: str
    aws_conn_id: str | None
    checkpoint: str | None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.__doc__ = with_option_texts(cls.__doc__)

    @with_options
    @failing_at_once()
    def __init__(self, **arguments: Unpack[OperatorArguments]) -> None:
        given: dict[str, Any] = dict(arguments)
        options = {name: given.pop(name) for name in OPTIONS if name in given}
        super().__init__(**given)
        # A mistake in an option that is not templated shows when the DAG is parsed. execute() checks the others.
        for name, value in vars(ExportOptions(**options)).items():
            setattr(self, name, value)
        # Native rendering turns a missing value into None, which would silently export everything.
        self._has_checkpoint = self.checkpoint is not None
        self.object_url: str | None = None
        """The page that shows the object to a person, once it is written. :class:`S3ObjectLink` reads it."""
        self._export: Export | None = None
        self._is_killed = False
        self._finished: dict[str, Any] | None = None

    @abstractmethod
    def _reader(self, options: ExportOptions) -> Reader:
        """Return the reader of the messages. Airflow has rendered the templates before."""

    @cached_property
    def hook(self) -> IP1Hook:
        """The hook that reads the messages."""
        from airflow_provider_ip1.hooks.ip1 import IP1Hook

        return IP1Hook(self.ip1_conn_id)

    @cached_property
    def s3_hook(self) -> S3Hook:
        """The hook that writes the object."""
        from airflow_provider_ip1.transfers.stores.s3 import s3_hook

        return s3_hook(self.aws_conn_id)

    def execute(self, context: Context) -> dict[str, Any]:
        """
        Run the export.

        :param context: context of the task's run; may be empty.
        """
        from airflow_provider_ip1.transfers.export import Export
        from airflow_provider_ip1.transfers.stores.s3 import S3Store

        with failing_at_once():
            self.ip1_conn_id = required_text(self.ip1_conn_id, "ip1_conn_id")
            if self.aws_conn_id is not None:
                self.aws_conn_id = required_text(self.aws_conn_id, "aws_conn_id")
            if self._has_checkpoint:
                required_text(self.checkpoint, "checkpoint")
            options = ExportOptions(**{name: getattr(self, name) for name in OPTIONS})
            reader = self._reader(options)
            store = S3Store(self.s3_hook, options.target, options.extra_args)
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
        self._finished = {"dataset": reader.dataset, "output": store.dataset, **result}
        if self.object_url and (ti := context.get("ti")) is not None:
            ti.xcom_push(key=S3ObjectLink.key, value=self.object_url)
        if (events := context.get("outlet_events")) is not None:
            for outlet in self.outlets:
                if isinstance(outlet, Asset):
                    events[outlet].extra.update(result)
        return result

    def on_kill(self) -> None:
        """
        Stop reading and leave no object. Airflow calls this from a signal handler.

        On Airflow 3, the task would go on after the handler, and wait for iP.1 or S3 until the supervisor kills it a
        few seconds later. So it is interrupted here. Airflow 2 itself raises an exception in the handler.
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
        return lineage_of_export(
            self.hook.settings.base_url,
            self._finished["dataset"],
            self._finished["output"],
            self.file_format,
            messages=self._finished["messages"],
            size=self._finished["bytes"],
        )
