# SPDX-License-Identifier: Apache-2.0
"""The trigger that continues IncomingSmsSensor's wait on the triggerer. Deferred tasks refer to it by its path."""

from __future__ import annotations

from airflow_provider_ip1.api.watching.incoming import IncomingWatch
from airflow_provider_ip1.triggers.base import BasePollingTrigger


class IncomingSmsWaitTrigger(BasePollingTrigger):
    """
    Polls iP.1 until an SMS arrives, or time is up. Its event ends the wait of a deferred sensor.

    To start a DAG when an SMS arrives, use :class:`~airflow_provider_ip1.triggers.incoming_sms.IncomingSmsTrigger`.

    It sends one event, a dictionary without personal data. Its ``status`` is ``success`` (with one dictionary in
    ``messages``), ``timeout``, or ``error`` (with the name of the exception in ``error``).

    :param ip1_conn_id: Airflow connection. The trigger looks it up for each poll. Default ``ip1_default``.
    :param wait: the wait of an :class:`~airflow_provider_ip1.sensors.incoming_sms.IncomingSmsSensor`, as
        :meth:`Wait.to_dict <airflow_provider_ip1.api.watching.wait.Wait.to_dict>` describes it.
    """

    watch_class = IncomingWatch
