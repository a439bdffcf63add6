# SPDX-License-Identifier: Apache-2.0
"""The sensor that waits until SMS messages are delivered, or reach another status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_ip1.api.account import senders_text
from airflow_provider_ip1.api.status import CATEGORIES, KNOWN_CODES
from airflow_provider_ip1.api.watching.status_rule import StatusArgument
from airflow_provider_ip1.api.watching.status_watch import (
    SELECTORS,
    Require,
    StatusWatch,
    check_require,
    check_selection,
)
from airflow_provider_ip1.api.watching.wait import Wait, seconds
from airflow_provider_ip1.api.wording import counted
from airflow_provider_ip1.compat import AirflowFailException, conf
from airflow_provider_ip1.sensors.base import BasePollingSensor
from airflow_provider_ip1.template_values import failing_at_once, refuse_printed_list, required_text, text_or_none

if TYPE_CHECKING:
    from airflow_provider_ip1.compat import Context


#: The status of a message whose sender is not the account's. It comes after iP.1 has accepted the SMS.
_SENDER_REJECTED = 403


class IP1DeliveryError(AirflowFailException):
    """
    A message has a status that counts as a failure. Airflow fails the task without retrying it.

    :param text: the status and the message, without a complete phone number.
    :param messages: all watched messages, as the sensor would have returned them.
    """

    def __init__(self, text: str, messages: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__(text)
        self.messages = list(messages)


class MessageStatusSensor(BasePollingSensor[StatusWatch]):
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
    * The sensor waits out an outage. When no poll has succeeded for ``max_outage``, it raises the error of the last
      one, such as ``IP1ServerError`` or ``IP1RateLimitError``.

    :param participant: phone number with country code, or sender name. (templated)
    :param batch_id: id of a batch, as iP.1 returned it when the messages were sent. (templated)
    :param message_id: id of a message. (templated)
    :param reference: your own reference, given when the messages were sent. (templated)
    :param expected: the statuses to wait for: codes (``201``), categories (``pending``, ``delivered``, ``undelivered``,
        ``rejected``, ``failed``) or a list of both. Default ``delivered``. (templated; a template is text, which type
        checkers reject here)
    :param failed: the statuses that end the wait as a failure, in the same form. A code takes precedence over its
        category. Default: every category except ``pending`` that is not expected. (templated)
    :param require: with ``all`` (default), every message has to reach an expected status and the first failure ends the
        wait. With ``any``, one message is enough and the wait fails when all have failed.
    :param expected_count: for a batch or reference, how many messages have to exist before the wait can succeed with
        ``require="all"`` (or fail with ``"any"``), 1 or more. iP.1 does not say whether its list of a batch is
        complete. Default: as many as it has listed so far. (templated)
    :param not_found_timeout: how long to wait while iP.1 does not return any of the messages, as a timedelta or in
        seconds. The time counts from the start of the wait (see ``timeout``), or from the last poll that returned one
        of them. Default one hour; ``None`` leaves only ``timeout``.
    :param on_failure: ``fail`` (default) raises :class:`IP1DeliveryError` for a failure status. With ``return``, the
        task succeeds and returns the codes and categories, so that a DAG can branch.
    :param max_outage: how long to wait while every poll fails (5xx, 429, no connection, unreadable responses), as a
        timedelta or in seconds. Default one hour; ``None`` leaves only ``timeout``.
    :param deferrable: whether to wait on the triggerer, without a worker. Default: ``[operators] default_deferrable``.
    :param ip1_conn_id: Airflow connection with the API key. Default ``ip1_default``. (templated)
    :return: one dictionary per message with ``message_id`` and ``batch_id``, and with ``code``, ``category`` and
        ``created`` (ISO 8601, UTC) of its latest status.
    :raises ValueError: an argument is invalid, or the arguments do not select messages or statuses. The error names
        the argument.

    ``timeout`` counts as in every sensor: from the start of each try, but on Airflow 2.11 in ``reschedule`` mode from
    the start of the first one. The last poll is at the end of that time.
    """

    trigger_path = "airflow_provider_ip1.triggers.message_status:MessageStatusTrigger"
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

    @failing_at_once()
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
        max_outage: timedelta | float | None = timedelta(hours=1),
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        ip1_conn_id: str = "ip1_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(max_outage=max_outage, deferrable=deferrable, ip1_conn_id=ip1_conn_id, **kwargs)
        self.participant = participant
        self.batch_id = batch_id
        self.message_id = message_id
        self.reference = reference
        self._selectors = [name for name in SELECTORS if getattr(self, name) is not None]
        check_selection(set(self._selectors))
        self.expected = expected
        self.failed = failed
        check_require(require)
        self.require = require
        self.expected_count = expected_count
        self.not_found_timeout = seconds(not_found_timeout, "not_found_timeout")
        if on_failure not in ("fail", "return"):
            raise ValueError(f"on_failure must be 'fail' or 'return', not {on_failure!r}")
        self.on_failure = on_failure

    def _begin(self, context: Context) -> Wait[StatusWatch]:
        wait = super()._begin(context)
        rule = wait.watch.rule
        for code in sorted((rule.expected | rule.failed) - KNOWN_CODES - set(CATEGORIES), key=str):
            self.log.warning("Status code %s in expected or failed is not one that iP.1 documents.", code)
        return wait

    def _make_watch(self, started_at: float, state: Mapping[str, Any] | None = None) -> StatusWatch:
        arguments = {field.name: getattr(self, field.name) for field in fields(StatusWatch)}
        # What was given selects the messages: a template that renders nothing must not select others.
        arguments |= {name: required_text(arguments[name], name) for name in self._selectors}
        for name in set(self._selectors) - {"reference"}:
            refuse_printed_list(arguments[name], name)
        if isinstance(self.expected_count, str):
            arguments["expected_count"] = text_or_none(self.expected_count, "expected_count")
        return StatusWatch(**arguments, state=state)

    def _registered_senders(self) -> str:
        from airflow_provider_ip1.client.senders import registered_senders
        from airflow_provider_ip1.hooks.ip1 import IP1Hook

        with IP1Hook(self.ip1_conn_id) as hook:
            return senders_text(hook.client.run(registered_senders(hook.client)))

    def _finish(self, status: str, text: str, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if status == "failure":
            if any(message["code"] == _SENDER_REJECTED for message in messages):
                text = f"{text} {self._registered_senders()}"
            if self.on_failure == "fail":
                raise IP1DeliveryError(text, messages)
            self.log.warning("The task succeeds because of on_failure='return'. %s", text)
        super()._finish(status, text, messages)
        return messages

    # -- deferrable

    def _with_messages(self, context: Context, event: Any) -> Any:
        match event:
            case {"status": "success", "count": int(count)} | {"status": "failure", "count": int(count), "text": str()}:
                return {**event, "messages": self._read_messages(context, count)}
        return event

    def _read_messages(self, context: Context, count: int) -> list[dict[str, Any]]:
        """Read the messages that did not fit into the trigger's event, which has the verdict."""
        self.log.info("Reading the statuses of %s.", counted(count, "message"))
        wait = self._make_wait(context)
        result = self._poll(wait, least=count)
        messages = wait.found.messages
        return self._finish(result.verdict, result.text, []) if result and len(messages) < count else messages
