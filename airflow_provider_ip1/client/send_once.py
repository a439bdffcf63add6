# SPDX-License-Identifier: Apache-2.0
"""
Sends a batch exactly once, or reports that the outcome is unknown.

iP.1 has no idempotency key, so a batch whose outcome is in doubt is never sent again. Instead it is searched for by its
reference among the account's newest batches. How soon iP.1 lists a batch is not documented; the search gives it 30
seconds.
"""

from __future__ import annotations

from typing import Final

from airflow_provider_ip1.api.batches import Batch
from airflow_provider_ip1.api.call import Response
from airflow_provider_ip1.api.page_body import RawPage
from airflow_provider_ip1.api.paging.listing import Listing, PageRequest
from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.api.requests import batches_request, send_request
from airflow_provider_ip1.api.sending import OutgoingBatch
from airflow_provider_ip1.api.sent_batch import SentBatch, find_batch, read_sent_batch
from airflow_provider_ip1.client.base_client import BaseClient, Flow, Pause
from airflow_provider_ip1.exceptions import IP1Error, IP1SendUnknownError

#: Seconds between two looks at the list of batches: 30 in all.
PAUSES: Final[tuple[float, ...]] = (1.0, 2.0, 4.0, 8.0, 15.0)
#: How many of the newest batches a repeated look covers. iP.1 limits its newer API to 30 requests per second, so no
#: more than 900 batches can follow one that was sent within the search.
NEWEST: Final = 1000


def send_once(client: BaseClient, outgoing: OutgoingBatch, *, look_first: bool) -> Flow[SentBatch]:
    """
    Send a batch.

    :param client: makes the requests.
    :param outgoing: the batch. No other batch of the account has its reference.
    :param look_first: whether an earlier try may have sent it. If so, the flow first searches the account's batches
        for it, for 30 seconds.
    :return: the batch.
    :raises IP1SendUnknownError: iP.1 may have accepted the batch, but does not list it.
    :raises IP1Error: the batch was not sent.
    """
    reference = outgoing.reference_label
    if look_first:
        batch = yield from _search(client, outgoing)
        if batch is not None:
            return SentBatch(batch, reused=True)
    call = client.new_call(send_request(outgoing.to_json()), _whole_response, None)
    try:
        yield from client.attempts(call)
        batch = read_sent_batch(call.result, outgoing)
        doubt = "The response of iP.1 does not contain the id of the batch."
    except IP1Error as error:
        if not call.may_have_taken_effect:
            raise
        batch, doubt = None, str(error)
    if batch is not None:
        return SentBatch(batch, reused=False)
    client.log.warning("%s Looking for reference %r in the list of batches.", doubt, reference)
    batch = yield from _search_despite_errors(client, outgoing)
    if batch is not None:
        return SentBatch(batch, reused=False)
    raise IP1SendUnknownError(
        f"It is unknown whether the SMS with reference {reference!r} was sent: iP.1 did not list a batch with this "
        f"reference within {sum(PAUSES):.0f} seconds. See in iP.1's portal whether it was sent. If it was not, run the "
        f"task again: it looks for the reference first. Cause: {doubt}"
    )


def _search(client: BaseClient, outgoing: OutgoingBatch) -> Flow[Batch | None]:
    batch = yield from _look(client, outgoing, None)
    for pause in PAUSES:
        if batch is not None:
            break
        yield Pause(pause)
        batch = yield from _look(client, outgoing, NEWEST)
    return batch


def _search_despite_errors(client: BaseClient, outgoing: OutgoingBatch) -> Flow[Batch | None]:
    for pause in (0.0, *PAUSES):
        if pause:
            yield Pause(pause)
        try:
            batch = yield from _look(client, outgoing, NEWEST)
        except IP1Error as error:
            client.log.warning("The list of batches could not be read: %s", error)
            continue
        if batch is not None:
            return batch
    return None


def _look(client: BaseClient, outgoing: OutgoingBatch, newest: int | None) -> Flow[Batch | None]:
    batches = Listing(batches_request(), order="DESC")
    ahead = client.read_ahead([batches], concurrency=1)
    wanted: PageRequest | None = None
    rows = 0
    for step in ahead.steps():
        if isinstance(step, Page):
            batch = find_batch(step.raws, outgoing)
            rows += len(step)
            if batch is not None or (newest is not None and rows >= newest):
                return batch
        elif step is not None:
            wanted = step
        elif wanted is not None:
            ahead.receive(wanted, (yield from _outcome(client, wanted)))
    return None


def _outcome(client: BaseClient, wanted: PageRequest) -> Flow[RawPage | Exception]:
    try:
        return (yield from client.page(wanted))
    except IP1Error as error:
        return error


def _whole_response(response: Response) -> Response:
    return response
