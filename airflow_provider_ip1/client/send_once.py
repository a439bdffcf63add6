# SPDX-License-Identifier: Apache-2.0
"""
Sends a batch exactly once, or reports that the outcome is unknown.

iP.1 has no idempotency key, so a batch whose outcome is in doubt is never sent again. Instead it is searched for by its
reference among the account's newest batches. How soon iP.1 lists a batch is not documented; the search gives it 30
seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from airflow_provider_ip1.api.call import Response
from airflow_provider_ip1.api.messages import Message
from airflow_provider_ip1.api.page_body import RawPage
from airflow_provider_ip1.api.paging.listing import Listing, PageRequest, batch_list, batch_message_list
from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.api.phone import mask_number
from airflow_provider_ip1.api.requests import send_request
from airflow_provider_ip1.api.sending import MAX_REFERENCE, OutgoingBatch
from airflow_provider_ip1.api.sent_batch import Candidate, SendResult, candidates, read_sent_batch
from airflow_provider_ip1.client.base_client import BaseClient, Flow, pause
from airflow_provider_ip1.exceptions import IP1Error, IP1ReferenceError, IP1ResponseError, IP1SendUnknownError

#: Seconds between two looks at the list of batches: 30 in all.
PAUSES: Final[tuple[float, ...]] = (1.0, 2.0, 4.0, 8.0, 15.0)
#: How many of the newest batches a repeated look covers. iP.1 limits its newer API to 30 requests per second, so no
#: more than 900 batches can follow one that was sent within the search.
NEWEST: Final = 1000
#: Messages per request while the recipients of a batch are compared.
_MESSAGES_PER_PAGE: Final = 1000


def send_once(
    client: BaseClient, outgoing: OutgoingBatch, *, check_sent: bool, is_mapped: bool = False
) -> Flow[SendResult]:
    """
    Send a batch.

    :param client: makes the requests.
    :param outgoing: the batch.
    :param check_sent: whether an earlier try may have sent it. If so, the flow first searches the account's batches
        for it, for 30 seconds.
    :param is_mapped: whether the batch belongs to a mapped task. Other instances of the task may then have sent other
        texts to the same recipients.
    :return: the batch.
    :raises IP1ReferenceError: an earlier batch has the reference, and it is not this one. Nothing was sent.
    :raises IP1SendUnknownError: iP.1 may have accepted the batch, now or in an earlier try, but does not list it.
    :raises IP1Error: the batch was not sent.
    """
    label = outgoing.reference_label
    search = _Search(client, outgoing, is_mapped=is_mapped)
    if check_sent:
        sent = yield from search.run(has_read_all=False)
        if sent is not None:
            return replace(sent, reused=True)
        if search.failure:
            raise IP1SendUnknownError(
                f"It is unknown whether an earlier try has sent the SMS with reference {label!r}: the search for it "
                "has failed. This try has sent nothing. Run the task again, which looks for the reference "
                f"first, or see in iP.1's portal whether the SMS was sent. Cause: {search.failure}"
            )
        if search.difference:
            raise IP1ReferenceError(
                f"{search.difference} Nothing was sent now. If the SMS should be sent, set the argument reference to a "
                f"text of at most {MAX_REFERENCE} characters that no other SMS has."
            )
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
        if batch.reference not in (None, outgoing.reference):
            client.log.warning(
                "iP.1 has accepted batch %s, but with reference %r instead of %r. A further try would not find it. Set "
                "the argument reference to a text of at most %d characters.",
                batch.id,
                mask_number(batch.reference or ""),
                label,
                MAX_REFERENCE,
            )
        return SendResult(batch, recipients=len(outgoing.recipients), segments=outgoing.segments)
    client.log.warning("%s Looking for reference %r in the list of batches.", doubt, label)
    sent = yield from search.run(has_read_all=True)
    if sent is not None:
        return sent
    difference = f" {search.difference}" if search.difference else ""
    raise IP1SendUnknownError(
        f"It is unknown whether the SMS with reference {label!r} was sent: iP.1 did not list it within "
        f"{sum(PAUSES):.0f} seconds.{difference} See in iP.1's portal whether it was sent. If it was not, run the task "
        f"again: it looks for the reference first. Cause: {doubt}",
        was_accepted=call.was_accepted,
    )


class _Search:
    """
    Looks for a batch among those of the account.

    :param client: makes the requests.
    :param outgoing: the batch to look for.
    :param is_mapped: see :func:`send_once`.
    """

    def __init__(self, client: BaseClient, outgoing: OutgoingBatch, *, is_mapped: bool) -> None:
        self._client = client
        self._outgoing = outgoing
        self._is_mapped = is_mapped
        self._found: SendResult | None = None
        #: Why a batch that seems to be the one is not, as a sentence.
        self.difference = ""
        #: Why the last look failed. Without one, iP.1 did not list the batch.
        self.failure = ""

    def run(self, *, has_read_all: bool) -> Flow[SendResult | None]:
        """
        Look for the batch for 30 seconds, also if looking fails.

        :param has_read_all: whether the batch can only be among the newest. Otherwise one look covers all batches.
        """
        for seconds in (0.0, *PAUSES):
            yield from pause(seconds)
            try:
                yield from self._look(NEWEST if has_read_all else None)
            except IP1Error as error:
                self.failure = str(error)
                self._client.log.warning("The search for the batch has failed: %s", error)
                continue
            has_read_all, self.failure = True, ""
            if self._found is not None:
                break
        return self._found

    def _look(self, newest: int | None) -> Flow[None]:
        rows = 0

        def take(page: Page) -> Flow[bool]:
            nonlocal rows
            rows += len(page)
            for candidate in candidates(page.raws, self._outgoing, is_mapped=self._is_mapped):
                if (yield from self._is_it(candidate)):
                    return True
            return newest is not None and rows >= newest

        yield from _read(self._client, batch_list(), take)

    def _is_it(self, candidate: Candidate) -> Flow[bool]:
        messages: list[Message] = []

        def take(page: Page) -> Flow[bool]:
            messages.extend(page.messages)
            yield from ()
            return False

        difference = candidate.difference(is_mapped=self._is_mapped)
        if difference is None:
            try:
                yield from _read(
                    self._client, batch_message_list(candidate.head.id, page_size=_MESSAGES_PER_PAGE), take
                )
            except IP1Error:
                # The reference alone tells that this is the batch. The messages only tell how long the text was.
                if not self._outgoing.covers_recipients:
                    raise
            if not messages and not self._outgoing.covers_recipients:
                # iP.1 may list a batch before its messages.
                raise IP1ResponseError(
                    f"iP.1 lists batch {candidate.head.id} with the reference, but no messages of it yet, so its "
                    "recipients are unknown."
                )
            difference = candidate.difference_of(messages)
        if difference is None:
            self._found = candidate.result(messages)
        else:
            self.difference = (
                f"iP.1 lists batch {candidate.head.id} for reference {self._outgoing.reference_label!r}, and that "
                f"batch {difference}."
            )
        return difference is None


def _read(client: BaseClient, listing: Listing, take: Callable[[Page], Flow[bool]]) -> Flow[None]:
    """Read a list until ``take`` has enough, one request at a time."""
    ahead = client.read_ahead([listing], concurrency=1)
    wanted: PageRequest | None = None
    for step in ahead.steps():
        if isinstance(step, Page):
            if (yield from take(step)):
                return
        elif step is not None:
            wanted = step
        elif wanted is not None:
            ahead.receive(wanted, (yield from _outcome(client, wanted)))


def _outcome(client: BaseClient, wanted: PageRequest) -> Flow[RawPage | Exception]:
    try:
        return (yield from client.page(wanted))
    except IP1Error as error:
        return error


def _whole_response(response: Response) -> Response:
    return response
