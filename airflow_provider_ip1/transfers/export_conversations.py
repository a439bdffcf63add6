# SPDX-License-Identifier: Apache-2.0
"""The export as a plain function, for scripts, notebooks and ``@task`` functions."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_ip1.api.requests import Direction
from airflow_provider_ip1.formats.compression import Compression, FileFormat
from airflow_provider_ip1.formats.redaction import Action
from airflow_provider_ip1.transfers.export import Export
from airflow_provider_ip1.transfers.plan import Plan, check_options
from airflow_provider_ip1.transfers.replacing import OnEmpty, Replace
from airflow_provider_ip1.transfers.s3_upload import s3_hook_for_streaming
from airflow_provider_ip1.transfers.source import ConversationSource

if TYPE_CHECKING:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    from airflow_provider_ip1.hooks.ip1 import IP1Hook

log = logging.getLogger(__name__)


def export_conversations(
    participant: str | Sequence[str],
    s3_key: str,
    s3_bucket: str | None = None,
    *,
    direction: Direction | None = None,
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
    hook: IP1Hook | None = None,
    s3_hook: S3Hook | None = None,
) -> dict[str, Any]:
    """
    Write the messages of one or several iP.1 conversations to one S3 object, without a task.

    The arguments that are not described here, the object, the result and the errors are those of
    :class:`~airflow_provider_ip1.transfers.conversation_to_s3.ConversationToS3Operator`.

    :param participant: phone number with country code, or sender name, or a list of them.
    :param s3_key: key of the object, or its ``s3://`` URL. It must not contain a participant's phone number.
    :param s3_bucket: name of an existing bucket. Omit it if ``s3_key`` is a URL.
    :param on_empty: as for the operator, but ``"skip"`` writes nothing and raises ``AirflowSkipException``. In a
        ``@task`` function, this skips the task.
    :param ip1_conn_id: Airflow connection to iP.1.
    :param aws_conn_id: Airflow connection to AWS or another S3 store; ``None`` for boto3's own search for credentials,
        for example a profile.
    :param hook: reads the conversations instead of a new hook with ``ip1_conn_id``. It stays open.
    :param s3_hook: writes the object instead of a new hook with ``aws_conn_id``. Nothing else may use it during the
        export.
    :return: ``uri``, ``messages``, and the other counts and times that the operator returns.
    :raises ValueError: an argument is invalid. The message names the argument.
    :raises IP1Error: iP.1 failed; see :mod:`airflow_provider_ip1.exceptions`.
    """
    from airflow_provider_ip1.hooks.ip1 import IP1Hook

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
    plan = Plan.from_arguments(
        source=ConversationSource.from_argument(participant),
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
    )
    s3 = s3_hook or s3_hook_for_streaming(aws_conn_id, verify=None)
    if hook is not None:
        return Export(plan, hook, s3, {}, log).run()
    with IP1Hook(ip1_conn_id) as own_hook:
        return Export(plan, own_hook, s3, {}, log).run()
