# SPDX-License-Identifier: Apache-2.0
"""The operator that exports every message of the account to one S3 object."""

from __future__ import annotations

from airflow_provider_ip1.transfers.export_operator import BaseExportOperator
from airflow_provider_ip1.transfers.source import AccountSource


class MessagesToS3Operator(BaseExportOperator):
    """
    Write the messages of every batch of the iP.1 account to one S3 object, for users without a list of participants.

    iP.1 lists no conversations, but it lists batches, and every message belongs to one. The operator reads the list of
    batches and the messages of many batches together, so a batch with one message takes one request. Memory does not
    grow with the number of batches or messages. Everything else is as for
    :class:`~airflow_provider_ip1.transfers.conversation_to_s3.ConversationToS3Operator`. The typed table's column
    ``participant`` contains the recipient of a sent message and the sender of a received one.

    The object starts with the oldest batch; with ``since``, with the newest one. The messages of a batch are always in
    the order of their creation.

    .. seealso:: :ref:`howto/operator:MessagesToS3Operator`

    :param s3_key: key of the object, or its ``s3://`` URL. It must not contain a participant's phone number. The
        operator learns the participants while it reads, and checks the key then. (templated)
    :param s3_bucket: name of an existing bucket. Omit it if ``s3_key`` is a URL. (templated)
    :param direction: ``"mt"`` for messages you sent, ``"mo"`` for messages you received, ``None`` (default) for both.
        The operator does not read batches of the other direction. (templated)
    :param file_format: ``"jsonl"`` (default) writes one API object per line, exactly as iP.1 sent it. ``"csv"`` and
        ``"parquet"`` write the table of :mod:`airflow_provider_ip1.formats.table`. Parquet needs the extra
        ``parquet``.
    :param compression: ``"infer"`` (default) chooses by the key's ending, ``.gz`` or ``.zst``. Parquet files, which are
        compressed internally, also accept ``.snappy`` and default to zstd. Otherwise ``None``, ``"gzip"``, ``"zstd"``,
        or for parquet ``"snappy"``.
    :param since: export only messages modified at this time or later: a datetime or ISO 8601 text, UTC if it has no
        zone. Blank text means not set. The object then starts with the newest batch. (templated)
    :param until: export only messages modified before this time, written like ``since``. (templated)
    :param status_lookback: how long messages may still change after their batch was sent, 0 or more, default 3 days.
        With ``since``, the operator reads batches newest first, and stops after the first batch with a message
        modified earlier than ``since - status_lookback``. A batch with a delivery window that opens later does not end
        the read. If you schedule batches ahead, add the longest such time. ``None`` reads every batch.
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
    :param verify_total: whether to compare the number of messages of each participant with iP.1's ``/summary`` before
        writing the object, default false. Takes at least one more request per participant, one after the other, and
        with ``since`` requires ``status_lookback=None``.
    :param encrypt: whether S3 encrypts the object with its own keys (AES256), default false.
    :param acl_policy: canned ACL of the object, default none.
    :param page_size: messages per request, 1 to 10000; default from the connection, otherwise 200.
    :param concurrency: maximum number of requests in flight, 1 to 64; default from the connection, otherwise 4.
    :param ip1_conn_id: Airflow connection to iP.1. (templated)
    :param aws_conn_id: Airflow connection to AWS or another S3 store; ``None`` for boto3's own search for credentials.
        (templated)
    :param verify: whether to check the S3 server's certificate, or the path of a file with CA certificates; default
        from the AWS connection.
    :return: :meth:`execute` returns, as XCom, the result of
        :class:`~airflow_provider_ip1.transfers.conversation_to_s3.ConversationToS3Operator` and ``batches``, the number
        of batches read. ``empty`` is the number of batches without any message, and ``participants`` the number of
        different participants in the messages written. The operator remembers each of them, in about 70 bytes.
    :raises ValueError: an argument is invalid. The message names the argument.
    :raises IP1NoMessagesError: see ``on_empty``.
    :raises IP1PagingError: the list of batches changed too much while it was read, or see ``verify_total``.
    :raises IP1ResponseError: ``direction`` is set, and iP.1 does not say which direction a message has.
    :raises IP1Error: iP.1 failed; see :mod:`airflow_provider_ip1.exceptions`.
    :raises ObjectChangedError: another writer changed the object during the export.
    """

    def _source(self) -> AccountSource:
        return AccountSource()
