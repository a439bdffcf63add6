# SPDX-License-Identifier: Apache-2.0
"""
Streaming bytes into one S3 object while they are being made.

boto3's managed upload reads from a file object in a thread of its own. Once started it reads to the end, whether a part
failed or the task was told to stop. So here the task's own thread makes the bytes, where signals and time limits
arrive, and hands them to the upload through a short queue; ending the queue with an error makes boto3 abort the
multipart upload. The object appears whole or not at all, since S3 shows it only when the upload is completed.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from datetime import datetime
from io import BytesIO
from queue import SimpleQueue
from threading import Semaphore, Thread
from typing import Any, Final

from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from botocore.exceptions import ClientError

log = logging.getLogger(__name__)

# Parts of the smallest size that S3 takes, two of them sent at a time while a third waits: little memory, and enough
# to keep up with what one process can format.
_PART_BYTES: Final = 5 * 1024 * 1024
_PARTS_IN_FLIGHT: Final = 2
_CHUNKS_QUEUED: Final = 8
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
_MOST_PARTS: Final = 10_000
_UPLOAD_CALLS: Final = ("PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload")


def s3_hook_for_streaming(aws_conn_id: str | None, verify: bool | str | None) -> S3Hook:
    """
    Make an S3 hook whose uploads keep little in memory.

    What the AWS connection says in ``service_config.s3.transfer_config_args`` comes first. ``max_concurrency`` there is
    how many parts are sent, and kept in memory, at a time.

    :param aws_conn_id: the AWS connection; ``None`` for boto3's own search for credentials.
    :param verify: whether and how the server's certificate is checked, as in boto3.
    """
    s3 = S3Hook(
        aws_conn_id=aws_conn_id,
        verify=verify,
        # boto3's other client, the CRT, ignores these settings.
        transfer_config_args={
            "multipart_threshold": _PART_BYTES,
            "multipart_chunksize": _PART_BYTES,
            "max_concurrency": _PARTS_IN_FLIGHT,
            "preferred_transfer_client": "classic",
        },
    )
    s3.transfer_config.max_in_memory_upload_chunks = s3.transfer_config.max_request_concurrency
    return s3


class StreamingUpload:
    """
    One upload of bytes that are not all there yet.

    :param s3: a hook of its own, see :func:`s3_hook_for_streaming`.
    :param bucket: where to.
    :param key: where to.
    :param replace: whether an object of that key may be there.
    :param encrypt: whether S3 encrypts with its own keys (AES256).
    :param acl_policy: a canned ACL.
    """

    def __init__(
        self, s3: S3Hook, *, bucket: str, key: str, replace: bool, encrypt: bool, acl_policy: str | None
    ) -> None:
        self._s3 = s3
        self._target: dict[str, Any] = {
            "bucket_name": bucket,
            "key": key,
            "replace": replace,
            "encrypt": encrypt,
            "acl_policy": acl_policy,
        }
        # A SimpleQueue may be filled from a signal handler that interrupts its own user; other queues deadlock.
        self._chunks: SimpleQueue[bytes | None] = SimpleQueue()
        self._room = Semaphore(_CHUNKS_QUEUED)
        self._source = _Source(self)
        self._cancelled = False
        self._broken = False
        self._ended = False
        self._unfinished = False
        self._error: BaseException | None = None

    def send(self, chunks: Iterable[bytes]) -> int:
        """
        Upload the chunks as one object, in the order they come.

        :param chunks: cut anywhere. An error raised by them ends the upload and is raised here.
        :return: bytes sent.
        :raises botocore.exceptions.ClientError: S3 refused.
        :raises ValueError: there is more than S3 takes in 10,000 parts, or the object exists and may not be replaced.
        """
        client = self._s3.get_conn()
        most_bytes = self._s3.transfer_config.multipart_chunksize * _MOST_PARTS
        for event in ("after-call", "after-call-error"):
            client.meta.events.register(f"{event}.s3", self._on_answer)
        sent = 0
        uploader = Thread(target=self._upload, name="ip1-s3-upload")
        uploader.start()
        try:
            for chunk in chunks:
                self._room.acquire()
                if self._cancelled or self._broken or self._ended:
                    break
                sent += len(chunk)
                if sent > most_bytes:
                    raise ValueError(
                        f"The object would be larger than {most_bytes} bytes, which is all that S3 takes in "
                        f"{_MOST_PARTS} parts. Export less per object, or raise multipart_chunksize in the AWS "
                        "connection's service_config (s3, transfer_config_args)."
                    )
                self._chunks.put(chunk)
            else:
                self._chunks.put(None)
                # The upload may still be under way: if this thread is interrupted while it waits, the rest must stop.
                uploader.join()
        finally:
            self.cancel()
            uploader.join()
            for event in ("after-call", "after-call-error"):
                client.meta.events.unregister(f"{event}.s3", self._on_answer)
            if self._unfinished:
                log.warning(
                    "The unfinished multipart upload could not be removed. The next try of this task removes it; "
                    "a lifecycle rule of the bucket (AbortIncompleteMultipartUpload) does so without one."
                )
        if self._error is not None:
            raise self._error
        return sent

    def cancel(self) -> None:
        """Stop now and leave no object. Does nothing once all was sent. May be called from a signal handler."""
        self._cancelled = True
        self._chunks.put(None)

    def _upload(self) -> None:
        try:
            self._s3.load_file_obj(self._source, **self._target)
        except BaseException as error:  # noqa: BLE001 - raised again in the task's own thread
            self._error = error
        finally:
            self._ended = True
            self._room.release()

    def _next_chunk(self) -> bytes | None:
        chunk = self._chunks.get()
        if self._cancelled:
            raise UploadCancelled("The upload was stopped before all was sent; no object was written.")
        self._room.release()
        return chunk

    def _on_answer(
        self, model: Any = None, http_response: Any = None, parsed: Any = None, event_name: str = "", **_: Any
    ) -> None:
        call = event_name.rsplit(".", 1)[-1]
        failed = http_response is None or http_response.status_code >= 300
        if call in _UPLOAD_CALLS and failed:
            self._broken = True
        elif call == "CreateMultipartUpload":
            self._unfinished = True
        elif call in ("CompleteMultipartUpload", "AbortMultipartUpload") and not failed:
            self._unfinished = False


class UploadCancelled(RuntimeError):
    """The upload was told to stop."""


class _Source:
    """What boto3 reads from: it needs no more of a file than this."""

    def __init__(self, upload: StreamingUpload) -> None:
        self._upload = upload
        self._left = memoryview(b"")
        self._at_end = False

    def read(self, size: int | None = None) -> bytes:
        """
        Give exactly ``size`` bytes, fewer only at the end: S3 refuses small parts.

        :param size: bytes; ``None`` or negative for all that is left.
        :raises UploadCancelled: the upload was told to stop.
        """
        wanted = sys.maxsize if size is None or size < 0 else size
        # Unlike a list that is joined, this never holds the part twice.
        part = BytesIO()
        while part.tell() < wanted:
            if not self._left:
                chunk = None if self._at_end else self._upload._next_chunk()
                if chunk is None:
                    self._at_end = True
                    break
                self._left = memoryview(chunk)
            room = wanted - part.tell()
            part.write(self._left[:room])
            self._left = self._left[room:]
        return part.getvalue()


def abort_unfinished_uploads(s3: S3Hook, *, bucket: str, key: str, before: datetime) -> int:
    """
    Remove what a killed try of the same task left in S3: multipart uploads that were neither completed nor aborted.

    They are in no listing of objects, but they are paid for. Where listing or aborting is not permitted, or the server
    does not know it, this is logged and not an error.

    :param s3: the hook.
    :param bucket: of the object.
    :param key: of the object; uploads of other keys are left alone.
    :param before: uploads begun later are left alone; aware.
    :return: how many were removed.
    """
    client = s3.get_conn()
    removed = 0
    try:
        for page in client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=key):
            for upload in page.get("Uploads", ()):
                if upload["Key"] == key and upload["Initiated"] < before:
                    client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload["UploadId"])
                    removed += 1
    except ClientError as error:
        log.warning(
            "Unfinished uploads of an earlier try could not be looked for or removed (%s): allow "
            "s3:ListBucketMultipartUploads and s3:AbortMultipartUpload, or set a lifecycle rule.",
            error.response.get("Error", {}).get("Code", "unknown"),
        )
    if removed:
        log.info("Removed %d unfinished uploads that an earlier try left behind.", removed)
    return removed
