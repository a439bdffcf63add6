# SPDX-License-Identifier: Apache-2.0
"""
No key, message body or whole number in any log or exception, whatever goes wrong.

Every logger is open at DEBUG, asyncio describes every step it takes, and every error is looked at with its whole chain.
"""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from airflow_provider_ip1.exceptions import IP1Error
from airflow_provider_ip1.hooks.ip1 import IP1Hook
from airflow_provider_ip1.sandbox.participants import MAIN, SEVEN
from airflow_provider_ip1.sandbox.server import SandboxServer
from tests.airflow_names import redact
from tests.hooks.hook_clients import CONN_ID, AsyncClient, Client, RawServer, send

MakeClient = Callable[..., Client]
Connect = Callable[..., str]

KEY = "k3y-that-must-stay-here"
BODY = "the code is 8841, do not tell"
SECRETS = (KEY, MAIN, SEVEN, BODY, "8841, do")


class Records(logging.Handler):
    """Everything that is in the log records, not only what a formatter would print."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        parts = [record.getMessage(), repr(record.msg), repr(record.args), str(record.exc_text), str(record.stack_info)]
        if record.exc_info:
            parts += traceback.format_exception(*record.exc_info)
        self.texts.append(f"{record.name}: " + "\n".join(parts))


@pytest.fixture
def records() -> Iterator[Records]:
    handler = Records()
    names = ["", "urllib3", "requests", "aiohttp", "asyncio", "airflow", "airflow.task", "airflow_provider_ip1"]
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    loggers[0].addHandler(handler)
    try:
        yield handler
    finally:
        loggers[0].removeHandler(handler)
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@pytest.fixture
def client(make_client: MakeClient, records: Records) -> Callable[[], Client]:
    def make() -> Client:
        client = make_client()
        if isinstance(client, AsyncClient):
            loop = client.runner.get_loop()
            loop.set_debug(True)
            loop.slow_callback_duration = 0.0
        return client

    return make


def chain(error: BaseException) -> Iterator[BaseException]:
    waiting, seen = [error], set()
    while waiting:
        link = waiting.pop()
        if id(link) not in seen:
            seen.add(id(link))
            yield link
            waiting += [found for found in (link.__cause__, link.__context__) if found is not None]


def assert_nothing_leaked(texts: list[str], secrets: tuple[str, ...] = SECRETS) -> None:
    for text in texts:
        for secret in secrets:
            assert secret not in text


def texts_of(error: BaseException) -> list[str]:
    texts = ["".join(traceback.format_exception(error))]
    for link in chain(error):
        texts += [str(link), repr(link), repr(link.args), repr(vars(link))]
    return texts


@contextmanager
def sandbox(connect: Connect, *faults: str, **extra: Any) -> Iterator[SandboxServer]:
    with SandboxServer(messages=60, faults=faults, key=KEY) as server:
        connect(server.url, password=KEY, max_attempts=2, timeout=[5, 0.5], **extra)
        yield server


FAULTS = [
    "400", "401", "403", "408", "418", "429", "429:retry-after=600", "500", "503", "reset", "close", "truncate",
    "truncate:chunked=yes", "badjson", "html", "empty", "slow:seconds=5", "ignore-start",
    "redirect:to=https://elsewhere.example/v2/conversations/46701740605",
    "redirect:to=/conversations/46701740605/again", "redirect:to=/V2/Conversations/46701740605",
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_faults(
    fault: str,
    connect: Connect,
    client: Callable[[], Client],
    records: Records,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with sandbox(connect, fault) as server:
        bodies = tuple(message["body"] for message in server.conversation()[:20])
        hook = client()
        for method, arguments in (("iter_messages", (f"+{MAIN}",)), ("get_summary", (MAIN,))):
            try:
                if method == "iter_messages":
                    list(hook.iterate(method, *arguments, page_size=20, direction="mt"))
                else:
                    hook.call(method, *arguments)
            except IP1Error as error:
                assert_nothing_leaked(texts_of(error), SECRETS + bodies)
                hook.hook.log.exception("The task failed.")
            else:
                assert fault == "ignore-start" and method == "get_summary"
        worked, text = hook.call("test_connection")
        assert_nothing_leaked([text])
    printed = capfd.readouterr()
    assert_nothing_leaked([*records.texts, printed.out, printed.err], SECRETS + bodies)


@pytest.mark.parametrize(
    "body",
    [
        f"<html>{BODY} {MAIN}</html>",
        f'{{"message": "{BODY}", "for": "{MAIN}"}}',
        f'["{BODY}", "{MAIN}"]',
        f'[{{"id": "a", "body": "{BODY}", "sender": {MAIN}}}]',
        f'[{{"id": "a", "body": "{BODY}", "statuses": "{MAIN}"}}]',
        f'[{{"id": "a", "body": ["{BODY}"], "modified": "{MAIN}"}}]',
        f'[{{"id": "a", "body": "{BODY}", "price": "{BODY}"}}]',
        f'[{{"id": "a", "body": "{BODY}", "modified": "{BODY}"}}]',
        f'[{{"body": "{BODY}", "sender": "{MAIN}"}}]',
        f'[{{"id": "a", "body": "{BODY}"',
        json.dumps([{"id": f"row{number}", "body": BODY, "sender": MAIN} for number in range(60)]),
    ],
)
def test_answers_of_a_wrong_shape(
    body: str,
    connect: Connect,
    client: Callable[[], Client],
    records: Records,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def answer(request: BaseHTTPRequestHandler) -> None:
        send(request, body=body.encode(), X_Echo=KEY)

    errors = 0
    with RawServer(answer) as server:
        connect(server.url, password=KEY, max_attempts=2)
        hook = client()
        for call in (
            lambda: list(hook.iterate("iter_messages", MAIN, page_size=20)),
            lambda: hook.call("get_summary", MAIN),
            lambda: hook.call("get_message", "b", "m"),
            lambda: list(hook.iterate("iter_batch_messages", "b")),
        ):
            try:
                call()
            except IP1Error as error:
                errors += 1
                assert_nothing_leaked(texts_of(error))
                hook.hook.log.exception("The task failed.")
    assert errors >= 1
    printed = capfd.readouterr()
    assert_nothing_leaked([*records.texts, printed.out, printed.err])


def test_a_reading_that_works(
    connect: Connect, client: Callable[[], Client], records: Records, capfd: pytest.CaptureFixture[str]
) -> None:
    with sandbox(connect) as server:
        bodies = tuple(message["body"] for message in server.conversation())
        hook = client()
        messages = list(hook.iterate("iter_messages", MAIN, page_size=20))
        hook.call("get_summary", MAIN)
        hook.call("get_message", messages[0].batch_id, messages[0].id)
    printed = capfd.readouterr()
    assert_nothing_leaked([*records.texts, printed.out, printed.err, repr(messages)], SECRETS + bodies)
    # The logs were looked at indeed: urllib3 and asyncio have had their say.
    if isinstance(hook, AsyncClient):
        assert any(text.startswith("asyncio: Executing") for text in records.texts)
    else:
        assert any(text.startswith("urllib3") and "/v2/conversations/46***05" in text for text in records.texts)


def test_reprs_of_what_people_print(connect: Connect, client: Callable[[], Client]) -> None:
    with sandbox(connect):
        hook = client()
        pages = list(hook.iterate("iter_pages", MAIN, page_size=20))
        settings = hook.hook.settings if not isinstance(hook, AsyncClient) else hook.call("get_settings")
        texts = [repr(hook.hook), repr(settings), repr(hook.call("get_conn"))]
        texts += [repr(page) for page in pages]
    assert_nothing_leaked(texts, (KEY, BODY))


def test_airflow_masks_the_redact_key_in_task_logs(connect: Connect) -> None:
    connect("http://127.0.0.1:1", redact_key="only-for-hashing")
    assert IP1Hook(CONN_ID).settings.redact_key == "only-for-hashing"
    # What Airflow does with each line of a task's log.
    assert redact("The key is only-for-hashing.") == "The key is ***."
