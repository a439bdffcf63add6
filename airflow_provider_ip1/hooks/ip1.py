# SPDX-License-Identifier: Apache-2.0
"""
The hooks: one on requests, and one on aiohttp for event loops such as the triggerer's.

They resolve the Airflow connection and delegate to a client. Paging, retries and errors are decided under
:mod:`airflow_provider_ip1.api`; :mod:`airflow_provider_ip1.client` sends and waits.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Generic, Self, TypedDict, TypeVar, Unpack

from airflow_provider_ip1 import __version__
from airflow_provider_ip1.api.paging.listing import Lists
from airflow_provider_ip1.api.settings import Settings, check_argument, read_settings
from airflow_provider_ip1.client.senders import check_connection
from airflow_provider_ip1.compat import (
    AirflowNotFoundException,
    BaseHook,
    event_loops_look_up_connections,
    find,
    mask_secret,
)
from airflow_provider_ip1.exceptions import IP1ConnectionError, IP1Error
from airflow_provider_ip1.get_provider_info import get_provider_info
from airflow_provider_ip1.hooks.methods import HookMethods, T, as_async_iterator, as_async_pages, as_coroutine

if TYPE_CHECKING:
    import aiohttp
    import requests

    from airflow_provider_ip1.client.async_client import AsyncClient, AsyncPages
    from airflow_provider_ip1.client.base_client import BaseClient, Flow
    from airflow_provider_ip1.client.sync_client import SyncClient, SyncPages

ClientT = TypeVar("ClientT", bound="BaseClient")


class HookSettings(TypedDict, total=False):
    """The settings that a hook takes as arguments. They override the connection's extras; see :class:`IP1Hook`."""

    timeout: float | tuple[float, float] | None
    page_size: int | None
    concurrency: int | None
    max_attempts: int | None
    requests_per_second: float | None


class BaseIP1Hook(BaseHook, Generic[ClientT]):
    """The arguments and the connection, shared by both hooks."""

    conn_name_attr = "ip1_conn_id"
    default_conn_name = "ip1_default"
    conn_type = "ip1"
    hook_name = "iP.1 SMS"

    def __init__(self, ip1_conn_id: str = default_conn_name, **settings: Unpack[HookSettings]) -> None:
        super().__init__()
        self.ip1_conn_id = ip1_conn_id
        if unknown := settings.keys() - HookSettings.__annotations__.keys():
            raise TypeError(f"{type(self).__name__}() got an unexpected keyword argument {min(unknown)!r}")
        self._overrides = {name: check_argument(name, value) for name, value in settings.items()}
        self._client: ClientT | None = None
        self._creating = threading.Lock()
        self._warned = False

    @property
    def requests_sent(self) -> int:
        """Number of requests sent so far, including retries; by :class:`IP1AsyncHook` since it was closed."""
        return self._client.requests_sent if self._client else 0

    @property
    def retries(self) -> int:
        """Number of requests so far that repeated another one; by :class:`IP1AsyncHook` since it was closed."""
        return self._client.retries if self._client else 0

    @property
    def clock_offset(self) -> timedelta:
        """iP.1's clock minus this machine's, 0 or less, by the responses so far. A clock that is ahead counts as 0."""
        return self._client.clock_offset if self._client else timedelta(0)

    def _look_up(self) -> Settings:
        """Look up the connection and check it."""
        connection: Any = None
        with suppress(AirflowNotFoundException):
            connection = self.get_connection(self.ip1_conn_id)
        settings = self._read_settings(connection, connection.extra_dejson if connection else {})
        if settings.redact_key:
            # Airflow masks extras by their names and does not know this one. IP1AsyncHook never uses it.
            mask_secret(settings.redact_key)
        return settings

    def _read_settings(self, connection: Any, extra: Mapping[str, Any]) -> Settings:
        """Check a connection that was looked up; ``None`` if there is none."""
        if connection is None:
            raise IP1ConnectionError(
                f"There is no Airflow connection {self.ip1_conn_id!r}. Create it, with the API key as its password. "
                "Code that runs outside a task finds only connections in environment variables and secrets backends."
            )
        settings, unknown = read_settings(self.ip1_conn_id, connection, extra, self._overrides)
        if unknown and not self._warned:
            self._warned = True
            self.log.warning(
                "Connection %r has extras that the iP.1 provider does not know: %s.",
                self.ip1_conn_id,
                ", ".join(unknown),
            )
        return settings


