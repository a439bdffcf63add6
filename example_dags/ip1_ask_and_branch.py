# SPDX-License-Identifier: Apache-2.0
"""
Ask a question by SMS, wait up to a day for YES or NO, and branch on the reply.

The wait is deferred, so it does not occupy a worker. Anyone can send an SMS with a forged sender, so do not approve
anything this way that needs proof of who replied.
"""

from __future__ import annotations

import logging
import os
from datetime import timedelta
from typing import Any

import pendulum

from airflow_provider_ip1.operators.send_sms import SendSmsOperator
from airflow_provider_ip1.sensors.incoming_sms import IncomingSmsSensor

try:
    from airflow.sdk import DAG, Param, task
except ImportError:  # Airflow 2
    from airflow import DAG
    from airflow.decorators import task
    from airflow.models.param import Param

with DAG(
    dag_id="ip1_ask_and_branch",
    description="Ask a question by SMS, wait for the reply, and branch on it",
    doc_md=__doc__,
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    tags=["ip1", "example"],
    params={
        "recipient": Param(
            os.environ.get("IP1_RECIPIENT", "46701740606"),
            type="string",
            title="Recipient",
            description="Who gets the question: phone number with country code, such as 46701740606.",
        ),
        "sender": Param(
            os.environ.get("IP1_SENDER", "46701740699"),
            type="string",
            title="Sender",
            description="Your number at iP.1, with country code. Nobody can reply to a name.",
        ),
        "question": Param(
            "Your appointment is tomorrow at 10. Will you come? Reply YES or NO.",
            type="string",
            format="multiline",
            title="Question",
            minLength=1,
            maxLength=459,
            description="The text of the SMS. One SMS has room for 160 characters, or 70 if it has any outside the GSM "
            "alphabet; up to three are sent as one.",
        ),
    },
):
    # [START howto_sensor_incoming_sms]
    ask = SendSmsOperator(
        task_id="ask",
        recipients="{{ params.recipient }}",
        sender="{{ params.sender }}",
        body="{{ params.question }}",
        retries=3,
        retry_delay=timedelta(minutes=5),
    )
    wait = IncomingSmsSensor(
        task_id="wait_for_reply",
        participant="{{ params.recipient }}",
        # The same time in every try. A reply may arrive before this task starts.
        since="{{ dag_run.run_after | default(dag_run.logical_date) }}",
        pattern=r"(?i)^\W*(?:(?P<yes>yes|ja)|(?P<no>no|nej))\b",
        deferrable=True,
        poke_interval=10,
        timeout=timedelta(days=1),
    )
    # [END howto_sensor_incoming_sms]

    # [START howto_sensor_incoming_sms_branch]
    @task.branch
    def choose(reply: dict[str, Any]) -> str:
        """Return the id of the task to run next."""
        return "keep_appointment" if "yes" in reply["groups"] else "cancel_appointment"

    # [END howto_sensor_incoming_sms_branch]

    @task
    def keep_appointment() -> None:
        """Log it. Confirm the appointment here instead."""
        logging.getLogger(__name__).info("The customer will come.")

    @task
    def cancel_appointment() -> None:
        """Log it. Cancel the appointment here instead."""
        logging.getLogger(__name__).info("The customer will not come.")

    ask >> wait
    choose(wait.output) >> [keep_appointment(), cancel_appointment()]
