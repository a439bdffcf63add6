# SPDX-License-Identifier: Apache-2.0
"""
The endpoints of conversations and batches.

This folder's README.md tells what iP.1 documents and what the sandbox assumes.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

from aiohttp import web

from airflow_provider_ip1.sandbox.batches import Batch
from airflow_provider_ip1.sandbox.conversation import Conversation, Direction
from airflow_provider_ip1.sandbox.faults import Hits
from airflow_provider_ip1.sandbox.paging import list_response
from airflow_provider_ip1.sandbox.participants import is_participant
from airflow_provider_ip1.sandbox.past import EnumStyle, to_json
from airflow_provider_ip1.sandbox.responses import Refused, json_response
from airflow_provider_ip1.sandbox.send_request import parse_send_request
from airflow_provider_ip1.sandbox.store import Store

#: The faults that hit the current request.
current_hits: ContextVar[Hits] = ContextVar("current_hits")

Handler = Callable[[web.Request], Awaitable[web.Response]]


class Endpoints:
    """
    The handlers of one sandbox.

    :param store: what they show and change.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Register the handlers."""
        conversation = "/v2/conversations/{participant}"
        messages = "/v2/batches/{batch}/messages"
        for method, path, handler in (
            ("GET", conversation, self._messages(None)),
            ("GET", f"{conversation}/mt", self._messages("mt")),
            ("GET", f"{conversation}/mo", self._messages("mo")),
            ("GET", f"{conversation}/summary", self._summary),
            ("GET", "/v2/batches", self._batches),
            ("GET", "/v2/batches/{batch}", self._batch),
            ("GET", messages, self._batch_messages),
            ("GET", f"{messages}/{{message}}", self._message),
            ("POST", "/v2/batches", self._send),
            ("DELETE", "/v2/batches/{batch}", self._cancel),
        ):
            add_route(router, method, path, handler)

    def _messages(self, direction: Direction | None) -> Handler:
        async def handler(request: web.Request) -> web.Response:
            conversation = self._conversation(request)
            rows = conversation.select(direction)
            if not rows:
                raise Refused(404, "There are no messages to list.")
            hits, now_ms = current_hits.get(), self._store.now_ms()
            style = enum_style(hits)
            return list_response(
                request, hits, len(rows), lambda page: [conversation.message(row, style, now_ms) for row in rows[page]]
            )

        return handler

    async def _summary(self, request: web.Request) -> web.Response:
        return json_response(self._conversation(request).summary(self._store.now_ms()))

    async def _send(self, request: web.Request) -> web.Response:
        raw = await read_body(request)
        # In a thread, because a large batch takes long enough to delay other responses.
        fields = await asyncio.to_thread(self._parse_and_send, raw, request.charset)
        hits = current_hits.get()
        status, form = int(hits.option("sent-as", "status", "201")), hits.value("sent-as") or "object"
        if form == "object":
            return json_response(fields, status)
        if form == "list":
            return json_response([fields], status)
        headers = {"Location": f"/v2/batches/{fields['id']}"} if form == "location" else None
        return web.Response(status=status, headers=headers)

    def _parse_and_send(self, raw: bytes, charset: str | None) -> dict[str, Any]:
        now_ms = self._store.now_ms()
        order = parse_send_request(raw, charset, now_ms)
        if current_hits.get().value("rejections") == "requests":
            self._store.account.check(order)
        length = current_hits.get().value("cut-reference")
        if length is not None and order.reference is not None:
            order = replace(order, reference=order.reference[: int(length)])
        return self._store.send(order).to_dict(now_ms, with_summaries=True)

    async def _batches(self, request: web.Request) -> web.Response:
        hits, now_ms = current_hits.get(), self._store.now_ms()
        # In a thread, because a large account takes long enough to delay other responses.
        batches = await asyncio.to_thread(self._store.batch_ids)
        newest_ms = now_ms - int(float(hits.value("list-lag") or 0) * 1000)
        visible = batches[: bisect_right(batches, newest_ms, key=lambda batch: batch[0])]

        def read(page: slice) -> list[bytes]:
            found = (self._store.find_batch(batch_id) for _, batch_id in visible[page])
            return [to_json(batch.to_dict(now_ms, with_summaries=False)) for batch in found if batch is not None]

        return list_response(request, hits, len(visible), read)

    async def _batch(self, request: web.Request) -> web.Response:
        return json_response(self._find_batch(request).to_dict(self._store.now_ms(), with_summaries=True))

    async def _cancel(self, request: web.Request) -> web.Response:
        if not self._store.cancel(self._find_batch(request)):
            raise Refused(409, "The batch is being sent or was sent already.")
        return web.Response(status=204)

    async def _batch_messages(self, request: web.Request) -> web.Response:
        batch = self._find_batch(request)
        hits, now_ms = current_hits.get(), self._store.now_ms()
        return list_response(request, hits, len(batch), lambda page: batch.messages(page, enum_style(hits), now_ms))

    async def _message(self, request: web.Request) -> web.Response:
        style = enum_style(current_hits.get())
        message = self._find_batch(request).message(request.match_info["message"], style, self._store.now_ms())
        if message is None:
            raise Refused(404, "There is no such message in this batch.")
        return json_response(message)

    def _conversation(self, request: web.Request) -> Conversation:
        participant = request.match_info["participant"]
        if not is_participant(participant):
            raise Refused(400, participant="The participant was invalid.")
        conversation = self._store.conversations.get(participant)
        if conversation is None or not conversation.rows:
            raise Refused(404, "There are no messages to list.")
        return conversation

    def _find_batch(self, request: web.Request) -> Batch:
        batch = self._store.find_batch(request.match_info["batch"])
        if batch is None:
            raise Refused(404, "There is no such batch.")
        return batch


def add_route(router: web.UrlDispatcher, method: str, path: str, handler: Handler) -> None:
    """Register a handler, with and without a trailing slash: iP.1's quick starts print both."""
    for each in (path, f"{path}/"):
        router.add_route(method, each, handler)


async def read_body(request: web.Request) -> bytes:
    """
    Return the body of a request.

    :raises Refused: with 400 if it does not have the encoding that it announces.
    """
    try:
        return await request.read()
    except web.RequestPayloadError:
        raise Refused(400, "The body does not have the encoding that Content-Encoding announces.") from None


def enum_style(hits: Hits) -> EnumStyle:
    """Return how enumerations are printed under these faults."""
    return "strings" if "enums" in hits else "integers"
