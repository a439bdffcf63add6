# SPDX-License-Identifier: Apache-2.0
"""
Sends a batch exactly once, or reports that the outcome is unknown.

iP.1 has no idempotency key, so a batch whose outcome is in doubt is never sent again. Instead it is searched for by its
reference among the account's newest batches.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from airflow_provider_ip1.api.account import senders_text
from airflow_provider_ip1.api.batches import Batch
from airflow_provider_ip1.api.paging.listing import batch_list
from airflow_provider_ip1.api.phone import mask_number
from airflow_provider_ip1.api.requests import send_request
from airflow_provider_ip1.api.sending import MAX_REFERENCE, OutgoingBatch
from airflow_provider_ip1.api.sent_batch import CANCELED, SendResult, has_reference, known_batch, read_sent_batch
from airflow_provider_ip1.client.base_client import BaseClient, Flow, ListReading, TimeIsUp, pause, within
from airflow_provider_ip1.client.batch_search import NEWEST, BatchSearch, another_batch
from airflow_provider_ip1.client.send_marker import Marker
from airflow_provider_ip1.client.senders import registered_senders
from airflow_provider_ip1.exceptions import IP1Error, IP1ResponseError, IP1ServerError

#: Shares of the time that is left: for the looks before the request to send, and for the request. The rest is for the
#: search after it.
_LOOK_SHARE: Final = 0.5
_SEND_SHARE: Final = 0.75
#: Seconds: the longest pause of an alert before it looks for the alert of another task a second time.
SPREAD = 5.0
#: Draws from a range. Tests replace it.
DRAW: Callable[[float, float], float] = random.uniform
#: How many tasks that fail at once the pauses are meant for.
_STORM: Final = 1000


def send_once(
    client: BaseClient,
    outgoing: OutgoingBatch,
    *,
    check_sent: bool,
    is_mapped: bool = False,
    marker: Marker | None = None,
    deadline: float = math.inf,
) -> Flow[SendResult]:
    """
    Send a batch.

    :param client: makes the requests.
    :param outgoing: the batch.
    :param check_sent: whether an earlier try may have sent it. If so, the flow first searches the account's batches
        for it, for 30 seconds.
    :param is_mapped: whether the batch belongs to a mapped task. Other instances of the task may then have sent other
        texts to the same recipients.
    :param marker: what the task remembers of its earlier tries, if it can. It may save the search.
    :param deadline: of the client's clock, for everything. Default: none.
    :return: the batch.
    :raises IP1ReferenceError: an earlier batch has the reference, and it is not this one. Nothing was sent.
    :raises IP1SendUnknownError: iP.1 may have accepted the batch, now or in an earlier try, but does not list it.
    :raises IP1RefusedError: iP.1 refused the batch. Nothing was sent.
    :raises IP1Error: the batch was not sent.
    """
    if marker is not None:
        if (posted := marker.posted()) is not None:
            sent = yield from _confirm(client, outgoing, *posted)
            if sent is not None:
                return sent
        check_sent = marker.must_search(check_sent)
        if not check_sent:
            marker.write("started")
    search = BatchSearch(client, outgoing, is_mapped=is_mapped)
    if check_sent:
        client.log.info("An earlier try may have sent reference %r. Looking for it.", outgoing.reference_label)
        sent = yield from search.run(has_read_all=False)
        if sent is not None:
            return _remember(marker, replace(sent, reused=True))
        search.raise_if_in_doubt()
    if marker is not None:
        marker.write("posting")
    call = client.new_call(send_request(outgoing.to_json()), lambda response: response, None)
    batch: Batch | None = None
    failure: IP1Error | None = None
    try:
        yield from within(client, _part(client, deadline, _SEND_SHARE), client.attempts(call))
        batch = read_sent_batch(call.result, outgoing)
    except TimeIsUp:
        problem = call.problem or "none, because requests with this key have to wait (requests_per_second, or a 429)"
        failure = IP1ServerError(f"The SMS was not sent: iP.1 did not accept it in time. Last attempt: {problem}.")
    except IP1Error as error:
        failure = error
    if batch is not None:
        _warn_if_renamed(client, batch, outgoing)
        return _remember(marker, SendResult(batch, len(outgoing.recipients), outgoing.segments))
    if failure is not None and not call.may_have_taken_effect:
        if marker is not None:
            marker.write("started")
        raise (yield from _explain(client, failure, call.status, outgoing.sender, deadline))
    doubt = str(failure or "The response of iP.1 does not contain the id of the batch.")
    client.log.warning("%s Looking for reference %r in the list of batches.", doubt, outgoing.reference_label)
    sent = yield from search.run(has_read_all=True, deadline=deadline)
    if sent is None:
        raise search.unknown_outcome(doubt, was_accepted=call.was_accepted)
    return _remember(marker, sent)


def _remember(marker: Marker | None, sent: SendResult) -> SendResult:
    if marker is not None:
        marker.write("posted", sent)
    return sent


def _warn_if_renamed(client: BaseClient, batch: Batch, outgoing: OutgoingBatch) -> None:
    if batch.reference not in (None, outgoing.reference):
        client.log.warning(
            "iP.1 has accepted batch %s, but with reference %r instead of %r. A further try would not find it. Set "
            "the argument reference to a text of at most %d characters.",
            batch.id,
            mask_number(batch.reference or ""),
            outgoing.reference_label,
            MAX_REFERENCE,
        )


def send_alert(
    client: BaseClient, outgoing: OutgoingBatch, *, is_limited: bool, deadline: float
) -> Flow[SendResult | None]:
    """
    Send a notification.

    :param client: makes the requests.
    :param outgoing: the batch.
    :param is_limited: whether other tasks may send the same alert, with the same reference, of which one is enough.
    :param deadline: of the client's clock, for everything.
    :return: the batch; ``None`` if iP.1 lists the alert of another task.
    :raises IP1Error: as :func:`send_once`.
    """
    if is_limited and (yield from _was_alerted(client, outgoing.reference, _part(client, deadline, _LOOK_SHARE))):
        return None
    return (yield from send_once(client, outgoing, check_sent=False, deadline=deadline))


def spread_pause(draw: float) -> float:
    """
    Return how long an alert waits before it looks a second time.

    Of many tasks that fail at once, a few get a short pause and most get nearly the longest one. The alert of the
    first is then listed before the others look. Uniform pauses would let many of them send. Source: the suppression
    timers of RFC 4654, 2.5.

    :param draw: a random number, above 0 and at most 1.
    :return: seconds, 0 to :data:`SPREAD`.
    """
    return SPREAD * max(0.0, 1.0 + math.log(draw) / math.log(_STORM))


def _was_alerted(client: BaseClient, reference: str, deadline: float) -> Flow[bool]:
    failure = ""
    # The first look ends most calls at once. Only those that it leaves have to wait.
    for is_first in (True, False):
        if not is_first:
            yield from pause(
                max(0.0, min(spread_pause(DRAW(1e-9, 1.0)), _part(client, deadline, 0.8) - client.clock()))
            )
        until = _part(client, deadline, 0.5) if is_first else deadline
        try:
            if (yield from _lists(client, reference, until)):
                return True
            failure = ""
        except TimeIsUp:
            failure = "iP.1 did not list its batches in time."
        except IP1Error as error:
            failure = str(error)
    if failure:
        client.log.warning("The alert is sent, because it is unknown whether another task has sent it. %s", failure)
    return False


def _part(client: BaseClient, deadline: float, share: float) -> float:
    """Return the moment at which a share of the time until a deadline will have passed."""
    now = client.clock()
    return now + share * (deadline - now)


def _lists(client: BaseClient, reference: str, deadline: float) -> Flow[bool]:
    batches, rows = ListReading(client, batch_list()), 0
    while rows < NEWEST and (page := (yield from batches.next_page(deadline))) is not None:
        if has_reference(page.raws, reference):
            return True
        rows += len(page)
    return False


def _confirm(client: BaseClient, outgoing: OutgoingBatch, batch_id: str, segments: int) -> Flow[SendResult | None]:
    """Return the batch that an earlier try has sent, unless iP.1 does not show it."""
    try:
        batch = yield from client.batch(batch_id)
    except IP1ResponseError as error:
        client.log.warning("An earlier try has sent batch %s, but iP.1 does not show it: %s", batch_id, error)
        return None
    if batch.status == CANCELED or (batch.message_summary and set(batch.message_summary) == {CANCELED}):
        raise another_batch(f"An earlier try has sent batch {batch_id}, and it was canceled.")
    return SendResult(known_batch(batch_id, outgoing), len(outgoing.recipients), segments, reused=True)


def _explain(client: BaseClient, error: IP1Error, status: int | None, sender: str, deadline: float) -> Flow[IP1Error]:
    """Add the registered senders to the error of a refusal, which may be about the sender."""
    if status not in (400, 403, 422):
        return error
    known = yield from registered_senders(client, deadline)
    # The errors of this package hold nothing but their text.
    return type(error)(f"{error} {senders_text(known, sender)}")