class IP1Hook(HookMethods, BaseIP1Hook["SyncClient"]):
    """
    Sends SMS, and reads conversations, batches and messages from iP.1 (https://www.ip1sms.com/en/developer/).

    The hook pages, retries and keeps to the request rate. A conversation may change while the hook reads it. The hook
    returns every message that exists throughout exactly once and in order, or raises an
    :class:`~airflow_provider_ip1.exceptions.IP1Error`.

    The arguments override the connection's extras of the same name, and these override the defaults. The hook looks up
    the connection and opens its session at the first call. Several threads may share a hook. Close it, or use it as
    ``with IP1Hook() as hook``.

    :param ip1_conn_id: Airflow connection with the API key in *password* and the base URL in *host*.
    :param timeout: seconds above 0 to wait for the server, or (connect, read). Default (10, 60).
    :param page_size: messages per request, 1 to 10000. iP.1 does not document its maximum. If iP.1 returns fewer
        messages, the hook continues after the last one. Default: 200 for the first page of a list, then up to 1000 if
        iP.1 returns as many.
    :param concurrency: maximum number of requests in flight, 1 to 64. Default 4.
    :param max_attempts: maximum number of attempts per request, 1 to 20. Default 5.
    :param requests_per_second: maximum rate of this process with this key, 0 for no limit. Default 20.
    :raises ValueError: an argument is out of range; the message names the argument.
    """

    # Airflow 2 ignores these two methods if the class inherits them.
    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return the labels of the connection form on Airflow 2; Airflow 3 reads the provider's metadata."""
        behaviour = get_provider_info()["connection-types"][0]["ui-field-behaviour"]
        return {key.replace("-", "_"): value for key, value in behaviour.items()}

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the extra fields of the connection form on Airflow 2; Airflow 3 reads the provider's metadata."""
        from flask_appbuilder.fieldwidgets import BS3PasswordFieldWidget, BS3TextFieldWidget
        from wtforms import BooleanField, IntegerField, PasswordField, StringField
        from wtforms.validators import Optional

        widgets: dict[str, Any] = {}
        for name, declared in get_provider_info()["connection-types"][0]["conn-fields"].items():
            schema = declared["schema"]
            first_type = schema["type"][0]
            label, described = declared["label"], {"description": declared["description"]}
            if schema.get("format") == "password":
                widgets[name] = PasswordField(label, widget=BS3PasswordFieldWidget(), **described)
            elif first_type == "boolean":
                widgets[name] = BooleanField(label, default=bool(schema.get("default")), **described)
            else:
                # Airflow 2 rejects the whole hook if a field has another class than these four, such as FloatField.
                kind = IntegerField if first_type == "integer" else StringField
                validators = [Optional(), _validator(name)]
                widgets[name] = kind(label, widget=BS3TextFieldWidget(), validators=validators, **described)
        return widgets

    @cached_property
    def settings(self) -> Settings:
        """
        The settings: the arguments of the hook, then the extras of the connection, then the defaults.

        :raises IP1ConnectionError: the connection does not exist or cannot be used; the message names the field.
        """
        return self._look_up()

    @property
    def client(self) -> SyncClient:
        """The client that sends this hook's requests."""
        from airflow_provider_ip1.client.sync_client import SyncClient

        with self._creating:
            if self._client is None:
                self._client = SyncClient(self.settings, user_agent=_user_agent(), log=self.log)
            return self._client

    def get_conn(self) -> requests.Session:
        """
        Return the session that sends all requests of this hook, with the key and the proxy of the connection.

        :raises IP1ConnectionError: the connection cannot be used.
        """
        return self.client.session

    def close(self) -> None:
        """Close the session and its connections. The hook opens a new one when it is used again."""
        if self._client is not None:
            self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def test_connection(self) -> tuple[bool, str]:
        """
        Request the account's batches or senders, to check the base URL and the API key.

        :return: whether the test succeeded, and a message in the words of the connection form. It warns about a sender
            that is not registered.
        """
        from airflow_provider_ip1.hooks.form_texts import form_text

        try:
            worked, text = True, self._run(check_connection)
        except IP1Error as error:
            worked, text = False, str(error)
        return worked, form_text(text, self.ip1_conn_id)

    def _run(self, operation: Callable[[BaseClient], Flow[T]]) -> T:
        client = self.client
        return client.run(operation(client))

    def open_pages(self, lists: Lists, concurrency: int | None = None) -> SyncPages:
        """See :meth:`HookMethods.open_pages`."""
        from airflow_provider_ip1.client.sync_client import SyncPages

        return SyncPages(self.client, lists, check_argument("concurrency", concurrency))


