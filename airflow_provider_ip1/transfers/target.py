# SPDX-License-Identifier: Apache-2.0
"""The S3 object that an export writes: its bucket and key, and the checks they must pass."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_ip1.api.number_search import NumberFinder
from airflow_provider_ip1.compat import AirflowException
from airflow_provider_ip1.template_values import none_if_blank

if TYPE_CHECKING:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook


@dataclass(frozen=True)
class Target:
    """
    An S3 object.

    :param bucket: name of the bucket.
    :param key: key of the object.
    """

    bucket: str
    key: str

    @classmethod
    def from_arguments(cls, s3_bucket: Any, s3_key: Any) -> Target:
        """
        Build the target from the operator's arguments.

        :param s3_bucket: name of the bucket; not set if ``s3_key`` is a URL.
        :param s3_key: key of the object, or its ``s3://`` URL.
        :raises ValueError: the arguments do not name an object. The message names the argument.
        """
        from airflow.providers.amazon.aws.hooks.s3 import S3Hook

        bucket_name = none_if_blank(s3_bucket)
        if not isinstance(s3_key, str):
            raise ValueError(f"s3_key: must be text, not a value of type {type(s3_key).__name__}.")
        if bucket_name is None and "://" not in s3_key:
            raise ValueError("s3_bucket: is not set, and s3_key is not an s3:// URL that includes the bucket.")
        problem = "s3_key: is empty or ends with a slash. Name an object."
        try:
            bucket, key = S3Hook.get_s3_bucket_key(bucket_name, s3_key, "s3_bucket", "s3_key")
            if key.strip() and not key.endswith("/"):
                return cls(bucket, key)
        except (TypeError, AirflowException) as error:
            # The type depends on the version of the Amazon provider. The text is always about these two arguments.
            problem = f"s3_bucket, s3_key: {error}"
        raise ValueError(problem)

    @property
    def uri(self) -> str:
        """The object's ``s3://`` URL."""
        return f"s3://{self.bucket}/{self.key}"

    def check_impersonal(self, participants: Iterable[str]) -> None:
        """
        Check that neither bucket nor key contains a participant's phone number.

        :param participants: the participants, normalized.
        :raises ValueError: one of their numbers is in it. The message does not repeat the number.
        """
        if any(map(self._numbers_in_key.contains, participants)):
            raise ValueError(
                "s3_key: the key contains the participant's phone number. Keys appear in logs, XCom, listings and "
                "lineage. Name the object by an id of your own, such as your customer number, or by the task's "
                "{{ ti.map_index }}."
            )

    @cached_property
    def _numbers_in_key(self) -> NumberFinder:
        return NumberFinder(f"{self.bucket}/{self.key}")


def check_bucket(s3: S3Hook, bucket: str) -> None:
    """
    Check that the bucket exists, before anything is read from iP.1.

    :param s3: the hook.
    :param bucket: name of the bucket.
    :raises ValueError: the bucket does not exist, or there are no credentials.
    :raises botocore.exceptions.ClientError: S3 rejected the request.
    """
    from botocore.exceptions import ClientError, NoCredentialsError

    code = ""
    try:
        s3.get_conn().head_bucket(Bucket=bucket)
    except NoCredentialsError as error:
        raise ValueError(
            f"aws_conn_id: the AWS connection {s3.aws_conn_id!r} does not exist or has no credentials, and boto3 finds "
            "none elsewhere. Create the connection, or correct its name."
        ) from error
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        # Credentials that may only write objects get a 403 here, and the upload may still succeed.
        if code not in ("404", "NoSuchBucket", "403"):
            raise
    if code in ("404", "NoSuchBucket"):
        raise ValueError(f"s3_bucket: bucket {bucket!r} does not exist. Create it, or correct the name.")
