# SPDX-License-Identifier: Apache-2.0
"""
When an export may replace an existing object.

Each object says in its metadata where its messages come from, which time window they are from, and which run wrote it.
An export whose object would lack messages of the existing one fails instead, unless ``replace="always"``.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal, get_args
from urllib.parse import quote

from airflow_provider_ip1.api.phone import has_number
from airflow_provider_ip1.compat import AirflowSkipException
from airflow_provider_ip1.exceptions import IP1NoMessagesError

if TYPE_CHECKING:
    from airflow_provider_ip1.api.settings import Settings
    from airflow_provider_ip1.transfers.options import ExportOptions
    from airflow_provider_ip1.transfers.readers import Reader

log = logging.getLogger(__name__)

Replace = bool | Literal["always"]
OnEmpty = Literal["protect", "write", "skip", "fail"]
ON_EMPTY: Final = get_args(OnEmpty)

_WAYS_OUT: Final = (
    "Use a key per run, such as one with {{ run_id | replace(':', '') | replace('+', '') }}, or set "
    "replace='always' to replace the object anyway."
)
_WINDOW_LOSES: Final = (
    "This export has a window (since or until), so it may lack messages of the object, and would delete them. "
    + _WAYS_OUT
)


class ObjectChangedError(RuntimeError):
    """Another writer created, replaced or deleted the object during the export. The export left it unchanged."""


@dataclass(frozen=True)
class ObjectState:
    """
    An object in the store, or its absence.

    :param is_known: false if the credentials may not see whether the object exists.
    :param etag: the object's ETag with its quotes; ``None`` if there is no object.
    :param size: its size in bytes.
    :param metadata: its metadata, with names in lower case.
    """

    is_known: bool = True
    etag: str | None = None
    size: int = 0
    metadata: Mapping[str, str] = field(default_factory=dict)

    def contains_messages(self, empty_size: int) -> bool:
        """
        Return whether the object contains messages.

        Exports store their number of messages in the metadata, unless the object has several parts. An object without
        that metadata contains messages unless it has the size of an empty file: it may have another format, in which
        messages take less than an empty file of this one.

        :param empty_size: size in bytes of an empty file in the format of the export.
        """
        count = self.metadata.get("ip1-messages", "")
        return int(count) > 0 if count.isdecimal() else self.size not in (0, empty_size)


@dataclass(frozen=True)
class Origin:
    """
    What an export says about its object in the object's metadata.

    :param source: what the messages were read from, without saying it: collection and a short hash.
    :param direction: ``"mt"``, ``"mo"`` or ``None`` for both.
    :param since: start of the window, aware; ``None`` for no start.
    :param until: end of the window, aware; ``None`` for no end.
    :param run: identifies the task and the run; ``None`` outside a run.
    :param about: more about the run, for people.
    """

    source: str
    direction: str | None
    since: datetime | None
    until: datetime | None
    run: str | None = None
    about: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_export(
        cls, settings: Settings, reader: Reader, options: ExportOptions, context: Mapping[str, Any]
    ) -> Origin:
        """
        Describe an export.

        :param settings: of the connection to iP.1. Another connection or base URL is another source.
        :param reader: of its participants, 16 bits of a hash are kept: enough to notice that they are others, and too
            few to find out who they are. A run id that may contain a phone number is left out.
        :param options: the options of the export.
        :param context: context of the task's run; may be empty.
        """
        ti, run_id = context.get("ti"), context.get("run_id")
        about, run = {}, None
        if run_id and not has_number(run_id):
            about["ip1-run-id"] = quote(run_id, safe=":+-_.~/@")
        if ti is not None:
            about["ip1-try"] = str(ti.try_number)
            names = [getattr(ti, name, None) for name in ("dag_id", "task_id", "map_index")]
            run = _digest(settings.deployment, run_id, *names)[:16] if run_id else None
        who = _digest(settings.base_url, settings.conn_id, *sorted(reader.participants))
        window = options.window
        return cls(f"{reader.dataset}#{who[:4]}", options.one_direction, window.since, window.until, run, about)

    @property
    def metadata(self) -> dict[str, str]:
        """Names without ``x-amz-meta-``. Values are ASCII."""
        values = {
            "ip1-source": self.source,
            "ip1-direction": self.direction,
            "ip1-since": self.since and self.since.isoformat(),
            "ip1-until": self.until and self.until.isoformat(),
            "ip1-run": self.run,
        }
        return {**self.about, **{name: value for name, value in values.items() if value}}

    @property
    def is_complete(self) -> bool:
        """Whether the export has no window."""
        return self.since is None and self.until is None

    def check_replaces(self, state: ObjectState, uri: str) -> None:
        """
        Check that the export may replace the existing object, because it contains the same messages or more.

        A run may always replace its own object. A complete export may also replace an object of unknown origin, such as
        one of another program or of version 0.2.0. That is logged.

        :param state: the existing object, or its absence.
        :param uri: the object's address.
        :raises ValueError: the existing object contains other messages, or may contain some.
        """
        found = state.metadata
        is_own = self.run is not None and found.get("ip1-run") == self.run
        if state.etag is None or is_own or found.get("ip1-messages") == "0":
            return
        if "ip1-source" not in found:
            if not self.is_complete:
                raise ValueError(f"s3_key: {uri} exists and does not say which messages it contains. {_WINDOW_LOSES}")
            log.warning("Replacing %s, which does not say where its content comes from.", uri)
        elif found["ip1-source"] != self.source or self.direction not in (None, found.get("ip1-direction")):
            raise ValueError(
                f"s3_key: {uri} contains messages of other participants, another direction or another connection, "
                f"which this export would delete. {_WAYS_OUT}"
            )
        elif not self.is_complete and not self._contains(found.get("ip1-since"), found.get("ip1-until")):
            limits = {"from": found.get("ip1-since"), "before": found.get("ip1-until")}
            window = " and ".join(f"{word} {time}" for word, time in limits.items() if time)
            content = f"messages modified {window}" if window else "messages of any time"
            raise ValueError(f"s3_key: {uri} contains {content}. {_WINDOW_LOSES}")

    def _contains(self, since: str | None, until: str | None) -> bool:
        try:
            start = None if since is None else datetime.fromisoformat(since)
            end = None if until is None else datetime.fromisoformat(until)
            return (self.since is None or (start is not None and self.since <= start)) and (
                self.until is None or (end is not None and end <= self.until)
            )
        except (ValueError, TypeError):
            return False


class Replacement:
    """
    Decides what one export may replace.

    :param options: the options of the export.
    :param origin: what the new object says about itself.
    :param state: what the object was when the export started.
    :param uri: the object's address.
    """

    def __init__(self, options: ExportOptions, origin: Origin, state: ObjectState, uri: str) -> None:
        self.origin = origin
        self.expected = state
        """What must be there when the object is written."""
        self.conflict: Exception = ObjectChangedError(
            f"{uri} changed during the export: another task, or another try of this task, wrote or deleted it. The "
            "export wrote nothing, so that it does not replace newer data. Run the task again if its messages are "
            "still needed."
        )
        """The error to raise if something else is there."""
        self._options = options
        self._state = state
        self._uri = uri

    def check(self) -> None:
        """
        Check, before anything is read, whether the object may be replaced.

        :raises ValueError: it may not.
        """
        replace, state = self._options.replace, self._state
        if not replace:
            self._only_write_new(
                ValueError(
                    f"s3_key: {self._uri} exists, and replace is False. Use another key, delete the object, or set "
                    "replace=True."
                )
            )
            if state.etag is not None:
                raise self.conflict
            return
        if replace is True:
            self.origin.check_replaces(state, self._uri)
        if state.is_known:
            return
        effect = "The export replaces it without noticing other writers."
        if replace is True and not self.origin.is_complete:
            effect = "The export has a window, so it only writes a new object."
            self._only_write_new(
                ValueError(
                    f"s3_key: {self._uri} exists, and the S3 credentials do not show which messages it contains. "
                    f"{_WINDOW_LOSES} Or allow s3:GetObject and s3:ListBucket."
                )
            )
        log.warning(
            "The S3 credentials do not show whether %s exists (403). %s To protect it from other writers, allow "
            "s3:GetObject and s3:ListBucket.",
            self._uri,
            effect,
        )

    def check_empty(self, empty_size: Callable[[], int], arguments: str) -> None:
        """
        Decide whether an export without messages may write an empty object (``on_empty``).

        :param empty_size: returns the size in bytes of the empty object.
        :param arguments: the arguments that decide which messages are exported.
        :raises AirflowSkipException: ``on_empty`` is ``"skip"``.
        :raises IP1NoMessagesError: ``on_empty`` is ``"fail"``, or ``"protect"`` and the object contains messages.
        """
        on_empty = self._options.on_empty
        if on_empty == "skip":
            raise AirflowSkipException("There are no messages to export, and on_empty is 'skip'.")
        if on_empty == "fail":
            raise IP1NoMessagesError(
                f"There are no messages to export, and on_empty is 'fail'. Check {arguments}, or change on_empty."
            )
        if on_empty == "protect":
            protected = IP1NoMessagesError(
                f"There are no messages to export, but {self._uri} contains messages. It was left unchanged, because "
                f"on_empty is 'protect'. Check {arguments}. To replace it with an empty object, set on_empty='write'."
            )
            if self._state.etag is not None and self._state.contains_messages(empty_size()):
                raise protected
            if not self._state.is_known:
                self._only_write_new(protected)

    def _only_write_new(self, conflict: Exception) -> None:
        self.expected, self.conflict = ObjectState(), conflict


def _digest(*values: object) -> str:
    return hashlib.sha256("\n".join(map(str, values)).encode()).hexdigest()
