# SPDX-License-Identifier: Apache-2.0
"""The modes of the sensors: poke, reschedule and deferrable, with the same outcome in each."""

from __future__ import annotations

import hashlib
import json
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, ClassVar, Generic

from airflow_provider_ip1 import exceptions
from airflow_provider_ip1.api.watching.wait import MIN_PAUSE, Wait, WatchT, seconds
from airflow_provider_ip1.api.watching.watch import PollResult, Watch
from airflow_provider_ip1.api.wording import duration_text
from airflow_provider_ip1.compat import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
    first_reschedule_date,
)
from airflow_provider_ip1.exceptions import IP1Error, IP1ParticipantError
from airflow_provider_ip1.hooks.poll import wait_a_turn
from airflow_provider_ip1.template_values import RejectedArgument, RejectedParticipant, failing_at_once, required_text

if TYPE_CHECKING:
    from airflow_provider_ip1.compat import Context

#: Seconds by which a trigger may miss the deadline before Airflow ends the deferral, in case no triggerer runs.
TRIGGER_GRACE = 600.0
# Seconds.
_LAST_MOMENT = 2.0
_STATE_KEY = "ip1_wait"
_ERRORS: Mapping[str, type[IP1Error]] = {
    name: error for name, error in vars(exceptions).items() if isinstance(error, type) and issubclass(error, IP1Error)
}


