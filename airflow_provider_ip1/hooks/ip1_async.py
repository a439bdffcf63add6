# SPDX-License-Identifier: Apache-2.0
"""The hook on aiohttp, for event loops such as the triggerer's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self, Unpack

from airflow_provider_ip1.api.account import BlacklistEntry, RegisteredSender
from airflow_provider_ip1.api.batches import Batch
from airflow_provider_ip1.api.messages import ConversationSummary, Message
from airflow_provider_ip1.api.paging.listing import Lists, account_messages, conversation_lists
from airflow_provider_ip1.api.requests import Order, ReadOptions
from airflow_provider_ip1.api.sending import OutgoingBatch, SmsArguments
from airflow_provider_ip1.api.sent_batch import SendResult
from airflow_provider_ip1.api.settings import Settings, check_argument
from airflow_provider_ip1.client.send_marker import Marker
from airflow_provider_ip1.client.send_once import send_once
from airflow_provider_ip1.client.senders import check_connection
from airflow_provider_ip1.compat import look_up_connection
from airflow_provider_ip1.exceptions import IP1Error
from airflow_provider_ip1.hooks import base
from airflow_provider_ip1.hooks.base import BaseIP1Hook, T, user_agent

if TYPE_CHECKING:
    import aiohttp

    from airflow_provider_ip1.client.async_client import AsyncClient, AsyncPages
    from airflow_provider_ip1.client.base_client import Flow


class IP1AsyncHook(BaseIP1Hook["AsyncClient"]):
    """
    The methods of :class:`~airflow_provider_ip1.hooks.ip1.IP1Hook` as coroutines and async iterators, for event loops.

    Close it with ``await hook.close()``, or use it as ``async with IP1AsyncHook(...) as hook``. Use a hook, until it is
    closed, in one event loop only: another one gets an :class:`~airflow_provider_ip1.exceptions.IP1Error`, unless the
    first one has ended. The arguments are those of :class:`~airflow_provider_ip1.hooks.ip1.IP1Hook`.
    """

    _loop: asyncio.AbstractEventLoop | None = None
    _opening: asyncio.Lock

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def close(self) -> None:
        """
        Close the session and its connections. The hook opens a new one when it is used again.

        :raises IP1Error: the session was opened in another event loop.
        """
        from airflow_provider_ip1.client.async_client import check_loop

        client = self._client
        if client is not None:
            check_loop(self._loop, may_have_ended=True)
            self._client = None
            sent, retries = self._closed_counts
            self._closed_counts = sent + client.requests_sent, retries + client.retries
            await client.close()

    async def get_settings(self) -> Settings:
        """
        Return the settings: the arguments of the hook, then the extras of the connection, then the defaults.

        The hook looks up the connection once until :meth:`close`.

        :raises IP1ConnectionError: the connection does not exist or cannot be used; the message names the field.
        """
        return (await self.get_client()).settings

    async def get_conn(self) -> aiohttp.ClientSession:
        """
        Return the session that sends all requests of this hook.

        It has no headers, because aiohttp would send them to a proxy. The hook adds them, with the key, to each
        request.

        :raises IP1ConnectionError: the connection cannot be used.
        """
        return (await self.get_client()).session

    async def get_client(self) -> AsyncClient:
        """
        Return the client that sends this hook's requests.

        :raises IP1ConnectionError: the connection cannot be used.
        :raises IP1Error: the session was opened in another event loop.
        """
        from airflow_provider_ip1.client.async_client import AsyncClient, check_loop

        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            check_loop(self._loop if self._client else None, may_have_ended=True)
            # Set before anything is awaited, so that tasks which start together share the lock.
            self._loop, self._opening = loop, asyncio.Lock()
            await self.close()
        async with self._opening:
            if self._client is None:
                settings = await self._look_up()
                self._client = await AsyncClient.open(settings, user_agent=user_agent(), log=self.log)
            return self._client

    async def reload_connection(self) -> None:
        """
        Look up the connection again, because its key may change during a long wait.

        The session stays open if nothing has changed.

        :raises IP1ConnectionError: the connection does not exist or cannot be used; the message names the field.
        """
        if self._client is not None and await self._look_up() != self._client.settings:
            await self.close()

    def iter_messages(self, participant: str, **options: Unpack[ReadOptions]) -> AsyncIterator[Message]:
        """Like :meth:`~airflow_provider_ip1.hooks.ip1.IP1Hook.iter_messages`, as an async iterator."""
        return self.iter_pages(participant, **options).rows(base.messages_of)

    def iter_pages(self, participant: str, **options: Unpack[ReadOptions]) -> AsyncPages:
        """Like :meth:`~airflow_provider_ip1.hooks.ip1.IP1Hook.iter_pages`, as an async iterator."""
        return self.iter_pages_of([participant], **options)

    def iter_pages_of(self, participants: Iterable[str], **options: Unpack[ReadOptions]) -> AsyncPages:
        """Like :meth:`~airflow_provider_ip1.hooks.ip1.IP1Hook.iter_pages_of`, as an async iterator."""
        return self._pages(conversation_lists, participants, **options)

    def iter_batch_messages(
        self, batch_id: str, *, order: Order = "ASC", page_size: int | None = None
    ) -> AsyncIterator[Message]:
        """Like :meth:`~airflow_provider_ip1.hooks.ip1.IP1Hook.iter_batch_messages`, as an async iterator."""
        return self._rows(base.batch_messages(batch_id, order, page_size))

    def iter_batch_pages(self, **options: Unpack[ReadOptions]) -> AsyncPages:
        """Like :meth:`~airflow_provider_ip1.hooks.ip1.IP1Hook.iter_batch_pages`, as an async iterator."""
        return self._pages(account_messages, **options)

    def iter_participants(self, *, since: datetime | str | None = None) -> AsyncIterator[str]:
        """Like :meth:`~airflow_provider_ip1.hooks.ip1.IP1Hook.iter_participants`, as an async iterator."""
        return self._rows(base.participants(since))

    async def get_summary(self, participant: str) -> ConversationSummary:
        """Like :meth:`~airflow_provider_ip1.hooks.ip1.IP1Hook.get_summary`."""
        return await self._run(lambda client: client.summary(participant))

    async def get_message(self, batch_id: str, message_id: str) -> Message:
        """Like :meth:`~airflow_provider_ip1.hooks.ip1.IP1Hook.get_message`."""
        return await self._run(lambda client: client.message(batch_id, message_id))

    def iter_batches(self, *, order: Order = "DESC", page_size: int | None = None) -> AsyncIterator[Batch]:
        """Like :meth:`~airflow_provider_ip1.hooks.ip1.IP1Hook.iter_batches`, as an async iterator."""
        return self._rows(base.batches(order, page_size))

    def iter_senders(self, *, page_size: int | None = None) -> AsyncIterator[RegisteredSender]:
        """Like :meth:`~airflow_provider_ip1.hooks.ip1.IP1Hook.iter_senders`, as an async iterator."""
        return self._rows(base.senders(page_size))

    def iter_blacklist(self, *, page_size: int | None = None) -> AsyncIterator[BlacklistEntry]:
        """Like :meth:`~airflow_provider_ip1.hooks.ip1.IP1Hook.iter_blacklist`, as an async iterator."""
        return self._rows(base.blacklist(page_size))

    async def get_batch(self, batch_id: str) -> Batch:
        """Like :meth:`~airflow_provider_ip1.hooks.ip1.IP1Hook.get_batch`."""
        return await self._run(lambda client: client.batch(batch_id))

    async def cancel_batch(self, batch_id: str) -> None:
        """Like :meth:`~airflow_provider_ip1.hooks.ip1.IP1Hook.cancel_batch`."""
        await self._run(lambda client: client.cancel(batch_id))

    async def send_batch(self, **arguments: Unpack[SmsArguments]) -> Batch:
        """Like :meth:`~airflow_provider_ip1.hooks.ip1.IP1Hook.send_batch`."""
        outgoing = OutgoingBatch(default_sender=(await self.get_settings()).sender, **arguments)
        return (await self.send_once(outgoing)).batch

    async def send_once(
        self,
        outgoing: OutgoingBatch,
        *,
        check_sent: bool = False,
        is_mapped: bool = False,
        marker: Marker | None = None,
    ) -> SendResult:
        """Like :meth:`~airflow_provider_ip1.hooks.ip1.IP1Hook.send_once`."""
        return await self._run(
            lambda client: send_once(client, outgoing, check_sent=check_sent, is_mapped=is_mapped, marker=marker)
        )

    async def test_connection(self) -> tuple[bool, str]:
        """Like :meth:`~airflow_provider_ip1.hooks.ip1.IP1Hook.test_connection`."""
        try:
            return True, await self._run(check_connection)
        except IP1Error as error:
            return False, str(error)

    async def _look_up(self) -> Settings:
        return self._read_settings(*await look_up_connection(self, self.ip1_conn_id))

    async def _run(self, operation: Callable[[AsyncClient], Flow[T]]) -> T:
        client = await self.get_client()
        return await client.run(operation(client))

    def _rows(self, rows: base.Rows[T]) -> AsyncIterator[T]:
        return self._pages(lambda: rows.lists).rows(rows.read)

    def _pages(
        self, describe: Callable[..., Lists], *arguments: Any, concurrency: int | None = None, **options: Any
    ) -> AsyncPages:
        from airflow_provider_ip1.client.async_client import AsyncPages

        return AsyncPages(self.get_client, describe(*arguments, **options), check_argument("concurrency", concurrency))
