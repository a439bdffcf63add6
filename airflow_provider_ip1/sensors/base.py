# SPDX-License-Identifier: Apache-2.0
"""The modes of the sensors: poke, reschedule and deferrable, with the same outcome in each."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from airflow_provider_ip1 import exceptions
from airflow_provider_ip1.api.watching.poll_schedule import MIN_PAUSE, PollSchedule
from airflow_provider_ip1.api.watching.wait import Pause, Wait, WaitResult, duration_text
from airflow_provider_ip1.api.watching.watch import Pollable, PollResult
from airflow_provider_ip1.compat import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
)
from airflow_provider_ip1.exceptions import IP1Error, IP1ResponseError

if TYPE_CHECKING:
    from airflow_provider_ip1.compat import BaseTrigger, Context

#: Seconds by which a trigger may miss the deadline before Airflow ends the deferral, in case no triggerer runs.
TRIGGER_GRACE = 600.0
_ERRORS: Mapping[str, type[IP1Error]] = {
    name: error for name, error in vars(exceptions).items() if isinstance(error, type) and issubclass(error, IP1Error)
}
WatchT = TypeVar("WatchT", bound=Pollable)


class BasePollingSensor(BaseSensorOperator, Generic[WatchT]):
    """
    Waits by polling iP.1, in any of the three modes.

    Subclasses say what to wait for (:meth:`_make_wait`), which trigger waits for it (:meth:`_make_trigger`) and what
    the end of a wait means (:meth:`_finish`).
    """

    deferrable: bool
    ip1_conn_id: str

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._wait: Wait[WatchT] | None = None
        self._next_poll: float | None = None
        self._sleep_until = 0.0

    def execute(self, context: Context) -> Any:
        """
        Wait.

        :return: the result, as the class describes it.
        """
        wait = self._begin(context)
        if not self.deferrable:
            return super().execute(context)
        with self._skipping_like_poke():
            return self._poll_once_and_defer(context, wait)

    def poke(self, context: Context) -> PokeReturnValue:
        """
        Poll once, and wait out an outage.

        A rescheduled task could not count failed polls, so it keeps its worker until iP.1 responds.

        :return: whether the wait is over, with its result.
        :raises AirflowSensorTimeout: time is up.
        :raises IP1Error: iP.1 refused the request, or did not respond for too long.
        """
        wait = self._wait or self._begin(context)
        poll_at, self._sleep_until, self._next_poll = self._sleep_until, 0.0, None
        step = self._drive(wait, poll_at, lambda outcome: isinstance(outcome, PollResult))
        self._remember(context, wait)
        if isinstance(step, WaitResult):
            # BaseSensorOperator would notice a timeout too, but treats never_fail differently then.
            return PokeReturnValue(True, self._finish(step.status, step.text, step.as_dicts()))
        self._next_poll = step.poll_at
        return PokeReturnValue(False)

    def execute_complete(self, context: Context, event: Any = None) -> Any:
        """
        Resume with the trigger's event.

        :param event: what the trigger sent.
        :return: the result, as the class describes it.
        :raises AirflowSensorTimeout: time is up.
        :raises IP1Error: iP.1 refused the request or did not respond for too long, or the event does not come from
            the trigger.
        """
        with self._skipping_like_poke():
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

    def _unexpected_event(self) -> IP1Error:
        return IP1Error(
            f"The task was resumed with an event that the trigger of {type(self).__name__} does not send, so it is "
            "unknown how the wait ended. Clear the task to wait again, and check that worker and triggerer run "
            "the same version of this provider."
        )

    # -- what subclasses decide

    @abstractmethod
    def _make_wait(self, context: Context) -> Wait[WatchT]:
        """Describe the wait. Each poke of a rescheduled task describes it again."""

    @abstractmethod
    def _make_trigger(self, wait: Wait[WatchT], poll_at: float) -> BaseTrigger:
        """Make the trigger that continues a wait, with its next poll at ``poll_at``."""

    def _finish(self, status: str, text: str, messages: list[dict[str, Any]]) -> Any:
        """Return the task's result, or raise."""
        if status == "timeout":
            raise AirflowSensorTimeout(f"Time is up after {duration_text(self.timeout)}. Last poll: {text}")
        return messages

    def _with_messages(self, context: Context, event: Any) -> Any:
        """Return the event, with the messages that did not fit into it."""
        return event

    def _remember(self, context: Context, wait: Wait[WatchT]) -> None:
        """Store what the next poke of a rescheduled task can use."""

    # -- all modes

    def _begin(self, context: Context) -> Wait[WatchT]:
        self._wait = self._make_wait(context)
        self.log.info("%s", self._wait)
        return self._wait

    def _make_schedule(self, context: Context) -> PollSchedule:
        started_at = self._start_of_wait(context)
        return PollSchedule(
            poke_interval=self.poke_interval,
            deadline=started_at + self.timeout,
            started_at=started_at,
            exponential_backoff=self.exponential_backoff,
            max_wait=self._max_wait_seconds,
            # In the other modes, BaseSensorOperator implements silent_fail.
            never_gives_up=self.silent_fail and self.deferrable,
        )

    def _start_of_wait(self, context: Context) -> float:
        started: datetime | None = None
        task_instance: Any = context.get("ti")
        if self.reschedule and not self.deferrable and task_instance is not None:
            # Airflow 3 has a method for this. Airflow 2 keeps the start of the first poke as the start of the task.
            find = getattr(task_instance, "get_first_reschedule_date", None)
            started = find(context) if find else task_instance.start_date
        return time.time() if started is None else started.timestamp()

    @property
    def _max_wait_seconds(self) -> float | None:
        return self.max_wait.total_seconds() if isinstance(self.max_wait, timedelta) else self.max_wait

    def _schedule_arguments(self, wait: Wait[WatchT], poll_at: float) -> dict[str, Any]:
        """Return the trigger's arguments that concern its schedule."""
        return {
            "ip1_conn_id": self.ip1_conn_id,
            "deadline": wait.schedule.deadline,
            "started_at": wait.schedule.started_at,
            "poll_at": poll_at,
            "poke_interval": self.poke_interval,
            "exponential_backoff": self.exponential_backoff,
            "max_wait": self._max_wait_seconds,
            "silent_fail": self.silent_fail,
            "failures": wait.schedule.failures,
        }

    def _drive(
        self,
        wait: Wait[WatchT],
        poll_at: float,
        is_enough: Callable[[PollResult | IP1Error | None], bool],
        least: int = 0,
    ) -> Pause | WaitResult:
        """
        Run a wait until it ends, or until an outcome is enough.

        :param wait: the wait.
        :param poll_at: when to poll first, in seconds since 1970.
        :param is_enough: whether an outcome is enough.
        :param least: a poll that finds fewer messages counts as failed.
        :return: the result of the wait, or the pause before its next poll.
        """
        steps = wait.steps(poll_at, time.time())
        step, outcome = next(steps), None
        while True:
            for level, text in step.lines:
                self.log.log(level, "%s", text)
            if isinstance(step, WaitResult) or is_enough(outcome):
                return step
            time.sleep(max(0.0, step.until - time.time()))
            outcome = self._poll(wait.watch, least) if step.polls else None
            step = steps.send((outcome, time.time()))

    def _poll(self, watch: WatchT, least: int) -> PollResult | IP1Error:
        from airflow_provider_ip1.hooks.ip1 import IP1Hook
        from airflow_provider_ip1.hooks.poll import poll

        # Return errors instead of raising them here, so that no other exception becomes their context.
        try:
            # Use a new hook for each poll, because the key may have been changed since the last one.
            with IP1Hook(self.ip1_conn_id) as hook:
                result = poll(hook, watch)
            found = len(result.messages)
            return result if found >= least else IP1ResponseError(f"iP.1 returned only {found} of {least} messages.")
        except IP1Error as error:
            return error

    # -- poke and reschedule

    def _get_next_poke_interval(
        self, started_at: datetime | float, run_duration: Callable[[], float], poke_count: int
    ) -> float:
        now = time.time()
        next_poll = self._next_poll
        if next_poll is None:  # The poke failed, and silent_fail ignores that.
            pause = max(MIN_PAUSE, self.poke_interval)
            next_poll = now + min(pause, self.timeout - run_duration())
        if self.reschedule:
            return max(0.0, next_poll - now)
        # The next poke sleeps, because it logs signs of life meanwhile.
        self._sleep_until = next_poll
        return 0.0

    # -- deferrable

    def _poll_once_and_defer(self, context: Context, wait: Wait[WatchT]) -> Any:
        step = self._drive(wait, 0.0, lambda outcome: outcome is not None)
        if isinstance(step, WaitResult):
            return self._finish(step.status, step.text, step.as_dicts())
        self.defer(
            trigger=self._make_trigger(wait, step.poll_at),
            method_name="execute_complete",
            timeout=timedelta(seconds=max(0.0, wait.schedule.deadline - time.time()) + TRIGGER_GRACE),
        )

    @contextmanager
    def _skipping_like_poke(self) -> Iterator[None]:
        """Apply ``soft_fail`` and ``never_fail`` as BaseSensorOperator does when it pokes."""
        try:
            yield
        except AirflowSkipException:
            raise
        except Exception as error:
            is_soft = self.soft_fail and isinstance(error, (AirflowSensorTimeout, AirflowFailException))
            if not is_soft and not self.never_fail:
                raise
            name = "soft_fail" if is_soft else "never_fail"
            raise AirflowSkipException(f"Skipped because of {name}: {error}") from error
