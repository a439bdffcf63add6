# SPDX-License-Identifier: Apache-2.0
"""The client on aiohttp."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import aiohttp
import yarl
from aiohttp.client_proto import ResponseHandler
from aiohttp.streams import EMPTY_PAYLOAD

from airflow_provider_ip1.api.call import Call, Response, TransportFailure
from airflow_provider_ip1.api.page_body import RawPage
from airflow_provider_ip1.api.paging.listing import Lists, PageRequest
from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.api.paging.read_ahead import ReadAhead
from airflow_provider_ip1.api.settings import Settings
from airflow_provider_ip1.api.wording import Log
from airflow_provider_ip1.client.base_client import CHUNK_BYTES, MAX_CONNECTIONS, BaseClient, Flow, Pages
from airflow_provider_ip1.client.logs import mask_http_logs
from airflow_provider_ip1.client.outcome import Body, UnusableBody, time_is_up, transport_failure
from airflow_provider_ip1.client.tls import Trust, find_proxy
from airflow_provider_ip1.exceptions import IP1Error

T = TypeVar("T")

#: Bytes of a status line or header field, and number of headers; http.client, below requests, has the same limits.
_MAX_LINE_BYTES = 65536
_MAX_HEADERS = 100
#: Bytes of a response besides its body: status lines, headers, sizes of chunks, and trailers.
_MAX_FRAME_BYTES = 2 * 1024 * 1024
#: Lines of the headers, together with those of interim responses.
_MAX_HEAD_LINES = 1000
#: Bytes that are parsed between two looks at these limits.
_PARSED_BYTES = 16 * 1024


class AsyncClient(BaseClient):
    """
    A client for one event loop, with an open session. See :class:`BaseClient` for its arguments.

    Make it with :meth:`open`.
    """

    session: aiohttp.ClientSession
    _headers: Mapping[str, str]
    _proxy: str | None
    _trust: Trust

    @classmethod
    async def open(cls, settings: Settings, *, user_agent: str, log: Log) -> AsyncClient:
        """
        Open a session in the running event loop.

        :param settings: of the connection.
        :param user_agent: sent with each request.
        :param log: gets progress and retries.
        :raises IP1ConnectionError: the CA certificates cannot be read.
        """
        mask_http_logs()
        client = cls(settings, user_agent=user_agent, log=log)
        client._proxy = await asyncio.to_thread(find_proxy, settings)
        client._trust = Trust(settings)
        if settings.base_url.startswith("https:"):
            await asyncio.to_thread(client._trust.context)
        # aiohttp sends the headers of a session to the proxy as well, with Authorization as Proxy-Authorization. These
        # belong to the requests, and the session has none.
        client._headers = client.headers | {"Authorization": f"Bearer {settings.api_key}"}
        connect, read = settings.timeout
        connector = aiohttp.TCPConnector(limit=MAX_CONNECTIONS)
        connector._factory = partial(_LimitedHandler, loop=asyncio.get_running_loop())  # type: ignore[assignment]
        client.session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(
                total=connect + cls.max_response_timeouts * read, sock_connect=connect, sock_read=read
            ),
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            max_line_size=_MAX_LINE_BYTES,
            max_field_size=_MAX_LINE_BYTES,
        )
        # Otherwise aiohttp itself repeats a request when the connection breaks. Call decides about that, and counts and
        # paces the attempts.
        client.session._retry_connection = False
        return client

    async def close(self) -> None:
        """Close the session and its connections."""
        await self.session.close()

    async def run(self, flow: Flow[T]) -> T:
        """
        Run an operation to its end.

        :param flow: the operation.
        :return: the operation's result.
        """
        outcome: Response | TransportFailure | None = None
        while True:
            try:
                step = flow.send(outcome)
            except StopIteration as finished:
                result: T = finished.value
                return result
            outcome = None
            if isinstance(step, Call):
                outcome = await self._send(step)
            else:
                await asyncio.sleep(step)

    async def _send(self, call: Call[Any]) -> Response | TransportFailure:
        seconds = call.seconds_left
        try:
            # Not wait_for: in Python 3.11, it can swallow a cancellation.
            async with asyncio.timeout(seconds) as limit:
                return await self._send_patiently(call)
        except TimeoutError:
            if seconds is None or not limit.expired():
                raise
            return time_is_up(seconds)

    async def _send_patiently(self, call: Call[Any]) -> Response | TransportFailure:
        request, status = call.request, None
        headers = {**self._headers} if request.body is None else {**self._headers, "Content-Type": "application/json"}
        try:
            async with self.session.request(
                request.method,
                yarl.URL(call.url, encoded=True),
                data=request.body,
                headers=headers,
                allow_redirects=False,
                proxy=self._proxy,
                ssl=call.url.startswith("http:") or self._trust.context(),
            ) as response:
                status = response.status
                if not _is_well_formed(response):
                    return TransportFailure("the response has malformed or too many headers", status=status)
                headers = {name.lower(): ", ".join(response.headers.getall(name)) for name in response.headers}
                body = Body(headers.get("content-encoding"), self.max_body_bytes)
                async for chunk in response.content.iter_chunked(CHUNK_BYTES):
                    body.add(chunk)
                return Response(response.status, headers, body.finish())
        except (UnusableBody, aiohttp.ClientError, OSError) as error:
            failure = transport_failure(error, before_sending=(aiohttp.ClientConnectorError,))
        return replace(failure, status=status)


def check_loop(loop: asyncio.AbstractEventLoop | None, *, may_have_ended: bool = False) -> None:
    """
    Make sure that something is used in its own event loop.

    :param loop: its event loop; ``None`` if it has none yet.
    :param may_have_ended: whether another event loop does not matter if it has been closed.
    :raises IP1Error: another event loop is running.
    """
    if loop not in (None, asyncio.get_running_loop()) and not (may_have_ended and loop.is_closed()):
        raise IP1Error(
            "This IP1AsyncHook, or an iterator of it, is in use in another event loop. Make a hook in each event loop, "
            "or close the hook in the other one first, with await hook.close()."
        )


class OneLoop(AsyncIterator[T]):
    """
    An iterator that can be used in one event loop only.

    An event loop closes its generators when it ends. They would seem to be exhausted in another one.

    :param generator: yields the items.
    """

    _loop: asyncio.AbstractEventLoop | None = None

    def __init__(self, generator: AsyncGenerator[T, None]) -> None:
        self._generator = generator

    async def __anext__(self) -> T:
        check_loop(self._loop)
        self._loop = asyncio.get_running_loop()
        return await anext(self._generator)

    async def aclose(self) -> None:
        """Stop reading, and cancel the requests that are outstanding."""
        check_loop(self._loop, may_have_ended=True)
        await self._generator.aclose()


class AsyncPages(Pages, OneLoop[Page]):
    """
    Pages of lists, read ahead in tasks. Nothing is looked up or sent before the first page is taken.

    :param open_client: returns the client.
    :param lists: the lists, in order.
    :param concurrency: most requests in flight; ``None`` for the connection's setting.
    """

    def __init__(
        self, open_client: Callable[[], Awaitable[AsyncClient]], lists: Lists, concurrency: int | None
    ) -> None:
        Pages.__init__(self)
        # Not a method: the generator must not keep this object alive.
        OneLoop.__init__(self, _read(open_client, lists, concurrency, self._opened))

    def rows(self, read: Callable[[Page], Iterable[T] | None]) -> AsyncIterator[T]:
        """
        Yield the rows of all pages. Closing the iterator closes the pages.

        :param read: returns the rows of a page; ``None`` to end.
        """
        return OneLoop(self._rows(read))

    async def _rows(self, read: Callable[[Page], Iterable[T] | None]) -> AsyncGenerator[T, None]:
        async with aclosing(self):
            async for page in self:
                rows = read(page)
                if rows is None:
                    return
                for row in rows:
                    yield row


async def _read(
    open_client: Callable[[], Awaitable[AsyncClient]], lists: Lists, concurrency: int | None, opened: list[ReadAhead]
) -> AsyncGenerator[Page, None]:
    client = await open_client()
    ahead = client.read_ahead(lists, concurrency)
    opened.append(ahead)
    pending: dict[asyncio.Task[RawPage], PageRequest] = {}
    try:
        for step in client.read(ahead, lists):
            if isinstance(step, Page):
                yield step
            elif step is not None:
                pending[asyncio.ensure_future(client.run(client.page(step)))] = step
            else:
                await _collect(ahead, pending)
    finally:
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)


async def _collect(ahead: ReadAhead, pending: dict[asyncio.Task[RawPage], PageRequest]) -> None:
    finished, _ = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
    for task in finished:
        error = task.exception()
        if error is not None and not isinstance(error, Exception):
            raise error
        ahead.receive(pending.pop(task), error if error is not None else task.result())


def _is_well_formed(response: aiohttp.ClientResponse) -> bool:
    """Judge the headers as http.client does. Older aiohttp accepts more."""
    texts = [response.reason or "", *response.headers.values()]
    return len(response.headers) <= _MAX_HEADERS and not any(
        "\0" in text or len(text) > _MAX_LINE_BYTES for text in texts
    )


class _LimitedHandler(ResponseHandler):
    """
    Closes the connection when a response has too many lines or bytes that do not belong to its body.

    Not every aiohttp limits the headers, trailers and interim responses that it keeps. Headers with the same name take
    a time that grows with the square of their number. So it parses a little at a time, and looks in between.
    """

    _received = 0
    _head_lines = 0

    def set_response_params(self, **params: Any) -> None:
        """Begin to receive a response."""
        self._received = self._head_lines = 0
        self._payload = None
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        """Parse what has arrived."""
        for start in range(0, len(data) or 1, _PARSED_BYTES):
            part = data[start : start + _PARSED_BYTES]
            in_head = self._payload is None or self._payload is EMPTY_PAYLOAD
            frame_bytes = self._received - (0 if self._payload is None else self._payload.total_bytes)
            if frame_bytes > _MAX_FRAME_BYTES or (in_head and self._head_lines > _MAX_HEAD_LINES):
                return self._drop()
            if not in_head and self._payload.is_eof():  # type: ignore[union-attr]  # mypy does not know in_head
                return self._drop()
            self._received += len(part)
            self._head_lines += part.count(b"\n") if in_head else 0
            super().data_received(part)
        return None

    def _drop(self) -> None:
        # When the connection ends, aiohttp would parse the headers that it has.
        self._parser = None
        if self._payload is not None and not self._payload.is_eof():
            self._payload.set_exception(aiohttp.ClientPayloadError())
        if self.transport is not None:
            self.transport.abort()
