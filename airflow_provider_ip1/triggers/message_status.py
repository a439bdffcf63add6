# SPDX-License-Identifier: Apache-2.0
"""The trigger that waits for message statuses on the triggerer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Unpack

from airflow_provider_ip1.api.privacy import mask_number
from airflow_provider_ip1.api.watching.status_rule import StatusArgument, StatusRule
from airflow_provider_ip1.api.watching.target import Target
from airflow_provider_ip1.api.watching.wait import Wait, check_not_found_timeout
from airflow_provider_ip1.api.watching.watch import Require, Watch, check_expected_count, check_require
from airflow_provider_ip1.triggers.base import BasePollingTrigger, ScheduleArguments


class MessageStatusTrigger(BasePollingTrigger):
    """
    Polls iP.1 until messages have reached a status, have failed, or time is up.

    Its serialized arguments are JSON values, and it keeps no other state. It may therefore move to another triggerer at
    any time, and may run twice, because it only reads.

    It sends one event, a dictionary of at most 4 KB without personal data. Its ``status`` is ``success`` or ``failure``
    (with ``messages``, or with their ``count`` if they do not fit), ``timeout``, or ``error`` (with the name of the
    exception in ``error``). Every event except a success has a ``text``.

    :param participant: phone number with country code, or sender name.
    :param batch_id: id of a batch.
    :param message_id: id of a message.
    :param reference: your own reference, given when the messages were sent.
    :param expected: status codes and categories that end the wait as a success. Default ``delivered``.
    :param failed: status codes and categories that end the wait as a failure. Default: every terminal category that is
        not expected.
    :param require: ``all`` (default) or ``any`` of the messages.
    :param expected_count: for a batch or reference, how many messages have to exist before the wait can end with
        ``require="all"``. Default: unknown.
    :param not_found_timeout: seconds or a timedelta. When iP.1 has not known any of the messages for that long, counted
        from ``known_at``, the wait ends with an ``IP1NotFoundError``. Default one hour; ``None`` means never.
    :param known_at: when iP.1 last returned one of the messages, in seconds since 1970. Default: ``started_at``.
    :param state: what the worker has found already, as the sensor passes it on.
    :param schedule: when to poll and until when, see :class:`~airflow_provider_ip1.triggers.base.BasePollingTrigger`.
    """

    own_arguments = (
        *("participant", "batch_id", "message_id", "reference", "expected", "failed", "require"),
        *("expected_count", "not_found_timeout", "known_at", "state"),
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
        expected_count: int | None = None,
        not_found_timeout: timedelta | float | None = timedelta(hours=1),
        known_at: float | None = None,
        state: Mapping[str, Any] | None = None,
        **schedule: Unpack[ScheduleArguments],
    ) -> None:
        super().__init__(**schedule)
        self.participant = participant
        self.batch_id = batch_id
        self.message_id = message_id
        self.reference = reference
        self.expected = expected
        self.failed = failed
        self.require = require
        self.expected_count = expected_count
        self.not_found_timeout = check_not_found_timeout(not_found_timeout)
        self.known_at = known_at
        self.state = state

    @property
    def subject(self) -> str:
        """The messages, for logs."""
        return self.message_id or self.batch_id or mask_number(str(self.reference))

    def make_wait(self) -> Wait[Watch]:
        """:return: the wait that the arguments describe."""
        target = Target(self.participant, self.batch_id, self.message_id, self.reference)
        rule = StatusRule.from_arguments(self.expected, self.failed)
        expected_count = check_expected_count(self.expected_count, target)
        return Wait(
            Watch(target, rule, check_require(self.require), expected_count, self.state),
            self.make_schedule(),
            known_at=self.started_at if self.known_at is None else self.known_at,
            not_found_timeout=self.not_found_timeout,
        )
