# SPDX-License-Identifier: Apache-2.0
"""The client on requests."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future
from contextlib import closing
from dataclasses import replace
from functools import cached_property
from queue import SimpleQueue
from typing import Any, TypeVar

import requests
import urllib3

from airflow_provider_ip1.api.call import Call, Response, TransportFailure, origin
from airflow_provider_ip1.api.page_body import RawPage
from airflow_provider_ip1.api.paging.listing import Lists, PageRequest
from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.api.paging.read_ahead import Outcome, ReadAhead
from airflow_provider_ip1.client.base_client import CHUNK_BYTES, MAX_CONNECTIONS, BaseClient, Flow, Pages
from airflow_provider_ip1.client.logs import mask_http_logs
from airflow_provider_ip1.client.outcome import Body, UnusableBody, time_is_up, transport_failure
from airflow_provider_ip1.client.requests_adapter import Adapter
from airflow_provider_ip1.client.tls import Trust, find_proxy

T = TypeVar("T")

_BEFORE_SENDING = (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)


class SyncClient(BaseClient):
    """A client that blocks. It may be used from several threads. See :class:`BaseClient` for its arguments."""

    @cached_property
    def session(self) -> requests.Session:
        """The session that all requests go through, with the key, the user agent and the connection pool."""
        mask_http_logs()
        session = _Session()
        session.headers.update(self.headers)
        session.auth = self._authorize
        proxy = find_proxy(self.settings)
        session.proxies = {"all": proxy} if proxy else {}
        # Otherwise requests would take proxies from the environment for plain http, too.
        session.trust_env = False
        seconds = self.settings.timeout[1] * self.max_response_timeouts
        adapter = Adapter(MAX_CONNECTIONS, seconds=seconds, trust=Trust(self.settings))
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        return session

    def close(self) -> None:
        """Close the session and its connections. The client opens a new one when it is used again."""
        session = self.__dict__.pop("session", None)
        self.__dict__.pop("_prepared", None)
        if session is not None:
            session.close()

    def run(self, flow: Flow[T], closed: threading.Event | None = None) -> T:
        """
        Run an operation to its end.

        :param flow: the operation.
        :param closed: when it is set, the operation is given up.
        :return: the operation's result.
        """
        closed = closed or threading.Event()
        outcome: Response | TransportFailure | None = None
        while True:
            try:
                step = flow.send(outcome)
            except StopIteration as finished:
                result: T = finished.value
                return result
            outcome = None
            if not isinstance(step, Call):
                closed.wait(step)
            elif not closed.is_set():
                outcome = self._send(step)
            if closed.is_set():
                flow.close()
                raise _Closed

    @cached_property
    def _prepared(self) -> requests.PreparedRequest:
        """What all requests have in common."""
        return self.session.prepare_request(requests.Request("GET", self.settings.base_url))

    def _authorize(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        # Users may request anything with the session. A proxy that opens a tunnel never gets this header.
        if origin(request.url or "") == origin(self.settings.base_url):
            request.headers["Authorization"] = f"Bearer {self.settings.api_key}"
        return request

    def _send(self, call: Call[Any]) -> Response | TransportFailure:
        seconds = call.seconds_left
        if seconds is None:
            return self._send_patiently(call)
        # requests has a timeout for each read, but none for the whole, the look-up of the host's name included. So a
        # thread sends, and is left alone when time is up.
        outcome: Future[Response | TransportFailure] = Future()

        def send() -> None:
            try:
                outcome.set_result(self._send_patiently(call))
            except BaseException as error:  # the waiting thread raises it
                outcome.set_exception(error)

        threading.Thread(target=send, name="ip1-deadline", daemon=True).start()
        try:
            return outcome.result(timeout=seconds)
        except TimeoutError:
            return time_is_up(seconds)

    def _send_patiently(self, call: Call[Any]) -> Response | TransportFailure:
        session = self.session
        status = None
        try:
            request = self._prepared.copy()
            request.method, request.url = call.request.method, call.url
            if call.request.body is not None:
                request.headers["Content-Type"] = "application/json"
                request.prepare_body(call.request.body, None)
            # Session.send would add cookies, hooks and redirects, none of which are used here, at a third of the cost
            # of a request.
            with session.get_adapter(call.url).send(
                request, timeout=self.settings.timeout, stream=True, proxies=session.proxies
            ) as response:
                status = response.status_code
                return self._receive(response)
        except (UnusableBody, requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            failure = transport_failure(error, before_sending=_BEFORE_SENDING)
        return replace(failure, status=status or failure.status)

    def _receive(self, response: requests.Response) -> Response:
        headers = {name.lower(): value for name, value in response.headers.items()}
        body = Body(headers.get("content-encoding"), self.max_body_bytes)
        # Unlike iter_content, read1 leaves chunks to http.client, which limits the lines between them. The adapter has
        # told urllib3 not to decompress anything.
        while chunk := response.raw.read1(CHUNK_BYTES):
            body.add(chunk)
        return Response(response.status_code, headers, body.finish())


class SyncPages(Pages, Iterator[Page]):
    """
    Pages of lists, read ahead in threads. Nothing is sent before the first page is taken.

    Close it, or drop it, to stop reading ahead.

    :param client: sends the requests.
    :param lists: the lists, in order.
    :param concurrency: most requests in flight; ``None`` for the connection's setting.
    """

    def __init__(self, client: SyncClient, lists: Lists, concurrency: int | None) -> None:
        super().__init__()
        ahead = client.read_ahead(lists, concurrency)
        self._opened.append(ahead)
        # Not a method: the generator must not keep this object alive, or dropping it would not stop its threads.
        self._pages = _read(client, ahead, lists)

    def __next__(self) -> Page:
        return next(self._pages)

    def rows(self, read: Callable[[Page], Iterable[T] | None]) -> Iterator[T]:
        """
        Yield the rows of all pages. Closing the iterator closes the pages.

        :param read: returns the rows of a page; ``None`` to end.
        """
        with closing(self):
            for page in self:
                rows = read(page)
                if rows is None:
                    return
                yield from rows

    def close(self) -> None:
        """Stop reading. Does not wait for responses that are outstanding."""
        self._pages.close()


def _read(client: SyncClient, ahead: ReadAhead, lists: Lists) -> Generator[Page, None, None]:
    closed = threading.Event()
    jobs: SimpleQueue[PageRequest | None] = SimpleQueue()
    outcomes: SimpleQueue[tuple[PageRequest, Outcome | BaseException]] = SimpleQueue()
    threads = pending = 0

    def work() -> None:
        while (wanted := jobs.get()) is not None:
            outcome: Outcome | BaseException
            try:
                outcome = client.run(client.page(wanted), closed)
            except BaseException as error:  # the reading thread raises it
                outcome = error
            outcomes.put((wanted, outcome))
            # Otherwise this thread would keep both until its next request: a page in memory, and LargerPages waiting.
            del wanted, outcome

    try:
        for step in client.read(ahead, lists):
            if isinstance(step, Page):
                yield step
            elif step is not None:
                jobs.put(step)
                pending += 1
                if pending > threads:
                    threads += 1
                    # At exit, Python waits for the threads of a ThreadPoolExecutor, here for responses that are no
                    # longer needed. It does not wait for daemon threads.
                    threading.Thread(target=work, name="ip1-read-ahead", daemon=True).start()
            else:
                wanted, outcome = outcomes.get()
                pending -= 1
                if not isinstance(outcome, (RawPage, Exception)):
                    raise outcome
                ahead.receive(wanted, outcome)
    finally:
        closed.set()
        for _ in range(threads):
            jobs.put(None)


class _Closed(Exception):
    """Ends the work of a thread whose read was closed. Its outcome is never taken."""


class _Session(requests.Session):
    """A session that leaves redirects to :class:`~airflow_provider_ip1.api.call.Call`."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return None. Otherwise requests reads a redirect's body to its end even when it does not follow it."""
        return None
