# SPDX-License-Identifier: Apache-2.0
"""The sensor that waits for an SMS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_ip1.api.watching.incoming import IncomingWatch
from airflow_provider_ip1.api.watching.pattern import Pattern
from airflow_provider_ip1.api.watching.wait import Wait
from airflow_provider_ip1.compat import conf
from airflow_provider_ip1.exceptions import IP1ResponseError
from airflow_provider_ip1.sensors.base import BasePollingSensor
from airflow_provider_ip1.template_values import failing_at_once, refuse_printed_list, required_text, time_or_none

if TYPE_CHECKING:
    from airflow_provider_ip1.compat import Context

#: How far iP.1's clock may be behind the worker's. Without ``since``, messages that were received this long before the
#: start of the wait count as well.
CLOCK_MARGIN: Final = timedelta(seconds=30)


class IncomingSmsSensor(BasePollingSensor[IncomingWatch]):
    """
    Waits for an SMS from a participant, such as the reply to a question, or from anyone.

    Anyone can send an SMS with a forged sender. Do not let a reply decide anything that needs proof of who sent it.

    ``poke``, ``reschedule`` and ``deferrable`` end the same way:

    * When ``timeout`` is over, the sensor raises ``AirflowSensorTimeout``.
    * A refused key (401, 403) raises ``IP1AuthError`` at once, and an invalid participant ``IP1ParticipantError``.
    * The sensor waits out an outage. When no poll has succeeded for ``max_outage``, it raises the error of the last
      one, such as ``IP1ServerError`` or ``IP1RateLimitError``.
    * If searching a text for ``pattern`` takes longer than 0.05 s, the sensor raises ``IP1Error``.

    If several messages match, the sensor returns the oldest one.

    :param participant: phone number with country code, or sender name. ``None`` waits for an SMS from anyone. A
        template that renders to ``None``, and ``None`` in a mapped task, is an error: a value that is missing must not
        let everyone's reply count. (templated)
    :param since: messages that iP.1 received before this time do not count: an aware datetime, or ISO 8601 text, in
        UTC if it has no zone. Default: 30 seconds before the start of the wait (see ``timeout``), because iP.1's clock
        may be behind. (templated)
    :param pattern: a regular expression that has to match somewhere in the text, in the syntax of Python's ``re``.
        Start it with ``(?i)`` to ignore case. Default: any text.
    :param return_text: whether the result contains the text, as ``text``. Airflow then stores the text in its database
        and shows it in the web interface. Default no.
    :param max_outage: how long to wait while every poll fails (5xx, 429, no connection, unreadable responses), as a
        timedelta or in seconds. Default one hour; ``None`` leaves only ``timeout``.
    :param deferrable: whether to wait on the triggerer, without a worker. Default: ``[operators] default_deferrable``.
    :param ip1_conn_id: Airflow connection with the API key. Default ``ip1_default``. (templated)
    :return: a dictionary with ``message_id``, ``batch_id``, ``received`` (ISO 8601, UTC) and ``groups``, the names of
        the groups of ``pattern`` that matched, in the order of the pattern.
    :raises ValueError: an argument is invalid. The error names the argument.

    ``timeout`` counts as in every sensor: from the start of each try, but on Airflow 2.11 in ``reschedule`` mode from
    the start of the first one. The last poll is at the end of that time.
    """

    trigger_path = "airflow_provider_ip1.triggers.incoming_sms_wait:IncomingSmsWaitTrigger"
    template_fields: Sequence[str] = ("participant", "since", "ip1_conn_id")

    @failing_at_once()
    def __init__(
        self,
        *,
        participant: str | None,
        since: datetime | str | None = None,
        pattern: str | None = None,
        return_text: bool = False,
        max_outage: timedelta | float | None = timedelta(hours=1),
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        ip1_conn_id: str = "ip1_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(max_outage=max_outage, deferrable=deferrable, ip1_conn_id=ip1_conn_id, **kwargs)
        if pattern is not None:
            Pattern(pattern)
        self._is_from_anyone = participant is None
        self.participant = participant
        self.since = since
        self.pattern = pattern
        self.return_text = return_text

    def _make_watch(self, started_at: float, state: Mapping[str, Any] | None = None) -> IncomingWatch:
        since = time_or_none(self.since, "since") or datetime.fromtimestamp(started_at, UTC) - CLOCK_MARGIN
        participant = None
        if not self._is_from_anyone:
            participant = required_text(self.participant, "participant")
            refuse_printed_list(participant, "participant")
        return IncomingWatch(participant, since, self.pattern, state)

    @failing_at_once()
    def _make_wait(self, context: Context) -> Wait[IncomingWatch]:
        # Airflow passes the values of a mapped task to the constructor, also those that come from other tasks.
        if self._is_from_anyone and getattr(context.get("ti"), "map_index", -1) >= 0:
            raise ValueError(
                "participant is None in a mapped task, where it may be a value that is missing. Give a number or name. "
                "To wait for an SMS from anyone, do not map the task."
            )
        return super()._make_wait(context)

    def _finish(self, status: str, text: str, messages: list[dict[str, Any]]) -> dict[str, Any]:
        super()._finish(status, text, messages)
        match messages:
            case [
                {"message_id": str(), "batch_id": str() | None, "received": str() | None, "groups": list()} as message
            ]:
                return message | {"text": self._read_text(message)} if self.return_text else message
        raise self._unexpected_event()

    def _read_text(self, message: dict[str, Any]) -> str:
        """Read the text on the worker, because the trigger's event is stored in Airflow's database."""
        from airflow_provider_ip1.hooks.ip1 import IP1Hook

        if message["batch_id"] is None:
            raise IP1ResponseError(
                f"iP.1 returned message {message['message_id']} without a batch id, so its text cannot be read. "
                "Report the message id to iP.1."
            )
        with IP1Hook(required_text(self.ip1_conn_id, "ip1_conn_id")) as hook:
            return hook.get_message(message["batch_id"], message["message_id"]).body or ""
