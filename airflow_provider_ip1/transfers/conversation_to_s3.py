# SPDX-License-Identifier: Apache-2.0
"""The operator that exports SMS conversations to one S3 object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

from airflow_provider_ip1.transfers.options import ExportOptions, with_options
from airflow_provider_ip1.transfers.readers import ConversationReader
from airflow_provider_ip1.transfers.to_s3 import BaseS3Operator, S3Arguments, S3Options


class ConversationToS3Operator(BaseS3Operator):
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
    :param arguments: :class:`~airflow_provider_ip1.transfers.to_s3.S3Arguments` describes those of the object,
        and :class:`~airflow_provider_ip1.transfers.options.ExportArguments` the other options.
    :return: :meth:`execute` returns, as XCom: ``uri``; ``messages``, ``participants`` and ``pages`` (counts);
        ``empty``, the number of conversations without any message; ``bytes``, the size of the object;
        ``first_modified`` and ``last_modified``, the earliest and latest time (ISO 8601) among the messages written;
        ``pending``, the number of sent messages whose status can still change, among all messages read, inside the
        window or not; ``oldest_pending``, the earliest time of modification among these; ``since``, the start of the
        window, or with ``checkpoint`` the earliest time from which a conversation is continued, ``None`` for the
        beginning; ``seconds``, the duration. Another time is ``None`` if no message counts towards it.
    :raises ValueError: an argument is invalid. The message names the argument.
    :raises IP1NoMessagesError: see ``on_empty``.
    :raises IP1PagingError: a conversation could not be read completely, or see ``verify_total``.
    :raises IP1Error: iP.1 failed; see :mod:`airflow_provider_ip1.exceptions`.
    :raises ObjectChangedError: another writer changed the object during the export.
    """

    template_fields: Sequence[str] = ("participant", *BaseS3Operator.template_fields)

    @with_options(S3Options)
    def __init__(self, *, participant: str | Sequence[str], **arguments: Unpack[S3Arguments]) -> None:
        super().__init__(**arguments)
        self.participant = participant

    def _reader(self, options: ExportOptions) -> ConversationReader:
        return ConversationReader(self.participant, options)
