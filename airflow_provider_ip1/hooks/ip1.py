# SPDX-License-Identifier: Apache-2.0
"""
The hook on requests: resolves the Airflow connection and delegates to the client.

Paging, retries and errors are decided under :mod:`airflow_provider_ip1.api`; :mod:`airflow_provider_ip1.client` sends
and waits. ``IP1AsyncHook``, on aiohttp, can be imported from here as well.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from airflow_provider_ip1.api.paging.listing import Lists
from airflow_provider_ip1.api.settings import Settings, check_argument
from airflow_provider_ip1.client.senders import check_connection
from airflow_provider_ip1.compat import AirflowNotFoundException, mask_secret
from airflow_provider_ip1.exceptions import IP1Error
from airflow_provider_ip1.get_provider_info import get_provider_info
from airflow_provider_ip1.hooks.base import BaseIP1Hook, user_agent
from airflow_provider_ip1.hooks.form_texts import form_text
from airflow_provider_ip1.hooks.ip1_async import IP1AsyncHook
from airflow_provider_ip1.hooks.methods import HookMethods, T

if TYPE_CHECKING:
    import requests

    from airflow_provider_ip1.client.base_client import BaseClient, Flow
    from airflow_provider_ip1.client.sync_client import SyncClient, SyncPages

__all__ = ["IP1AsyncHook", "IP1Hook"]


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
        try:
            connection = self.get_connection(self.ip1_conn_id)
        except AirflowNotFoundException:
            connection = None
        settings = self._read_settings(connection, connection.extra_dejson if connection else {})
        if settings.redact_key:
            # Airflow masks extras by their names and does not know this one. IP1AsyncHook never uses it.
            mask_secret(settings.redact_key)
        return settings

    @property
    def client(self) -> SyncClient:
        """The client that sends this hook's requests."""
        from airflow_provider_ip1.client.sync_client import SyncClient

        with self._creating:
            if self._client is None:
                self._client = SyncClient(self.settings, user_agent=user_agent(), log=self.log)
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


def _validator(name: str) -> Callable[[Any, Any], None]:
    """Return what reports a wrong value of an extra when Airflow 2 saves the form. Airflow 3 has no such hook."""

    def validate(form: Any, field: Any) -> None:
        try:
            check_argument(name, field.data)
        except ValueError as error:
            problem = str(error).removeprefix(f"{name} ")
            raise ValueError(problem[:1].upper() + problem[1:]) from None

    return validate
