# SPDX-License-Identifier: Apache-2.0
"""The trigger that waits for message statuses on the triggerer."""

from __future__ import annotations

from airflow_provider_ip1.api.watching.status_watch import StatusWatch
from airflow_provider_ip1.triggers.base import BasePollingTrigger


class MessageStatusTrigger(BasePollingTrigger):
    """
    Polls iP.1 until messages have reached a status, have failed, or time is up.

    It sends one event, a dictionary of at most 4 KB without personal data. Its ``status`` is ``success`` or ``failure``
    (with ``messages``, or with their ``count`` if they do not fit), ``timeout``, or ``error`` (with the name of the
    exception in ``error``). Every event except a success has a ``text``.

    :param ip1_conn_id: Airflow connection. The trigger looks it up for each poll. Default ``ip1_default``.
    :param wait: the wait of a :class:`~airflow_provider_ip1.sensors.message_status.MessageStatusSensor`, as
        :meth:`Wait.to_dict <airflow_provider_ip1.api.watching.wait.Wait.to_dict>` describes it.
    """

    watch_class = StatusWatch
