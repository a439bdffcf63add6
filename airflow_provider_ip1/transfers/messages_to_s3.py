# SPDX-License-Identifier: Apache-2.0
"""The operator that exports every message of the account to one S3 object."""

from __future__ import annotations

from airflow_provider_ip1.transfers.options import ExportOptions
from airflow_provider_ip1.transfers.readers import AccountReader
from airflow_provider_ip1.transfers.to_s3 import BaseS3Operator


class MessagesToS3Operator(BaseS3Operator):
    """
    Write the messages of every batch of the iP.1 account to one S3 object, for users without a list of participants.

    iP.1 lists no conversations, but it lists batches, and every message belongs to one. The operator reads the list of
    batches and the messages of many batches together, so a batch with one message takes one request. Memory does not
    grow with the number of batches or messages. Everything else is as for
    :class:`~airflow_provider_ip1.transfers.conversation_to_s3.ConversationToS3Operator`, also the arguments. The typed
    table's column ``participant`` contains the recipient of a sent message and the sender of a received one.

    The object starts with the oldest batch; with ``since``, with the newest one. The messages of a batch are always in
    the order of their creation. With ``direction``, the operator does not read batches of the other direction. It
    learns the participants while it reads, and only then finds one of their numbers in ``s3_key``.

    .. seealso:: :ref:`howto/operator:MessagesToS3Operator`

    :param arguments: :class:`~airflow_provider_ip1.transfers.to_s3.S3Arguments` describes those of the object,
        and :class:`~airflow_provider_ip1.transfers.options.ExportArguments` the other options.
    :return: :meth:`execute` returns, as XCom, the result of
        :class:`~airflow_provider_ip1.transfers.conversation_to_s3.ConversationToS3Operator` and ``batches``, the number
        of batches read. ``empty`` is the number of batches without any message, and ``participants`` the number of
        different participants in the messages written. The operator remembers each of them, in about 70 bytes.
    :raises ValueError: an argument is invalid. The message names the argument.
    :raises IP1NoMessagesError: see ``on_empty``.
    :raises IP1PagingError: the list of batches changed too much while it was read, or see ``verify_total``.
    :raises IP1ResponseError: ``direction`` is set, and iP.1 does not say which direction a message has; or iP.1 shows
        no messages of a batch whose summary counts some.
    :raises IP1Error: iP.1 failed; see :mod:`airflow_provider_ip1.exceptions`.
    :raises ObjectChangedError: another writer changed the object during the export.
    """

    def _reader(self, options: ExportOptions) -> AccountReader:
        return AccountReader(options)
