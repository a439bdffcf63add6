# SPDX-License-Identifier: Apache-2.0
"""The endpoints of the account: registered senders, the blacklist, and ``/api/me``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiohttp import web

from airflow_provider_ip1.sandbox.account import Account, Dated, check_msisdn, check_sender
from airflow_provider_ip1.sandbox.endpoints import Handler, add_route, current_hits, read_body
from airflow_provider_ip1.sandbox.paging import list_response
from airflow_provider_ip1.sandbox.past import to_json
from airflow_provider_ip1.sandbox.responses import json_response
from airflow_provider_ip1.sandbox.send_request import json_object


class AccountEndpoints:
    """
    The handlers of one sandbox's account.

    :param account: what they show and change.
    """

    def __init__(self, account: Account) -> None:
        self._account = account

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Register the handlers."""
        account = self._account
        senders = _Entries(account.senders, account.sender, check_sender, ("sender",))
        # Version 1 and iP.1's sample call the number "Phone".
        blacklist = _Entries(account.blacklist, account.blacklisted, check_msisdn, ("msisdn", "phone"))
        for method, path, handler in (
            ("GET", "/v2/me/senders", senders.list),
            ("PUT", "/v2/me/senders", senders.add_body),
            ("GET", "/v2/blacklist", blacklist.list),
            ("POST", "/v2/blacklist", blacklist.add_body),
            ("GET", "/api/me", _always(account.overview)),
            ("GET", "/api/me/account", _always(account.details)),
            ("GET", "/api/me/children", _always(list)),
            *((method, "/v2/me/senders/{key}", handler) for method, handler in senders.single()),
            *((method, "/v2/blacklist/{key}", handler) for method, handler in blacklist.single()),
        ):
            add_route(router, method, path, handler)


class _Entries:
    """The handlers of a list whose entries are read, added and removed by name or number."""

    def __init__(
        self,
        entries: Dated,
        show: Callable[[str], dict[str, str]],
        check: Callable[[object], str],
        names: tuple[str, ...],
    ) -> None:
        self._entries = entries
        self._show = show
        self._check = check
        self._names = names

    def single(self) -> tuple[tuple[str, Handler], ...]:
        return ("GET", self._get), ("PUT", self._put), ("DELETE", self._delete)

    async def list(self, request: web.Request) -> web.Response:
        rows = [to_json(self._show(key)) for key in sorted(self._entries)]
        return list_response(request, current_hits.get(), len(rows), lambda page: rows[page])

    async def add_body(self, request: web.Request) -> web.Response:
        fields = json_object(await read_body(request), request.charset)
        return self._add(next((fields[name] for name in self._names if name in fields), None))

    async def _put(self, request: web.Request) -> web.Response:
        return self._add(request.match_info["key"])

    async def _get(self, request: web.Request) -> web.Response:
        return json_response(self._show(request.match_info["key"]))

    async def _delete(self, request: web.Request) -> web.Response:
        key = request.match_info["key"]
        shown = self._show(key)
        self._entries.discard(key)
        return json_response(shown)

    def _add(self, value: object) -> web.Response:
        key = self._check(value)
        status = 200 if key in self._entries else 201
        self._entries.add(key)
        return json_response(self._show(key), status)


def _always(read: Callable[[], Any]) -> Handler:
    async def handler(_request: web.Request) -> web.Response:
        return json_response(read())

    return handler
