# SPDX-License-Identifier: Apache-2.0
"""The export as a plain function, for scripts, notebooks and ``@task`` functions."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Unpack

from airflow_provider_ip1.api.requests import Direction
from airflow_provider_ip1.transfers.export import Export
from airflow_provider_ip1.transfers.options import ExportArguments, ExportOptions, with_options
from airflow_provider_ip1.transfers.readers import ConversationReader
from airflow_provider_ip1.transfers.stores.azure_blob import AZURE_URL
from airflow_provider_ip1.transfers.stores.s3_object import S3_URL
from airflow_provider_ip1.transfers.to_s3 import S3Options
from airflow_provider_ip1.transfers.to_wasb import WasbOptions

if TYPE_CHECKING:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook
    from airflow.providers.microsoft.azure.hooks.wasb import WasbHook

    from airflow_provider_ip1.hooks.ip1 import IP1Hook

log = logging.getLogger(__name__)


@with_options(ExportOptions)
def export_conversations(
    participant: str | Sequence[str],
    s3_key: str | None = None,
    s3_bucket: str | None = None,
    *,
    url: str | None = None,
    direction: Direction | None = None,
    hook: IP1Hook | None = None,
    s3_hook: S3Hook | None = None,
    wasb_hook: WasbHook | None = None,
    aws_conn_id: str | None = "aws_default",
    wasb_conn_id: str = "wasb_default",
    **options: Unpack[ExportArguments],
) -> dict[str, Any]:
    """
    Write the messages of one or several iP.1 conversations to one object in S3 or Azure, without a task.

    The object, the result and the errors are those of
    :class:`~airflow_provider_ip1.transfers.conversation_to_s3.ConversationToS3Operator` and
    :class:`~airflow_provider_ip1.transfers.conversation_to_wasb.ConversationToWasbOperator`. ``on_empty="skip"`` writes
    nothing and raises ``AirflowSkipException``. In a ``@task`` function, this skips the task.

    :param participant: phone number with country code, or sender name, or a list of them.
    :param s3_key: key of the object, or its ``s3://`` URL. It must not contain a participant's phone number.
    :param s3_bucket: name of an existing bucket. Omit it if ``s3_key`` is a URL.
    :param url: instead of ``s3_key``, the URL of the object in any store: ``s3://bucket/key``,
        ``wasb://container/blob`` or ``abfss://container@account.dfs.core.windows.net/blob``.
    :param direction: ``"mt"`` for messages you sent, ``"mo"`` for messages you received, ``None`` (default) for both.
    :param hook: reads the messages instead of a new hook with ``ip1_conn_id``, and stays open.
    :param s3_hook: writes the object instead of a new hook with ``aws_conn_id``.
    :param wasb_hook: writes the blob instead of a new hook with ``wasb_conn_id``.
    :param aws_conn_id: Airflow connection to AWS or another S3 store; ``None`` for boto3's own search for credentials.
    :param wasb_conn_id: Airflow connection to Azure Blob Storage.
    :param extra_args: arguments of the write, see the operators. Default none.
    :param options: see :class:`~airflow_provider_ip1.transfers.options.ExportArguments`.
    :return: ``uri``, ``messages``, and the other counts and times that the operator returns.
    :raises ValueError: an argument is invalid. The message names the argument.
    :raises IP1Error: iP.1 failed; see :mod:`airflow_provider_ip1.exceptions`.
    """
    from airflow_provider_ip1.hooks.ip1 import IP1Hook

    if (url is None) == (s3_key is None):
        raise ValueError("url, s3_key: give one of them, which says where to write the object.")
    shared: dict[str, Any] = {"direction": direction, **options}
    checked: ExportOptions
    if url is not None and AZURE_URL.fullmatch(url):
        checked = WasbOptions(blob_name=url, wasb_conn_id=wasb_conn_id, **shared)
        store = checked.store(wasb_hook)
    elif url is None or S3_URL.fullmatch(url):
        checked = S3Options(s3_key=url or s3_key or "", s3_bucket=s3_bucket, aws_conn_id=aws_conn_id, **shared)
        store = checked.store(s3_hook)
    else:
        raise ValueError(
            "url: is not of the form s3://bucket/key, wasb://container/blob or abfss://container@host/blob."
        )
    reader = ConversationReader(participant, checked)
    if url is not None:
        store.argument = "url"
    with IP1Hook(checked.ip1_conn_id) if hook is None else nullcontext(hook) as open_hook:
        return Export(checked, reader, open_hook, store, {}, log).run()
