# SPDX-License-Identifier: Apache-2.0
"""The sensor that waits until SMS messages are delivered, or reach another status."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
    conf,
)

from airflow_provider_ip1 import exceptions
from airflow_provider_ip1.api.watching.poll_schedule import MIN_PAUSE, PollSchedule
from airflow_provider_ip1.api.watching.status_rule import StatusArgument, StatusRule
from airflow_provider_ip1.api.watching.target import Target, check_target
from airflow_provider_ip1.api.watching.wait import Pause, Wait, WaitResult, check_not_found_timeout, duration_text
from airflow_provider_ip1.api.watching.watch import (
    PollResult,
    Require,
    Watch,
    check_expected_count,
    check_require,
    count_text,
)
from airflow_provider_ip1.exceptions import IP1Error, IP1ResponseError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

#: Seconds by which a trigger may miss the deadline before Airflow ends the deferral, in case no triggerer runs.
TRIGGER_GRACE = 600.0
_STATE_KEY = "ip1_message_status"
_ERRORS: Mapping[str, type[IP1Error]] = {
    name: error for name, error in vars(exceptions).items() if isinstance(error, type) and issubclass(error, IP1Error)
}


class IP1DeliveryError(AirflowFailException):
    """
    A message has a status that counts as a failure. Airflow fails the task without retrying it.

    :param text: the status and the message, without a complete phone number.
    :param messages: all watched messages, as the sensor would have returned them.
    """

    def __init__(self, text: str, messages: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__(text)
        self.messages = list(messages)


class MessageStatusSensor(BaseSensorOperator):
    """
    Waits until messages sent through iP.1 are delivered, or reach another status.

    Select the messages with ``batch_id`` and ``message_id`` (one request per poll), ``batch_id`` alone (all messages of
    the batch), ``participant`` and ``message_id``, or ``participant`` and ``reference`` (all messages of the
    conversation with that reference). With a participant, the sensor searches the conversation, newest messages first.
    It waits for messages that do not exist yet.

    ``poke``, ``reschedule`` and ``deferrable`` end the same way:

    * A failure status raises :class:`IP1DeliveryError`, and Airflow does not retry the task. With
      ``on_failure="return"``, the task succeeds and returns the statuses.
    * When ``timeout`` is over, the sensor raises ``AirflowSensorTimeout``.
    * When iP.1 has not known any of the messages for ``not_found_timeout``, the sensor raises ``IP1NotFoundError``.
    * A refused key (401, 403) raises ``IP1AuthError`` at once, and an invalid participant ``IP1ParticipantError``.
    * The sensor waits out an outage. When ten polls in a row have failed, it raises the error of the last one, such as
      ``IP1ServerError`` or ``IP1RateLimitError``.

    :param participant: phone number with country code, or sender name. (templated)
    :param batch_id: id of a batch, as iP.1 returned it when the messages were sent. (templated)
    :param message_id: id of a message. (templated)
    :param reference: your own reference, given when the messages were sent. (templated)
    :param expected: the statuses to wait for: codes (``201``), categories (``pending``, ``delivered``, ``undelivered``,
        ``rejected``, ``failed``) or a list of both. Default ``delivered``. (templated)
    :param failed: the statuses that end the wait as a failure, in the same form. A code takes precedence over its
        category. Default: every category except ``pending`` that is not expected. (templated)
    :param require: with ``all`` (default), every message has to reach an expected status and the first failure ends the
        wait. With ``any``, one message is enough and the wait fails when all have failed.
    :param expected_count: for a batch or reference, how many messages have to exist before the wait can succeed with
        ``require="all"`` (or fail with ``"any"``), 1 or more. iP.1 does not say whether its list of a batch is
        complete. Default: as many as it has listed so far. (templated)
    :param not_found_timeout: how long iP.1 may not know any of the messages, as a timedelta or in seconds, counted from
        the start of the wait (see ``timeout``) or from the last poll that returned one of them. The messages are known
        when iP.1 returns at least one of them. Default one hour; ``None`` leaves only ``timeout``.
    :param on_failure: ``fail`` (default) raises :class:`IP1DeliveryError` for a failure status. With ``return``, the
        task succeeds, and the codes and categories that it returns tell what happened, so that a DAG can branch.
    :param deferrable: whether to wait on the triggerer, without a worker. Default: ``[operators] default_deferrable``.
    :param ip1_conn_id: Airflow connection with the API key. Default ``ip1_default``. (templated)
    :return: one dictionary per message with ``message_id`` and ``batch_id``, and with ``code``, ``category`` and
        ``created`` (ISO 8601, UTC) of its latest status.
    :raises ValueError: an argument is invalid, or the arguments do not select messages or statuses. The error names
        the argument.

    ``timeout`` counts as in every sensor: from the start of the first try in ``reschedule`` mode, otherwise from the
    start of each try. The last poll is at the end of that time.
    """

    template_fields: Sequence[str] = (
        "participant",
        "batch_id",
        "message_id",
        "reference",
        "expected",
        "failed",
        "expected_count",
        "ip1_conn_id",
    )

    def __init__(
        self,
        *,
        participant: str | None = None,
        batch_id: str | None = None,
        message_id: str | None = None,
        reference: str | None = None,
        expected: StatusArgument = "delivered",
        failed: StatusArgument | None = None,
        require: Require = "all",
        expected_count: int | str | None = None,
        not_found_timeout: timedelta | float | None = timedelta(hours=1),
        on_failure: Literal["fail", "return"] = "fail",
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        ip1_conn_id: str = "ip1_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        given = {"participant": participant, "batch_id": batch_id, "message_id": message_id, "reference": reference}
        check_target({name for name, value in given.items() if value is not None})
        self.participant = participant
        self.batch_id = batch_id
        self.message_id = message_id
        self.reference = reference
        self.expected = expected
        self.failed = failed
        self.require = check_require(require)
        self.expected_count = expected_count
        self.not_found_timeout = check_not_found_timeout(not_found_timeout)
        if on_failure not in ("fail", "return"):
            raise ValueError(f"on_failure must be 'fail' or 'return', not {on_failure!r}")
        self.on_failure = on_failure
        self.deferrable = deferrable
        self.ip1_conn_id = ip1_conn_id
        self._wait: Wait | None = None
        self._next_poll: float | None = None
        self._sleep_until = 0.0

    def execute(self, context: Context) -> Any:
        """
        Wait for the messages.

        :return: the statuses, see :class:`MessageStatusSensor`.
        """
        wait = self._begin(context)
        if not self.deferrable:
            return super().execute(context)
        with self._skipping_like_poke():
            return self._poll_once_and_defer(wait)

    def poke(self, context: Context) -> PokeReturnValue:
        """
        Poll once, and wait out an outage.

        A rescheduled task could not count failed polls, so it keeps its worker until iP.1 responds.

        :return: whether the wait is over, with the statuses.
        :raises IP1DeliveryError: a message failed.
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

    def execute_complete(self, context: Context, event: Any = None) -> list[dict[str, Any]]:
        """
        Resume with the trigger's event.

        :param event: what :class:`~airflow_provider_ip1.triggers.message_status.MessageStatusTrigger` sent.
        :return: the statuses, see :class:`MessageStatusSensor`.
        :raises IP1DeliveryError: a message failed.
        :raises AirflowSensorTimeout: time is up.
        :raises IP1Error: iP.1 refused the request or did not respond for too long, or the trigger does not send such
            an event.
        """
        with self._skipping_like_poke():
            match event:
                case {"status": "success", "messages": list(messages)}:
                    return self._finish("success", "", messages)
                case {"status": "success", "count": int(count)}:
                    return self._finish("success", "", self._read_messages(context, count))
                case {"status": "failure", "messages": list(messages), "text": str(text)}:
                    return self._finish("failure", text, messages)
                case {"status": "failure", "count": int(count), "text": str(text)}:
                    return self._finish("failure", text, self._read_messages(context, count))
                case {"status": "timeout", "text": str(text)}:
                    return self._finish("timeout", text, [])
                case {"status": "error", "error": str(name), "text": str(text)} if name in _ERRORS:
                    raise _ERRORS[name](text)
            raise IP1Error(
                "The task was resumed with an event that MessageStatusTrigger does not send, so the state of the "
                "messages is unknown. Clear the task to wait again, and check that worker and triggerer run the same "
                "version of this provider."
            )

    # -- all modes

    def _begin(self, context: Context) -> Wait:
        self._wait = self._make_wait(context)
        for code in self._wait.watch.rule.undocumented_codes:
            self.log.warning("Status code %s in expected or failed is not one that iP.1 documents.", code)
        self.log.info("%s", self._wait)
        return self._wait

    def _make_wait(self, context: Context) -> Wait:
        target = Target(self.participant, self.batch_id, self.message_id, self.reference)
        rule = StatusRule.from_arguments(self.expected, self.failed)
        expected_count = check_expected_count(self.expected_count, target)
        started_at = self._start_of_wait(context)
        schedule = PollSchedule(
            poke_interval=self.poke_interval,
            deadline=started_at + self.timeout,
            started_at=started_at,
            exponential_backoff=self.exponential_backoff,
            max_wait=self._max_wait_seconds,
            # In the other modes, BaseSensorOperator implements silent_fail.
            never_gives_up=self.silent_fail and self.deferrable,
        )
        state = self._recall(context, target)
        return Wait(
            Watch(target, rule, self.require, expected_count, state),
            schedule,
            # What another run of this task remembered may be older than this wait.
            known_at=max(started_at, state.get("known_at", 0.0)),
            not_found_timeout=self.not_found_timeout,
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

    def _drive(
        self, wait: Wait, poll_at: float, is_enough: Callable[[PollResult | IP1Error | None], bool], least: int = 0
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

    def _poll(self, watch: Watch, least: int) -> PollResult | IP1Error:
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

    def _finish(self, status: str, text: str, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if status == "failure":
            if self.on_failure == "fail":
                raise IP1DeliveryError(text, messages)
            self.log.warning("The task succeeds because of on_failure='return'. %s", text)
        if status == "timeout":
            raise AirflowSensorTimeout(f"Time is up after {duration_text(self.timeout)}. Last poll: {text}")
        return messages

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

    def _recall(self, context: Context, target: Target) -> Mapping[str, Any]:
        """Return what earlier pokes of a rescheduled task found, so that it need not search again (Airflow 3.3)."""
        store = self._store(context)
        stored = store.get(_STATE_KEY) if store is not None else None
        return stored if isinstance(stored, dict) and stored.get("target") == target.digest else {}

    def _remember(self, context: Context, wait: Wait) -> None:
        store = self._store(context)
        if store is not None:
            watch = wait.watch
            store.set(_STATE_KEY, {"target": watch.target.digest, "known_at": wait.known_at, **watch.state()})

    def _store(self, context: Context) -> Any:
        return context.get("task_state_store") if self.reschedule and not self.deferrable else None

    # -- deferrable

    def _poll_once_and_defer(self, wait: Wait) -> list[dict[str, Any]]:
        from airflow_provider_ip1.triggers.message_status import MessageStatusTrigger

        step = self._drive(wait, 0.0, lambda outcome: outcome is not None)
        if isinstance(step, WaitResult):
            return self._finish(step.status, step.text, step.as_dicts())
        watch, schedule = wait.watch, wait.schedule
        self.defer(
            trigger=MessageStatusTrigger(
                participant=watch.target.participant,
                batch_id=watch.target.batch_id,
                message_id=watch.target.message_id,
                reference=watch.target.reference,
                **watch.rule.as_arguments(),
                require=watch.require,
                expected_count=watch.expected_count,
                not_found_timeout=self.not_found_timeout,
                known_at=wait.known_at,
                ip1_conn_id=self.ip1_conn_id,
                deadline=schedule.deadline,
                started_at=schedule.started_at,
                poll_at=step.poll_at,
                poke_interval=self.poke_interval,
                exponential_backoff=self.exponential_backoff,
                max_wait=self._max_wait_seconds,
                silent_fail=self.silent_fail,
                failures=schedule.failures,
                state=watch.state(),
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=max(0.0, schedule.deadline - time.time()) + TRIGGER_GRACE),
        )

    def _read_messages(self, context: Context, count: int) -> list[dict[str, Any]]:
        """Read the messages that did not fit into the trigger's event, which has the verdict."""
        self.log.info("Reading the statuses of %s.", count_text(count, "message"))
        wait = self._make_wait(context)
        step = self._drive(wait, 0.0, lambda outcome: isinstance(outcome, PollResult), least=count)
        if len(wait.watch.messages) < count and isinstance(step, WaitResult):
            return self._finish(step.status, step.text, [])
        return [message.as_dict() for message in wait.watch.messages]

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
