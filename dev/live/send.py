# SPDX-License-Identifier: Apache-2.0
"""Send one SMS through the real iP.1 API, to learn what its documentation leaves open about sending."""

from __future__ import annotations

import time
from collections.abc import Callable
from urllib.parse import urlsplit

from airflow_provider_ip1.api.call import Response
from airflow_provider_ip1.api.sending import OutgoingBatch, check_batch, random_reference
from airflow_provider_ip1.api.sent_batch import read_sent_batch
from airflow_provider_ip1.exceptions import IP1ParticipantError
from dev.live.exchange import Exchange, shape
from dev.live.survey import Api, CannotCheck

TEXT = "Test of airflow-provider-ip1."
#: Seconds to wait for the batch to appear in the list.
PATIENCE = 120.0
_NEWEST = 50


def send_one(
    api: Api,
    to: str,
    sender: str,
    *,
    ask: Callable[[str], str] = input,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> list[tuple[str, str]]:
    """
    Send one SMS after a confirmation, and watch for it in the list of batches.

    :param api: the server.
    :param to: the recipient's number, with country code.
    :param sender: a registered sender.
    :param ask: prints a question and returns what was typed.
    :param sleep: waits for a number of seconds.
    :param clock: returns seconds that only grow.
    :return: questions with answers that contain no personal data.
    :raises CannotCheck: the arguments cannot be used, or the user did not confirm.
    """
    outgoing = _outgoing(to, sender)
    host = urlsplit(api.base_url).hostname
    typed = ask(f"This sends one SMS through {host} to the number ending in {to.strip()[-2:]}. Type send to confirm: ")
    if typed.strip() != "send":
        raise CannotCheck("Nothing was sent, because you did not type send.")
    response = api.post("/v2/batches", outgoing.to_json())
    started = clock()
    answers = [
        ("Response to POST /v2/batches", f"{response.status}, {shape(response)}"),
        ("Header Location", "present" if response.headers.get("location") else "absent"),
    ]
    if not 200 <= response.status < 300:
        return answers
    batch = read_sent_batch(Response(response.status, response.headers, response.body), outgoing)
    answers.append(("Id in the response", "absent" if batch is None else f"{len(batch.id)} characters"))
    answers.append(("Delay of the list of batches", _delay(api, outgoing, started, sleep, clock)))
    return answers


def _outgoing(to: str, sender: str) -> OutgoingBatch:
    try:
        return check_batch(recipients=[to], body=TEXT, sender=sender, reference=random_reference())
    except (ValueError, IP1ParticipantError) as error:
        problem = str(error)
    raise CannotCheck(problem)


def _delay(
    api: Api, outgoing: OutgoingBatch, started: float, sleep: Callable[[float], None], clock: Callable[[], float]
) -> str:
    while True:
        listed = api.get("/v2/batches", start=0, limit=_NEWEST, order="DESC")
        seconds = clock() - started
        if _has_reference(listed, outgoing.reference):
            return f"the list shows the batch, with its reference unchanged, after {seconds:.0f} s"
        if seconds > PATIENCE:
            return f"the list does not show the reference within {PATIENCE:.0f} s (status {listed.status})"
        sleep(1.0)


def _has_reference(listed: Exchange, reference: str) -> bool:
    batches = listed.json if isinstance(listed.json, list) else []
    return any(isinstance(batch, dict) and batch.get("reference") == reference for batch in batches)
