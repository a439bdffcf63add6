# SPDX-License-Identifier: Apache-2.0
"""The S3 object that an export writes: its bucket and key, and the checks they must pass."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_ip1.api.phone import NumberFinder
from airflow_provider_ip1.exceptions import IP1ConnectionError
from airflow_provider_ip1.template_values import required_text, text_or_none

if TYPE_CHECKING:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

_URL: Final = re.compile(r"s3[an]?://(?P<bucket>[^/]+)/(?P<key>.*)", re.IGNORECASE | re.DOTALL)
_LIKE_A_URL: Final = re.compile(r"\s*([a-z][a-z0-9+.-]*:/|s3[an]?:)", re.IGNORECASE)
# Names, and the ARNs of access points.
_BUCKET: Final = re.compile(r"[A-Za-z0-9._-]+|arn:[A-Za-z0-9._:/-]+")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
_MAX_KEY_BYTES: Final = 1024


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

        The key is used exactly as it is written. ``S3Hook.parse_s3_url`` would cut it at the first ``?``.

        :param s3_bucket: name of the bucket; not set if ``s3_key`` is a URL.
        :param s3_key: key of the object, or its ``s3://`` URL (also ``s3a://`` and ``s3n://``).
        :raises ValueError: the arguments do not name an object. The message names the argument.
        """
        s3_key = required_text(s3_key, "s3_key")
        bucket, key = text_or_none(s3_bucket, "s3_bucket"), s3_key
        if url := _URL.fullmatch(s3_key):
            if bucket is not None:
                raise ValueError("s3_bucket, s3_key: set s3_bucket, or make s3_key an s3:// URL, but not both.")
            bucket, key = url["bucket"], url["key"]
        elif _LIKE_A_URL.match(s3_key):
            raise ValueError("s3_key: is a URL, but not of the form s3://bucket/key.")
        elif bucket is None:
            raise ValueError("s3_bucket: is not set, and s3_key is not an s3:// URL that includes the bucket.")
        if bucket is None or not _BUCKET.fullmatch(bucket):
            raise ValueError("s3_bucket: is not the name of a bucket.")
        if problem := _problem_with(key):
            raise ValueError(f"s3_key: {problem}")
        return cls(bucket, key)

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


def _problem_with(key: str) -> str | None:
    """Return why a key cannot be used, or would not be the key that S3 stores."""
    if not key.strip() or key.endswith("/"):
        return "is empty or ends with a slash. Name an object."
    if "{%" in key:
        return "contains a template that was not rendered."
    if "\\" in key or not {"", ".", ".."}.isdisjoint(key.split("/")):
        return "contains a backslash, or an empty part, . or .. between slashes. Some S3 stores would change the key."
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        return "contains a character that is not valid in Unicode."
    if size > _MAX_KEY_BYTES:
        return f"is longer than {_MAX_KEY_BYTES} bytes, the most that S3 accepts."
    if _CONTROL.search(key):
        return "contains a control character, such as a line break."
    return None


def check_bucket(s3: S3Hook, bucket: str) -> None:
    """
    Check that the bucket exists, before anything is read from iP.1.

    :param s3: the hook.
    :param bucket: name of the bucket.
    :raises ValueError: the bucket does not exist, or there are no credentials.
    :raises IP1ConnectionError: the connection is one to iP.1, whose API key must not reach another service.
    :raises botocore.exceptions.ClientError: S3 rejected the request.
    """
    from botocore.exceptions import ClientError, NoCredentialsError

    if s3.conn_config.conn_type == "ip1":
        raise IP1ConnectionError(
            f"aws_conn_id: connection {s3.aws_conn_id!r} has the type 'ip1', so its password is an API key of iP.1. It "
            "was not sent anywhere. Give aws_conn_id a connection to AWS or another S3 store."
        )
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
