# SPDX-License-Identifier: Apache-2.0
"""The trigger that starts DAGs when an SMS arrives."""

from __future__ import annotations

import asyncio
import hashlib
import math
import time
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

from airflow_provider_ip1.api.phone import mask_number
from airflow_provider_ip1.api.requests import normalize_participant
from airflow_provider_ip1.api.watching.cursor import Start
from airflow_provider_ip1.api.watching.incoming import ArrivalWatch, arrival_event
from airflow_provider_ip1.api.watching.wait import MAX_PAUSE_AFTER_FAILURE, Wait, seconds
from airflow_provider_ip1.api.watching.watch import PollResult
from airflow_provider_ip1.api.wording import counted
from airflow_provider_ip1.compat import BaseEventTrigger, TriggerEvent, call_store
from airflow_provider_ip1.exceptions import IP1ParticipantError
from airflow_provider_ip1.hooks.ip1 import IP1AsyncHook
from airflow_provider_ip1.hooks.poll import wait_a_turn_async
from airflow_provider_ip1.template_values import required_text, time_or_none


class _UnusableArgument(ValueError, TypeError):
    pass


class _UnusableParticipant(IP1ParticipantError, TypeError):
    pass


class IncomingSmsTrigger(BaseEventTrigger):
    """
    Sends an event when SMS arrive, from a participant or from anyone. Use it in an ``AssetWatcher`` (Airflow 3).

    The event is a wake-up. It is a dictionary of at most 4 KB without texts and numbers: ``count``, ``first_received``
    and ``last_received`` (ISO 8601, UTC), and ``messages``, a list of the newest 20 messages with ``message_id``,
    ``batch_id`` and ``received``. Let the DAG that it starts read what is new, for example with
    ``ConversationToS3Operator`` or ``MessagesToS3Operator``: Airflow may start one run for several events.

    The trigger remembers which messages it has reported. On Airflow 3.3, it keeps this position in the state of the
    asset, and each message is reported at least once, also after a crash. It saves the position 20 seconds after an
    event, because Airflow needs a moment to store the event. A crash in between repeats the event. Airflow 3.0 to 3.2
    have no such state: after a restart of the triggerer, the trigger begins at ``start`` again.

    It never ends. It waits out every error, logs it, and polls again within a minute, or when ``Retry-After`` says so.

    Assets whose watchers have a trigger with the same arguments share that trigger, and Airflow then does not let it
    use the state of any of them. Watch one asset with it and start several DAGs with that asset.

    :param participant: phone number with country code, or sender name; ``None`` for the messages from everyone to the
        account. A poll then takes one request while nothing new arrives, and one more for each new incoming batch,
        usually one message. One event covers at most 200 batches; the next event follows a second later.
    :param start: where to begin when there is no position: ``"now"`` (default), ``"beginning"``, or a time (aware
        datetime, or ISO 8601 text). Changing it makes the trigger begin there.
    :param poke_interval: time between polls as a timedelta or in seconds, 0 or more. Values below 1 s count as 1 s.
        Default 60 s.
    :param ip1_conn_id: Airflow connection. The trigger looks it up for each poll. Default ``ip1_default``.
    :raises IP1ParticipantError: the participant cannot be used.
    :raises ValueError: another argument is invalid. The error names the argument.
    """

    def __init__(
        self,
        *,
        participant: str | None,
        start: str | datetime = "now",
        poke_interval: timedelta | float | str = 60.0,
        ip1_conn_id: str = IP1AsyncHook.default_conn_name,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.participant: str | None = None
        # Airflow restarts a trigger that fails immediately, without end. So check everything when the DAG is parsed.
        try:
            if not isinstance(ip1_conn_id, str) or not ip1_conn_id.strip():
                raise ValueError(f"ip1_conn_id must be the id of a connection, not {ip1_conn_id!r}")
            if (interval := seconds(poke_interval, "poke_interval")) is None:
                raise ValueError("poke_interval must be a timedelta or a number of seconds, not None")
            if participant is not None:
                self.participant = normalize_participant(participant)
                # The text "None" is a value that is missing.
                required_text(participant, "participant")
            self._start = _check_start(start)
        except ValueError as error:
            # A triggerer that makes a stored trigger again survives no error but a TypeError: all of its triggers would
            # stop. An older or a stricter version of this provider may have to reject what another one stored.
            kind = _UnusableParticipant if isinstance(error, IP1ParticipantError) else _UnusableArgument
            raise kind(str(error)) from None
        #: Where to begin, as text.
        self.start = self._start.isoformat() if isinstance(self._start, datetime) else self._start
        self.poke_interval = interval
        self.ip1_conn_id = ip1_conn_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """:return: the import path of this class, and its arguments as JSON values."""
        names = ("participant", "start", "poke_interval", "ip1_conn_id")
        return f"{type(self).__module__}.{type(self).__qualname__}", {name: getattr(self, name) for name in names}

    def __repr__(self) -> str:
        # Airflow logs it, and the inherited one shows all arguments.
        return f"<{type(self).__name__} {mask_number(self.participant or 'everyone')} since {self.start}>"

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Watch without end, and send an event whenever messages have arrived."""
        while True:
            try:
                watch, now = await self._open_watch(), time.time()
                wait = Wait(
                    watch=watch, deadline=math.inf, started_at=now, poke_interval=self.poke_interval, silent_fail=True
                )
                wait.resume(now, self.log)
                async with IP1AsyncHook(self.ip1_conn_id) as hook:
                    while True:
                        outcome = await wait_a_turn_async(hook, wait, self.log, wake_at=watch.save_at)
                        result = outcome if isinstance(outcome, PollResult) else None
                        position = watch.due_position(result, time.time())
                        if result is not None and result.messages:
                            self.log.info("%s: %s", counted(len(result.messages), "new message"), watch.subject)
                            yield TriggerEvent(arrival_event(result))  # type: ignore[no-untyped-call]
                        if position is not None:
                            await self._save(watch, position)
            except Exception:
                # Airflow restarts a trigger that ends at once, without a pause.
                self.log.exception(
                    "The trigger failed with an unexpected error. It begins again at its saved position."
                )
                await asyncio.sleep(MAX_PAUSE_AFTER_FAILURE)

    # -- the state of the asset

    @property
    def _state_key(self) -> str:
        values = (self.participant, self.ip1_conn_id, self.start)
        return f"ip1_incoming_sms_{hashlib.sha256(repr(values).encode()).hexdigest()[:16]}"

    async def _open_watch(self) -> ArrivalWatch:
        position = await self._load()
        try:
            return ArrivalWatch(self.participant, self._start, position)
        except Exception as error:
            self.log.warning("The saved position is unreadable (%r), so the watch begins at %s.", error, self.start)
            return ArrivalWatch(self.participant, self._start)

    async def _load(self) -> Any:
        """Return the saved position. Without knowing whether there is one, the trigger could miss messages."""
        while True:
            try:
                return await self._call_store("get")
            except Exception as error:
                if isinstance(error, ValueError) and "concrete inlets" in str(error):
                    self.log.warning(
                        "This trigger serves several assets, so Airflow does not let it save its position. After a "
                        "restart it begins at %s. Watch a single asset with it.",
                        self.start,
                    )
                    self.asset_state_store = None
                    continue
                self.log.warning("The position cannot be read: %s. Trying again.", type(error).__name__)
                await asyncio.sleep(MAX_PAUSE_AFTER_FAILURE)

    async def _save(self, watch: ArrivalWatch, position: dict[str, Any]) -> None:
        try:
            await self._call_store("set", position)
            watch.has_saved(position)
        except Exception as error:
            self.log.warning(
                "The position cannot be saved: %s. Trying again after the next poll.", type(error).__name__
            )

    async def _call_store(self, name: str, *values: Any) -> Any:
        """Call a method of the state of the asset, if there is one. Airflow before 3.3 has none."""
        store = getattr(self, "asset_state_store", None)
        return None if store is None else await call_store(store, name, self._state_key, *values)


def _check_start(start: str | datetime) -> Start | datetime:
    if start == "now" or start == "beginning":
        return start  # type: ignore[return-value]  # mypy does not narrow a str to literals here
    time = time_or_none(start, "start")
    if time is None:
        raise ValueError(f"start must be 'now', 'beginning' or a time, not {start!r}")
    return time
