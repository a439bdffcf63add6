# SPDX-License-Identifier: Apache-2.0
"""The operator that exports SMS conversations to one S3 object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from airflow.providers.common.compat.sdk import Asset, BaseOperator, Stats

from airflow_provider_ip1.formats.compression import Compression, FileFormat
from airflow_provider_ip1.formats.redaction import Action
from airflow_provider_ip1.links.s3 import S3ObjectLink, s3_object_url
from airflow_provider_ip1.transfers.export import Export
from airflow_provider_ip1.transfers.lineage import lineage_of_export
from airflow_provider_ip1.transfers.on_empty import OnEmpty
from airflow_provider_ip1.transfers.plan import Plan, check_options
from airflow_provider_ip1.transfers.s3_upload import s3_hook_for_streaming
from airflow_provider_ip1.transfers.target import Target

if TYPE_CHECKING:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_ip1.hooks.ip1 import IP1Hook


class ConversationToS3Operator(BaseOperator):
    """
    Write the messages of one or several iP.1 conversations to one S3 object.

    The operator reads ahead, and formats, compresses and uploads each page as it arrives, so memory does not grow with
    the conversation. Readers of the bucket see either the entire object or none. The same messages always give the
    same bytes. Each run replaces the object, so a retry or a backfill ends with the same object as the first run.

    In scripts, notebooks and ``@task`` functions, call
    :func:`~airflow_provider_ip1.transfers.export_conversations.export_conversations` instead.

    .. seealso:: :ref:`howto/operator:ConversationToS3Operator`

    :param participant: the other side of the conversation: phone number with country code, or sender name. For a list,
        the conversations are written to the object one after the other, each of them once. (templated)
    :param s3_key: key of the object, or its ``s3://`` URL. It must not contain a participant's phone number, because
        keys appear in logs, XCom and lineage. (templated)
    :param s3_bucket: name of an existing bucket. Leave it out if ``s3_key`` is a URL. (templated)
    :param direction: ``"mt"`` for messages you sent, ``"mo"`` for messages you received, ``None`` (default) for both.
        (templated)
    :param file_format: ``"jsonl"`` (default) writes one API object per line, exactly as iP.1 sent it. ``"csv"`` and
        ``"parquet"`` write the table of :mod:`airflow_provider_ip1.formats.table`. Parquet needs the extra
        ``parquet``.
    :param compression: ``"infer"`` (default) chooses by the key's ending, ``.gz`` or ``.zst``. Parquet files, which
        compress internally, also accept ``.snappy`` and default to zstd. Otherwise ``None``, ``"gzip"``, ``"zstd"``,
        or for parquet ``"snappy"``.
    :param since: export only messages modified at this time or later: a datetime or ISO 8601 text, UTC if it has no
        zone. Empty text and ``"None"`` mean not set. The object then starts with the newest message. (templated)
    :param until: export only messages modified before this time, written like ``since``. (templated)
    :param status_lookback: how long after sending a message may still change, 0 or more, default 3 days. With
        ``since``, reading stops at the first message modified earlier than ``since - status_lookback``. ``None`` reads
        the entire conversation.
    :param on_empty: what to do if there are no messages. ``"protect"`` (default) writes an empty object, but fails
        if that would replace an object that contains messages. ``"write"`` always writes an empty object, ``"skip"``
        skips the task, and ``"fail"`` fails it.
    :param redact: field -> ``"drop"``, ``"hash"`` or ``"mask"``, for personal data that must not reach the lake. Use
        iP.1's field names or the table's column names. ``hash`` needs the connection's extra ``redact_key``. See
        :class:`~airflow_provider_ip1.formats.redaction.Redaction`.
    :param replace: whether to replace an existing object, default true. If false, a retry fails if the first try wrote
        the object. In both cases the task fails, and changes nothing, if another writer creates, replaces or deletes
        the object during the export.
    :param verify_total: whether to compare the number of messages with iP.1's ``/summary`` before the object is
        written, default false. Takes one or two more requests per conversation, and with ``since`` needs
        ``status_lookback=None``.
    :param encrypt: whether S3 encrypts the object with its own keys (AES256), default false.
    :param acl_policy: canned ACL of the object, default none.
    :param page_size: messages per request, 1 to 10000; default from the connection, otherwise 200.
    :param concurrency: maximum number of requests in flight, 1 to 64; default from the connection, otherwise 4.
    :param ip1_conn_id: Airflow connection to iP.1. (templated)
    :param aws_conn_id: Airflow connection to AWS or another S3 store; ``None`` for boto3's own search for credentials.
        (templated)
    :param verify: whether to check the S3 server's certificate, or a file with CA certificates; default from the AWS
        connection.
    :return: :meth:`execute` returns, as XCom: ``uri``; ``messages``, ``participants`` and ``pages`` (counts);
        ``empty``, the number of conversations without any message; ``bytes``, the size of the object;
        ``first_modified`` and ``last_modified``, the earliest and latest time (ISO 8601) among the messages written;
        ``pending``, the number of sent messages read, inside the window or not, whose status can still change;
        ``oldest_pending``, the earliest time of modification among them; ``seconds``. Times are ``None`` if there is no
        such message.
    :raises ValueError: an argument is invalid. The message names the argument.
    :raises IP1NoMessagesError: see ``on_empty``.
    :raises IP1PagingError: see ``verify_total``.
    :raises ObjectChangedError: another writer changed the object during the export.
    """

    template_fields: Sequence[str] = (
        "participant",
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
        participant: str | Sequence[str],
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
        replace: bool = True,
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
        self.participant = participant
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
        """Where a person can look at the object, once it is written. :class:`S3ObjectLink` reads it."""
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
            verify_total=verify_total,
            page_size=page_size,
            concurrency=concurrency,
        )

    @cached_property
    def hook(self) -> IP1Hook:
        """The hook that reads the conversations."""
        from airflow_provider_ip1.hooks.ip1 import IP1Hook

        return IP1Hook(self.ip1_conn_id)

    @cached_property
    def s3_hook(self) -> S3Hook:
        """The hook that writes the object."""
        return s3_hook_for_streaming(self.aws_conn_id, self.verify)

    def execute(self, context: Context) -> dict[str, Any]:
        """
        Run the export.

        :param context: context of the task's run; may be empty.
        """
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
            from airflow.providers.openlineage.extractors import OperatorLineage

            return OperatorLineage()
        target, result = self._finished
        return lineage_of_export(
            self.hook.settings.base_url,
            target,
            self.file_format,
            messages=result["messages"],
            size=result["bytes"],
        )

    def _plan(self) -> Plan:
        return Plan.from_arguments(
            participant=self.participant,
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
