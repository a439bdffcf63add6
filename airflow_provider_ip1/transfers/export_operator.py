# SPDX-License-Identifier: Apache-2.0
"""The base class of the operators that export messages to one S3 object. Subclasses say where to read the messages."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_ip1.compat import Asset, BaseOperator, Stats
from airflow_provider_ip1.formats.compression import Compression, FileFormat
from airflow_provider_ip1.formats.redaction import Action
from airflow_provider_ip1.links.s3 import S3ObjectLink, s3_object_url
from airflow_provider_ip1.template_values import failing_at_once, required_text
from airflow_provider_ip1.transfers.lineage import lineage_of_export
from airflow_provider_ip1.transfers.plan import Plan, check_options
from airflow_provider_ip1.transfers.replacing import OnEmpty, Replace
from airflow_provider_ip1.transfers.source import Source
from airflow_provider_ip1.transfers.target import Target

if TYPE_CHECKING:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    from airflow_provider_ip1.compat import Context
    from airflow_provider_ip1.hooks.ip1 import IP1Hook
    from airflow_provider_ip1.transfers.export import Export


class BaseExportOperator(BaseOperator):
    """Write messages of iP.1 to one S3 object. A subclass decides which messages, and documents the arguments."""

    template_fields: Sequence[str] = (
        "s3_key",
        "s3_bucket",
        "direction",
        "since",
        "until",
        "ip1_conn_id",
        "aws_conn_id",
    )
    template_ext: Sequence[str] = ()
    operator_extra_links = (S3ObjectLink(),)

    def __init__(
        self,
        *,
        s3_key: str,
        s3_bucket: str | None = None,
        direction: str | None = None,
        file_format: FileFormat = "jsonl",
        compression: Compression | Literal["infer"] | None = "infer",
        since: str | datetime | None = None,
        until: str | datetime | None = None,
        status_lookback: timedelta | None = timedelta(days=3),
        on_empty: OnEmpty = "protect",
        redact: Mapping[str, Action] | None = None,
        replace: Replace = True,
        verify_total: bool = False,
        encrypt: bool = False,
        acl_policy: str | None = None,
        page_size: int | None = None,
        concurrency: int | None = None,
        ip1_conn_id: str = "ip1_default",
        aws_conn_id: str | None = "aws_default",
        verify: bool | str | None = None,
        **base_operator: Any,
    ) -> None:
        super().__init__(**base_operator)
        self.s3_key = s3_key
        self.s3_bucket = s3_bucket
        self.direction = direction
        self.file_format = file_format
        self.compression = compression
        self.since = since
        self.until = until
        self.status_lookback = status_lookback
        self.on_empty = on_empty
        self.redact = redact
        self.replace = replace
        self.verify_total = verify_total
        self.encrypt = encrypt
        self.acl_policy = acl_policy
        self.page_size = page_size
        self.concurrency = concurrency
        self.ip1_conn_id = ip1_conn_id
        self.aws_conn_id = aws_conn_id
        self.verify = verify
        self.object_url: str | None = None
        """The address that shows the object to a person, once it is written. :class:`S3ObjectLink` reads it."""
        self._export: Export | None = None
        self._is_killed = False
        self._finished: tuple[Target, dict[str, Any]] | None = None
        # A mistake in an argument that is not templated shows when the DAG is parsed. execute() checks the others.
        check_options(
            file_format=file_format,
            compression=compression,
            since=since,
            status_lookback=status_lookback,
            on_empty=on_empty,
            redact=redact,
            replace=replace,
            verify_total=verify_total,
            page_size=page_size,
            concurrency=concurrency,
        )

    @abstractmethod
    def _source(self) -> Source:
        """Return the source of the messages. Airflow has rendered the templates before."""

    @cached_property
    def hook(self) -> IP1Hook:
        """The hook that reads the messages."""
        from airflow_provider_ip1.hooks.ip1 import IP1Hook

        return IP1Hook(self.ip1_conn_id)

    @cached_property
    def s3_hook(self) -> S3Hook:
        """The hook that writes the object."""
        from airflow_provider_ip1.transfers.s3_upload import s3_hook_for_streaming

        return s3_hook_for_streaming(self.aws_conn_id, self.verify)

    def execute(self, context: Context) -> dict[str, Any]:
        """
        Run the export.

        :param context: context of the task's run; may be empty.
        """
        from airflow_provider_ip1.transfers.export import Export

        with failing_at_once():
            required_text(self.ip1_conn_id, "ip1_conn_id")
            if self.aws_conn_id is not None:
                required_text(self.aws_conn_id, "aws_conn_id")
            plan = self._plan()
        self._export = export = Export(plan, self.hook, self.s3_hook, context, self.log)
        if self._is_killed:
            export.cancel()
        try:
            result = export.run()
        finally:
            Stats.incr("ip1.requests", self.hook.requests_sent)
            Stats.incr("ip1.retries", self.hook.retries)
            self.hook.close()
        Stats.incr("ip1.messages_exported", export.totals.messages)
        self._finished = plan.target, result
        self.object_url = s3_object_url(self.s3_hook, plan.target.bucket, plan.target.key)
        if (ti := context.get("ti")) is not None:
            ti.xcom_push(key=S3ObjectLink.key, value=self.object_url)
        if (events := context.get("outlet_events")) is not None:
            for outlet in self.outlets:
                if isinstance(outlet, Asset):
                    events[outlet].extra.update(result)
        return result

    def on_kill(self) -> None:
        """Stop reading and leave no object. Airflow calls this from a signal handler."""
        self._is_killed = True
        if self._export is not None:
            self._export.cancel()

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """
        Return the lineage of the export. The OpenLineage provider calls this if it is installed.

        :param task_instance: not used.
        :return: an ``OperatorLineage``, empty if the export did not finish.
        """
        if self._finished is None:
            from airflow_provider_ip1.compat import OperatorLineage

            return OperatorLineage()
        target, result = self._finished
        return lineage_of_export(
            self.hook.settings.base_url,
            self._source().dataset,
            target,
            self.file_format,
            messages=result["messages"],
            size=result["bytes"],
        )

    def _plan(self) -> Plan:
        return Plan.from_arguments(
            source=self._source(),
            s3_key=self.s3_key,
            s3_bucket=self.s3_bucket,
            direction=self.direction,
            file_format=self.file_format,
            compression=self.compression,
            since=self.since,
            until=self.until,
            status_lookback=self.status_lookback,
            on_empty=self.on_empty,
            redact=self.redact,
            replace=self.replace,
            verify_total=self.verify_total,
            encrypt=self.encrypt,
            acl_policy=self.acl_policy,
            page_size=self.page_size,
            concurrency=self.concurrency,
        )
