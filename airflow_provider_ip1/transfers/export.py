# SPDX-License-Identifier: Apache-2.0
"""One export: reads messages, and writes them to one S3 object."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING, Any

from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.exceptions import IP1ConnectionError
from airflow_provider_ip1.formats.encode import encode
from airflow_provider_ip1.formats.redaction import RedactedPage, Redaction
from airflow_provider_ip1.transfers.drift import Drift
from airflow_provider_ip1.transfers.export_log import final_line, start_line
from airflow_provider_ip1.transfers.guarded_write import GuardedWrite, look_up
from airflow_provider_ip1.transfers.plan import Plan
from airflow_provider_ip1.transfers.replacing import (
    ObjectState,
    Origin,
    changed_error,
    check_empty,
    exists_error,
    hidden_error,
    protected_error,
)
from airflow_provider_ip1.transfers.s3_upload import StreamingUpload, UploadCancelled, abort_unfinished_uploads
from airflow_provider_ip1.transfers.target import check_bucket
from airflow_provider_ip1.transfers.totals import Totals

if TYPE_CHECKING:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    from airflow_provider_ip1.hooks.ip1 import IP1Hook


class Export:
    """
    Runs an export once.

    :param plan: what to export, and where to.
    :param hook: reads the messages.
    :param s3: writes the object, see :func:`~airflow_provider_ip1.transfers.s3_upload.s3_hook_for_streaming`.
    :param context: context of the task's run; may be empty.
    :param log: a logger of the standard library or of structlog.
    """

    def __init__(self, plan: Plan, hook: IP1Hook, s3: S3Hook, context: Mapping[str, Any], log: Any) -> None:
        started_at = datetime.now(UTC)
        latest = started_at + timedelta(days=1)
        self.plan = plan
        self.totals = Totals(latest)
        self._hook = hook
        self._s3 = s3
        self._context = context
        self._log = log
        self._started, self._started_at = time.monotonic(), started_at
        self._reading = plan.source.reading(plan, latest)
        self._drift = Drift(latest)
        self._upload: StreamingUpload | None = None
        self._is_cancelled = False

    def run(self) -> dict[str, Any]:
        """
        Export, and return the operator's result.

        :raises Exception: see :class:`~airflow_provider_ip1.transfers.conversation_to_s3.ConversationToS3Operator`.
        """
        plan = self.plan
        self._log.info(
            start_line(plan.source.description, plan.direction, plan.window, plan.file_format, plan.rules, plan.target)
        )
        redaction = self._redaction()
        # Look up both connections in the task's thread, before another thread needs them.
        self._hook.get_conn()
        origin = Origin.of_export(
            self._hook.settings,
            plan.source.dataset,
            plan.source.participants,
            plan.direction,
            plan.window,
            self._context,
        )
        state = self._check_target(origin)
        if (ti := self._context.get("ti")) is not None and ti.try_number > 1:
            abort_unfinished_uploads(self._s3, plan.target, before=self._started_at)
        with closing(self._pages()) as pages:
            size = self._write(pages if redaction is None else map(redaction.apply, pages), state, origin)
        seconds = time.monotonic() - self._started
        self._log_warnings(redaction)
        self._log.info(final_line(self.totals, self._reading.description, size, seconds, plan.target))
        return {
            "uri": plan.target.uri,
            **self._reading.counts,
            "bytes": size,
            "seconds": round(seconds, 3),
            **self.totals.result,
        }

    def cancel(self) -> None:
        """Stop reading and leave no object. Signal handlers may call it."""
        self._is_cancelled = True
        if self._upload is not None:
            self._upload.cancel()

    def _redaction(self) -> Redaction | None:
        rules = self.plan.rules
        if not rules:
            return None
        settings = self._hook.settings
        if "hash" in rules.values() and not settings.redact_key:
            raise IP1ConnectionError(
                f"Connection {settings.conn_id!r}: extra 'redact_key' is not set, but redact uses 'hash'. Set it to a "
                "long random text and keep that text: another key produces other hashes."
            )
        return Redaction(rules, (settings.redact_key or "").encode())

    def _check_target(self, origin: Origin) -> ObjectState:
        """Return what the object is before anything is read from iP.1."""
        target, replace = self.plan.target, self.plan.replace
        check_bucket(self._s3, target.bucket)
        state = look_up(self._s3, target)
        if replace is True:
            origin.check_replaces(state, target.uri)
        elif not replace and state.etag is not None:
            raise exists_error(target.uri)
        if replace and not state.is_known:
            self._log.warning(
                "The S3 credentials do not show whether %s exists (403). %s To protect it from them, allow "
                "s3:GetObject and s3:ListBucket.",
                target.uri,
                "The export replaces it without noticing other writers."
                if origin.is_complete or replace == "always"
                else "The export only writes a new object.",
            )
        return state

    def _pages(self) -> Generator[Page, None, None]:
        """Read. Each page contains only messages that belong in the object, and at least one."""
        with closing(self._reading.pages(self._hook)) as pages:
            for page, selected in pages:
                self.totals.add(page, selected)
                self._drift.add(page)
                if self._is_cancelled:
                    raise UploadCancelled("The task was told to stop. No object was written.")
                if selected:
                    yield selected

    def _write(self, pages: Iterator[Page | RedactedPage], state: ObjectState, origin: Origin) -> int:
        """Upload the object and return its size in bytes. S3 receives nothing before the first messages arrive."""
        plan, target = self.plan, self.plan.target
        only_new = not plan.replace
        conflict: Exception = exists_error(target.uri) if only_new else changed_error(target.uri)
        if plan.replace is True and not state.is_known and not origin.is_complete:
            only_new, conflict = True, hidden_error(target.uri)
        first = next(pages, None)
        if first is None:
            check_empty(
                plan.on_empty,
                target.uri,
                state,
                lambda: sum(map(len, encode([], plan.file_format, plan.compression))),
                plan.source.selecting_arguments,
            )
            if plan.on_empty == "protect" and not state.is_known:
                only_new, conflict = True, protected_error(target.uri, plan.source.selecting_arguments)
        guard = GuardedWrite(
            self._s3,
            target,
            state,
            only_new=only_new,
            conflict=conflict,
            metadata=origin.metadata,
            messages=lambda: self.totals.messages,
        )
        self._upload = StreamingUpload(self._s3, target, guard, encrypt=plan.encrypt, acl_policy=plan.acl_policy)
        if self._is_cancelled:
            self._upload.cancel()
        with_first = pages if first is None else chain([first], pages)
        return self._upload.send(encode(with_first, plan.file_format, plan.compression))

    def _log_warnings(self, redaction: Redaction | None) -> None:
        for warning in chain(self._reading.warnings(), self._drift.warnings()):
            self._log.warning(warning)
        if self.totals.messages and redaction is not None and redaction.unmatched:
            self._log.warning("No message had a value to redact in: %s.", ", ".join(redaction.unmatched))
