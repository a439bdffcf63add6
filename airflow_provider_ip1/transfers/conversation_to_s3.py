# SPDX-License-Identifier: Apache-2.0
"""The operator that exports SMS conversations to one S3 object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from airflow_provider_ip1.formats.compression import Compression, FileFormat
from airflow_provider_ip1.formats.redaction import Action
from airflow_provider_ip1.transfers.export_operator import BaseExportOperator
from airflow_provider_ip1.transfers.replacing import OnEmpty, Replace
from airflow_provider_ip1.transfers.source import ConversationSource


class ConversationToS3Operator(BaseExportOperator):
    """
    Write the messages of one or several iP.1 conversations to one S3 object.

    The operator reads ahead, and formats, compresses and uploads each page as it arrives, so memory does not grow with
    the conversation. Readers of the bucket see either the entire object or none. The same messages always produce the
    same bytes. Each run replaces the object, so a retry produces the object that the failed try would have produced.

    In scripts, notebooks and ``@task`` functions, call
    :func:`~airflow_provider_ip1.transfers.export_conversations.export_conversations` instead.

    .. seealso:: :ref:`howto/operator:ConversationToS3Operator`

    :param participant: the other party of the conversation: a phone number with country code, or a sender name. For a
        list, the operator writes the conversations to the object one after the other, each of them once. (templated)
    :param s3_key: key of the object, or its ``s3://`` URL. It must not contain a participant's phone number, because
        keys appear in logs, XCom and lineage. (templated)
    :param s3_bucket: name of an existing bucket. Omit it if ``s3_key`` is a URL. (templated)
    :param direction: ``"mt"`` for messages you sent, ``"mo"`` for messages you received, ``None`` (default) for both.
        (templated)
    :param file_format: ``"jsonl"`` (default) writes one API object per line, exactly as iP.1 sent it. ``"csv"`` and
        ``"parquet"`` write the table of :mod:`airflow_provider_ip1.formats.table`. Parquet needs the extra
        ``parquet``.
    :param compression: ``"infer"`` (default) chooses by the key's ending, ``.gz`` or ``.zst``. Parquet files, which are
        compressed internally, also accept ``.snappy`` and default to zstd. Otherwise ``None``, ``"gzip"``, ``"zstd"``,
        or for parquet ``"snappy"``.
    :param since: export only messages modified at this time or later: a datetime or ISO 8601 text, UTC if it has no
        zone. Blank text means not set. The object then starts with the newest message. (templated)
    :param until: export only messages modified before this time, written like ``since``. (templated)
    :param status_lookback: how long a message may still change after it was sent, 0 or more, default 3 days. With
        ``since``, reading stops at the first message modified earlier than ``since - status_lookback``. ``None`` reads
        the entire conversation.
    :param on_empty: what to do if there are no messages. ``"protect"`` (default) writes an empty object, but fails
        if that would replace an object that contains messages. ``"write"`` always writes an empty object, ``"skip"``
        skips the task, and ``"fail"`` fails it.
    :param redact: maps fields to ``"drop"``, ``"hash"`` or ``"mask"``, for personal data that must not reach the lake.
        Use iP.1's field names or the table's column names. ``hash`` needs the connection's extra ``redact_key``. See
        :class:`~airflow_provider_ip1.formats.redaction.Redaction`. Default: no redaction.
    :param replace: whether to replace an existing object. ``True`` (default) replaces it only if nothing gets lost: if
        the same run wrote it, or if its messages come from the same source (participants, direction and connection)
        and its window lies within this one. Otherwise the task fails. ``"always"`` replaces any object. ``False``
        replaces none; a retry then fails if the first try wrote the object. In all cases the task fails, and changes
        nothing, if another writer creates, replaces or deletes the object during the export.
    :param verify_total: whether to compare the number of messages with iP.1's ``/summary`` before writing the object,
        default false. Takes one or two more requests per conversation, and with ``since`` requires
        ``status_lookback=None``.
    :param encrypt: whether S3 encrypts the object with its own keys (AES256), default false.
    :param acl_policy: canned ACL of the object, default none.
    :param page_size: messages per request, 1 to 10000; default from the connection, otherwise 200.
    :param concurrency: maximum number of requests in flight, 1 to 64; default from the connection, otherwise 4.
    :param ip1_conn_id: Airflow connection to iP.1. (templated)
    :param aws_conn_id: Airflow connection to AWS or another S3 store; ``None`` for boto3's own search for credentials.
        (templated)
    :param verify: whether to check the S3 server's certificate, or the path of a file with CA certificates; default
        from the AWS connection.
    :return: :meth:`execute` returns, as XCom: ``uri``; ``messages``, ``participants`` and ``pages`` (counts);
        ``empty``, the number of conversations without any message; ``bytes``, the size of the object;
        ``first_modified`` and ``last_modified``, the earliest and latest time (ISO 8601) among the messages written;
        ``pending``, the number of sent messages whose status can still change, among all messages read, inside the
        window or not; ``oldest_pending``, the earliest time of modification among these; ``seconds``, the duration.
        A time is ``None`` if no message counts towards it.
    :raises ValueError: an argument is invalid. The message names the argument.
    :raises IP1NoMessagesError: see ``on_empty``.
    :raises IP1PagingError: a conversation could not be read completely, or see ``verify_total``.
    :raises IP1Error: iP.1 failed; see :mod:`airflow_provider_ip1.exceptions`.
    :raises ObjectChangedError: another writer changed the object during the export.
    """

    template_fields: Sequence[str] = ("participant", *BaseExportOperator.template_fields)

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
        super().__init__(
            s3_key=s3_key,
            s3_bucket=s3_bucket,
            direction=direction,
            file_format=file_format,
            compression=compression,
            since=since,
            until=until,
            status_lookback=status_lookback,
            on_empty=on_empty,
            redact=redact,
            replace=replace,
            verify_total=verify_total,
            encrypt=encrypt,
            acl_policy=acl_policy,
            page_size=page_size,
            concurrency=concurrency,
            ip1_conn_id=ip1_conn_id,
            aws_conn_id=aws_conn_id,
            verify=verify,
            **base_operator,
        )
        self.participant = participant

    def _source(self) -> ConversationSource:
        return ConversationSource.from_argument(self.participant)
