# SPDX-License-Identifier: Apache-2.0
"""The trigger that continues IncomingSmsSensor's wait on the triggerer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Unpack

from airflow_provider_ip1.api.privacy import mask_number
from airflow_provider_ip1.api.watching.incoming import IncomingWatch
from airflow_provider_ip1.api.watching.wait import Wait
from airflow_provider_ip1.triggers.base import BasePollingTrigger, ScheduleArguments


class IncomingSmsWaitTrigger(BasePollingTrigger):
    """
    Polls iP.1 until an SMS from a participant arrives, or time is up. Its event ends the wait of a deferred sensor.

    To start a DAG when an SMS arrives, use :class:`~airflow_provider_ip1.triggers.incoming_sms.IncomingSmsTrigger`.

    It sends one event, a dictionary without personal data. Its ``status`` is ``success`` (with one dictionary in
    ``messages``), ``timeout``, or ``error`` (with the name of the exception in ``error``).

    :param participant: phone number with country code, or sender name.
    :param since: messages received before this time do not count, in seconds since 1970.
    :param pattern: a regular expression that the text has to match. Default: any text.
    :param state: what the worker has seen already, as the sensor passes it on.
    :param schedule: when to poll and until when, see :class:`~airflow_provider_ip1.triggers.base.BasePollingTrigger`.
    """

    own_arguments = ("participant", "since", "pattern", "state")

    def __init__(
        self,
        *,
        participant: str,
        since: float,
        pattern: str | None = None,
        state: Mapping[str, Any] | None = None,
        **schedule: Unpack[ScheduleArguments],
    ) -> None:
        super().__init__(**schedule)
        self.participant = participant
        self.since = since
        self.pattern = pattern
        self.state = state

    @property
    def subject(self) -> str:
        """The participant, masked."""
        return mask_number(self.participant)

    def make_wait(self) -> Wait[IncomingWatch]:
        """:return: the wait that the arguments describe."""
        since = datetime.fromtimestamp(self.since, UTC)
        return Wait(IncomingWatch(self.participant, since, self.pattern, self.state), self.make_schedule())