class BasePollingSensor(BaseSensorOperator, Generic[WatchT]):
    """
    Waits by polling iP.1, in any of the three modes.

    Subclasses say what to look at (:meth:`_make_watch`), which trigger continues the wait (:attr:`trigger_path`) and
    what the end of a wait means (:meth:`_finish`).
    """

    #: Module and name of the trigger. Importing it takes longer than the rest of the sensor, so only a task that defers
    #: does.
    trigger_path: ClassVar[str]
    not_found_timeout: float | None = None

    def __init__(
        self, *, max_outage: timedelta | float | None, deferrable: bool, ip1_conn_id: str, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.max_outage = seconds(max_outage, "max_outage")
        self.deferrable = deferrable
        self.ip1_conn_id = ip1_conn_id
        self._wait: Wait[WatchT] | None = None
        # When the next poke polls. In the loop of BaseSensorOperator, it sleeps until then, and logs signs of life.
        self._poke_at = 0.0

    def execute(self, context: Context) -> Any:
        """
        Wait.

        :return: the result, as the class describes it.
        """
        wait = self._begin(context)
        if not self.deferrable:
            return super().execute(context)
        with self._skipping_like_poke():
            if (result := self._poll(wait, outlasts_failures=False)) is not None:
                return self._finish(result.verdict, result.text, result.messages)
            self.defer(
                trigger=resolve_name(self.trigger_path)(ip1_conn_id=self.ip1_conn_id, wait=wait.to_dict()),
                method_name="execute_complete",
                timeout=timedelta(seconds=max(0.0, wait.deadline - time.time()) + TRIGGER_GRACE),
            )

    def poke(self, context: Context) -> PokeReturnValue:
        """
        Poll once, and wait out an outage.

        A rescheduled task does not know how long an outage has lasted, so it keeps its worker until iP.1 responds.

        :return: whether the wait is over, with its result.
        :raises AirflowSensorTimeout: time is up.
        :raises IP1Error: iP.1 refused the request, or did not respond for too long.
        """
        wait = self._wait or self._begin(context)
        wait.poll_at, self._poke_at = self._poke_at, 0.0
        while (result := self._poll(wait)) is None:
            if self.reschedule:
                found = wait.watch.to_dict()["state"]
                state = {"watch": _digest(wait.watch), "state": found, "known_at": wait.known_at}
                self._call_state_store(context, "set", state)
            # BaseSensorOperator notices a timeout too, but treats never_fail differently then. So a last poll that is
            # due in a moment is not left to the next poke, before which the time could run out.
            if wait.deadline - time.time() > _LAST_MOMENT:
                return PokeReturnValue(False)
        return PokeReturnValue(True, self._finish(result.verdict, result.text, result.messages))

    def execute_complete(self, context: Context, event: Any = None) -> Any:
        """
        Resume with the trigger's event.

        :param event: what the trigger sent.
        :return: the result, as the class describes it.
        :raises AirflowSensorTimeout: time is up.
        :raises IP1Error: iP.1 refused the request or did not respond for too long, or the event does not come from
            the trigger.
        """
        with self._skipping_like_poke(), self._rejecting_participants():
            match self._with_messages(context, event):
                case {"status": "success", "messages": list(messages)}:
                    return self._finish("success", "", messages)
                case {"status": "failure", "messages": list(messages), "text": str(text)}:
                    return self._finish("failure", text, messages)
                case {"status": "timeout", "text": str(text)}:
                    return self._finish("timeout", text, [])
                case {"status": "error", "error": str(name), "text": str(text)} if name in _ERRORS:
                    raise _ERRORS[name](text)
            raise self._unexpected_event()

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """
        Resume after a deferral, which Airflow itself may have ended, such as one that no triggerer continues.

        Before Airflow 3.1, its own method then retries after a timeout, or ignores ``soft_fail`` or ``never_fail``.

        :raises AirflowSensorTimeout: Airflow ended the deferral because its time was up.
        """
        if next_method != "__fail__":
            return super().resume_execution(next_method, next_kwargs, context)
        with self._skipping_like_poke():
            if "timeout" in str((next_kwargs or {}).get("error")).lower():
                raise AirflowSensorTimeout(
                    f"Time is up after {duration_text(self.timeout)}, and no triggerer ended the wait. Check that a "
                    "triggerer runs, and that this provider is installed there."
                )
            return super().resume_execution(next_method, next_kwargs, context)

    def _unexpected_event(self) -> IP1Error:
        return IP1Error(
            f"The task was resumed with an event that the trigger of {type(self).__name__} does not send, so it is "
            "unknown how the wait ended. Clear the task to wait again, and check that worker and triggerer run "
            "the same version of this provider."
        )

    # -- what subclasses decide

    @abstractmethod
    def _make_watch(self, started_at: float, state: Mapping[str, Any] | None = None) -> WatchT:
        """
        Make what the wait looks at.

        :param started_at: start of the wait, in seconds since 1970.
        :param state: what an earlier poke of a rescheduled task has found.
        """

    def _finish(self, status: str, text: str, messages: list[dict[str, Any]]) -> Any:
        """Return the task's result, or raise."""
        if status == "timeout":
            raise AirflowSensorTimeout(f"Time is up after {duration_text(self.timeout)}. Last poll: {text}")
        return messages

    def _with_messages(self, context: Context, event: Any) -> Any:
        """Return the event, with the messages that did not fit into it."""
        return event

    # -- all modes

    def _begin(self, context: Context) -> Wait[WatchT]:
        self._wait = self._make_wait(context)
        self._wait.begin(time.time(), self.log)
        return self._wait

    @failing_at_once()
    def _make_wait(self, context: Context) -> Wait[WatchT]:
        self.ip1_conn_id = required_text(self.ip1_conn_id, "ip1_conn_id")
        started_at = self._start_of_wait(context)
        watch, known_at = self._make_watch(started_at), started_at
        stored = self._call_state_store(context, "get")
        # What another run of this task remembered may be about other messages, or older than this wait.
        if isinstance(stored, dict) and stored.get("watch") == _digest(watch):
            watch = self._make_watch(started_at, stored["state"])
            known_at = max(started_at, stored["known_at"])
        return Wait(
            watch=watch,
            deadline=started_at + self.timeout,
            started_at=started_at,
            poke_interval=self.poke_interval,
            exponential_backoff=self.exponential_backoff,
            max_wait=self.max_wait.total_seconds() if isinstance(self.max_wait, timedelta) else self.max_wait,
            # In the other modes, BaseSensorOperator implements silent_fail.
            silent_fail=self.silent_fail and self.deferrable,
            max_outage=self.max_outage,
            not_found_timeout=self.not_found_timeout,
            known_at=known_at,
        )

    def _start_of_wait(self, context: Context) -> float:
        is_rescheduled = self.reschedule and not self.deferrable and context.get("ti") is not None
        started = first_reschedule_date(self, context) if is_rescheduled else None
        return time.time() if started is None else started.timestamp()

    def _poll(self, wait: Wait[WatchT], *, outlasts_failures: bool = True, least: int = 0) -> PollResult | None:
        """
        Poll once.

        :param wait: the wait.
        :param outlasts_failures: whether to poll again until a poll succeeds beyond doubt.
        :param least: a poll that finds fewer messages counts as failed.
        :return: the result of the wait if it has ended.
        """
        while wait.result is None:
            with self._rejecting_participants():
                outcome = wait_a_turn(self.ip1_conn_id, wait, self.log, least=least)
            is_answer = isinstance(outcome, PollResult) and not wait.is_in_doubt
            if is_answer or (outcome is not None and not outlasts_failures):
                break
        return wait.result

    @contextmanager
    def _rejecting_participants(self) -> Iterator[None]:
        """Let a participant that iP.1 rejects fail the task at once, except where Airflow would skip the task then."""
        try:
            yield
        except IP1ParticipantError as error:
            if self.soft_fail or self.never_fail:
                raise
            raise RejectedParticipant(str(error)) from None

    # -- poke and reschedule

    def _get_next_poke_interval(
        self, started_at: datetime | float, run_duration: Callable[[], float], poke_count: int
    ) -> float:
        now = time.time()
        pause = self._wait.poll_at - now if self._wait else 0.0
        if pause <= 0.0:  # The poke failed, and silent_fail ignores that.
            pause = min(max(MIN_PAUSE, self.poke_interval), self.timeout - run_duration())
        if self.reschedule:
            return max(0.0, pause)
        self._poke_at = now + pause
        return 0.0

    def _call_state_store(self, context: Context, method: str, *values: Any) -> Any:
        """
        Call a method of the store in which a rescheduled task can remember what it found, since Airflow 3.3.

        Without it, or if it fails, return ``None``.
        """
        store = context.get("task_state_store") if self.reschedule and not self.deferrable else None
        try:
            return None if store is None else getattr(store, method)(_STATE_KEY, *values)
        except Exception as error:
            self.log.warning(
                "Airflow's store for the state of tasks has failed (%s), so the next poll searches from the beginning.",
                type(error).__name__,
            )
            return None

    # -- deferrable

    @contextmanager
    def _skipping_like_poke(self) -> Iterator[None]:
        """Apply ``soft_fail`` and ``never_fail`` as BaseSensorOperator does when it pokes."""
        try:
            yield
        except AirflowSkipException:
            raise
        except (RejectedArgument, RejectedParticipant) as error:
            # Airflow would turn an AirflowFailException into a skip.
            if not self.soft_fail and not self.never_fail:
                raise
            raise ValueError(str(error)) from None
        except Exception as error:
            is_soft = self.soft_fail and isinstance(error, (AirflowSensorTimeout, AirflowFailException))
            if not is_soft and not self.never_fail:
                raise
            name = "soft_fail" if is_soft else "never_fail"
            raise AirflowSkipException(f"Skipped because of {name}: {error}") from error


def _digest(watch: Watch) -> str:
    """Return a hash of what a watch looks at, without its state. It does not reveal the phone number."""
    options = {name: value for name, value in watch.to_dict().items() if name != "state"}
    return hashlib.sha256(json.dumps(options).encode()).hexdigest()
