# SPDX-License-Identifier: Apache-2.0
"""What goes wrong on the way, against the sandbox's faults: every row once and in order, or a typed error."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from airflow_provider_ip1.api.call import MAX_REDIRECTS
from airflow_provider_ip1.api.messages import Message
from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.client.base_client import BaseClient
from airflow_provider_ip1.exceptions import (
    IP1AuthError,
    IP1ConnectionError,
    IP1Error,
    IP1PagingError,
    IP1ParticipantError,
    IP1RateLimitError,
    IP1ResponseError,
    IP1ServerError,
)
from airflow_provider_ip1.sandbox.participants import MAIN, SEVEN
from airflow_provider_ip1.sandbox.server import SandboxServer
from tests.hooks.hook_clients import Client, RawServer, send

Serve = Callable[..., SandboxServer]
MakeClient = Callable[..., Client]
Connect = Callable[..., str]


def read(client: Client, **arguments: Any) -> list[bytes]:
    messages: list[Message] = list(client.iterate("iter_messages", MAIN, **arguments))
    return [bytes(message.raw_json) for message in messages]


# -- troubles that pass


@pytest.mark.parametrize(
    "fault",
    ["429@3", "408@3", "500@3", "502@3:body=html", "503@3:body=empty", "504@3:body=gateway", "429@2:retry-after=0",
     "reset@1", "reset@3", "close@3", "truncate@2", "truncate@3:chunked=yes", "badjson@3", "html@3", "empty@3",
     "503@2-5", "reset@2-4"],
)  # fmt: skip
def test_a_passing_trouble_costs_nothing_but_requests(serve: Serve, make_client: MakeClient, fault: str) -> None:
    server = serve(fault)
    client = make_client()
    assert read(client, page_size=20) == server.conversation_bytes()
    assert client.hook.retries >= 1


def test_the_log_says_why_requests_are_repeated_in_one_line_at_a_time(
    serve: Serve,
    make_client: MakeClient,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level("INFO")
    # However slow the machine is, there are no further lines.
    monkeypatch.setattr("airflow_provider_ip1.client.base_client.PROGRESS_INTERVAL", 3600.0)
    server = serve("429@2-4", "503@5-10", "truncate@11-14", "html@15-20", max_attempts=20)
    client = make_client()
    assert read(client, page_size=20) == server.conversation_bytes()
    # Airflow 2 writes what caplog has, too. Airflow 3 only writes.
    output = capsys.readouterr().out
    [line] = [line for line in (output or caplog.text).splitlines() if "again" in line]
    assert any(reason in line for reason in ("429, too many requests", "status 503", "cannot be read"))
    assert MAIN not in line


def test_a_slow_answer_is_given_up_and_asked_for_again(serve: Serve, make_client: MakeClient) -> None:
    # Of the many attempts, one gets its answer in time even on a busy machine.
    server = serve("slow@2:seconds=300", timeout=[30, 0.5], max_attempts=20)
    assert read(make_client(), page_size=60, concurrency=1) == server.conversation_bytes()


@pytest.mark.parametrize(
    "fault", ["slow:seconds=20", "reset", "close", "truncate", "badjson", "html", "empty", "503", "429"]
)
@pytest.mark.parametrize("attempts", [1, 3])
def test_attempts_bound_everything(serve: Serve, make_client: MakeClient, fault: str, attempts: int) -> None:
    server = serve(fault, timeout=[30, 0.3], max_attempts=attempts)
    client = make_client()
    with pytest.raises((IP1ServerError, IP1ResponseError, IP1RateLimitError), match=f"after {attempts} attempt"):
        read(client)
    assert client.hook.requests_sent == attempts
    # A request that was given up may not have been answered, so not all are in the sandbox's log.
    assert len(server.requests) <= attempts
    with pytest.raises(IP1Error):
        client.call("get_summary", SEVEN)


@pytest.mark.parametrize(("status", "error"), [(400, IP1ParticipantError), (401, IP1AuthError), (403, IP1AuthError)])
def test_a_refusal_is_one_request(serve: Serve, make_client: MakeClient, status: int, error: type[IP1Error]) -> None:
    server = serve(str(status))
    with pytest.raises(error):
        read(make_client())
    assert len(server.requests) == 1


def test_a_refusal_in_the_middle_comes_after_the_pages_before_it(serve: Serve, make_client: MakeClient) -> None:
    serve("403@4-")
    # One at a time: of several requests in flight, any may be the fourth to arrive.
    pages = make_client().iterate("iter_pages", MAIN, page_size=10, concurrency=1)
    got = [next(pages).number for _ in range(3)]
    assert got == [0, 1, 2]
    with pytest.raises(IP1AuthError):
        next(pages)
    with pytest.raises(StopIteration):
        next(pages)


@pytest.mark.parametrize(
    ("fault", "seconds"), [("429@2:retry-after=3", 3.0), ("503@2:retry-after-date=2", 1.9)], ids=["seconds", "date"]
)
def test_retry_after_is_kept_to(serve: Serve, make_client: MakeClient, fault: str, seconds: float) -> None:
    server = serve(fault)
    assert read(make_client(), page_size=60) == server.conversation_bytes()
    refused = next(index for index, request in enumerate(server.requests) if request.status in (429, 503))
    asked_again = next(
        request for request in server.requests[refused + 1 :] if request.query == server.requests[refused].query
    )
    assert asked_again.received_at - server.requests[refused].received_at >= seconds


def test_a_wish_for_a_long_pause_is_an_error_at_once(serve: Serve, make_client: MakeClient) -> None:
    server = serve("429:retry-after=3600")
    with pytest.raises(IP1RateLimitError) as caught:
        read(make_client())
    assert caught.value.retry_after == 3600
    assert len(server.requests) == 1


# -- servers with ways of their own


@pytest.mark.parametrize("order", ["ASC", "DESC"])
@pytest.mark.parametrize(
    "faults",
    [
        *([f"link={style}"] for style in (
            "no-semicolon", "swallowed", "none", "relative", "uppercase", "self", "garbage", "foreign", "off-by-one",
            "requested-limit",
        )),
        ["clamp=7"],
        ["clamp=7", "link=off-by-one"],
        ["clamp=7", "link=none"],
        ["clamp=60", "link=requested-limit"],
        ["start=1-based"],
        ["start=1-based", "clamp=9", "link=none"],
        ["past-end=404"],
        ["past-end=404", "start=1-based", "link=garbage"],
        ["enums=strings"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_every_way_of_paging(serve: Serve, make_client: MakeClient, faults: list[str], order: str) -> None:
    server = serve(*faults)
    there = server.conversation_bytes()
    assert read(make_client(), page_size=20, order=order) == (there if order == "ASC" else there[::-1])


def test_a_start_that_is_ignored(serve: Serve, make_client: MakeClient) -> None:
    server = serve("ignore-start")
    with pytest.raises(IP1PagingError, match="whatever 'start' is"):
        read(make_client(), page_size=20)
    assert len(server.requests) < 20


def test_a_start_that_is_ignored_without_links(serve: Serve, make_client: MakeClient) -> None:
    serve("ignore-start", "link=none")
    with pytest.raises(IP1PagingError, match="whatever 'start' is"):
        read(make_client(), page_size=60)


# -- rows that come and go


@pytest.mark.parametrize("order", ["ASC", "DESC"])
@pytest.mark.parametrize(
    "changes",
    [
        ["insert@3:count=5"],
        ["insert@2-8:count=3"],
        ["insert@3:count=4,at=head"],
        ["insert@2-6:count=19,at=head"],
        ["delete@3:count=5"],
        ["delete@3:count=40"],
        ["delete@4:count=5,at=tail"],
        ["delete@2-9:count=1", "insert@2-9:count=1"],
        ["insert@3:count=6,at=middle", "delete@5:count=6,at=middle"],
        ["delete@2:count=90"],
    ],
    ids=" ".join,
)
def test_rows_there_throughout_come_out(serve: Serve, make_client: MakeClient, changes: list[str], order: str) -> None:
    server = serve(*changes)
    before = server.conversation_bytes()
    got = read(make_client(), page_size=20, order=order)
    after = set(server.conversation_bytes())
    throughout = [raw for raw in before if raw in after]
    if order == "DESC":
        throughout.reverse()
    assert len(got) == len(set(got))
    kept = set(throughout)
    assert [raw for raw in got if raw in kept] == throughout


@pytest.mark.parametrize("seed", range(12))
def test_all_of_it_at_once(serve: Serve, make_client: MakeClient, seed: int) -> None:
    """Faults, changes and styles drawn at random: the rows there throughout, or a typed error."""
    draw = random.Random(seed)
    faults = [
        f"{draw.choice(['429', '503', 'reset', 'truncate', 'badjson', 'html', 'empty'])}~{draw.choice([0.05, 0.2])}",
        f"link={draw.choice(['rfc8288', 'none', 'garbage', 'off-by-one', 'requested-limit', 'swallowed'])}",
        f"past-end={draw.choice(['404', 'empty'])}",
        f"start={draw.choice(['1-based', '0-based'])}",
        f"insert@1-40~0.3:count={draw.randint(1, 9)},at={draw.choice(['head', 'middle', 'tail'])}",
        f"delete@1-40~0.2:count={draw.randint(1, 9)},at={draw.choice(['head', 'middle', 'tail'])}",
    ]
    if draw.random() < 0.5:
        faults.append(f"clamp={draw.randint(4, 30)}")
    order = draw.choice(["ASC", "DESC"])
    server = serve(*faults, max_attempts=8)
    before = server.conversation_bytes()
    options = {"page_size": draw.randint(5, 40), "concurrency": draw.randint(1, 6), "order": order}
    try:
        pages: list[Page] = list(make_client().iterate("iter_pages", MAIN, **options))
    except IP1Error:
        return
    got = [bytes(raw) for page in pages for raw in page.raws]
    assert len(got) == len(set(got))
    after = set(server.conversation_bytes())
    throughout = [raw for raw in before if raw in after]
    assert set(throughout) <= set(got)
    # Rows that only the count revealed come after the rest.
    late = {bytes(raw) for page in pages if page.is_late for raw in page.raws}
    in_order = [raw for raw in (throughout if order == "ASC" else throughout[::-1]) if raw not in late]
    assert [raw for raw in got if raw in set(in_order)] == in_order


# -- redirects and other hosts


@pytest.fixture
def stranger() -> Any:
    """Somebody else's server, which writes down what it is sent."""
    with RawServer(lambda request: send(request)) as server:
        yield server


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_within_the_origin_is_followed_with_the_key(
    serve: Serve, make_client: MakeClient, status: int
) -> None:
    server = serve(f"redirect@1:to=/v2/conversations/{SEVEN},status={status}")
    got = [bytes(message.raw_json) for message in make_client().iterate("iter_messages", SEVEN)]
    assert got == server.conversation_bytes(SEVEN)
    assert all(request.had_key for request in server.requests)
    assert [request.path for request in server.requests] == [f"/v2/conversations/{SEVEN}"] * 2
    assert [request.query for request in server.requests[:2]] == [
        {"start": "0", "limit": "200", "order": "ASC"},
        {},
    ]


