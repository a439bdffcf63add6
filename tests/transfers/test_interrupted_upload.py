# SPDX-License-Identifier: Apache-2.0
"""An exception that arrives anywhere in the task's thread during an upload, as Airflow's timeouts raise them."""

from __future__ import annotations

import _thread
import sys
from contextlib import AbstractContextManager, nullcontext
from types import FrameType, SimpleNamespace
from typing import Any

import botocore.exceptions  # noqa: F401 - an import that is interrupted cannot be repeated
import pytest

from airflow_provider_ip1.transfers.s3_upload import StreamingUpload, UploadCancelled

CHUNKS = 40  # More than the queue holds, so that the task's thread also waits for room.


class TimeIsUp(BaseException):
    """Like AirflowTaskTimeout, this is not an Exception."""


class Storage:
    """Keeps the object that a managed upload reads. It has what StreamingUpload needs of an S3Hook."""

    def __init__(self) -> None:
        self.stored: bytes | None = None
        self.is_busy = False
        self.transfer_config = SimpleNamespace(multipart_chunksize=1024)
        events = SimpleNamespace(register=lambda *_: None, unregister=lambda *_: None)
        self._client = SimpleNamespace(meta=SimpleNamespace(events=events))

    def get_conn(self) -> Any:
        return self._client

    def load_file_obj(self, source: Any, **_: Any) -> None:
        self.is_busy = True
        try:
            body = b""
            while part := source.read(2):
                body += part
            self.stored = body
        finally:
            self.is_busy = False


class Guard:
    def installed(self) -> AbstractContextManager[None]:
        return nullcontext()


class Upload(StreamingUpload):
    def __init__(self, storage: Storage) -> None:
        target = SimpleNamespace(bucket="my-lake", key="out")
        super().__init__(storage, target, Guard(), encrypt=False, acl_policy=None)  # type: ignore[arg-type]


class Interrupted(Upload):
    """
    Raises :class:`TimeIsUp` once in the calling thread, where Python runs signal handlers.

    :param storage: where to upload to.
    :param place: how many calls of Python functions, and returns of others, precede the exception.
    """

    def __init__(self, storage: Storage, place: int) -> None:
        super().__init__(storage)
        self._left = place

    def run(self) -> int:
        sys.setprofile(self._profile)
        try:
            return self.send(b"%d" % (number % 10) for number in range(CHUNKS))
        finally:
            sys.setprofile(None)

    def cancel(self) -> None:
        self._left = -1  # Do not interrupt cleaning up.
        super().cancel()

    def _profile(self, _frame: FrameType, event: str, _: Any) -> None:
        if event in ("call", "c_return") and self._left >= 0:
            self._left -= 1
            if self._left < 0:
                raise TimeIsUp


@pytest.mark.timeout(60)
def test_an_exception_anywhere_ends_the_upload() -> None:
    """Nothing waits forever, no upload goes on, and the object is there as a whole or not at all."""
    whole = b"".join(b"%d" % (number % 10) for number in range(CHUNKS))
    place, stored = 0, {None: 0, whole: 0}
    while True:
        storage = Storage()
        try:
            sent = Interrupted(storage, place).run()
        except TimeIsUp:
            assert not storage.is_busy
            stored[storage.stored] += 1
            place += 1
        else:
            break
    assert place > CHUNKS
    assert stored[None] > 0
    assert (sent, storage.stored) == (CHUNKS, whole)


def test_an_upload_that_is_stopped_before_its_thread_runs_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_thread, "start_new_thread", lambda function, arguments: 0)
    upload = Upload(Storage())
    upload.cancel()
    with pytest.raises(UploadCancelled):
        upload.send([b"1"])
