# SPDX-License-Identifier: Apache-2.0
"""One export: reads messages, and writes them to one object."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING, Any

from airflow_provider_ip1.api.checkpoint.state import Document
from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.api.phone import contains_number
from airflow_provider_ip1.exceptions import IP1ConnectionError
from airflow_provider_ip1.formats.compression import choose_compression
from airflow_provider_ip1.formats.encode import encode
from airflow_provider_ip1.formats.redaction import RedactedPage, Redaction, keyed_hash
from airflow_provider_ip1.transfers.checkpoint import Checkpoint
from airflow_provider_ip1.transfers.options import ExportOptions
from airflow_provider_ip1.transfers.readers import Reader
from airflow_provider_ip1.transfers.replacing import Origin, Replacement
from airflow_provider_ip1.transfers.report import Report, TotalCheck, start_line
from airflow_provider_ip1.transfers.stores import Store, WriteConflict

if TYPE_CHECKING:
    from airflow_provider_ip1.hooks.ip1 import IP1Hook


class UploadCancelled(BaseException):  # noqa: N818 - not an Exception
    """
    The task was told to stop.

    Like Airflow's own timeouts, this is not an ``Exception``, because libraries wrap and retry those.
    """


@dataclass(repr=False, eq=False)
class Export:
    """
    Runs an export once: options, reader, redaction, encoding, store.

    :param options: the options. Those that are templated must be rendered.
    :param reader: reads the messages.
    :param hook: sends the reader's requests.
    :param store: writes the object.
    :param context: context of the task's run; may be empty.
    :param log: a logger of the standard library or of structlog.
    """

    options: ExportOptions
    reader: Reader
    hook: IP1Hook
    store: Store
    context: Mapping[str, Any]
    log: Any

    def __post_init__(self) -> None:
        self._names = {self.store.argument: self.store.uri}
        self._checkpoint: Checkpoint | None = None
        if self.options.checkpoint_address is not None:
            self._checkpoint = Checkpoint(self.store, self.options.checkpoint_address)
            self._names["checkpoint"] = self._checkpoint.uri
        self._running_in: int | None = None
        self._is_cancelled = False
        self._check_name(self.reader.participants)
        self._compression = choose_compression(
            self.options.file_format, self.options.compression, self.store.uri, self.store.argument
        )

    def run(self) -> dict[str, Any]:
        """
        Export, and return the operator's result.

        :raises Exception: see :class:`~airflow_provider_ip1.transfers.conversation_to_s3.ConversationToS3Operator`.
        """
        options, reader, store = self.options, self.reader, self.store
        started = time.monotonic()
        self.log.info(start_line(reader.description, options, store.uri))
        redaction = self._redaction()
        # Checks the connection to iP.1, before anything is asked of the store.
        origin = Origin.of_export(self.hook.settings, reader, options, self.context)
        store.check()
        replacement, since = Replacement(options, origin, store), options.window.since
        if self._checkpoint is not None:
            since = self._begin(self._checkpoint, replacement, redaction)
        replacement.check()
        if (ti := self.context.get("ti")) is not None and ti.try_number > 1:
            store.remove_leftovers()
        check = None
        if options.verify_total:
            check = TotalCheck(self.hook, reader.participants, options.one_direction)
        report = Report(check)
        self._running_in = threading.get_ident()
        try:
            with closing(self._pages(report)) as pages:
                redacted = pages if redaction is None else map(redaction.apply, pages)
                size = self._write(redacted, replacement, report)
        finally:
            self._running_in = None
        seconds = time.monotonic() - started
        for warning in chain(reader.warnings(), report.warnings()):
            self.log.warning(warning)
        if report.messages and redaction is not None and redaction.unmatched:
            self.log.warning("No message had a value to redact in: %s.", ", ".join(redaction.unmatched))
        self.log.info(report.final_line(reader.description, size, seconds, store.uri))
        return {
            "uri": store.uri,
            **reader.counts,
            "bytes": size,
            "since": since and since.isoformat(),
            "seconds": round(seconds, 3),
            **report.result,
        }

    def cancel(self, *, interrupt: bool = False) -> None:
        """
        Stop reading and leave no object.

        :param interrupt: whether to raise at once if the calling thread runs the export. Signal handlers may do so.
        :raises UploadCancelled: see ``interrupt``.
        """
        is_first, self._is_cancelled = not self._is_cancelled, True
        if interrupt and is_first and self._running_in == threading.get_ident():
            self._check_cancelled()

    def _check_cancelled(self) -> None:
        if self._is_cancelled:
            raise UploadCancelled("The task was told to stop. Any existing object is unchanged.")

    def _begin(self, checkpoint: Checkpoint, replacement: Replacement, redaction: Redaction | None) -> datetime | None:
        """Find out where the run starts from. Returns the earliest position; ``None`` for the beginning."""
        reader, settings, key = self.reader, self.hook.settings, None
        if reader.participants and redaction is not None and redaction.hides_participants:
            key = self._redact_key("redact hides the participants, so the checkpoint must not show them either")
        header = Document(
            base_url=settings.base_url,
            source=reader.dataset,
            direction=self.options.one_direction,
            redact_key=None if key is None else keyed_hash(key, "fingerprint")[:16],
            states={},
        )
        checkpoint.begin(header, reader.state_names, key, self.context, replacement)
        states, since = checkpoint.states, self.options.window.since
        starts = [states[name].position if name in states else since for name in reader.state_names]
        earliest = None if None in starts else min(start for start in starts if start is not None)
        self.log.info(
            "The checkpoint %s knows %s of %s. Exporting %s.",
            checkpoint.uri,
            len(states) or "none",
            reader.description,
            "from the beginning" if earliest is None else f"what is new or changed since {earliest.isoformat()}",
        )
        return earliest

    def _check_name(self, participants: Iterable[str]) -> None:
        """Check that no object's name contains a participant's phone number, without repeating it in the error."""
        known = list(participants)
        for argument, uri in self._names.items():
            if not any(contains_number(uri, participant) for participant in known):
                continue
            raise ValueError(
                f"{argument}: the key contains the participant's phone number. Keys appear in logs, XCom, "
                "listings and lineage. Name the object by an id from your system, such as a customer number, or by the "
                "task's {{ ti.map_index }}."
            )

    def _redaction(self) -> Redaction | None:
        rules = self.options.rules
        if not rules:
            return None
        return Redaction(rules, self._redact_key("redact uses 'hash'") if "hash" in rules.values() else b"")

    def _redact_key(self, reason: str) -> bytes:
        settings = self.hook.settings
        if not settings.redact_key:
            raise IP1ConnectionError(
                f"Connection {settings.conn_id!r}: extra 'redact_key' is not set, but {reason}. Set it to a long "
                "random text and keep that text: another key produces other hashes."
            )
        return settings.redact_key.encode()

    def _pages(self, report: Report) -> Generator[Page, None, None]:
        """Read. Each page contains only messages that belong in the object, and at least one."""
        reading = self.reader.pages(self.hook)
        if self._checkpoint is not None:
            reading = self.reader.increment(self.hook, self._checkpoint.states, datetime.now(UTC))
        with closing(reading) as pages:
            for page, selected in pages:
                self._check_name(self.reader.new_participants)
                report.add(page, selected)
                self._check_cancelled()
                if selected:
                    yield selected
        report.verify()
        self._check_cancelled()

    def _write(self, pages: Iterator[Page | RedactedPage], replacement: Replacement, report: Report) -> int:
        """Write the object and return its size in bytes. The store gets nothing before the first messages arrive."""
        file_format, compression = self.options.file_format, self._compression
        first = next(pages, None)
        if first is None:
            # Nothing was missed, so the checkpoint advances even if on_empty ends the task here.
            self._advance()
            replacement.check_empty(
                lambda: sum(map(len, encode([], file_format, compression))), self.reader.selecting_arguments
            )
        with_first = pages if first is None else chain([first], pages)
        try:
            size = self.store.write(
                encode(with_first, file_format, compression),
                replaces=replacement.expected,
                metadata=lambda is_whole: (
                    replacement.origin.metadata | ({"ip1-messages": str(report.messages)} if is_whole else {})
                ),
            )
        except WriteConflict as conflict:
            raise replacement.conflict from conflict
        if first is not None:
            self._advance()
        return size

    def _advance(self) -> None:
        if self._checkpoint is not None:
            self._checkpoint.advance()
