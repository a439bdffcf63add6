# SPDX-License-Identifier: Apache-2.0
"""
Writes one S3 object while its bytes are still being produced, in the task's own thread.

S3 shows an object only when its upload is complete, so readers see either the entire object or none. It then makes the
object visible only if the existing one is still what it was when the export started: ``If-None-Match: *`` if there was
none, ``If-Match`` with its ETag otherwise. So neither a race nor a suspended worker that resumes after its retry can
replace newer data (https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html).

Some S3-compatible stores do not implement these headers; then the write is repeated without them. Others ignore them,
which cannot be detected without overwriting something. For both, the object is also compared immediately before every
attempt, which leaves a window of milliseconds instead of the duration of the export.
"""

from __future__ import annotations

import logging
import random
import re
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

from airflow_provider_ip1.api.wording import counted
from airflow_provider_ip1.compat import add_output_asset
from airflow_provider_ip1.exceptions import IP1ConnectionError
from airflow_provider_ip1.formats.compression import in_blocks
from airflow_provider_ip1.template_values import required_text, text_or_none
from airflow_provider_ip1.transfers.replacing import ObjectState

if TYPE_CHECKING:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

log = logging.getLogger(__name__)

_URL: Final = re.compile(r"s3[an]?://(?P<bucket>[^/]+)/(?P<key>.*)", re.IGNORECASE | re.DOTALL)
_LIKE_A_URL: Final = re.compile(r"\s*([a-z][a-z0-9+.-]*:/|s3[an]?:)", re.IGNORECASE)
# Names, and the ARNs of access points.
_BUCKET: Final = re.compile(r"[A-Za-z0-9._-]+|arn:[A-Za-z0-9._:/-]+")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
_MAX_KEY_BYTES: Final = 1024
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
_MIN_PART_BYTES: Final = 5 * 1024 * 1024
_MAX_PARTS: Final = 10_000
_DEFAULT_ATTEMPTS: Final = 5
_LONGEST_PAUSE: Final = 20.0
_UPLOAD: Final = "ip1-upload"
_TRANSIENT_STATUSES: Final = frozenset((408, 429, 500, 502, 503, 504))
_TRANSIENT_CODES: Final = frozenset(("RequestTimeout", "SlowDown", "Throttling", "ThrottlingException"))
# What S3's response always has. Without it, another server or nobody has answered.
_ANSWERS: Final = {
    "create_multipart_upload": "UploadId",
    "upload_part": "ETag",
    "complete_multipart_upload": "ETag",
    "put_object": "ETag",
    "head_object": "ETag",
}
_CONSOLES: Final = {
    "aws": "https://console.aws.amazon.com",
    "aws-cn": "https://console.amazonaws.cn",
    "aws-us-gov": "https://console.amazonaws-us-gov.com",
}


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
    def from_arguments(cls, s3_bucket: Any, s3_key: Any) -> S3Object:
        """
        Read the operator's arguments.

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
            bucket, key = (required_text(part, "s3_key") for part in url.groups())
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


def _problem_with(key: str) -> str | None:
    """Return why a key cannot be used, or would not be the key that the store keeps."""
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


def s3_hook(aws_conn_id: str | None) -> S3Hook:
    """
    Make an S3 hook for :class:`S3Store`, whose client sends each request once.

    The store repeats requests itself, because it has to compare the object before each attempt to replace it.
    ``service_config.s3.transfer_config_args`` of the AWS connection may set ``multipart_chunksize`` (bytes).

    :param aws_conn_id: the AWS connection; ``None`` for boto3's own search for credentials.
    """
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook
    from botocore.config import Config

    class SingleAttemptS3Hook(S3Hook):
        @property
        def config(self) -> Config:
            return super().config.merge(Config(retries={"total_max_attempts": 1}))

        @property
        def attempts(self) -> int:
            retries = super().config.retries or {}
            return int(retries.get("total_max_attempts", retries.get("max_attempts", _DEFAULT_ATTEMPTS - 1) + 1))

    return SingleAttemptS3Hook(aws_conn_id, transfer_config_args={"multipart_chunksize": _MIN_PART_BYTES})


class S3Store:
    """
    One object in S3, see :class:`~airflow_provider_ip1.transfers.stores.Store`.

    :param s3: the hook. One from :func:`s3_hook` leaves it to the store to repeat requests.
    :param target: the object.
    :param extra_args: arguments of boto3's upload, such as ``SSEKMSKeyId`` or ``RequestPayer``, in addition to those of
        the hook.
    :raises ValueError: boto3's upload does not accept one of them.
    """

    def __init__(self, s3: S3Hook, target: S3Object, extra_args: Mapping[str, Any] | None = None) -> None:
        from boto3.s3.transfer import S3Transfer

        self._s3 = s3
        self._target = target
        self._extra_args = {**s3.extra_args, **(extra_args or {})}
        if unknown := set(self._extra_args) - set(S3Transfer.ALLOWED_UPLOAD_ARGS):
            raise ValueError(f"extra_args: boto3's upload does not accept {', '.join(sorted(unknown))}.")
        self._attempts = getattr(s3, "attempts", 1)
        # Older releases of the amazon provider do not read this setting from the connection themselves.
        configured = s3.service_config.get("transfer_config_args", {}).get("multipart_chunksize")
        self._part_bytes = max(configured or s3.transfer_config.multipart_chunksize, _MIN_PART_BYTES)
        self._upload = secrets.token_hex(8)
        self.uri = target.uri
        self.dataset = (f"s3://{target.bucket}", target.key)

    def check(self) -> None:
        """
        Check that the bucket exists.

        :raises ValueError: the bucket does not exist, or there are no credentials.
        :raises IP1ConnectionError: the connection is one to iP.1, whose API key must not reach another service.
        :raises botocore.exceptions.ClientError: S3 rejected the request.
        """
        from botocore.exceptions import ClientError, NoCredentialsError

        if self._s3.conn_config.conn_type == "ip1":
            raise IP1ConnectionError(
                f"aws_conn_id: connection {self._s3.aws_conn_id!r} has the type 'ip1', so its password is an API key "
                "of iP.1. It was not sent anywhere. Give aws_conn_id a connection to AWS or another S3 store."
            )
        bucket, code = self._target.bucket, ""
        try:
            self._call("head_bucket")
        except NoCredentialsError as error:
            raise ValueError(
                f"aws_conn_id: the AWS connection {self._s3.aws_conn_id!r} does not exist or has no credentials, and "
                "boto3 finds none elsewhere. Create the connection, or correct its name."
            ) from error
        except ClientError as error:
            code = _code(error)
            # Credentials that may only write objects get a 403 here, and the upload may still succeed.
            if code not in ("404", "NoSuchBucket", "403"):
                raise
        if code in ("404", "NoSuchBucket"):
            raise ValueError(f"s3_bucket: bucket {bucket!r} does not exist. Create it, or correct the name.")

    def head(self) -> ObjectState:
        """
        Return the current state of the object.

        :raises botocore.exceptions.ClientError: S3 failed.
        """
        from botocore.exceptions import ClientError

        try:
            found = self._call("head_object")
        except ClientError as error:
            # Without s3:ListBucket, S3 also returns 403 for an object that does not exist.
            if _status(error) not in (403, 404):
                raise
            return ObjectState(is_known=_status(error) == 404)
        return ObjectState(
            etag=found["ETag"],
            size=found["ContentLength"],
            metadata={name.lower(): value for name, value in found.get("Metadata", {}).items()},
        )

    def write(
        self,
        chunks: Iterable[bytes],
        *,
        replaces: ObjectState,
        conflict: Exception,
        metadata: Callable[[bool], Mapping[str, str]],
    ) -> int:
        """
        Write the chunks, in their order, as one object.

        An exception that arrives anywhere leaves the existing object, unless S3 had already received the last request.

        :param chunks: the bytes, cut anywhere. An error that they raise propagates, and nothing is written.
        :param replaces: what must be there instead, see :meth:`head`.
        :param conflict: the error to raise if something else is there.
        :param metadata: returns the object's metadata. Called with true if the object has one part, which is complete.
        :return: number of bytes written.
        :raises botocore.exceptions.ClientError: S3 rejected a request.
        :raises ValueError: the object is too large for 10,000 parts.
        """
        blocks = in_blocks(chunks, self._part_bytes)
        first = next(blocks, b"")
        is_whole = len(first) < self._part_bytes
        own = {**metadata(is_whole), _UPLOAD: self._upload}
        described = {"Metadata": {**self._extra_args.get("Metadata", {}), **own}}
        if is_whole:
            self._make_visible("put_object", replaces, conflict, Body=first, **described)
            return len(first)
        upload: dict[str, str] = {}
        started = datetime.now(UTC)
        try:
            upload["UploadId"] = self._call("create_multipart_upload", **described)["UploadId"]
            parts, sent = [], 0
            for number, block in enumerate(chain([first], blocks), start=1):
                if number > _MAX_PARTS:
                    raise ValueError(
                        f"The object would be larger than {self._part_bytes * _MAX_PARTS} bytes, the most that S3 "
                        f"accepts in {_MAX_PARTS} parts. Export less per object, or raise multipart_chunksize in the "
                        "AWS connection's service_config (s3, transfer_config_args)."
                    )
                done = self._call("upload_part", PartNumber=number, Body=block, **upload)
                parts.append(_part(number, done))
                sent += len(block)
            self._make_visible(
                "complete_multipart_upload", replaces, conflict, MultipartUpload={"Parts": parts}, **upload
            )
        except BaseException:
            self._abort(upload, started)
            raise
        return sent

    def remove_leftovers(self, before: datetime) -> None:
        """
        Abort the uploads of this object that a killed try of the same task left behind.

        Listings do not show them, but S3 bills them. If the credentials or the server do not allow listing or aborting,
        a warning is logged and no error is raised.

        :param before: uploads started at this time or later are kept; aware.
        """
        from botocore.exceptions import ClientError

        try:
            removed = self._abort_uploads(lambda initiated: initiated < before)
        except ClientError as error:
            log.warning(
                "Unfinished uploads of an earlier try could not be listed or aborted (%s). Allow "
                "s3:ListBucketMultipartUploads and s3:AbortMultipartUpload, or set a lifecycle rule.",
                _code(error) or "unknown",
            )
            return
        if removed:
            log.info("Aborted %s of an earlier try.", counted(removed, "unfinished upload"))

    @property
    def link(self) -> str:
        """The object's page in the AWS console, or its URL at the connection's endpoint if that is not AWS's."""
        bucket, key = quote(self._target.bucket), self._target.key
        if endpoint := self._s3.conn_config.get_service_endpoint_url(service_name="s3"):
            return f"{endpoint.rstrip('/')}/{bucket}/{quote(key)}"
        meta = self._s3.get_conn().meta
        console = _CONSOLES.get(meta.partition, _CONSOLES["aws"])
        return f"{console}/s3/object/{bucket}?{urlencode({'region': meta.region_name, 'prefix': key})}"

    def _make_visible(self, method: str, replaces: ObjectState, conflict: Exception, **arguments: Any) -> None:
        """Send the request after which readers see the object, on condition that the existing one is what it was."""
        from botocore.exceptions import BotoCoreError, ClientError

        condition: dict[str, str] = {}
        if replaces.etag is not None:
            condition = {"IfMatch": replaces.etag}
        elif replaces.is_known:
            condition = {"IfNoneMatch": "*"}
        rejection, has_conflict, attempt = "", False, 1
        while True:
            now = self.head()
            if now.metadata.get(_UPLOAD) == self._upload:
                # An attempt before wrote it, and its response was lost.
                break
            # The comparison before every attempt protects the object in stores without conditions. An object that the
            # credentials show only now has appeared, and one that they no longer show is gone.
            if has_conflict or now.etag != replaces.etag:
                raise conflict
            try:
                self._send(method, **arguments, **condition)
                break
            except (BotoCoreError, ClientError) as error:
                # Without a condition, only the comparison protects the object, so the credentials must show it.
                if condition and now.is_known and _lacks_conditions(error):
                    rejection, condition = _code(error), {}
                elif _is_conflict(error):
                    has_conflict = True
                elif attempt < self._attempts and _may_pass(error):
                    _pause(attempt)
                    attempt += 1
                else:
                    raise
        if rejection:
            log.warning(
                "The S3 store does not implement conditional writes (%s). The export compared the object immediately "
                "before it wrote, but an object written in the same moment would have been replaced.",
                rejection,
            )
        add_output_asset(self._s3, "s3", bucket=self._target.bucket, key=self._target.key)

    def _call(self, method: str, **arguments: Any) -> dict[str, Any]:
        """Send a request that may be repeated, and repeat it while its failure may pass."""
        from botocore.exceptions import BotoCoreError, ClientError

        for attempt in range(1, self._attempts):
            try:
                return self._send(method, **arguments)
            except (BotoCoreError, ClientError) as error:
                if not _may_pass(error):
                    raise
            _pause(attempt)
        return self._send(method, **arguments)

    def _send(self, method: str, **arguments: Any) -> dict[str, Any]:
        """Send a request for the object once."""
        from botocore.exceptions import HTTPClientError

        response: dict[str, Any] = getattr(self._s3.get_conn(), method)(**self._usual(method) | arguments)
        if (needed := _ANSWERS.get(method)) and not response.get(needed):
            raise HTTPClientError(error=f"the response to {method} has no {needed}, so it is unknown what S3 did")
        return response

    def _usual(self, method: str) -> dict[str, Any]:
        """Return the object's name and those extra arguments that a method of the client accepts."""
        client = self._s3.get_conn()
        usual = {**self._extra_args, "Bucket": self._target.bucket, "Key": self._target.key}
        if method == "create_multipart_upload" and client.meta.config.request_checksum_calculation == "when_supported":
            # Otherwise S3 does not expect the checksums that botocore sends with each part.
            usual.setdefault("ChecksumAlgorithm", "CRC32")
        operation = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[method])
        return {name: value for name, value in usual.items() if name in operation.input_shape.members}

    def _abort(self, upload: Mapping[str, str], started: datetime) -> None:
        """Abort the unfinished upload. An interruption may have lost its id, before it got any part."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            if upload:
                self._call("abort_multipart_upload", **upload)
            else:
                self._abort_uploads(lambda initiated: initiated >= started.replace(microsecond=0))
        except (BotoCoreError, ClientError) as error:
            # The upload is gone if S3 completed it, and only the response was lost.
            if _code(error) != "NoSuchUpload":
                log.warning(
                    "The unfinished multipart upload could not be removed. The next try of this task removes it. If "
                    "there is none, a lifecycle rule of the bucket (AbortIncompleteMultipartUpload) does."
                )

    def _abort_uploads(self, is_leftover: Callable[[datetime], bool]) -> int:
        """Abort those uploads of this object whose start says that they are left over. Returns their number."""
        listing, removed = "list_multipart_uploads", 0
        pages = self._s3.get_conn().get_paginator(listing)
        for page in pages.paginate(Prefix=self._target.key, **self._usual(listing)):
            for upload in page.get("Uploads", ()):
                if upload["Key"] == self._target.key and is_leftover(upload["Initiated"]):
                    self._call("abort_multipart_upload", UploadId=upload["UploadId"])
                    removed += 1
        return removed


def _part(number: int, done: Mapping[str, Any]) -> dict[str, Any]:
    """Describe a part as ``complete_multipart_upload`` expects it."""
    checksums = {name: value for name, value in done.items() if name.startswith("Checksum")}
    return {"PartNumber": number, "ETag": done["ETag"], **checksums}


def _response(error: Exception) -> Mapping[str, Any]:
    """Return S3's response; nothing if there was none, where botocore sets it to ``None``."""
    return getattr(error, "response", None) or {}