class IP1AsyncHook(BaseIP1Hook["AsyncClient"]):
    """
    The methods of :class:`IP1Hook` as coroutines and async iterators, for event loops.

    Close it with ``await hook.close()``, or use it as ``async with IP1AsyncHook(...) as hook``. Use a hook, until it is
    closed, in one event loop only: another one gets an :class:`~airflow_provider_ip1.exceptions.IP1Error`, unless the
    first one has ended. The arguments are those of :class:`IP1Hook`.
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
                settings = await self._look_up_without_blocking()
                self._client = await AsyncClient.open(settings, user_agent=_user_agent(), log=self.log)
            return self._client

    async def reload_connection(self) -> None:
        """
        Look up the connection again, because its key may change during a long wait.

        The session stays open if nothing has changed.

        :raises IP1ConnectionError: the connection does not exist or cannot be used; the message names the field.
        """
        if self._client is not None and await self._look_up_without_blocking() != self._client.settings:
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
        """Like :meth:`IP1Hook.test_connection`."""
        from airflow_provider_ip1.hooks.form_texts import form_text

        try:
            worked, text = True, await self._run(check_connection)
        except IP1Error as error:
            worked, text = False, str(error)
        return worked, form_text(text, self.ip1_conn_id)

    async def _look_up_without_blocking(self) -> Settings:
        if not event_loops_look_up_connections():
            from asgiref.sync import sync_to_async

            # Not asyncio.to_thread: in its threads, Airflow cannot call back into the triggerer's event loop.
            return await sync_to_async(self._look_up)()
        connection: Any = None
        with suppress(AirflowNotFoundException):
            connection = await self.aget_connection(self.ip1_conn_id)
        return self._read_settings(connection, await connection.aextra_dejson() if connection else {})

    async def _run(self, operation: Callable[[BaseClient], Flow[T]]) -> T:
        client = await self.get_client()
        return await client.run(operation(client))

    def open_pages(self, lists: Lists, concurrency: int | None = None) -> AsyncPages:
        """See :meth:`HookMethods.open_pages`."""
        from airflow_provider_ip1.client.async_client import AsyncPages

        return AsyncPages(self.get_client, lists, check_argument("concurrency", concurrency))


@cache
def _user_agent() -> str:
    """Return the User-Agent header: the versions of this provider and of Airflow."""
    return f"airflow-provider-ip1/{__version__} (Airflow {find('__version__', 'airflow')})"


def _validator(name: str) -> Callable[[Any, Any], None]:
    """Return what reports a wrong value of an extra when Airflow 2 saves the form. Airflow 3 has no such hook."""
    from wtforms.validators import ValidationError

    def validate(form: Any, field: Any) -> None:
        try:
            check_argument(name, field.data)
        except ValueError as error:
            problem = str(error).removeprefix(f"{name} ")
            raise ValidationError(problem[:1].upper() + problem[1:]) from None

    return validate
