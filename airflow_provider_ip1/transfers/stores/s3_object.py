# SPDX-License-Identifier: Apache-2.0
"""The name of an S3 object, which is checked without loading what only a running task needs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from airflow_provider_ip1.template_values import required_text, text_or_none
from airflow_provider_ip1.transfers.stores import check_name

S3_URL: Final = re.compile(r"s3[an]?://(?P<bucket>[^/]+)/(?P<key>.*)", re.IGNORECASE | re.DOTALL)
_LIKE_A_URL: Final = re.compile(r"\s*([a-z][a-z0-9+.-]*:/|s3[an]?:)", re.IGNORECASE)
# Names, and the ARNs of access points.
_BUCKET: Final = re.compile(r"[A-Za-z0-9._-]{1,255}|arn:[A-Za-z0-9._:/-]+")


@dataclass(frozen=True)
class S3Object:
    """
    The name of an S3 object.

    :param bucket: name of the bucket.
    :param key: key of the object.
    """

    bucket: str
    key: str

    @classmethod
    def from_arguments(cls, s3_bucket: Any, s3_key: Any, argument: str = "s3_key") -> S3Object:
        """
        Read the operator's arguments.

        The key is used exactly as it is written. ``S3Hook.parse_s3_url`` would cut it at the first ``?``.

        :param s3_bucket: name of the bucket; not set if ``s3_key`` is a URL.
        :param s3_key: key of the object, or its ``s3://`` URL (also ``s3a://`` and ``s3n://``).
        :param argument: name of the argument that gives the key, for errors.
        :raises ValueError: the arguments do not name an object. The message names the argument.
        """
        s3_key = required_text(s3_key, argument)
        bucket, key = text_or_none(s3_bucket, "s3_bucket"), s3_key
        if url := S3_URL.fullmatch(s3_key):
            if bucket is not None:
                raise ValueError(
                    f"s3_bucket, {argument}: set s3_bucket, or make {argument} an s3:// URL, but not both."
                )
            bucket, key = (required_text(part, argument) for part in url.groups())
        elif _LIKE_A_URL.match(s3_key):
            raise ValueError(f"{argument}: is a URL, but not of the form s3://bucket/key.")
        elif bucket is None:
            raise ValueError(f"s3_bucket: is not set, and {argument} is not an s3:// URL that includes the bucket.")
        if not _BUCKET.fullmatch(bucket):
            raise ValueError(
                "s3_bucket: is not the name of a bucket. Give the name alone, without s3:// and without slashes."
            )
        check_name(key, argument)
        return cls(bucket, key)
