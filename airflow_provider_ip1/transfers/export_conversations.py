# SPDX-License-Identifier: Apache-2.0
"""The export as a plain function, for scripts, notebooks and ``@task`` functions."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Unpack

from airflow_provider_ip1.api.requests import Direction
from airflow_provider_ip1.transfers.export import Export
from airflow_provider_ip1.transfers.options import ExportArguments, ExportOptions, with_options
from airflow_provider_ip1.transfers.readers import ConversationReader

if TYPE_CHECKING:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    from airflow_provider_ip1.hooks.ip1 import IP1Hook

log = logging.getLogger(__name__)


@with_options
def export_conversations(
    participant: str | Sequence[str],
    s3_key: str,
    s3_bucket: str | None = None,
    *,
    direction: Direction | None = None,
    hook: IP1Hook | None = None,
    s3_hook: S3Hook | None = None,
    **options: Unpack[ExportArguments],
) -> dict[str, Any]:
    """
    Write the messages of one or several iP.1 conversations to one S3 object, without a task.

    The object, the result and the errors are those of
    :class:`~airflow_provider_ip1.transfers.conversation_to_s3.ConversationToS3Operator`. ``on_empty="skip"`` writes
    nothing and raises ``AirflowSkipException``. In a ``@task`` function, this skips the task.

    :param participant: phone number with country code, or sender name, or a list of them.
    :param s3_key: key of the object, or its ``s3://`` URL. It must not contain a participant's phone number.
    :param s3_bucket: name of an existing bucket. Omit it if ``s3_key`` is a URL.
    :param direction: ``"mt"`` for messages you sent, ``"mo"`` for messages you received, ``None`` (default) for both.
    :param hook: reads the messages instead of a new hook with ``ip1_conn_id``, and stays open.
    :param s3_hook: writes the object instead of a new hook with ``aws_conn_id``.
    :param options: see :class:`~airflow_provider_ip1.transfers.options.ExportArguments`.
    :return: ``uri``, ``messages``, and the other counts and times that the operator returns.
    :raises ValueError: an argument is invalid. The message names the argument.
    :raises IP1Error: iP.1 failed; see :mod:`airflow_provider_ip1.exceptions`.
    """
    from airflow_provider_ip1.hooks.ip1 import IP1Hook
    from airflow_provider_ip1.transfers.stores.s3 import S3Store, s3_hook as make_s3_hook

    checked = ExportOptions(s3_key=s3_key, s3_bucket=s3_bucket, direction=direction, **options)
    reader = ConversationReader.from_argument(participant, checked)
    store = S3Store(s3_hook or make_s3_hook(checked.aws_conn_id), checked.target, checked.extra_args)
    if hook is not None:
        return Export(checked, reader, hook, store, {}, log).run()
    with IP1Hook(checked.ip1_conn_id) as own_hook:
        return Export(checked, reader, own_hook, store, {}, log).run()