def test_redirects_without_end(serve: Serve, make_client: MakeClient) -> None:
    server = serve("redirect:to=/v2/again")
    with pytest.raises(IP1ResponseError, match="redirects"):
        read(make_client())
    assert len(server.requests) == MAX_REDIRECTS + 1


@pytest.mark.parametrize(
    "form", ["{url}/v2/x", "//127.0.0.1:{port}/", "{url}\\@127.0.0.1:{own}/", "http://a@127.0.0.1:{port}/"]
)
def test_a_redirect_to_another_server_never_carries_the_key(
    connect: Connect, make_client: MakeClient, stranger: RawServer, form: str
) -> None:
    def answer(request: BaseHTTPRequestHandler) -> None:
        own = request.server.server_address[1]  # type: ignore[index]
        if request.path.startswith("/v2/conversations/"):
            send(request, 302, Location=form.format(url=stranger.url, port=stranger.port, own=own))
        else:
            send(request)

    with RawServer(answer) as server:
        connect(server.url)
        try:
            got = read(make_client())
        except IP1ConnectionError as error:
            assert "another server" in str(error)
            assert len(server.seen) == 1
        else:
            # The crooked form is taken for a path on the connection's own server.
            assert got == [] and "\\" in form
        assert all(headers["authorization"] == "Bearer sandbox-key" for _, headers in server.seen)
    assert stranger.seen == []


