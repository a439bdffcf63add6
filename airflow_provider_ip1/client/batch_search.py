# SPDX-License-Identifier: Apache-2.0
"""
Searches the batches of the account for one that may have been sent.

How soon iP.1 lists a batch is not documented. The search gives it 30 seconds.
"""

from __future__ import annotations

import math
from itertools import accumulate
from typing import Final

from airflow_provider_ip1.api.messages import Message
from airflow_provider_ip1.api.paging.listing import batch_list, batch_message_list
from airflow_provider_ip1.api.sending import MAX_REFERENCE, OutgoingBatch
from airflow_provider_ip1.api.sent_batch import Candidate, SendResult, candidates
from airflow_provider_ip1.api.wording import duration_text
from airflow_provider_ip1.client.base_client import BaseClient, Flow, ListReading, TimeIsUp, pause
from airflow_provider_ip1.exceptions import IP1Error, IP1ReferenceError, IP1ResponseError, IP1SendUnknownError

#: Seconds between two looks at the list of batches: 30 in all.
PAUSES: Final[tuple[float, ...]] = (1.0, 2.0, 4.0, 8.0, 15.0)
#: Seconds after which a search ends, if iP.1 responds slowly or not at all.
SEARCH_SECONDS: Final = 60.0
#: Seconds that a search before sending has for the next page, however long it has taken already.
_PAGE_SECONDS: Final = 15.0
#: How many of the newest batches a repeated look covers. iP.1 limits its newer API to 30 requests per second, so no
#: more than 900 batches can follow one that was sent within the search.
NEWEST: Final = 1000
#: Messages per request while the recipients of a batch are compared.
_MESSAGES_PER_PAGE: Final = 1000


class BatchSearch:
    """
    Looks for a batch among those of the account.

    :param client: makes the requests.
    :param outgoing: the batch to look for.
    :param is_mapped: see :func:`~airflow_provider_ip1.client.send_once.send_once`.
    """

    def __init__(self, client: BaseClient, outgoing: OutgoingBatch, *, is_mapped: bool) -> None:
        self._client = client
        self._outgoing = outgoing
        self._is_mapped = is_mapped
        self._found: SendResult | None = None
        self._until = 0.0
        self._may_extend = False
        self._seconds = 0.0
        #: Why a batch that seems to be the one is not, as a sentence.
        self._difference = ""
        #: Why the last look failed. Without one, iP.1 did not list the batch.
        self._failure = ""

    def run(self, *, has_read_all: bool, deadline: float = math.inf) -> Flow[SendResult | None]:
        """
        Look for the batch for 30 seconds, also if looking fails.

        :param has_read_all: whether the batch can only be among the newest. Otherwise one look covers all batches.
        :param deadline: of the client's clock. Default: :data:`SEARCH_SECONDS` from now.
        """
        clock = self._client.clock
        began = clock()
        self._may_extend = not has_read_all
        self._until = deadline if deadline < math.inf else began + SEARCH_SECONDS
        moments = list(accumulate((0.0, *PAUSES)))
        for seconds in moments:
            wait = began + seconds - clock()
            # Looks are left out if those before have taken their time, but never the last one: without it, the search
            # would not cover what iP.1 lists late.
            if wait < 0 and seconds not in (0.0, moments[-1]):
                continue
            if clock() + wait >= deadline:
                break
            yield from pause(max(0.0, wait))
            try:
                yield from self._look(NEWEST if has_read_all else None)
            except (IP1Error, TimeIsUp) as error:
                self._failure = str(error) or "iP.1 did not respond in time."
                self._client.log.warning("The search for the batch has failed: %s", self._failure)
                continue
            has_read_all, self._failure = True, ""
            if self._found is not None:
                break
        self._seconds = clock() - began
        return self._found

    def raise_if_in_doubt(self) -> None:
        """
        Raise an error unless the search before sending has shown that no earlier try has sent the batch.

        :raises IP1SendUnknownError: the last look failed.
        :raises IP1ReferenceError: a batch has the reference, and it is not this one.
        """
        if self._failure:
            raise IP1SendUnknownError(
                f"It is unknown whether an earlier try has sent the SMS with reference "
                f"{self._outgoing.reference_label!r}: the search for it has failed. This try has sent nothing. Run the "
                "task again, which looks for the reference first, or see in iP.1's portal whether the SMS was sent. "
                f"Cause: {self._failure}"
            )
        if self._difference:
            raise another_batch(self._difference)

    def unknown_outcome(self, doubt: str, *, was_accepted: bool) -> IP1SendUnknownError:
        """
        Return the error for a batch that was not found after the request to send it.

        :param doubt: what happened to the request, as a sentence.
        :param was_accepted: whether the server responded 2xx.
        """
        details = f" {self._difference or self._failure}" if self._difference or self._failure else ""
        return IP1SendUnknownError(
            f"It is unknown whether the SMS with reference {self._outgoing.reference_label!r} was sent: iP.1 did not "
            f"list it within {duration_text(self._seconds)}.{details} See in iP.1's portal whether it was sent. If "
            f"it was not, run the task again: it looks for the reference first. Cause: {doubt}",
            was_accepted=was_accepted,
        )

    def _look(self, newest: int | None) -> Flow[None]:
        batches, rows = ListReading(self._client, batch_list()), 0
        while newest is None or rows < newest:
            page = yield from batches.next_page(self._until)
            if page is None:
                return
            rows += len(page)
            if self._may_extend:
                # Reading a large account may take longer, as long as pages keep arriving.
                self._until = max(self._until, self._client.clock() + _PAGE_SECONDS)
            for candidate in candidates(page.raws, self._outgoing, is_mapped=self._is_mapped):
                if (yield from self._is_it(candidate)):
                    return

    def _is_it(self, candidate: Candidate) -> Flow[bool]:
        messages: list[Message] = []
        difference = candidate.difference(is_mapped=self._is_mapped)
        if difference is None:
            listed = ListReading(self._client, batch_message_list(candidate.head.id, page_size=_MESSAGES_PER_PAGE))
            try:
                while (page := (yield from listed.next_page(self._until))) is not None:
                    messages += page.messages
            except (IP1Error, TimeIsUp):
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
            self._difference = (
                f"iP.1 lists batch {candidate.head.id} for reference {self._outgoing.reference_label!r}, and that "
                f"batch {difference}."
            )
        return difference is None


def another_batch(difference: str) -> IP1ReferenceError:
    """
    Return the error for a batch that has the reference and does not count as sent.

    :param difference: why it does not, as a sentence.
    """
    return IP1ReferenceError(
        f"{difference} Nothing was sent now. If the SMS should be sent, set the argument reference to a "
        f"text of at most {MAX_REFERENCE} characters that no other SMS has."
    )
