# SPDX-License-Identifier: Apache-2.0
"""The hook on aiohttp, for event loops such as the triggerer's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Self

from airflow_provider_ip1.api.paging.listing import Lists
from airflow_provider_ip1.api.settings import Settings, check_argument
from airflow_provider_ip1.client.senders import check_connection
from airflow_provider_ip1.compat import look_up_connection
from airflow_provider_ip1.exceptions import IP1Error
from airflow_provider_ip1.hooks.base import BaseIP1Hook, user_agent
from airflow_provider_ip1.hooks.form_texts import form_text
from airflow_provider_ip1.hooks.methods import HookMethods, T, as_async_iterator, as_async_pages, as_coroutine

if TYPE_CHECKING:
    import aiohttp

    from airflow_provider_ip1.client.async_client import AsyncClient, AsyncPages
    from airflow_provider_ip1.client.base_client import BaseClient, Flow


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

    iter_pages = as_async_pages(HookMethods.iter_pages)
    iter_pages_of = as_async_pages(HookMethods.iter_pages_of)
    iter_batch_pages = as_async_pages(HookMethods.iter_batch_pages)
    iter_messages = as_async_iterator(HookMethods.iter_messages)
    iter_batch_messages = as_async_iterator(HookMethods.iter_batch_messages)
    iter_participants = as_async_iterator(HookMethods.iter_participants)
    iter_batches = as_async_iterator(HookMethods.iter_batches)
    iter_senders = as_async_iterator(HookMethods.iter_senders)
    iter_blacklist = as_async_iterator(HookMethods.iter_blacklist)
    get_summary = as_coroutine(HookMethods.get_summary)
    get_message = as_coroutine(HookMethods.get_message)
    get_batch = as_coroutine(HookMethods.get_batch)
    cancel_batch = as_coroutine(HookMethods.cancel_batch)
    send_batch = as_coroutine(HookMethods.send_batch)
    send_once = as_coroutine(HookMethods.send_once)

    async def test_connection(self) -> tuple[bool, str]:
        """Like :meth:`~airflow_provider_ip1.hooks.ip1.IP1Hook.test_connection`."""
        try:
            worked, text = True, await self._run(check_connection)
        except IP1Error as error:
            worked, text = False, str(error)
        return worked, form_text(text, self.ip1_conn_id)

    async def _look_up(self) -> Settings:
        return self._read_settings(*await look_up_connection(self, self.ip1_conn_id))

    async def _run(self, operation: Callable[[BaseClient], Flow[T]]) -> T:
        client = await self.get_client()
        return await client.run(operation(client))

    def open_pages(self, lists: Lists, concurrency: int | None = None) -> AsyncPages:
        """See :meth:`HookMethods.open_pages`."""
        from airflow_provider_ip1.client.async_client import AsyncPages

        return AsyncPages(self.get_client, lists, check_argument("concurrency", concurrency))
