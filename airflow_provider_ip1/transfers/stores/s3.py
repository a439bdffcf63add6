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
import re
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import mktime_tz, parsedate_tz
from itertools import chain
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from boto3.s3.transfer import S3Transfer
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError as NoConnectionError,
    HTTPClientError,
    NoCredentialsError,
)

from airflow_provider_ip1.api.call import RETRIED_STATUSES
from airflow_provider_ip1.compat import add_output_asset
from airflow_provider_ip1.formats.compression import in_blocks
from airflow_provider_ip1.template_values import RetriedValueError
from airflow_provider_ip1.transfers.stores import DEFAULT_ATTEMPTS, UPLOAD, ObjectState, Store, refuse_ip1
from airflow_provider_ip1.transfers.stores.s3_object import S3_URL, S3Object

log = logging.getLogger(__name__)

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
_MIN_PART_BYTES: Final = 5 * 1024 * 1024
_MAX_PARTS: Final = 10_000
_TRANSIENT_CODES: Final = frozenset(("RequestTimeout", "SlowDown", "Throttling", "ThrottlingException"))
# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html, and what to do about these errors.
_WRONG: Final = "Correct its login (access key), password (secret key) or session token, or its endpoint_url."
_EXPIRED: Final = "Its session token has expired. Renew it, or let Airflow obtain tokens itself, by role_arn."
_REJECTED_CREDENTIALS: Final = {
    **dict.fromkeys(("InvalidAccessKeyId", "InvalidClientTokenId", "InvalidToken", "SignatureDoesNotMatch"), _WRONG),
    **dict.fromkeys(("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"), _EXPIRED),
    "RequestTimeTooSkewed": "The clocks of this machine and of S3 differ too much. Set this machine's clock.",
}


class _SingleAttemptS3Hook(S3Hook):
    """Sends each request once, because the store has to compare the object before it repeats one."""

    @property
    def config(self) -> Config:
        """The connection's, without repetitions."""
        return super().config.merge(Config(retries={"total_max_attempts": 1}))

    @property
    def attempts(self) -> int:
        """How often the connection allows to send a request."""
        retries = super().config.retries or {}
        return int(retries.get("total_max_attempts", retries.get("max_attempts", DEFAULT_ATTEMPTS - 1) + 1))


def s3_hook(aws_conn_id: str | None) -> S3Hook:
    """
    Make an S3 hook for :class:`S3Store`.

    ``service_config.s3.transfer_config_args`` of the AWS connection may set ``multipart_chunksize`` (bytes).

    :param aws_conn_id: the AWS connection; ``None`` for boto3's own search for credentials.
    """
    return _SingleAttemptS3Hook(aws_conn_id, transfer_config_args={"multipart_chunksize": _MIN_PART_BYTES})


