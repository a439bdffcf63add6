# SPDX-License-Identifier: Apache-2.0
"""
What both clients do, without doing any I/O themselves.

Each operation is a generator that yields what has to happen (send a request, pause) and is resumed with the outcome.
:class:`~airflow_provider_ip1.client.sync_client.SyncClient` and
:class:`~airflow_provider_ip1.client.async_client.AsyncClient` drive the same generators, so they cannot disagree.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, ClassVar, Final, TypeAlias, TypeVar

from airflow_provider_ip1.api.batches import Batch
from airflow_provider_ip1.api.call import Call, Response, RetryPolicy, TransportFailure, http_date
from airflow_provider_ip1.api.decoding import decode_batch, decode_message, decode_summary
from airflow_provider_ip1.api.json_text import UnreadableBody, parse_json
from airflow_provider_ip1.api.messages import ConversationSummary, Message
from airflow_provider_ip1.api.page_body import RawPage, read_link, split_page
from airflow_provider_ip1.api.paging.larger_pages import LargerPages
from airflow_provider_ip1.api.paging.listing import Listing, Lists, PageRequest
from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.api.paging.read_ahead import ReadAhead
from airflow_provider_ip1.api.requests import (
    Request,
    batch_request,
    batches_request,
    cancel_request,
    message_request,
    normalize_participant,
    senders_request,
    summary_request,
)
from airflow_provider_ip1.api.settings import Settings
from airflow_provider_ip1.api.timestamps import is_plausible
from airflow_provider_ip1.api.wording import Log
from airflow_provider_ip1.client.logs import PROGRESS_INTERVAL, Progress
from airflow_provider_ip1.client.outcome import ACCEPT_ENCODING
from airflow_provider_ip1.client.shared_rate import SharedRate
from airflow_provider_ip1.exceptions import IP1ConnectionError, IP1Error

T = TypeVar("T")

#: Requests in flight that a session keeps connections for: the largest ``concurrency``.
MAX_CONNECTIONS: Final = 64
#: Bytes that are read from a response at a time.
CHUNK_BYTES: Final = 256 * 1024


Flow: TypeAlias = Generator[Call[Any] | float, Response | TransportFailure | None, T]
"""
An operation: yields what has to happen, and returns its result.

