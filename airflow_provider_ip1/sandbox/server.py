# SPDX-License-Identifier: Apache-2.0
"""Running the sandbox: in an existing event loop, or in a thread for tests."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import MutableSet
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from airflow_provider_ip1.sandbox.airflow_connection import airflow_connection
from airflow_provider_ip1.sandbox.app import Sandbox
from airflow_provider_ip1.sandbox.conversation import Direction
from airflow_provider_ip1.sandbox.endpoints import enum_style
from airflow_provider_ip1.sandbox.faults import Faults
from airflow_provider_ip1.sandbox.participants import MAIN
from airflow_provider_ip1.sandbox.pusher import PushRecord
from airflow_provider_ip1.sandbox.replies import Replies
from airflow_provider_ip1.sandbox.request_log import RequestRecord
from airflow_provider_ip1.sandbox.send_request import SendRequest, render_texts


async def create_app(**options: Any) -> web.Application:
    """
    Return a sandbox as an aiohttp application, for use in a running event loop.

    :param options: see :class:`Sandbox`.
    """
    return Sandbox(**options).application()


async def start_site(sandbox: Sandbox, host: str, port: int) -> tuple[web.AppRunner, int]:
    """
    Serve a sandbox in the running event loop.

    :param host: the address to bind, such as 127.0.0.1.
    :param port: 0 picks a free port.
    :return: the runner, whose ``cleanup()`` stops the server, and the port.
    """
    # The server drops responses that are due when it stops. To aiohttp, 0 would mean to wait for them.
    runner = web.AppRunner(sandbox.application(), access_log=None, handle_signals=False, shutdown_timeout=0.05)
    await runner.setup()
    site = web.TCPSite(runner, host, port, reuse_address=True)
    try:
        await site.start()
    except OSError:
        await runner.cleanup()
        raise
    return runner, runner.addresses[0][1]


class SandboxServer:
    """
    A sandbox on a free loopback port, in its own thread; a context manager for tests.

    :param options: see :class:`Sandbox`.

    ``url`` and ``port`` tell where it listens, ``requests`` lists the requests so far, and ``pushes`` the attempts to
    send a delivery report or an incoming message. ``faults``, ``latency`` and ``key`` may change while it runs.
    """

    def __init__(self, **options: Any) -> None:
        self.requests: list[RequestRecord] = []
        self.pushes: list[PushRecord] = []
        self.sandbox = Sandbox(**options, record=self.requests.append, record_push=self.pushes.append)
        self.port = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._failure: BaseException | None = None
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,), name="ip1-sandbox", daemon=True)
        self._thread.start()
        started.wait()
        if self._failure is not None:
            raise RuntimeError("The sandbox could not start.") from self._failure

    def _run(self, started: threading.Event) -> None:
        async def main() -> None:
            runner, self.port = await start_site(self.sandbox, "127.0.0.1", 0)
            self._loop = asyncio.get_running_loop()
            started.set()
            try:
                await self._stop.wait()
            finally:
                await runner.cleanup()

        try:
            asyncio.run(main())
        except BaseException as error:  # noqa: BLE001 - raised in the thread that waits for the start
            self._failure = error
        finally:
            started.set()

    @property
    def url(self) -> str:
        """The base URL, without a trailing slash."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def key(self) -> str:
        """The API key that the sandbox accepts."""
        return self.sandbox.key

    @key.setter
    def key(self, key: str) -> None:
        self.sandbox.key = key

    def airflow_connection(self, **extra: Any) -> str:
        """
        Return an Airflow connection to this sandbox.

        :param extra: the connection's extras, such as ``max_attempts=2``.
        :return: JSON for an environment variable ``AIRFLOW_CONN_<ID>``.
        """
        return airflow_connection(self.url, self.key, **extra)

    @property
    def faults(self) -> Faults:
        """The faults, which may be changed."""
        return self.sandbox.faults

    @property
    def replies(self) -> Replies:
        """What recipients reply to messages that are sent later, which may be changed."""
        return self.sandbox.store.replies

    @property
    def senders(self) -> MutableSet[str]:
        """The registered senders, which may be changed. Only the option ``senders`` makes them matter."""
        return self.sandbox.store.account.senders

    @property
    def blacklist(self) -> MutableSet[str]:
        """The numbers that messages are not delivered to, which may be changed."""
        return self.sandbox.store.account.blacklist

    @property
    def balance(self) -> float:
        """What the account has left, in SEK; negative if it pays later."""
        return self.sandbox.store.account.balance

    @property
    def incoming_url(self) -> str | None:
        """Where incoming messages are pushed to. iP.1 has this setting in its portal. It may be changed."""
        return self.sandbox.incoming_url

    @incoming_url.setter
    def incoming_url(self, url: str | None) -> None:
        self.sandbox.incoming_url = url

    @property
    def latency(self) -> float:
        """How long each response takes at least, in seconds."""
        return self.sandbox.latency

    @latency.setter
    def latency(self, seconds: float) -> None:
        self.sandbox.latency = seconds

    @property
    def in_flight(self) -> int:
        """The number of requests in progress."""
        return self.sandbox.in_flight

    @property
    def max_in_flight(self) -> int:
        """The highest number of requests that were in progress at the same time."""
        return self.sandbox.max_in_flight

    def conversation_bytes(self, participant: str = MAIN, direction: Direction | None = None) -> list[bytes]:
        """
        Return the current messages with a participant, oldest first.

        :return: each message's JSON object as the API's list call shows it, byte for byte.
        """
        self.sandbox.store.receive_replies()
        conversation = self.sandbox.store.conversations.get(participant)
        if conversation is None:
            return []
        style = enum_style(self.faults.for_request(len(self.requests) + 1))
        now_ms = self.sandbox.store.now_ms()
        return [conversation.message(row, style, now_ms) for row in conversation.select(direction)]

    def conversation(self, participant: str = MAIN, direction: Direction | None = None) -> list[dict[str, Any]]:
        """Return the same as :meth:`conversation_bytes`, as dictionaries."""
        return [json.loads(raw) for raw in self.conversation_bytes(participant, direction)]

    def insert(self, participant: str = MAIN, count: int = 1, at: str | int = "tail") -> list[str]:
        """Put messages of the past into a conversation; see :meth:`.Conversation.insert`."""
        return self.sandbox.store.conversations[participant].insert(count, at)

    def delete(self, participant: str = MAIN, count: int = 1, at: str | int = "head") -> list[str]:
        """Take messages out of a conversation; see :meth:`.Conversation.delete`."""
        return self.sandbox.store.conversations[participant].delete(count, at)

    def override(self, at: int, participant: str = MAIN, **fields: Any) -> None:
        """Give the message in row ``at`` other values for these fields; see :meth:`.Conversation.override`."""
        self.sandbox.store.conversations[participant].override(at, fields)

    def send(
        self,
        recipients: list[str] | dict[str, dict[str, str]],
        body: str = "Hej!",
        sender: str = "Sandbox",
        reference: str | None = None,
        delivery_report_url: str | None = None,
    ) -> str:
        """Send a batch and return its id. Nothing leaves the sandbox, except delivery reports if they have a URL."""
        texts = render_texts(body, recipients)
        order = SendRequest(
            sender,
            body,
            texts,
            isinstance(recipients, dict),
            reference=reference,
            delivery_report_url=delivery_report_url,
        )
        return self.sandbox.store.send(order).id

    def receive(self, sender: str, body: str) -> str:
        """Receive a message from a participant now, and return its id. ``STOP`` blacklists the participant."""
        return self.sandbox.store.receive(sender, body).sent[0].id

    def push(self) -> None:
        """
        Send the pushes that are due on the sandbox's clock, and wait until each was tried.

        The sandbox also sends them by itself, soon after they are due. A test that moves the clock calls this, and then
        looks at what its receiver got, or at ``pushes``.

        :raises RuntimeError: if the server was closed.
        """
        if self._loop is None:
            raise RuntimeError("The sandbox does not run.")
        asyncio.run_coroutine_threadsafe(self.sandbox.pusher.send_due(), self._loop).result()

    def close(self) -> None:
        """Stop the server. A second call does nothing."""
        if self._loop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