def test_links_to_another_server_are_not_followed(serve: Serve, make_client: MakeClient, stranger: RawServer) -> None:
    server = serve(f"link=foreign:to={stranger.url}")
    assert read(make_client(), page_size=20) == server.conversation_bytes()
    assert stranger.seen == []


# -- answers no sandbox gives


def test_a_body_that_trickles_in_is_given_up(
    connect: Connect, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each byte comes within the read timeout; all of them together would take minutes."""
    monkeypatch.setattr(BaseClient, "max_response_timeouts", 1)
    stop = threading.Event()

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "100000")
        request.end_headers()
        while not stop.wait(0.05):
            request.wfile.write(b" ")

    with RawServer(answer) as server:
        connect(server.url, timeout=[0.5, 1], max_attempts=2)
        try:
            with pytest.raises(IP1ServerError, match="after 2 attempts"):
                read(make_client())
        finally:
            stop.set()
    assert len(server.seen) == 2


def test_an_answer_without_end_is_not_read_into_memory(
    connect: Connect, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BaseClient, "max_body_bytes", 1_000_000)
    sent = 0

    def answer(request: BaseHTTPRequestHandler) -> None:
        nonlocal sent
        request.send_response(200)
        request.send_header("Connection", "close")
        request.end_headers()
        while sent < 500_000_000:
            sent += request.wfile.write(b"[" * 65536)

    with RawServer(answer) as server:
        connect(server.url)
        with pytest.raises(IP1ResponseError, match="larger than 1,000,000 bytes"):
            read(make_client())
    assert len(server.seen) == 1
    assert sent < 500_000_000


@pytest.mark.parametrize(
    "status_line",
    [
        b"HTTP/1.1 banana\r\n\r\n",
        b"SSH-2.0-server\r\n",
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd",
    ],
)
def test_what_is_no_http_is_a_typed_error(connect: Connect, make_client: MakeClient, status_line: bytes) -> None:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(status_line)
        request.close_connection = True

    with RawServer(answer) as server:
        connect(server.url, max_attempts=2)
        with pytest.raises(IP1ServerError, match="after 2 attempts"):
            read(make_client())
    assert len(server.seen) == 2


def test_nobody_listens(connect: Connect, make_client: MakeClient) -> None:
    with RawServer(send) as server:
        pass
    connect(server.url, max_attempts=2)
    with pytest.raises(IP1ServerError, match="refused|Connect call failed"):
        read(make_client())


def test_an_unknown_host(connect: Connect, make_client: MakeClient) -> None:
    connect("https://no-such-host.invalid", max_attempts=2)
    with pytest.raises(IP1ServerError, match="after 2 attempts"):
        read(make_client())


def test_a_status_that_nobody_knows(serve: Serve, make_client: MakeClient) -> None:
    serve("unknown-status=777")
    codes = {message.status_code for message in make_client().iterate("iter_messages", MAIN)}
    assert 777 in codes and 201 not in codes
