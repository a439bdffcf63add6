# SPDX-License-Identifier: Apache-2.0
"""
Protects an S3 object from being replaced by an export that did not know about it.

An export notes what the object was when it started (:func:`look_up`). When the upload is complete, S3 makes the object
visible only if it is still the same: ``If-None-Match: *`` if there was none, ``If-Match`` with its ETag otherwise. So
neither a race nor a suspended worker that resumes after its retry can replace newer data.

Some S3-compatible stores reject these headers; then the write is repeated without them. Others ignore them, which
cannot be detected without overwriting something. For both, the export also compares the object immediately before the
write, which leaves a window of milliseconds instead of the duration of the export.

S3's documentation: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_ip1.transfers.replacing import ObjectState
from airflow_provider_ip1.transfers.target import Target

if TYPE_CHECKING:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook
    from botocore.exceptions import ClientError

log = logging.getLogger(__name__)

# The calls that make an object visible, and the calls that accept its metadata.
_VISIBLE_BY: Final = ("PutObject", "CompleteMultipartUpload")
_DESCRIBED_BY: Final = ("PutObject", "CreateMultipartUpload")
_CONDITIONS: Final = ("If-Match", "If-None-Match")
_METADATA: Final = "x-amz-meta-"
_MESSAGES: Final = "ip1-messages"
_UPLOAD: Final = "ip1-upload"


def look_up(s3: S3Hook, target: Target) -> ObjectState:
    """
    Return the current state of an object.

    :param s3: the hook.
    :param target: the object.
    :raises botocore.exceptions.ClientError: S3 failed.
    """
    from botocore.exceptions import ClientError

    try:
        found = s3.get_conn().head_object(Bucket=target.bucket, Key=target.key)
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        if status == 404:
            return ObjectState()
        # Without s3:ListBucket, S3 also returns 403 for an object that does not exist.
        if status == 403:
            return ObjectState(is_known=False)
        raise
    return ObjectState(
        etag=found.get("ETag", ""),
        size=found["ContentLength"],
        metadata={name.lower(): value for name, value in found.get("Metadata", {}).items()},
    )


class GuardedWrite:
    """
    Adds the condition and the metadata to the calls of boto3's managed upload, which accepts no conditions itself.

    :param s3: the hook that uploads; nothing else uses it.
    :param target: the object.
    :param state: what the object was when the export started.
    :param only_new: whether the object must not exist yet.
    :param conflict: the error to raise if the object is not what it was, or exists and must not.
    :param metadata: see :class:`~airflow_provider_ip1.transfers.replacing.Origin`.
    :param messages: called when the object is sent in one piece; returns its number of messages. The metadata of an
        object of several parts is sent before that number is known.
    """

    def __init__(
        self,
        s3: S3Hook,
        target: Target,
        state: ObjectState,
        *,
        only_new: bool,
        conflict: Exception,
        metadata: Mapping[str, str],
        messages: Callable[[], int],
    ) -> None:
        self._s3 = s3
        self._target = target
        self._state = state
        self._only_new = only_new
        self._conflict = conflict
        self._metadata = metadata
        self._messages = messages
        self._upload = secrets.token_hex(8)
        self._rejection: str | None = None

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Guard all uploads of the hook's client while the block runs."""
        events = self._s3.get_conn().meta.events
        handlers: list[tuple[str, Callable[..., Any]]] = []
        for call in _DESCRIBED_BY:
            handlers.append((f"before-call.s3.{call}", self._describe))
        for call in _VISIBLE_BY:
            handlers.append((f"before-call.s3.{call}", self._add_condition))
            handlers.append((f"needs-retry.s3.{call}", self._drop_rejected_condition))
            handlers.append((f"after-call.s3.{call}", self._report_rejection))
        for event, handler in handlers:
            events.register(event, handler)
        try:
            yield
        finally:
            for event, handler in handlers:
                events.unregister(event, handler)

    def explain(self, error: ClientError) -> BaseException | None:
        """
        Interpret an error of the upload.

        :param error: the error.
        :return: the error to raise; ``None`` if the object was written after all.
        """
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        code = error.response.get("Error", {}).get("Code")
        is_conflict = status == 412 or code in ("ConditionalRequestConflict", "NoSuchKey")
        if error.operation_name not in _VISIBLE_BY or not is_conflict:
            unchanged: BaseException = error
            return unchanged
        # boto3 repeats a write whose response was lost, and the repetition then conflicts with the first write.
        was_written = look_up(self._s3, self._target).metadata.get(_UPLOAD) == self._upload
        return None if was_written else self._conflict

    def _condition(self) -> dict[str, str]:
        if self._only_new or (self._state.is_known and self._state.etag is None):
            return {"If-None-Match": "*"}
        return {"If-Match": self._state.etag} if self._state.etag else {}

    def _describe(self, model: Any, params: Any, **_: Any) -> None:
        metadata = {**self._metadata, _UPLOAD: self._upload}
        if model.name == "PutObject":
            metadata[_MESSAGES] = str(self._messages())
        params["headers"].update({_METADATA + name: value for name, value in metadata.items()})

    def _add_condition(self, params: Any, **_: Any) -> None:
        condition = self._condition()
        now = look_up(self._s3, self._target) if condition else ObjectState(is_known=False)
        expected = self._state.etag if "If-Match" in condition else None
        if now.is_known and now.etag != expected:
            raise self._conflict
        params["headers"].update(condition)

    def _drop_rejected_condition(self, response: Any, request_dict: Any, **_: Any) -> float | None:
        """Make botocore repeat the request, without a delay and without the condition."""
        if response is None or not any(name in request_dict["headers"] for name in _CONDITIONS):
            return None
        status, code = response[0].status_code, response[1].get("Error", {}).get("Code", "")
        if status != 501 and (status != 400 or code == "RequestTimeout"):
            return None
        for name in _CONDITIONS:
            request_dict["headers"].pop(name, None)
        self._rejection = f"{status} {code}".strip()
        return 0

    def _report_rejection(self, http_response: Any, **_: Any) -> None:
        if self._rejection is not None and http_response.status_code < 300:
            log.warning(
                "The S3 store rejects conditional writes (%s). The export compared the object immediately before it "
                "wrote, but an object written in the same moment would have been replaced.",
                self._rejection,
            )
