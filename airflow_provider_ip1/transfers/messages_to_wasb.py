# SPDX-License-Identifier: Apache-2.0
"""The operator that exports every message of the account to one Azure blob."""

from __future__ import annotations

from airflow_provider_ip1.transfers.options import ExportOptions
from airflow_provider_ip1.transfers.readers import AccountReader
from airflow_provider_ip1.transfers.to_wasb import BaseWasbOperator


class MessagesToWasbOperator(BaseWasbOperator):
    """
    Write the messages of every batch of the iP.1 account to one blob in Azure Blob Storage or Data Lake Storage.

    It reads like :class:`~airflow_provider_ip1.transfers.messages_to_s3.MessagesToS3Operator`, and writes like
    :class:`~airflow_provider_ip1.transfers.conversation_to_wasb.ConversationToWasbOperator`. Needs the extra ``azure``.

    .. seealso:: :ref:`howto/operator:ConversationToWasbOperator`

    :param arguments: :class:`~airflow_provider_ip1.transfers.to_wasb.WasbArguments` describes those of the blob,
        and :class:`~airflow_provider_ip1.transfers.options.ExportArguments` the other options.
    :return: see :class:`~airflow_provider_ip1.transfers.messages_to_s3.MessagesToS3Operator`.
    :raises ValueError: an argument is invalid. The message names the argument.
    :raises AzureBlobError: Azure failed.
    :raises IP1Error: iP.1 failed; see :mod:`airflow_provider_ip1.exceptions`.
    :raises ObjectChangedError: another writer changed the blob during the export.
    """

    def _reader(self, options: ExportOptions) -> AccountReader:
        return AccountReader(options)
