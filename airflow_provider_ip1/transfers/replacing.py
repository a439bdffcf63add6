# SPDX-License-Identifier: Apache-2.0
"""
When an export may replace an existing object.

Each object says in its metadata where its messages come from, which time window they are from, and which run wrote it.
An export whose object would lack messages of the existing one fails instead, unless ``replace="always"``.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from airflow_provider_ip1.api.phone import has_number
from airflow_provider_ip1.api.settings import Settings
from airflow_provider_ip1.compat import AirflowSkipException
from airflow_provider_ip1.exceptions import IP1NoMessagesError
from airflow_provider_ip1.transfers.options import ExportOptions
from airflow_provider_ip1.transfers.readers import Reader
from airflow_provider_ip1.transfers.selection import Window
from airflow_provider_ip1.transfers.stores import ObjectState, Store

log = logging.getLogger(__name__)

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
class Origin:
    """
    What an export says about its object in the object's metadata.

    :param window: the time window that the messages are from.
    :param metadata: names without ``x-amz-meta-``. Values are ASCII. ``ip1-source`` says what the messages were read
        from, without naming it, and ``ip1-run`` identifies the task and the run.
    """

    window: Window
    metadata: dict[str, str]

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
        # The messages of a run with a checkpoint may be of any time.
        window = options.window if options.checkpoint is None else Window()
        who = digest(settings.base_url, settings.conn_id, *sorted(reader.participants))
        values = {
            "ip1-source": f"{reader.dataset}#{who[:4]}",
            "ip1-direction": options.one_direction,
            "ip1-since": window.since and window.since.isoformat(),
            "ip1-until": window.until and window.until.isoformat(),
        }
        if run_id and not has_number(run_id):
            values["ip1-run-id"] = quote(run_id, safe=":+-_.~/@")
        if ti is not None:
            values["ip1-try"] = str(ti.try_number)
        if ti is not None and run_id:
            names = [getattr(ti, name, None) for name in ("dag_id", "task_id", "map_index")]
            values["ip1-run"] = digest(settings.deployment, run_id, *names)[:16]
        return cls(window, {name: value for name, value in values.items() if value})

    @property
    def run(self) -> str | None:
        """Identifies the task and the run; ``None`` outside a run."""
        return self.metadata.get("ip1-run")

    def check_replaces(self, state: ObjectState, store: Store) -> None:
        """
        Check that the export may replace the existing object, because it contains the same messages or more.

        A run may always replace its own object. A complete export may also replace an object of unknown origin, such as
        one of another program or of version 0.2.0. That is logged.

        :param state: the existing object, or its absence.
        :param store: where the object is.
        :raises ValueError: the existing object contains other messages, or may contain some.
        """
        found, uri = state.metadata, f"{store.argument}: {store.uri}"
        source, direction = self.metadata["ip1-source"], self.metadata.get("ip1-direction")
        limits = {"from": found.get("ip1-since"), "before": found.get("ip1-until")}
        is_own = self.run is not None and found.get("ip1-run") == self.run
        if state.etag is None or is_own or found.get("ip1-messages") == "0":
            return
        if "ip1-source" not in found:
            if not self.window.is_open:
                raise ValueError(f"{uri} exists and does not say which messages it contains. {_WINDOW_LOSES}")
            log.warning("Replacing %s, which does not say where its content comes from.", store.uri)
        elif found["ip1-source"] != source or direction not in (None, found.get("ip1-direction")):
            raise ValueError(
                f"{uri} contains messages of other participants, another direction or another connection, which "
                f"this export would delete. {_WAYS_OUT}"
            )
        elif not self.window.is_open and not self._covers(limits.values()):
            window = " and ".join(f"{word} {time}" for word, time in limits.items() if time)
            content = f"messages modified {window}" if window else "messages of any time"
            raise ValueError(f"{uri} contains {content}. {_WINDOW_LOSES}")

    def _covers(self, limits: Iterable[str | None]) -> bool:
        try:
            return self.window.covers(*[None if time is None else datetime.fromisoformat(time) for time in limits])
        except (ValueError, TypeError):
            # Another program has changed the metadata.
            return False


class Replacement:
    """
    Decides what one export may replace.

    :param options: the options of the export.
    :param origin: what the new object says about itself.
    :param store: where the object is. Its state at this time is the one to replace.
    """

    def __init__(self, options: ExportOptions, origin: Origin, store: Store) -> None:
        self.origin = origin
        self._options = options
        self._store = store
        self._state = state = store.head()
        self.expected = state
        """What must be there when the object is written."""
        self.conflict: Exception = ObjectChangedError(
            f"{store.uri} changed during the export: another task, or another try of this task, wrote or deleted it. "
            "The export wrote nothing, so that it does not replace newer data. Run the task again if its messages are "
            "still needed."
        )
        """The error to raise if something else is there."""

    def check(self) -> None:
        """
        Check, before anything is read, whether the object may be replaced.

        :raises ValueError: it may not.
        """
        replace, state, store = self._options.replace, self._state, self._store
        existing = f"{store.argument}: {store.uri} exists"
        if not replace:
            self._only_write_new(
                ValueError(
                    f"{existing}, and replace is False. Use another key, delete the object, or set replace=True."
                )
            )
            if state.etag is not None:
                raise self.conflict
            return
        if replace is True:
            self.origin.check_replaces(state, store)
        if state.is_known:
            return
        effect = "The export replaces it without noticing other writers."
        if replace is True and not self.origin.window.is_open:
            effect = "The export has a window, so it only writes a new object."
            self._only_write_new(
                ValueError(
                    f"{existing}, and the credentials do not show which messages it contains. {_WINDOW_LOSES} Or "
                    f"allow {store.reading_rights}."
                )
            )
        log.warning(
            "The credentials do not show whether %s exists (403). %s To protect it from other writers, allow %s.",
            store.uri,
            effect,
            store.reading_rights,
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
                f"There are no messages to export, but {self._store.uri} contains messages. It was left unchanged, "
                f"because on_empty is 'protect'. Check {arguments}. To replace it with an empty object, set "
                "on_empty='write'."
            )
            if self._state.etag is not None and _contains_messages(self._state, empty_size()):
                raise protected
            if not self._state.is_known:
                self._only_write_new(protected)

    def _only_write_new(self, conflict: Exception) -> None:
        self.expected, self.conflict = ObjectState(), conflict


def _contains_messages(state: ObjectState, empty_size: int) -> bool:
    """
    Return whether an existing object contains messages.

    Exports store their number of messages in the metadata, unless the object has several parts. An object without that
    metadata contains messages unless it has the size of an empty file: it may have another format, in which messages
    take less than an empty file of this one.
    """
    count = state.metadata.get("ip1-messages", "")
    return int(count) > 0 if count.isdecimal() else state.size not in (0, empty_size)


def digest(*values: object) -> str:
    """Return a hash of values in hexadecimal digits."""
    return hashlib.sha256("\n".join(map(str, values)).encode()).hexdigest()
