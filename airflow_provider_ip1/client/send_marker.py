# SPDX-License-Identifier: Apache-2.0
"""What a task remembers of its SMS from try to try, so that most further tries need no search."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final, Literal, Protocol

from airflow_provider_ip1.api.sending import OutgoingBatch
from airflow_provider_ip1.api.sent_batch import SendResult
from airflow_provider_ip1.api.wording import Log
from airflow_provider_ip1.exceptions import IP1Error

_KEY: Final = "ip1_sms"


class Store(Protocol):
    """What keeps values between the tries of a task, such as the state store that tasks have since Airflow 3.3."""

    def get(self, key: str) -> Any:
        """Return the value of a key, ``None`` without one."""

    def set(self, key: str, value: Any) -> None:
        """Keep a value."""


class Marker:
    """
    How far a task has come with its SMS, in all its tries.

    ``started``: no try has sent the request. ``posting``: the request may have been sent. ``posted``: iP.1 has accepted
    it, with an id. No marker says nothing, because Airflow deletes markers after some time.

    :param store: of the task instance.
    :param outgoing: the batch. A marker of another batch, such as one to the recipients before a change, says nothing
        about this one.
    :param clear_number: how often the run was cleared. Since then, another instance of a mapped task may have sent this
        batch, so ``started`` counts only within the same number.
    :param is_mapped: whether the task is mapped, so that instances with the same recipients differ by their text.
    :param log: gets the failures of the store.
    """

    def __init__(self, store: Store, outgoing: OutgoingBatch, *, clear_number: int, is_mapped: bool, log: Log) -> None:
        self._store = store
        self._clear_number = clear_number
        self._log = log
        text = outgoing.body if is_mapped else ""
        identity = [outgoing.reference, outgoing.sender, sorted(outgoing.recipients), text]
        self._sms = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:16]
        self._read: Any = None
        try:
            self._read = store.get(_KEY)
        except Exception as error:
            log.warning("Airflow's state store cannot be read (%s).", type(error).__name__)

    def posted(self) -> tuple[str, int] | None:
        """Return the id of the batch and its number of SMS per recipient, if iP.1 has accepted it."""
        match self._read:
            case {"step": "posted", "sms": self._sms, "batch_id": str(batch_id), "segments": int(segments)}:
                return batch_id, segments
        return None

    def must_search(self, check_sent: bool) -> bool:
        """
        Return whether to search for the batch before sending it.

        :param check_sent: whether to do so without a marker.
        """
        match self._read:
            case None:
                return check_sent
            case {"step": "started", "sms": self._sms, "clear_number": self._clear_number}:
                return False
        return True

    def write(self, step: Literal["started", "posting", "posted"], sent: SendResult | None = None) -> None:
        """
        Remember a step.

        :param step: the step.
        :param sent: the batch, for ``posted``.
        :raises IP1Error: ``posting`` cannot be stored. Sending nevertheless could send twice: the next try might find
            ``started``.
        """
        value: dict[str, Any] = {"step": step, "sms": self._sms, "clear_number": self._clear_number}
        if sent is not None:
            value |= {"batch_id": sent.batch.id, "segments": sent.segments}
        try:
            self._store.set(_KEY, value)
            return
        except Exception as error:
            reason = type(error).__name__
        if step == "posting":
            raise IP1Error(
                f"Nothing was sent: Airflow's state store did not take what the next try has to know ({reason}). Try "
                "again later, for example with the task's retries."
            )
        self._log.warning("Airflow's state store did not take a value (%s). A further try looks for the SMS.", reason)