def _code(error: Exception) -> str:
    return str(_response(error).get("Error", {}).get("Code", ""))


def _status(error: Exception) -> int:
    return int(_response(error).get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _lacks_conditions(error: Exception) -> bool:
    """Return whether S3 says that it does not implement conditions: ``NotImplemented``, or a 400 that names them."""
    details = " ".join(
        # The address of the object may contain anything.
        str(value).lower()
        for name, value in _response(error).get("Error", {}).items()
        if name not in ("Key", "Resource")
    )
    names_condition = "if-match" in details or "if-none-match" in details
    return _code(error) == "NotImplemented" or (_status(error) == 400 and names_condition)


def _is_conflict(error: Exception) -> bool:
    return _status(error) == 412 or _code(error) in ("ConditionalRequestConflict", "NoSuchKey")


def _may_pass(error: Exception) -> bool:
    """Return whether the same request may succeed a little later. botocore's standard mode repeats the same errors."""
    from botocore.exceptions import ConnectionError, HTTPClientError

    is_transient = _status(error) in _TRANSIENT_STATUSES or _code(error) in _TRANSIENT_CODES
    return is_transient or isinstance(error, (ConnectionError, HTTPClientError))


def _pause(attempt: int) -> None:
    time.sleep(random.uniform(0, min(_LONGEST_PAUSE, 2.0 ** (attempt - 1))))  # noqa: S311 - spreads repetitions