For a :class:`~airflow_provider_ip1.api.call.Call`, send its request to its URL and resume with the outcome. A number is
how many seconds, above 0, to wait.
"""


class TimeIsUp(Exception):
    """The deadline of an operation has passed. What it has sent so far was refused, or never left this machine."""


class BaseClient:
    """
    The operations of a client.

    :param settings: of the connection.
    :param user_agent: sent with each request.
    :param log: gets progress and retries.
    """

    #: Bytes. No page of 10,000 messages comes near it. A response without end is not read into memory.
    max_body_bytes: ClassVar = 256 * 1024 * 1024
    #: A response may take this many read timeouts in all, headers included, however slowly it arrives.
    max_response_timeouts: ClassVar = 10

    def __init__(self, settings: Settings, *, user_agent: str, log: Log) -> None:
        self.settings = settings
        #: Of each request, without the key.
        self.headers = {"Accept": "application/json", "Accept-Encoding": ACCEPT_ENCODING, "User-Agent": user_agent}
        self.log = log
        #: Requests sent so far, repeated ones included.
        self.requests_sent = 0
        #: How many of them repeated another after a failure.
        self.retries = 0
        #: iP.1's clock minus this machine's, by the last response whose date was not ahead; 0 or less.
        self.clock_offset = timedelta(0)
        self._counting = threading.Lock()
        self._rate = SharedRate.of(settings)
        self._next_retry_line = 0.0
        # Whether the server has given a response that only iP.1's API gives.
        self._is_proven = False
        self._larger_pages = LargerPages()
        #: The clock of deadlines and of lines about retries, in seconds. Tests replace it.
        self.clock: Callable[[], float] = time.monotonic

    # -- operations

    def summary(self, participant: str) -> Flow[ConversationSummary]:
        """
        Fetch the summary of a conversation.

        :param participant: phone number with country code, or sender name.
        """
        normalized = normalize_participant(participant)
        return self.call(
            summary_request(normalized),
            lambda response: decode_summary(response.body),
            missing=lambda: ConversationSummary(participant=normalized, total_messages=0, total_sms=0),
        )

    def message(self, batch_id: str, message_id: str) -> Flow[Message]:
        """
        Fetch one message.

        :param batch_id: id of its batch.
        :param message_id: id of the message.
        """
        request = message_request(batch_id, message_id)
        return self.call(request, lambda response: decode_message(response.body))

    def batch(self, batch_id: str) -> Flow[Batch]:
        """
        Fetch one batch.

        :param batch_id: its id.
        """
        request = batch_request(batch_id)
        return self.call(request, lambda response: decode_batch(response.body))

    def cancel(self, batch_id: str) -> Flow[None]:
        """
        Cancel a batch.

        :param batch_id: its id.
        """
        return self.call(cancel_request(batch_id), lambda response: None)

    def page(self, wanted: PageRequest) -> Flow[RawPage]:
        """
        Fetch one page of a list.

        :param wanted: the page.
        """
        return self.call(wanted.request, partial(_read_page, key=wanted.request.key), missing=RawPage)

    def prove_server(self) -> Flow[None]:
        """
        Make sure that the server is iP.1's API, by a response that only the API gives.

        To iP.1 a 404 means "no messages", but any web server sends it for a path that it does not know.

        :raises IP1ConnectionError: the server does not have iP.1's lists.
        """
        for request in (replace(batches_request(), query=(("limit", "1"),)), senders_request()):
            call = self.new_call(request, _check_array, None)
            yield from self.attempts(call)
            if not call.is_not_found:
                self._is_proven = True
                return
        raise IP1ConnectionError(
            f"{self.settings.base_url} does not seem to be iP.1's API: it has neither /v2/batches nor /v2/me/senders "
            f"(404). Check the host of connection {self.settings.conn_id!r}."
        )

    def read_ahead(self, lists: Lists, concurrency: int | None) -> ReadAhead:
        """
        Prepare a read of lists.

        :param lists: the lists, in order; or the messages of the account.
        :param concurrency: most requests in flight; ``None`` for the connection's setting.
        """
        return ReadAhead(
            lists,
            page_size=self.settings.page_size,
            concurrency=concurrency or self.settings.concurrency,
            larger=self._larger_pages,
        )

    def read(self, ahead: ReadAhead, lists: Lists) -> Iterator[PageRequest | Page | None]:
        """
        Yield the steps of a read, see :meth:`ReadAhead.steps`, and log its progress.

        :param ahead: from :meth:`read_ahead`.
        :param lists: the lists.
        """
        progress = Progress(lists, self.settings.requests_per_second, time.monotonic())
        requests_before = self.requests_sent
        for step in ahead.steps():
            if isinstance(step, Page):
                line = progress.add(
                    step,
                    time.monotonic(),
                    lists_read=ahead.lists_read,
                    batches=ahead.batches_hint,
                    requests=self.requests_sent - requests_before,
                )
                if line:
                    self.log.info("Reading from iP.1: %s.", line)
            yield step

    # -- calls

    def call(self, request: Request, read: Callable[[Response], T], missing: Callable[[], T] | None = None) -> Flow[T]:
        """
        Send a request until it succeeds or fails permanently.

        :param request: the request.
        :param read: turns a successful response into the result.
        :param missing: makes the result for a 404 of a list.
        :raises IP1Error: the call failed.
        """
        call = self.new_call(request, read, missing)
        yield from self.attempts(call)
        if not call.is_not_found:
            self._is_proven = True
        elif not self._is_proven:
            yield from self.prove_server()
        return call.result

    def new_call(self, request: Request, read: Callable[[Response], T], missing: Callable[[], T] | None) -> Call[T]:
        """
        Prepare a call with the settings of this client.

        :param request: the request.
        :param read: turns a successful response into the result.
        :param missing: makes the result for a 404 of a list.
        """
        settings = self.settings
        return Call(
            request,
            base_url=settings.base_url,
            conn_id=settings.conn_id,
            read=read,
            missing=missing,
            policy=RetryPolicy(settings.max_attempts),
        )

    def attempts(self, call: Call[Any]) -> Flow[None]:
        """
        Send the request of a call until it succeeds or fails permanently.

        :param call: from :meth:`new_call`. It has the result.
        :raises IP1Error: the call failed.
        """
        while True:
            yield from self._rate.turn(self.settings.requests_per_second)
            outcome = yield call
            with self._counting:
                self.requests_sent += 1
            if outcome is None:
                raise RuntimeError("A client must resume the generator with the outcome of each call.")
            now = datetime.now(UTC)
            if isinstance(outcome, Response) and is_plausible(date := http_date(outcome.headers.get("date", "")), now):
                self.clock_offset = date - now
            try:
                delay = call.receive(outcome, now)
            finally:
                self._rate.hold(call.key_pause)
            if delay is None:
                return
            self._count_retry(call, delay)
            yield from pause(delay)

    def _count_retry(self, call: Call[Any], delay: float) -> None:
        with self._counting:
            self.retries += 1
            count, now = self.retries, self.clock()
            # While iP.1 fails, many requests are repeated. One line at a time says why.
            is_due = now >= self._next_retry_line
            if is_due:
                self._next_retry_line = now + PROGRESS_INTERVAL
        if is_due:
            self.log.info(
                "Requesting %s again in %.1f s: %s. Requests repeated so far: %d.",
                call.request.label,
                delay,
                call.problem,
                count,
            )


def within(client: BaseClient, deadline: float, flow: Flow[T]) -> Flow[T]:
    """
    Run an operation until a deadline, whatever the timeouts of the connection allow.

    :param client: has the clock.
    :param deadline: of that clock; infinite for none.
    :param flow: the operation.
    :raises TimeIsUp: the operation would have continued after the deadline. If the deadline interrupts an attempt, the
        operation sees an attempt without a response.
    """
    outcome: Response | TransportFailure | None = None
    while True:
        try:
            step = flow.send(outcome)
        except StopIteration as finished:
            result: T = finished.value
            return result
        outcome = None
        if deadline < math.inf:
            left = deadline - client.clock()
            # A pause that outlasts the deadline would only delay the error.
            if (left <= 0) if isinstance(step, Call) else (left <= step):
                flow.close()
                raise TimeIsUp
            if isinstance(step, Call):
                step.seconds_left = left if step.seconds_left is None else min(left, step.seconds_left)
        outcome = yield step


class ListReading:
    """
    A read of one list, page by page and one request at a time, as part of an operation.

    :param client: makes the requests.
    :param listing: the list.
    """

    def __init__(self, client: BaseClient, listing: Listing) -> None:
        self._client = client
        self._ahead = client.read_ahead([listing], concurrency=1)
        self._steps = client.read(self._ahead, [listing])
        self._wanted: PageRequest | None = None

    def next_page(self, deadline: float = math.inf) -> Flow[Page | None]:
        """
        Return the next page, which has at least one row; ``None`` after the last one.

        :param deadline: of the client's clock, until when the page has to arrive. Default: none.
        :raises TimeIsUp: it did not arrive in time.
        :raises IP1Error: the list cannot be read.
        """
        for step in self._steps:
            if isinstance(step, Page):
                return step
            if step is not None:
                self._wanted = step
            elif self._wanted is not None:
                outcome: RawPage | Exception
                try:
                    outcome = yield from within(self._client, deadline, self._client.page(self._wanted))
                except IP1Error as error:
                    outcome = error
                self._ahead.receive(self._wanted, outcome)
        return None


def pause(seconds: float) -> Flow[None]:
    """
    Wait, unless there is nothing to wait for.

    :param seconds: how long, 0 or more.
    """
    if seconds > 0:
        yield seconds


class Pages:
    """Pages of lists, of either client."""

    def __init__(self) -> None:
        self._opened: list[ReadAhead] = []

    def skip_rest(self) -> None:
        """Read no more of the list that the last page came from."""
        for ahead in self._opened:
            ahead.skip_rest()

    @property
    def lists_read(self) -> int:
        """How many lists were read, or skipped, to their end. Lists without messages count as well."""
        return sum(ahead.lists_read for ahead in self._opened)

    @property
    def empty_lists(self) -> list[Listing]:
        """Of the lists read so far, the batches that had no messages."""
        return [listing for ahead in self._opened for listing in ahead.empty_lists]


def _read_page(response: Response, key: str) -> RawPage:
    page = split_page(response.body, key)
    return replace(page, link=read_link(response.headers.get("link")))


def _check_array(response: Response) -> None:
    if not isinstance(parse_json(response.body), list):
        raise UnreadableBody("The body is not a JSON array.")
