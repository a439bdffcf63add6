# SPDX-License-Identifier: Apache-2.0
"""The operator that exports SMS conversations to one Azure blob."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

from airflow_provider_ip1.transfers.options import ExportOptions, with_options
from airflow_provider_ip1.transfers.readers import ConversationReader
from airflow_provider_ip1.transfers.to_wasb import BaseWasbOperator, WasbArguments, WasbOptions


class ConversationToWasbOperator(BaseWasbOperator):
    """
    Write the messages of one or several iP.1 conversations to one blob in Azure Blob Storage or Data Lake Storage.

    The blob, the result and the guarantees are those of
    :class:`~airflow_provider_ip1.transfers.conversation_to_s3.ConversationToS3Operator`. The blob appears complete or
    not at all, and only if the existing one is what it was when the export started. Needs the extra ``azure``.

    .. seealso:: :ref:`howto/operator:ConversationToWasbOperator`

    :param participant: the other party of the conversation: a phone number with country code, or a sender name. For a
        list, the operator writes the conversations to the blob one after the other, each of them once. (templated)
    :param arguments: :class:`~airflow_provider_ip1.transfers.to_wasb.WasbArguments` describes those of the blob,
        and :class:`~airflow_provider_ip1.transfers.options.ExportArguments` the other options.
    :return: see :class:`~airflow_provider_ip1.transfers.conversation_to_s3.ConversationToS3Operator`.
    :raises ValueError: an argument is invalid. The message names the argument.
    :raises AzureBlobError: Azure failed.
    :raises IP1Error: iP.1 failed; see :mod:`airflow_provider_ip1.exceptions`.
    :raises ObjectChangedError: another writer changed the blob during the export.
    """

    template_fields: Sequence[str] = ("participant", *BaseWasbOperator.template_fields)

    @with_options(WasbOptions)
    def __init__(self, *, participant: str | Sequence[str], **arguments: Unpack[WasbArguments]) -> None:
        super().__init__(**arguments)
        self.participant = participant

    def _reader(self, options: ExportOptions) -> ConversationReader:
        return ConversationReader(self.participant, options)
