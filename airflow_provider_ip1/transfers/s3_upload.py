# SPDX-License-Identifier: Apache-2.0
"""
Streaming upload of one S3 object while its bytes are still being produced.

boto3's managed upload reads a file object in its own thread. Once started, it reads to the end of the file, even after
a part failed or the task was told to stop. Therefore the task's thread, which receives signals and timeouts, produces
the bytes and passes them to the upload through a short queue. An error in the queue makes boto3 abort the multipart
upload. S3 shows an object only when its upload completes, so readers see either the entire object or none.
"""

from __future__ import annotations

import _thread
import logging
import sys
from collections.abc import Iterable
from datetime import datetime
from io import BytesIO
from queue import SimpleQueue
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_ip1.transfers.guarded_write import GuardedWrite
from airflow_provider_ip1.transfers.target import Target

if TYPE_CHECKING:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

log = logging.getLogger(__name__)

# S3's minimum part size. Two parts are sent while a third is being filled: little memory, and fast enough for what one
# process can format.
_PART_BYTES: Final = 5 * 1024 * 1024
_PARTS_IN_FLIGHT: Final = 2
_CHUNKS_QUEUED: Final = 8
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
_MAX_PARTS: Final = 10_000
_CANCELLED: Final = "The upload was stopped before it was complete. No object was written."
_UPLOAD_CALLS: Final = ("PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload")