class S3Store(Store):
    """
    One object in S3.

    An error of S3's that no argument can avoid is botocore's ``ClientError`` or ``BotoCoreError``.

    :param s3: the hook. One from :func:`s3_hook` leaves it to the store to repeat requests.
    :param target: the object.
    :param extra_args: arguments of boto3's upload, such as ``SSEKMSKeyId`` or ``RequestPayer``, in addition to those of
        the hook.
    :raises ValueError: boto3's upload does not accept one of them.
    """

    argument = "s3_key"
    reading_rights = "s3:GetObject and s3:ListBucket"
    _errors = (BotoCoreError, ClientError)

    def __init__(self, s3: S3Hook, target: S3Object, extra_args: Mapping[str, Any] | None = None) -> None:
        self._s3 = s3
        self._target = target
        self._extra_args = {**s3.extra_args, **(extra_args or {})}
        if unknown := set(self._extra_args) - set(S3Transfer.ALLOWED_UPLOAD_ARGS):
            raise ValueError(f"extra_args: boto3's upload does not accept {', '.join(sorted(unknown))}.")
        self._attempts = getattr(s3, "attempts", 1)
        # Older releases of the amazon provider do not read this setting from the connection themselves.
        configured = s3.service_config.get("transfer_config_args", {}).get("multipart_chunksize")
        self._part_bytes = max(configured or s3.transfer_config.multipart_chunksize, _MIN_PART_BYTES)
        self._clock_difference = 0.0
        self.uri = f"s3://{target.bucket}/{target.key}"
        self.dataset = (f"s3://{target.bucket}", target.key)

    @property
    def link(self) -> str:
        """The object's page in the AWS console. Empty for another store: its API has no login for people."""
        meta = self._s3.get_conn().meta
        if not f"{urlsplit(meta.endpoint_url).hostname}".endswith((".amazonaws.com", ".amazonaws.com.cn")):
            return ""
        domain = {"aws-cn": "amazonaws.cn", "aws-us-gov": "amazonaws-us-gov.com"}.get(meta.partition, "aws.amazon.com")
        query = urlencode({"region": meta.region_name, "prefix": self._target.key})
        return f"https://console.{domain}/s3/object/{quote(self._target.bucket)}?{query}"

    def check(self) -> None:
        """
        Check the bucket and the credentials.

        :raises ValueError: the bucket does not exist, or S3 does not accept the credentials.
        :raises IP1ConnectionError: the connection is one to iP.1, whose API key must not reach another service.
        """
        connection = f"aws_conn_id: the AWS connection {self._s3.aws_conn_id!r}"
        refuse_ip1(self._s3.conn_config.conn_type, "aws_conn_id", self._s3.aws_conn_id)
        try:
            self._ask()
        except NoCredentialsError as error:
            raise RetriedValueError(
                f"{connection} does not exist or has no credentials, and boto3 finds none elsewhere. Create the "
                "connection, or correct its name."
            ) from error
        except ClientError as error:
            if _code(error) == "NoSuchBucket":
                raise RetriedValueError(
                    f"s3_bucket: bucket {self._target.bucket!r} does not exist. Create it, or correct the name."
                ) from error
            if advice := _REJECTED_CREDENTIALS.get(_code(error)):
                raise RetriedValueError(f"{connection} was rejected by S3 ({_code(error)}). {advice}") from error
            # Credentials that may only write objects must not list them, and the upload may still succeed.
            if _status(error) != 403:
                raise

    def head(self) -> ObjectState:
        """Return the current state of the object."""
        try:
            found = self._call("head_object")
        except ClientError as error:
            # Without s3:ListBucket, S3 also returns 403 for an object that does not exist.
            if _status(error) in (403, 404):
                return ObjectState(is_known=_status(error) == 404)
            # The response to HEAD has no body that could give a reason, such as an expired token.
            self._ask()
            raise
        return ObjectState(
            etag=found["ETag"],
            size=found["ContentLength"],
            metadata={name.lower(): value for name, value in found.get("Metadata", {}).items()},
        )

    def write(
        self, chunks: Iterable[bytes], *, replaces: ObjectState, metadata: Callable[[bool], Mapping[str, str]]
    ) -> int:
        """
        Write the object, in parts if it has at least 5 MiB; see :meth:`.Store.write`.

        :raises ValueError: the object is too large for 10,000 parts.
        """
        self._upload = secrets.token_hex(8)
        blocks = in_blocks(chunks, self._part_bytes)
        first = next(blocks, b"")
        is_whole = len(first) < self._part_bytes
        own = {**self._extra_args.get("Metadata", {}), **metadata(is_whole), UPLOAD: self._upload}
        if is_whole:
            self._write_object("put_object", replaces, Body=first, Metadata=own)
            self._add_output()
            return len(first)
        # By S3's clock, whose times have whole seconds.
        started = datetime.fromtimestamp(int(time.time() + self._clock_difference), UTC)
        upload: dict[str, Any] = {}
        try:
            upload["UploadId"] = self._call("create_multipart_upload", Metadata=own)["UploadId"]
            parts, sent = [], 0
            for number, block in enumerate(chain([first], blocks), start=1):
                if number > _MAX_PARTS:
                    raise ValueError(
                        f"The object is larger than {self._part_bytes * _MAX_PARTS} bytes, {_MAX_PARTS} parts. Export "
                        "less per object, or raise multipart_chunksize in the AWS connection's service_config (s3, "
                        "transfer_config_args)."
                    )
                done = self._call("upload_part", PartNumber=number, Body=block, **upload)
                parts.append({"PartNumber": number, "ETag": done["ETag"], **_checksums(done)})
                sent += len(block)
            self._write_object("complete_multipart_upload", replaces, MultipartUpload={"Parts": parts}, **upload)
        except BaseException:
            # An interruption may have lost the id of the upload, before it got any part.
            self._abort(upload.values() or self._uploads(since=started))
            raise
        self._add_output()
        return sent

    def beside(self, address: str, argument: str) -> S3Store:
        """Return another object, with the same extra arguments, except that it can always be read at once."""
        extra_args = {name: value for name, value in self._extra_args.items() if name != "StorageClass"}
        bucket = None if S3_URL.fullmatch(address) else self._target.bucket
        return S3Store(self._s3, S3Object.from_arguments(bucket, address, argument), extra_args)

    def read(self) -> tuple[ObjectState, bytes]:
        """Return the current state of the object and its content; see :meth:`.Store.read`."""
        try:
            found = self._call("get_object")
        except ClientError as error:
            if _status(error) != 403 and _code(error) != "NoSuchKey":
                raise
            return ObjectState(is_known=_status(error) != 403), b""
        return ObjectState(etag=found["ETag"]), found["Body"].read()

    def put(self, body: bytes, *, replaces: ObjectState) -> None:
        """Write the object in one request; see :meth:`.Store.put`."""
        self._upload = secrets.token_hex(8)
        self._write_object("put_object", replaces, Body=body, Metadata={UPLOAD: self._upload})

    def remove_leftovers(self) -> None:
        """Abort every unfinished upload of this object. Listings do not show them, but S3 bills them."""
        self._abort(self._uploads())

    def _write_object(
        self, method: str, replaces: ObjectState, *, is_conditional: bool = True, **arguments: Any
    ) -> None:
        """Send the request after which readers see the object, on condition that the existing one is what it was."""
        condition: dict[str, str] = {}
        if is_conditional and replaces.etag is not None:
            condition = {"IfMatch": replaces.etag}
        elif is_conditional and replaces.is_known:
            condition = {"IfNoneMatch": "*"}
        try:
            self._make_visible(lambda: self._send(method, **arguments, **condition), replaces)
        except (BotoCoreError, ClientError) as error:
            # Without a condition, only the comparison protects the object, so the credentials must show it.
            if not (condition and _lacks_conditions(error) and self.head().is_known):
                raise
            log.warning(
                "The S3 store does not implement conditional writes (%s). The export compares the object "
                "immediately before it writes, but replaces an object that is written in the same moment.",
                _code(error),
            )
            self._write_object(method, replaces, is_conditional=False, **arguments)

    def _may_pass(self, error: Exception) -> bool:
        # As botocore's standard mode.
        is_transient = _status(error) in RETRIED_STATUSES or _code(error) in _TRANSIENT_CODES
        return is_transient or isinstance(error, (NoConnectionError, HTTPClientError))

    def _is_conflict(self, error: Exception) -> bool:
        return _status(error) == 412 or _code(error) in ("ConditionalRequestConflict", "NoSuchKey")

    def _add_output(self) -> None:
        add_output_asset(self._s3, "s3", bucket=self._target.bucket, key=self._target.key)

    def _ask(self) -> None:
        """Send a request that needs no other right than ``head_bucket``, but whose response says why it fails."""
        self._call("list_objects_v2", Prefix=self._target.key, MaxKeys=1)

    def _call(self, method: str, **arguments: Any) -> dict[str, Any]:
        """Send a request, and repeat it while its failure may pass."""
        return self._repeat(lambda: self._send(method, **arguments)) or {}

    def _send(self, method: str, **arguments: Any) -> dict[str, Any]:
        """Send a request for the object once."""
        response: dict[str, Any] = getattr(self._s3.get_conn(), method)(**self._usual(method) | arguments)
        # What S3's response always has. Without it, another server or nobody has answered.
        needed = "UploadId" if method == "create_multipart_upload" else "ETag"
        if not method.startswith(("abort", "list")) and not response.get(needed):
            raise HTTPClientError(error=f"the response to {method} has no {needed}, so it is unknown what S3 did")
        if date := parsedate_tz(response["ResponseMetadata"].get("HTTPHeaders", {}).get("date")):
            self._clock_difference = mktime_tz(date) - time.time()
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

    def _uploads(self, since: datetime | None = None) -> Iterator[str]:
        """Yield the ids of this object's unfinished uploads; only of those that S3 started at this time or later."""
        listing = "list_multipart_uploads"
        for page in (
            self._s3.get_conn().get_paginator(listing).paginate(Prefix=self._target.key, **self._usual(listing))
        ):
            for upload in page.get("Uploads", ()):
                if upload["Key"] == self._target.key and (since is None or upload["Initiated"] >= since):
                    yield upload["UploadId"]

    def _abort(self, upload_ids: Iterable[str]) -> None:
        try:
            for upload_id in upload_ids:
                # The upload is gone if S3 completed it, and only the response was lost.
                with suppress(self._s3.get_conn().exceptions.NoSuchUpload):
                    self._call("abort_multipart_upload", UploadId=upload_id)
        except (BotoCoreError, ClientError) as error:
            log.warning(
                "Unfinished multipart uploads of %s could not be removed (%s). The next try of this task removes them "
                "if it may (s3:ListBucketMultipartUploads, s3:AbortMultipartUpload). Otherwise, a lifecycle rule of "
                "the bucket (AbortIncompleteMultipartUpload) does.",
                self.uri,
                _code(error) or type(error).__name__,
            )


def _response(error: Exception) -> Mapping[str, Any]:
    """Return S3's response; nothing if there was none, where botocore sets it to ``None``."""
    return getattr(error, "response", None) or {}


def _code(error: Exception) -> str:
    return str(_response(error).get("Error", {}).get("Code", ""))


def _status(error: Exception) -> int:
    return int(_response(error).get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _lacks_conditions(error: Exception) -> bool:
    """Return whether S3 says that it does not implement conditions: ``NotImplemented``, or a 400 that names them."""
    # Without the address of the object, which may contain anything.
    said = [text for name, text in _response(error).get("Error", {}).items() if name not in ("Key", "Resource")]
    names_condition = re.search("if-(none-)?match", str(said), re.IGNORECASE)
    return _code(error) == "NotImplemented" or (_status(error) == 400 and names_condition is not None)


def _checksums(done: Mapping[str, Any]) -> dict[str, Any]:
    # Not inside the try of write: Python 3.12 skips its except clause if a signal handler raises in a comprehension.
    return {name: value for name, value in done.items() if name.startswith("Checksum")}
