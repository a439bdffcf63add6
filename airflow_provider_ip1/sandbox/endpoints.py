# SPDX-License-Identifier: Apache-2.0
"""
The documented endpoints.

This folder's README.md tells what iP.1 documents and what the sandbox assumes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar

from aiohttp import web

from airflow_provider_ip1.sandbox.conversation import Conversation, Direction
from airflow_provider_ip1.sandbox.faults import Hits
from airflow_provider_ip1.sandbox.paging import list_response
from airflow_provider_ip1.sandbox.participants import OWNER, is_participant
from airflow_provider_ip1.sandbox.past import EnumStyle
from airflow_provider_ip1.sandbox.responses import Refused, json_response
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
        for path, handler in (
            (conversation, self._messages(None)),
            (f"{conversation}/mt", self._messages("mt")),
            (f"{conversation}/mo", self._messages("mo")),
            (f"{conversation}/summary", self._summary),
            (messages, self._batch_messages),
            (f"{messages}/{{message}}", self._message),
        ):
            router.add_get(path, handler, allow_head=False)
        router.add_post("/v2/batches", self._send)

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

    async def _batch_messages(self, request: web.Request) -> web.Response:
        messages = self._batch(request)
        hits, now_ms = current_hits.get(), self._store.now_ms()
        style = enum_style(hits)
        return list_response(
            request,
            hits,
            len(messages),
            lambda page: [conversation.message(row, style, now_ms) for conversation, row in messages[page]],
        )

    async def _message(self, request: web.Request) -> web.Response:
        for conversation, row in self._batch(request):
            if conversation.message_id(row) == request.match_info["message"]:
                style = enum_style(current_hits.get())
                return json_response(conversation.message_with_history(row, style, self._store.now_ms()))
        raise Refused(404, "There is no such message in this batch.")

    async def _send(self, request: web.Request) -> web.Response:
        try:
            order = await request.json()
        except ValueError:
            order = None
        if not isinstance(order, dict):
            raise Refused(400, body="The body must be a JSON object.")
        sender, recipients, body = order.get("sender"), order.get("recipients"), order.get("body")
        reference = order.get("reference")
        if not isinstance(sender, str) or not is_participant(sender):
            raise Refused(400, sender="The sender was invalid.")
        if (
            not isinstance(recipients, list)
            or not recipients
            or not all(isinstance(to, str) and to.isdigit() and is_participant(to) for to in recipients)
        ):
            raise Refused(400, recipients="Recipients must be numbers of at most 15 digits.")
        if not isinstance(body, str) or not body.strip() or len(body) > 2000:
            raise Refused(400, body="The body must be 1 to 2000 characters.")
        if reference is not None and not isinstance(reference, str):
            raise Refused(400, reference="The reference must be a string.")
        batch_id = self._store.send(sender, recipients, body, reference)
        return json_response(
            {
                "id": batch_id,
                "sender": sender,
                "body": body,
                "owner": OWNER,
                "direction": "MT",
                "type": "sms",
                "datacoding": "ucs",
                "priority": 1,
                "templated": False,
                "status": 101,
                "reference": reference,
                "tags": [],
            },
            status=201,
        )

    def _conversation(self, request: web.Request) -> Conversation:
        participant = request.match_info["participant"]
        if not is_participant(participant):
            raise Refused(400, participant="The participant was invalid.")
        conversation = self._store.conversations.get(participant)
        if conversation is None or not conversation.rows:
            raise Refused(404, "There are no messages to list.")
        return conversation

    def _batch(self, request: web.Request) -> list[tuple[Conversation, int]]:
        found = self._store.find_batch(request.match_info["batch"])
        if not found:
            raise Refused(404, "There is no such batch.")
        return found


def enum_style(hits: Hits) -> EnumStyle:
    """Return how enumerations are printed under these faults."""
    return "strings" if "enums" in hits else "integers"
