# SPDX-License-Identifier: Apache-2.0
"""What the exports to S3 have in common: the arguments that name the object, and the base class of the operators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Required, Unpack

from airflow_provider_ip1.links.s3 import S3ObjectLink
from airflow_provider_ip1.template_values import required_text
from airflow_provider_ip1.transfers.export_operator import BaseExportOperator
from airflow_provider_ip1.transfers.options import ExportOptions, OperatorArguments, with_options
from airflow_provider_ip1.transfers.stores.s3_object import S3Object

if TYPE_CHECKING:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    from airflow_provider_ip1.transfers.stores import Store


class S3Arguments(OperatorArguments, total=False):
    """
    The arguments of an operator that exports to S3.

    :param s3_key: key of the object, or its ``s3://`` URL. It is used as it is. It must not contain a participant's
        phone number, because keys appear in logs, XCom and lineage. (templated)
    :param s3_bucket: name of an existing bucket. Omit it if ``s3_key`` is a URL. (templated)
    :param aws_conn_id: Airflow connection to AWS or another S3 store, default ``aws_default``; ``None`` for boto3's own
        search for credentials. (templated)
    :param extra_args: arguments of the S3 write, as for ``S3Hook``, such as ``ServerSideEncryption``, ``SSEKMSKeyId``,
        ``ACL``, ``StorageClass``, ``Tagging`` or ``RequestPayer``. Default none.
    """

    s3_key: Required[str]
    s3_bucket: str | None
    aws_conn_id: str | None


@dataclass(frozen=True, kw_only=True)
class S3Options(ExportOptions):
    """The options of an export to S3, with their defaults. :class:`S3Arguments` describes them."""

    documented: ClassVar = S3Arguments.__doc__

    s3_key: str
    s3_bucket: str | None = None
    aws_conn_id: str | None = "aws_default"

    def store(self, hook: S3Hook | None = None) -> Store:
        """
        Return the object to write in its store.

        :param hook: the hook that writes it. Default: a new one.
        """
        from airflow_provider_ip1.transfers.stores.s3 import S3Store, s3_hook

        if hook is None:
            conn_id = self.aws_conn_id
            hook = s3_hook(None if conn_id is None else required_text(conn_id, "aws_conn_id"))
        return S3Store(hook, S3Object.from_arguments(self.s3_bucket, self.s3_key), self.extra_args)


class BaseS3Operator(BaseExportOperator):
    """Write messages of iP.1 to one S3 object. A subclass decides which messages, and documents the arguments."""

    options_class = S3Options
    template_fields: Sequence[str] = ("s3_key", "s3_bucket", *BaseExportOperator.template_fields, "aws_conn_id")
    operator_extra_links = (S3ObjectLink(),)

    @with_options(S3Options)
    def __init__(self, **arguments: Unpack[S3Arguments]) -> None:
        super().__init__(**arguments)
