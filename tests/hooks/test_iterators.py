# SPDX-License-Identifier: Apache-2.0
"""Reading ahead: how far, when it stops, and that nobody waits for what nobody wants."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import airflow_provider_ip1
from airflow_provider_ip1.hooks.ip1 import IP1Hook
from airflow_provider_ip1.sandbox.participants import MAIN, NAME, SEVEN
from airflow_provider_ip1.sandbox.server import SandboxServer
from tests.hooks.hook_clients import CONN_ID, Client, SyncClient

Serve = Callable[..., SandboxServer]
MakeClient = Callable[..., Client]


@pytest.mark.parametrize("concurrency", [1, 4])
def test_no_more_in_flight_than_allowed(serve: Serve, make_client: MakeClient, concurrency: int) -> None:
    # The first requests after the one that travels alone stay in flight until all of them have surely arrived.
    server = serve(f"slow@2-{concurrency + 1}:seconds=2", messages=400)
    list(make_client().iterate("iter_messages", MAIN, page_size=10, concurrency=concurrency))
    assert server.max_in_flight == concurrency


def test_an_idle_consumer_stops_the_reading_ahead(serve: Serve, make_client: MakeClient) -> None:
    server = serve(messages=400)
    client = make_client()
    pages = client.iterate("iter_pages", MAIN, page_size=10, concurrency=4)
    for _ in range(10):
        next(pages)
    # One request per page taken, four ahead, and one that was in flight when the last page was taken.
    assert requests_in_the_end(client, server) <= 15
    assert sum(1 for _ in pages) > 30


def begun(server: SandboxServer) -> int:
    """How many requests have arrived, answered or not."""
    return len(server.requests) + server.in_flight


def requests_in_the_end(client: Client, server: SandboxServer) -> int:
    """How many requests there were when no more came for a while. One that was on its way still arrives."""
    came = -1
    while came != begun(server):
        came = begun(server)
        client.idle(lambda: False, seconds=0.4)
    return came


@pytest.mark.parametrize("method", ["iter_messages", "iter_pages"])
def test_closing_early_stops_the_reading_ahead(serve: Serve, make_client: MakeClient, method: str) -> None:
    server = serve(messages=2000, latency=0.02)
    client = make_client()
    steps = client.iterate(method, MAIN, page_size=5, concurrency=4)
    for _ in range(3):
        next(steps)
    steps.close()
    # A reading to the end takes 500 requests.
    assert requests_in_the_end(client, server) < 30
    with pytest.raises(StopIteration):
        next(steps)


def test_closing_what_was_never_begun_sends_nothing(serve: Serve, make_client: MakeClient) -> None:
    server = serve()
    steps = make_client().iterate("iter_messages", MAIN)
    steps.close()
    assert server.requests == []


@pytest.mark.parametrize(
    "fault", ["slow@2-:seconds=300", "503@2-:retry-after=60"], ids=["slow-answer", "pause-before-retry"]
)
def test_closing_waits_for_nothing(serve: Serve, make_client: MakeClient, fault: str) -> None:
    server = serve(fault, messages=500)
    client = make_client()
    pages = client.iterate("iter_pages", MAIN, page_size=10, concurrency=3)
    next(pages)
    client.idle(lambda: begun(server) == 4, seconds=55)
    began = time.monotonic()
    pages.close()
    assert time.monotonic() - began < 50
    assert requests_in_the_end(client, server) == 4


def test_leaving_a_loop_stops_the_reading_ahead(serve: Serve) -> None:
    """A consumer that just breaks, as in a DAG: no close(), no context manager."""
    server = serve(messages=2000, latency=0.01)
    hook = IP1Hook(CONN_ID)
    for message in hook.iter_messages(MAIN, page_size=5, concurrency=4):
        assert message.id
        break
    assert requests_in_the_end(SyncClient(), server) < 30


def test_two_iterators_of_one_hook_at_the_same_time(serve: Serve, make_client: MakeClient) -> None:
    server = serve(messages=150)
    client = make_client()
    first = client.iterate("iter_messages", MAIN, page_size=10)
    second = client.iterate("iter_messages", MAIN, page_size=7, order="DESC")
    third = client.iterate("iter_messages", NAME)
    pairs = [(next(first).raw_json, next(second).raw_json) for _ in range(150)]
    there = server.conversation_bytes()
    assert [one for one, _ in pairs] == there
    assert [two for _, two in pairs] == there[::-1]
    assert [message.raw_json for message in third] == server.conversation_bytes(NAME)
    for steps in (first, second):
        with pytest.raises(StopIteration):
            next(steps)


def test_several_conversations_are_read_one_after_the_other(serve: Serve, make_client: MakeClient) -> None:
    server = serve(messages=90)
    participants = [SEVEN, MAIN, NAME]
    pages = list(make_client().iterate("iter_pages_of", participants, page_size=20))
    assert [bytes(raw) for page in pages for raw in page.raws] == [
        raw for participant in participants for raw in server.conversation_bytes(participant)
    ]


def test_skipping_the_rest_ends_one_conversation_only(serve: Serve, make_client: MakeClient) -> None:
    serve(messages=500)
    pages = make_client().iterate("iter_pages_of", [MAIN, SEVEN], page_size=20)
    seen = []
    for page in pages:
        seen.append(page.participant)
        pages.skip_rest()
    assert seen == [MAIN, SEVEN]


def test_one_hook_in_many_threads(serve: Serve) -> None:
    server = serve(messages=60)
    hook = IP1Hook(CONN_ID)
    results: list[list[bytes]] = []
    errors: list[BaseException] = []
    together = threading.Barrier(6)

    def work() -> None:
        try:
            together.wait()
            results.append([bytes(message.raw_json) for message in hook.iter_messages(MAIN, page_size=9)])
            assert hook.get_summary(SEVEN).total_messages == 7
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert results == [server.conversation_bytes()] * 6
    assert hook.requests_sent == len(server.requests)


def test_the_request_rate_is_kept_by_all_hooks_of_a_process_together(serve: Serve) -> None:
    server = serve(messages=30, requests_per_second=20)
    hooks = [IP1Hook(CONN_ID) for _ in range(3)]
    threads = [threading.Thread(target=lambda hook=hook: list(hook.iter_messages(MAIN, page_size=6))) for hook in hooks]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # 18 requests at 20 per second take at least 17 twentieths of a second. More is only the machine's doing.
    assert len(server.requests) >= 18
    assert time.monotonic() - began >= (len(server.requests) - 1) / 20


ABANDON = """
import sys, threading, time
from airflow_provider_ip1.hooks.ip1 import IP1Hook
pages = IP1Hook("ip1_test").iter_pages(sys.argv[1], page_size=10)
next(pages)
while len(threading.enumerate()) < 4:  # three requests are on their way
    time.sleep(0.01)
raise RuntimeError("the task failed")
"""


@pytest.mark.slow
def test_python_exits_while_a_slow_answer_is_outstanding(serve: Serve) -> None:
    server = serve("slow@2-:seconds=300", messages=500, timeout=[10, 200])
    with subprocess.Popen(
        [sys.executable, "-c", ABANDON, MAIN],
        cwd=Path(airflow_provider_ip1.__file__).parents[1],
        env=dict(os.environ),
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    ) as process:
        try:
            _, errors = process.communicate(timeout=150)
        finally:
            process.kill()
    assert process.returncode == 1 and b"the task failed" in errors
    assert server.requests
