# SPDX-License-Identifier: Apache-2.0
"""Both clients against the same raw responses: the same outcome, and within the deadline of a response."""

from __future__ import annotations

import asyncio
import itertools
import logging
import re
import socketserver
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from airflow_provider_ip1.api.paging.listing import conversation_lists
from airflow_provider_ip1.api.settings import Settings
from airflow_provider_ip1.client.async_client import AsyncClient, AsyncPages
from airflow_provider_ip1.client.base_client import BaseClient
from airflow_provider_ip1.client.sync_client import SyncClient, SyncPages
from airflow_provider_ip1.exceptions import IP1Error
from tests.client.raw_responses import RawResponse, cases

CASES = {case.name: case for case in cases()}
#: Seconds. A read may take as long as this, and a response five times as long.
READ_TIMEOUT = 0.4
RESPONSE_TIMEOUTS = 5
#: What takes until one of these times is over. All other responses get plenty of time, also on a busy machine.
SLOW = ("slow-", "endless-", "silence")
#: Seconds. The server sends one of these for longer than this, so only a client that gives up is done before.
PATIENCE = 60
#: Bytes that the server has sent of each case.
SENT: Counter[str] = Counter()
LOG = logging.getLogger("test")
#: Responses that no client can use. Which of the errors it is depends on where a library notices.
UNUSABLE = ("IP1ServerError", "IP1ResponseError")
#: Responses that only one of the libraries can read.
DIFFERENT = {
    "chunks-no-last-line": "aiohttp insists on the line break at the very end",
    "chunks-long-extension": "http.client limits a line to 64 kB",
    "transfer-gzip-chunked": "http.client does not decode two transfer codings, and aiohttp ignores the first",
    "status-line-http-1.2": "aiohttp accepts known versions only",
    "status-line-blank-line-first": "aiohttp skips it",
}

#: Newer releases of aiohttp refuse the complete response, too.
EITHER = "many-equal-headers-behind-the-body"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server that sends the raw response whose name is the participant."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                line = self.rfile.readline()
                if not line:
                    return
                head += line
            path = head.split(b" ")[1].decode()
            found = re.search(r"/conversations/case-([^/?]+)", path)
            case = CASES[found[1]] if found else CASES["chunks-empty"]
            try:
                self.send(case)
            except OSError:
                pass

        def send(self, case: RawResponse) -> None:
            until = time.monotonic() + 2 * PATIENCE
            repeated = itertools.repeat(case.pieces[-1], *([case.repeats] if case.repeats else []))
            for piece in itertools.chain(case.pieces[:-1], repeated):
                if time.monotonic() > until:
                    break
                self.wfile.write(piece)
                SENT[case.name] += len(piece)
                time.sleep(case.pause)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True
        request_queue_size = 64

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture(autouse=True)
def limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BaseClient, "max_response_timeouts", RESPONSE_TIMEOUTS)
    monkeypatch.setattr(BaseClient, "max_body_bytes", 10_000_000)


def settings_for(url: str, name: str) -> Settings:
    # Connecting to this machine takes no time. Its timeout is a part of the deadline of a response.
    timeout = (2.0, READ_TIMEOUT) if name.startswith(SLOW) else (30.0, 30.0)
    return Settings("c", url, "key", timeout=timeout, max_attempts=1, requests_per_second=0)


def outcome_of(read: Callable[[], list[str]]) -> tuple[str, float]:
    began = time.monotonic()
    try:
        outcome = ",".join(read())
    except IP1Error as error:
        outcome = type(error).__name__
        assert "case-" not in str(error) or "/v2/conversations/case-" in str(error)
    return outcome, time.monotonic() - began


def sync_outcome(url: str, name: str) -> tuple[str, float]:
    client = SyncClient(settings_for(url, name), user_agent="test", log=LOG)
    try:
        pages = SyncPages(client, conversation_lists([f"case-{name}"]), None)
        return outcome_of(lambda: [key for page in pages for key in page.ids])
    finally:
        client.close()


def async_outcome(url: str, name: str) -> tuple[str, float]:
    async def read() -> list[str]:
        client = await AsyncClient.open(settings_for(url, name), user_agent="test", log=LOG)

        async def opened() -> AsyncClient:
            return client

        try:
            pages = AsyncPages(opened, conversation_lists([f"case-{name}"]), None)
            return [key async for page in pages for key in page.ids]
        finally:
            await client.close()

    return outcome_of(lambda: asyncio.run(read()))


@pytest.mark.parametrize("name", CASES)
def test_both_clients_agree(url: str, name: str) -> None:
    (by_requests, seconds), (by_aiohttp, async_seconds) = sync_outcome(url, name), async_outcome(url, name)
    if name in DIFFERENT:
        # One client reads every message, the other raises an error. Neither loses a message.
        assert {by_requests, by_aiohttp} in ({"a1,b2", "IP1ServerError"}, {"a1,b2", "IP1ResponseError"})
    elif name == EITHER:
        assert {by_requests, by_aiohttp} <= {"a1,b2", *UNUSABLE}
    elif by_requests not in UNUSABLE or by_aiohttp not in UNUSABLE:
        assert by_requests == by_aiohttp
    if name.startswith(SLOW):
        assert max(seconds, async_seconds) < PATIENCE


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("endless-")])
@pytest.mark.parametrize("outcome", [sync_outcome, async_outcome])
def test_an_endless_response_is_not_read_for_long(
    url: str, name: str, outcome: Callable[[str, str], tuple[str, float]]
) -> None:
    SENT[name] = 0
    assert outcome(url, name)[0] in UNUSABLE
    assert SENT[name] < 20_000_000


def test_there_are_many_cases() -> None:
    assert len(CASES) >= 200


@pytest.mark.parametrize("name", ["header-without-colon", "header-space-before-colon", "status-line-garbage"])
def test_malformed_headers_write_no_participant_into_any_log(
    url: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """urllib3 logs the URL of a response with malformed headers, at WARNING."""
    number = "46701740605"
    with caplog.at_level(logging.DEBUG):
        client = SyncClient(settings_for(url, name), user_agent="test", log=LOG)
        pages = SyncPages(client, conversation_lists([number]), None)
        monkey = CASES["chunks-empty"]
        CASES["chunks-empty"] = CASES[name]
        try:
            with pytest.raises(IP1Error):
                next(pages)
        finally:
            CASES["chunks-empty"] = monkey
            client.close()
    assert number not in caplog.text and number[2:] not in caplog.text