def s3_hook_for_streaming(aws_conn_id: str | None, verify: bool | str | None) -> S3Hook:
    """
    Make an S3 hook whose uploads use little memory.

    ``service_config.s3.transfer_config_args`` of the AWS connection takes precedence. Its ``max_concurrency`` is the
    number of parts that are sent, and kept in memory, at a time.

    :param aws_conn_id: the AWS connection; ``None`` for boto3's own search for credentials.
    :param verify: whether and how to check the server's certificate, as in boto3.
    """
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

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
    Uploads an object whose bytes are produced during the upload.

    :param s3: a hook that nothing else uses, see :func:`s3_hook_for_streaming`.
    :param target: the object.
    :param guard: adds the condition and the metadata.
    :param encrypt: whether S3 encrypts the object with its own keys (AES256).
    :param acl_policy: canned ACL of the object.
    """

    def __init__(
        self, s3: S3Hook, target: Target, guard: GuardedWrite, *, encrypt: bool, acl_policy: str | None
    ) -> None:
        self._s3 = s3
        self._guard = guard
        self._arguments: dict[str, Any] = {
            "bucket_name": target.bucket,
            "key": target.key,
            # The guard is stricter than the hook's own check, which only runs at the start.
            "replace": True,
            "encrypt": encrypt,
            "acl_policy": acl_policy,
        }
        # Airflow stops a task with a signal handler that calls cancel(), or that raises an exception anywhere in the
        # task's thread. The exception can leave what is written in Python (Semaphore, Queue, Thread.start) locked for
        # good. SimpleQueue, Lock and _thread are written in C, and a handler may put while it interrupts another put.
        self._chunks: SimpleQueue[bytes | None] = SimpleQueue()
        self._room: SimpleQueue[None] = SimpleQueue()
        for _ in range(_CHUNKS_QUEUED):
            self._room.put(None)
        # The first to acquire it decides whether the upload runs: its own thread, or send() after an interruption.
        self._begun = Lock()
        self._end: SimpleQueue[None] = SimpleQueue()
        self._source = _Source(self)
        self._is_cancelled = False
        self._is_broken = False
        self._has_ended = False
        self._is_unfinished = False
        self._error: BaseException | None = UploadCancelled(_CANCELLED)

    def send(self, chunks: Iterable[bytes]) -> int:
        """
        Upload the chunks, in their order, as one object.

        :param chunks: the bytes, cut anywhere. An error that they raise ends the upload and propagates.
        :return: number of bytes sent.
        :raises botocore.exceptions.ClientError: S3 rejected a request.
        :raises ObjectChangedError: another writer changed the object.
        :raises ValueError: the object is too large for 10,000 parts, or exists and must not be replaced.
        :raises UploadCancelled: :meth:`cancel` was called.
        """
        from botocore.exceptions import ClientError

        client = self._s3.get_conn()
        max_bytes = self._s3.transfer_config.multipart_chunksize * _MAX_PARTS
        for event in ("after-call", "after-call-error"):
            client.meta.events.register(f"{event}.s3", self._on_response)
        sent = 0
        try:
            _thread.start_new_thread(self._upload, ())
            for chunk in chunks:
                self._room.get()
                if self._is_cancelled or self._is_broken or self._has_ended:
                    break
                sent += len(chunk)
                if sent > max_bytes:
                    raise ValueError(
                        f"The object would be larger than {max_bytes} bytes, the most that S3 accepts in {_MAX_PARTS} "
                        "parts. Export less per object, or raise multipart_chunksize in the AWS connection's "
                        "service_config (s3, transfer_config_args)."
                    )
                self._chunks.put(chunk)
            else:
                self._chunks.put(None)
                # If this thread is interrupted while it waits here, the upload is still running and must stop.
                self._end.get()
        finally:
            self.cancel()
            if not self._begun.acquire(blocking=False) and not self._has_ended:
                self._end.get()
            for event in ("after-call", "after-call-error"):
                client.meta.events.unregister(f"{event}.s3", self._on_response)
            error = self._error
            if isinstance(error, ClientError):
                error = self._guard.explain(error)
            if error is not None and self._is_unfinished:
                log.warning(
                    "The unfinished multipart upload could not be removed. The next try of this task removes it. "
                    "If there is none, a lifecycle rule of the bucket (AbortIncompleteMultipartUpload) does."
                )
        if error is not None:
            raise error
        return sent

    def cancel(self) -> None:
        """Stop the upload and leave no object. Has no effect after the upload ended. Signal handlers may call it."""
        self._is_cancelled = True
        self._chunks.put(None)

    def _upload(self) -> None:
        if not self._begun.acquire(blocking=False):
            return
        try:
            with self._guard.installed():
                self._s3.load_file_obj(self._source, **self._arguments)
            self._error = None
        except BaseException as error:  # noqa: BLE001 - send() raises it again in the task's thread
            self._error = error
        finally:
            self._has_ended = True
            self._room.put(None)
            self._end.put(None)

    def _next_chunk(self) -> bytes | None:
        chunk = self._chunks.get()
        if self._is_cancelled:
            raise UploadCancelled(_CANCELLED)
        self._room.put(None)
        return chunk

    def _on_response(
        self, model: Any = None, http_response: Any = None, parsed: Any = None, event_name: str = "", **_: Any
    ) -> None:
        call = event_name.rsplit(".", 1)[-1]
        has_failed = http_response is None or http_response.status_code >= 300
        if call in _UPLOAD_CALLS and has_failed:
            self._is_broken = True
        elif call == "CreateMultipartUpload":
            self._is_unfinished = True
        elif call in ("CompleteMultipartUpload", "AbortMultipartUpload") and not has_failed:
            self._is_unfinished = False


class UploadCancelled(RuntimeError):
    """The upload was told to stop."""


class _Source:
    """The file object that boto3 reads. boto3 needs only ``read``."""

    def __init__(self, upload: StreamingUpload) -> None:
        self._upload = upload
        self._left = memoryview(b"")
        self._is_at_end = False

    def read(self, size: int | None = None) -> bytes:
        """
        Return exactly ``size`` bytes, and fewer only at the end, because S3 rejects small parts.

        :param size: number of bytes; ``None`` or negative for all that is left.
        :raises UploadCancelled: the upload was told to stop.
        """
        wanted = sys.maxsize if size is None or size < 0 else size
        # Joining a list would hold the part in memory twice.
        part = BytesIO()
        while part.tell() < wanted:
            if not self._left:
                chunk = None if self._is_at_end else self._upload._next_chunk()
                if chunk is None:
                    self._is_at_end = True
                    break
                self._left = memoryview(chunk)
            room = wanted - part.tell()
            part.write(self._left[:room])
            self._left = self._left[room:]
        return part.getvalue()


def abort_unfinished_uploads(s3: S3Hook, target: Target, *, before: datetime) -> int:
    """
    Abort the multipart uploads that a killed try of the same task left behind.

    Listings do not show them, but S3 bills them. If the credentials or the server do not allow listing or aborting, a
    warning is logged and no error is raised.

    :param s3: the hook.
    :param target: the object; uploads of other keys are kept.
    :param before: uploads started at this time or later are kept; aware.
    :return: number of aborted uploads.
    """
    from botocore.exceptions import ClientError

    client = s3.get_conn()
    removed = 0
    try:
        for page in client.get_paginator("list_multipart_uploads").paginate(Bucket=target.bucket, Prefix=target.key):
            for upload in page.get("Uploads", ()):
                if upload["Key"] == target.key and upload["Initiated"] < before:
                    client.abort_multipart_upload(Bucket=target.bucket, Key=target.key, UploadId=upload["UploadId"])
                    removed += 1
    except ClientError as error:
        log.warning(
            "Unfinished uploads of an earlier try could not be listed or aborted (%s). Allow "
            "s3:ListBucketMultipartUploads and s3:AbortMultipartUpload, or set a lifecycle rule.",
            error.response.get("Error", {}).get("Code", "unknown"),
        )
    if removed:
        log.info("Aborted %d unfinished upload%s of an earlier try.", removed, "" if removed == 1 else "s")
    return removed
