# SPDX-License-Identifier: Apache-2.0
"""The sensor that waits until SMS messages are delivered, or have another status."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowNotFoundException,
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
    conf,
)

from airflow_provider_ip1.api.waiting import (
    MIN_PAUSE,
    Patience,
    Require,
    Standing,
    StatusArgument,
    StatusRule,
    Target,
    Watch,
    check_given,
    check_require,
    missing_connection,
)
from airflow_provider_ip1.exceptions import (
    IP1AuthError,
    IP1ConnectionError,
    IP1Error,
    IP1NotFoundError,
    IP1PagingError,
    IP1ParticipantError,
    IP1RateLimitError,
    IP1ResponseError,
    IP1ServerError,
)
from airflow_provider_ip1.hooks.ip1 import IP1Hook
from airflow_provider_ip1.triggers.message_status import MessageStatusTrigger

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

#: Seconds that a trigger may be late before Airflow ends the deferral, in case no triggerer runs.
TRIGGER_GRACE = 600.0
_STATE_KEY = "ip1_message_status"
_ERRORS: Mapping[str, type[IP1Error]] = {
    error.__name__: error
    for error in (
        IP1AuthError,
        IP1ConnectionError,
        IP1Error,
        IP1PagingError,
        IP1ParticipantError,
        IP1RateLimitError,
        IP1ResponseError,
        IP1ServerError,
    )
}


class IP1DeliveryError(AirflowFailException):
    """
    A message got a status that counts as a failure. Retries are pointless: Airflow fails the task at once.

    :param text: which message, and its status; no whole phone number.
    :param messages: all watched messages, as the sensor would have returned them.
    """

    def __init__(self, text: str, messages: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__(text)
        self.messages = list(messages)


class MessageStatusSensor(BaseSensorOperator):
    """
    Waits until messages sent through iP.1 are delivered, or have another status.

    Which messages: ``batch_id`` and ``message_id`` (one request per poll), ``batch_id`` alone (all its messages),
    ``participant`` and ``message_id``, or ``participant`` and ``reference`` (all messages of the conversation with that
    reference; they are searched for, newest first). What is not there yet is waited for.

    ``poke``, ``reschedule`` and ``deferrable`` come to the same end:

    * a failure status raises :class:`IP1DeliveryError`, and Airflow does not retry;
    * when the time (``timeout``) is up, ``AirflowSensorTimeout``;
    * a refused key (401, 403) raises ``IP1AuthError`` at once, an invalid participant ``IP1ParticipantError``;
    * an outage is waited out; the tenth failed poll in a row raises ``IP1ServerError``, ``IP1RateLimitError`` or
      whatever it was.

    :param participant: phone number with country code, or sender name. (templated)
    :param batch_id: id of a batch, as iP.1 gave it when the messages were sent. (templated)
    :param message_id: id of a message. (templated)
    :param reference: your own reference, given when the messages were sent. (templated)
    :param expected: status codes (``201``), categories (``pending``, ``delivered``, ``undelivered``, ``rejected``,
        ``failed``) or a list of both that end the wait well. Default ``delivered``. (templated)
    :param failed: the same for what ends it badly; a code wins over its category. Default: every category but
        ``pending`` that is not expected. (templated)
    :param require: ``all`` (default): each message has to get there, and the first failure ends the wait. ``any``: one
        is enough, and the wait fails when all have failed.
    :param deferrable: wait on the triggerer and hold no worker. Default: ``[operators] default_deferrable``.
    :param ip1_conn_id: Airflow connection with the API key. Default ``ip1_default``. (templated)
    :return: one dictionary per message with ``message_id``, ``batch_id``, ``code``, ``category`` and ``created`` (ISO
        8601, UTC) of its latest status.
    :raises ValueError: the arguments do not say which messages or statuses; names the argument.

    The ``timeout`` counts as in every sensor: in ``reschedule`` from the start of the first try, else from the start of
    each try. The last poll is when it ends.
    """

    template_fields: Sequence[str] = (
        "participant",
        "batch_id",
        "message_id",
        "reference",
        "expected",
        "failed",
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
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        ip1_conn_id: str = IP1Hook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        given = {"participant": participant, "batch_id": batch_id, "message_id": message_id, "reference": reference}
        check_given({name for name, value in given.items() if value is not None})
        self.participant = participant
        self.batch_id = batch_id
        self.message_id = message_id
        self.reference = reference
        self.expected = expected
        self.failed = failed
        self.require = check_require(require)
        self.deferrable = deferrable
        self.ip1_conn_id = ip1_conn_id
        self._watch: Watch | None = None
        self._started_at = 0.0

    def execute(self, context: Context) -> Any:
        """
        Wait.

        :return: the statuses, see :class:`MessageStatusSensor`.
        """
        watch = self._begin(context)
        if not self.deferrable:
            return super().execute(context)
        with self._skipping_as_poke_does():
            return self._poll_and_defer(watch)

    def poke(self, context: Context) -> PokeReturnValue:
        """
        Look once, and wait out an outage.

        A rescheduled task could not count the polls that failed, so it keeps its worker while iP.1 does not answer.

        :return: whether the wait is over, with the statuses.
        :raises IP1DeliveryError: a message failed.
        :raises AirflowSensorTimeout: the time is up.
        :raises IP1Error: iP.1 refuses, or did not answer for too long.
        """
        watch = self._watch or self._begin(context)
        patience = self._patience()
        while True:
            outcome = self._look(watch)
            if isinstance(outcome, Standing):
                break
            poll_at = patience.after_failure(outcome, time.time())
            if poll_at is None:
                raise AirflowSensorTimeout(self._time_up_text(str(outcome)))
            self.log.warning("Poll failed (%s in a row): %s", patience.failures, outcome)
            time.sleep(max(0.0, poll_at - time.time()))
        self._remember(context, watch)
        if self._check(outcome):
            return PokeReturnValue(True, outcome.as_dicts())
        if time.time() >= patience.deadline:
            # BaseSensorOperator would find out too, but knows less, and treats never_fail in another way than here.
            raise AirflowSensorTimeout(self._time_up_text(outcome.text))
        return PokeReturnValue(False)

    def execute_complete(self, context: Context, event: Any = None) -> list[dict[str, Any]]:
        """
        Take the trigger's event.

        :param event: what :class:`~airflow_provider_ip1.triggers.message_status.MessageStatusTrigger` sent.
        :return: the statuses, see :class:`MessageStatusSensor`.
        :raises IP1DeliveryError: a message failed.
        :raises AirflowSensorTimeout: the time is up.
        :raises IP1Error: iP.1 refuses, or did not answer for too long; or the event is none that the trigger sends.
        """
        with self._skipping_as_poke_does():
            return self._result_of(event)

    # -- what the modes share

    def _begin(self, context: Context) -> Watch:
        target = Target(self.participant, self.batch_id, self.message_id, self.reference)
        rule = StatusRule.read(self.expected, self.failed)
        for code in rule.undocumented_codes:
            self.log.warning("Status code %s in expected or failed is none that iP.1 documents.", code)
        self._watch = Watch(target, rule, self.require, self._recall(context, target))
        self._started_at = self._start_of_wait(context)
        return self._watch

    def _start_of_wait(self, context: Context) -> float:
        started: datetime | None = None
        task_instance: Any = context.get("ti")
        if self.reschedule and not self.deferrable and task_instance is not None:
            # Airflow 3 has a method for it; Airflow 2 keeps the start of the first poke as that of the task.
            find = getattr(task_instance, "get_first_reschedule_date", None)
            started = find(context) if find else task_instance.start_date
        return time.time() if started is None else started.timestamp()

    def _patience(self) -> Patience:
        return Patience(
            poke_interval=self.poke_interval,
            deadline=self._started_at + self.timeout,
            started_at=self._started_at,
            exponential_backoff=self.exponential_backoff,
            max_wait=self._max_wait_seconds,
            # When poking, silent_fail is BaseSensorOperator's business.
            never_gives_up=self.silent_fail and self.deferrable,
        )

    @property
    def _max_wait_seconds(self) -> float | None:
        return self.max_wait.total_seconds() if isinstance(self.max_wait, timedelta) else self.max_wait

    def _look(self, watch: Watch) -> Standing | IP1Error:
        # Errors are returned, to be raised where no other exception, with whatever it quotes, is their context.
        try:
            # A hook of its own for each look: the connection's key may have been changed since the last one.
            with closing(IP1Hook(self.ip1_conn_id)) as hook:
                return self._poll(hook, watch)
        except IP1Error as error:
            return error
        except AirflowNotFoundException:
            return missing_connection(self.ip1_conn_id)

    @staticmethod
    def _poll(hook: IP1Hook, watch: Watch) -> Standing:
        poll = watch.poll()
        if poll.conversation is not None:
            for _ in hook.iter_pages_of([poll.conversation], order="DESC", is_last_page=poll.take_page):
                pass  # nothing but take_page looks at the pages
        if poll.batch is not None:
            for message in hook.iter_batch_messages(poll.batch):
                poll.take(message)
        for batch_id, message_id in poll.single_messages:
            try:
                poll.take(hook.get_message(batch_id, message_id))
            except IP1NotFoundError:
                continue  # not there yet
        return poll.finish()

    def _check(self, standing: Standing) -> bool:
        for warning in standing.warnings:
            self.log.warning("%s", warning)
        if standing.verdict == "failed":
            raise IP1DeliveryError(standing.text, standing.as_dicts())
        if standing.has_changed:
            self.log.info("%s", standing.text)
        return standing.verdict == "reached"

    def _time_up_text(self, last: str) -> str:
        return f"Time is up after {self.timeout:.0f} s. Last: {last}"

    # -- poke and reschedule

    def _get_next_poke_interval(
        self, started_at: datetime | float, run_duration: Callable[[], float], poke_count: int
    ) -> float:
        # As in the trigger: never a hot loop, and the last poll is at the deadline, not up to an interval after it.
        pause = max(MIN_PAUSE, super()._get_next_poke_interval(started_at, run_duration, poke_count))
        return max(0.0, min(pause, self.timeout - run_duration()))

    def _recall(self, context: Context, target: Target) -> Mapping[str, Any] | None:
        """What the pokes before a reschedule found, on Airflow 3.3, so that it need not be searched for again."""
        store = self._store(context, target)
        stored = store.get(_STATE_KEY) if store is not None else None
        return stored if isinstance(stored, dict) and stored.get("target") == target.digest else None

    def _remember(self, context: Context, watch: Watch) -> None:
        store = self._store(context, watch.target)
        if store is not None:
            store.set(_STATE_KEY, {"target": watch.target.digest, **watch.state()})

    def _store(self, context: Context, target: Target) -> Any:
        is_needed = self.reschedule and not self.deferrable and target.participant is not None
        return context.get("task_state_store") if is_needed else None

    # -- deferrable

    def _poll_and_defer(self, watch: Watch) -> list[dict[str, Any]]:
        patience = self._patience()
        outcome = self._look(watch)
        if isinstance(outcome, Standing):
            if self._check(outcome):
                return outcome.as_dicts()
            last = outcome.text
            poll_at = patience.after_answer(time.time())
        else:
            last = str(outcome)
            poll_at = patience.after_failure(outcome, time.time())
            self.log.warning("Poll failed: %s", outcome)
        if poll_at is None:
            raise AirflowSensorTimeout(self._time_up_text(last))
        self.defer(
            trigger=MessageStatusTrigger(
                participant=watch.target.participant,
                batch_id=watch.target.batch_id,
                message_id=watch.target.message_id,
                reference=watch.target.reference,
                **watch.rule.as_arguments(),
                require=watch.require,
                ip1_conn_id=self.ip1_conn_id,
                deadline=patience.deadline,
                started_at=self._started_at,
                poll_at=poll_at,
                poke_interval=self.poke_interval,
                exponential_backoff=self.exponential_backoff,
                max_wait=self._max_wait_seconds,
                silent_fail=self.silent_fail,
                failures=patience.failures,
                state=watch.state(),
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=max(0.0, patience.deadline - time.time()) + TRIGGER_GRACE),
        )

    def _result_of(self, event: Any) -> list[dict[str, Any]]:
        match event:
            case {"status": "success", "messages": list(messages)}:
                self.log.info("All that was waited for is there.")
                return messages
            case {"status": "failure", "messages": list(messages), "text": str(text)}:
                raise IP1DeliveryError(text, messages)
            case {"status": "timeout", "text": str(text)}:
                raise AirflowSensorTimeout(self._time_up_text(text))
            case {"status": "error", "error": str(name), "text": str(text)} if name in _ERRORS:
                raise _ERRORS[name](text)
        raise IP1Error(
            "The task was resumed with an event that MessageStatusTrigger does not send, so nothing is known about the "
            "messages. Clear the task to wait again, and see that worker and triggerer run the same provider version."
        )

    @contextmanager
    def _skipping_as_poke_does(self) -> Iterator[None]:
        """What BaseSensorOperator does about ``soft_fail`` and ``never_fail`` when it pokes, and only that."""
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
