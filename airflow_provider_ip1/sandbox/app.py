# SPDX-License-Identifier: Apache-2.0
"""
The sandbox's HTTP side: an aiohttp application with the documented endpoints, and the faults around them.

What is documented by iP.1 and what is assumed here is told in this folder's README.md.
"""

from __future__ import annotations

import asyncio
import gzip
import hmac
import logging
import re
import time
from collections.abc import Awaitable, Callable, Iterable
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from airflow_provider_ip1.sandbox import world as data
from airflow_provider_ip1.sandbox.answers import (
    cut,
    fault_answer,
    json_answer,
    link_headers,
    problem,
    truncate,
    whole_body,
)
from airflow_provider_ip1.sandbox.faults import Fault, Faults
from airflow_provider_ip1.sandbox.messages import OWNER, EnumStyle

log = logging.getLogger(__name__)

DEFAULT_KEY = "sandbox-key"
DEFAULT_LIMIT = 50
MAX_LIMIT = 10_000
_GZIP_FROM = 1024

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Hits = dict[str, list[Fault]]
# The faults that hit the request that is being answered.
_hits: ContextVar[Hits] = ContextVar("hits")


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """
    One API request as the sandbox saw it.

    ``number`` counts from 1, ``status`` is 0 if the connection was cut instead of answered, ``received_at`` and
    ``answered_at`` are ``time.monotonic()`` seconds, ``in_flight`` includes this request, ``headers`` are without
    Authorization; ``had_key`` says whether there was one.
    """

    number: int
    method: str
    path: str
    query: dict[str, str]
    status: int
    received_at: float
    answered_at: float
    in_flight: int
    had_key: bool
    headers: dict[str, str]


class _Refused(Exception):
    """Ends a request with an error answer."""

    def __init__(self, status: int, detail: str = "", **errors: str) -> None:
        super().__init__(detail)
        self.status, self.detail, self.errors = status, detail, errors


class Sandbox:
    """
    A stand-in for the iP.1 API.

    :param messages: messages in the main conversation (46701740605), 0 to 10,000,000; default 5000.
    :param conversations: further conversations, 0 to 489; default 0.
    :param seed: the same seed gives the same messages and the same faults by chance; default 1.
    :param key: the API key that is accepted; default ``sandbox-key``.
    :param faults: see the faults that ``--help`` lists.
    :param latency: seconds that each answer takes at least; default 0.
    :param delivery_seconds: seconds from a message's acceptance to its final status; default 20.
    :param history_end: no message of the past is newer than this (aware); default 2026-11-01 UTC.
    :param compress: answer with gzip if the client accepts it; default False.
    :param clock: seconds since 1970, the sandbox's idea of time; default :func:`time.time`.
    :param record: called with each request when it is answered.
    :raises ValueError: a value is out of its range, or a fault is not one.
    """

    def __init__(
        self,
        *,
        messages: int = 5000,
        conversations: int = 0,
        seed: int = 1,
        key: str = DEFAULT_KEY,
        faults: Iterable[str] = (),
        latency: float = 0.0,
        delivery_seconds: float = 20.0,
        history_end: datetime = data.HISTORY_END,
        compress: bool = False,
        clock: Callable[[], float] = time.time,
        record: Callable[[RequestRecord], None] | None = None,
    ) -> None:
        if latency < 0:
            raise ValueError(f"latency must be 0 or more seconds, not {latency}")
        self.world = data.World(
            messages=messages,
            conversations=conversations,
            seed=seed,
            history_end=history_end,
            delivery_seconds=delivery_seconds,
            clock=clock,
        )
        self.key = key
        self.faults = Faults(faults, seed)
        self.latency = latency
        self.compress = compress
        self.in_flight = 0
        self.max_in_flight = 0
        self._record = record
        self._numbered = 0

    def application(self) -> web.Application:
        """A new aiohttp application that serves this sandbox."""
        app = web.Application(middlewares=[self._middleware], client_max_size=2**20)
        app.router.add_get("/healthz", _healthz)
        conversation = "/v2/conversations/{participant}"
        app.router.add_get(conversation, self._messages(None), allow_head=False)
        app.router.add_get(f"{conversation}/mt", self._messages("mt"), allow_head=False)
        app.router.add_get(f"{conversation}/mo", self._messages("mo"), allow_head=False)
        app.router.add_get(f"{conversation}/summary", self._summary, allow_head=False)
        app.router.add_post("/v2/batches", self._send)
        batch = "/v2/batches/{batch}/messages"
        app.router.add_get(batch, self._batch_messages, allow_head=False)
        app.router.add_get(f"{batch}/{{message}}", self._message, allow_head=False)
        return app

    # The way of a request

    @property
    def _middleware(self) -> Any:
        @web.middleware
        async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.path == "/healthz":
                return await handler(request)
            return await self._serve(request, handler)

        return middleware

    async def _serve(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._numbered += 1
        number = self._numbered
        self.in_flight += 1
        in_flight = self.in_flight
        self.max_in_flight = max(self.max_in_flight, in_flight)
        received_at = time.monotonic()
        status = 0
        try:
            hits = self.faults.for_request(number) if len(self.faults) else {}
            _hits.set(hits)
            delay = self.latency + sum(float(fault.options["seconds"]) for fault in hits.get("slow", ()))
            if delay:
                await asyncio.sleep(delay)
            self._change_rows(request, hits)
            if "reset" in hits or "close" in hits:
                return cut(request, reset="reset" in hits)
            response = await self._answer(request, handler, hits)
            if "truncate" in hits:
                return await truncate(request, response, chunked=hits["truncate"][-1].options.get("chunked") == "yes")
            status = response.status
            return response
        finally:
            self.in_flight -= 1
            if self._record is not None or log.isEnabledFor(logging.INFO):
                self._log(
                    RequestRecord(
                        number=number,
                        method=request.method,
                        path=request.path,
                        query=dict(request.query),
                        status=status,
                        received_at=received_at,
                        answered_at=time.monotonic(),
                        in_flight=in_flight,
                        had_key="Authorization" in request.headers,
                        headers={k: v for k, v in request.headers.items() if k.lower() != "authorization"},
                    )
                )

    async def _answer(self, request: web.Request, handler: Handler, hits: Hits) -> web.Response:
        if "redirect" in hits:
            options = hits["redirect"][-1].options
            return web.Response(status=int(options.get("status", 302)), headers={"Location": options["to"]})
        if "status" in hits:
            return fault_answer(hits["status"][-1])
        try:
            self._check_key(request)
            response = await handler(request)
        except _Refused as refused:
            return problem(refused.status, refused.detail, refused.errors)
        except web.HTTPException as error:
            answer = problem(error.status)
            if "Allow" in error.headers:
                answer.headers["Allow"] = error.headers["Allow"]
            return answer
        if not isinstance(response, web.Response):
            raise TypeError("Handlers of the sandbox answer with a whole body.")
        body = whole_body(response)
        if "html" in hits:
            return web.Response(
                text="<!DOCTYPE html><html><body><h1>Welcome</h1></body></html>", content_type="text/html"
            )
        if "empty" in hits:
            body = b""
        if "badjson" in hits:
            body = body[: max(len(body) // 2, 1)]
        if "unknown-status" in hits:
            # A quotation mark inside a text is escaped, so this only finds fields.
            body = body.replace(b'"code":201,', b'"code":%b,' % hits["unknown-status"][-1].value.encode())
        if hits.get("direction") and hits["direction"][-1].value == "swapped":
            body = re.sub(rb'(?<=[^\\]"direction":)[01]', lambda match: b"1" if match[0] == b"0" else b"0", body)
        if body is not response.body:
            response.body = body
        if self.compress and len(body) >= _GZIP_FROM and "gzip" in request.headers.get("Accept-Encoding", ""):
            response.body = gzip.compress(body, compresslevel=1, mtime=0)
            response.headers["Content-Encoding"] = "gzip"
        return response

    def _check_key(self, request: web.Request) -> None:
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(key.strip().encode(), self.key.encode()):
            raise _Refused(401)

    def _change_rows(self, request: web.Request, hits: Hits) -> None:
        for kind in ("insert", "delete"):
            for fault in hits.get(kind, ()):
                asked = request.match_info.get("participant", data.MAIN)
                conversation = self.world.conversations.get(fault.options.get("participant", asked))
                if conversation is None:
                    continue
                at: str | int = fault.options.get("at", "tail" if kind == "insert" else "head")
                if at not in data.PLACES:
                    at = min(int(at), len(conversation.rows))
                getattr(conversation, kind)(int(fault.options.get("count", "1")), at)

    def _log(self, record: RequestRecord) -> None:
        if self._record is not None:
            self._record(record)
        if log.isEnabledFor(logging.INFO):
            # Anything else in the query may be personal.
            safe = [
                (name, text)
                for name, text in record.query.items()
                if name in ("start", "limit", "order") and re.fullmatch(r"[0-9]{1,8}|ASC|DESC", text)
            ]
            log.info(
                "%s %s %s -> %s, %.0f ms",
                record.method,
                mask_path(record.path),
                urlencode(safe),
                record.status or "connection cut",
                (record.answered_at - record.received_at) * 1000,
            )

    # The endpoints

    def _conversation(self, request: web.Request) -> data.Conversation:
        participant = request.match_info["participant"]
        if not data.is_participant(participant):
            raise _Refused(400, participant="The participant was invalid.")
        conversation = self.world.conversations.get(participant)
        if conversation is None or not conversation.rows:
            raise _Refused(404, "There are no messages to list.")
        return conversation

    def _messages(self, direction: data.Direction | None) -> Handler:
        async def handler(request: web.Request) -> web.Response:
            conversation = self._conversation(request)
            rows = conversation.select(direction)
            if not rows:
                raise _Refused(404, "There are no messages to list.")

            def read(start: int, stop: int, descending: bool) -> bytes:
                style = enum_style(_hits.get())
                return conversation.page(rows, start, stop, descending=descending, style=style)

            return self._list(request, len(rows), read)

        return handler

    async def _summary(self, request: web.Request) -> web.Response:
        return json_answer(self._conversation(request).summary())

    async def _batch_messages(self, request: web.Request) -> web.Response:
        messages = self._batch(request.match_info["batch"])

        def read(start: int, stop: int, descending: bool) -> bytes:
            style = enum_style(_hits.get())
            chosen = (messages[::-1] if descending else messages)[start:stop]
            return b"[" + b",".join(where.message(row, style) for where, row in chosen) + b"]"

        return self._list(request, len(messages), read)

    async def _message(self, request: web.Request) -> web.Response:
        for conversation, row in self._batch(request.match_info["batch"]):
            if conversation.message_id(row) == request.match_info["message"]:
                return json_answer(conversation.history_of(row, enum_style(_hits.get())))
        raise _Refused(404, "There is no such message in this batch.")

    async def _send(self, request: web.Request) -> web.Response:
        try:
            order = await request.json()
        except ValueError:
            order = None
        if not isinstance(order, dict):
            raise _Refused(400, body="The body must be a JSON object.")
        sender, recipients, body = order.get("sender"), order.get("recipients"), order.get("body")
        reference = order.get("reference")
        if not isinstance(sender, str) or not data.is_participant(sender):
            raise _Refused(400, sender="The sender was invalid.")
        if (
            not isinstance(recipients, list)
            or not recipients
            or not all(isinstance(to, str) and to.isdigit() and data.is_participant(to) for to in recipients)
        ):
            raise _Refused(400, recipients="Recipients must be numbers of at most 15 digits.")
        if not isinstance(body, str) or not body.strip() or len(body) > 2000:
            raise _Refused(400, body="The body must be 1 to 2000 characters.")
        if reference is not None and not isinstance(reference, str):
            raise _Refused(400, reference="The reference must be a string.")
        batch_id = self.world.send(sender, recipients, body, reference)
        return json_answer(
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

    def _batch(self, batch_id: str) -> list[tuple[data.Conversation, int]]:
        found = self.world.find_batch(batch_id)
        if not found:
            raise _Refused(404, "There is no such batch.")
        return found

    # Paging

    def _list(self, request: web.Request, total: int, read: Callable[[int, int, bool], bytes]) -> web.Response:
        hits = _hits.get()
        query = request.query
        base = 1 if "start" in hits and hits["start"][-1].value == "1-based" else 0
        asked_start = _natural(query.get("start", "0"), "start")
        asked_limit = _natural(query.get("limit", str(DEFAULT_LIMIT)), "limit", least=1)
        order = query.get("order", "ASC").upper()
        if order not in ("ASC", "DESC"):
            raise _Refused(400, order="The order must be ASC or DESC.")
        start = 0 if "ignore-start" in hits else max(asked_start - base, 0)
        limit = min(asked_limit, MAX_LIMIT, *(int(fault.value) for fault in hits.get("clamp", ())))
        descending = order == "DESC" and "ignore-order" not in hits
        stop = min(start + limit, total)
        if start >= total:
            if "past-end" in hits and hits["past-end"][-1].value == "404":
                raise _Refused(404, "There are no messages to list.")
            response = web.Response(body=b"[]", content_type="application/json", charset="utf-8")
        else:
            response = web.Response(
                body=read(start, stop, descending), content_type="application/json", charset="utf-8"
            )
        link = hits["link"][-1] if "link" in hits else None
        style = "rfc8288" if link is None else link.value
        for text in link_headers(
            f"{request.scheme}://{request.host}{request.rel_url.raw_path}",
            style=style,
            foreign="https://elsewhere.example"
            if link is None
            else link.options.get("to", "https://elsewhere.example"),
            start=start,
            limit=asked_limit if style == "requested-limit" else limit,
            order=order,
            total=total,
            base=base,
        ):
            response.headers.add("Link", text)
        return response


def mask_path(path: str) -> str:
    """A request path without the participant in it: ``/v2/conversations/46***05/mt``."""
    head, separator, rest = path.partition("/conversations/")
    if not separator:
        return (
            path if re.fullmatch(r"(/v2/batches(/[0-9a-f]{24}(/messages(/[0-9a-f]{24})?)?)?)", path) else "(other path)"
        )
    participant, slash, tail = rest.partition("/")
    masked = f"{participant[:2]}***{participant[-2:]}" if participant.isdigit() and len(participant) > 6 else "***"
    return f"{head}/conversations/{masked}" + (f"/{tail}" if slash and tail in ("mt", "mo", "summary") else "")


async def _healthz(request: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})


def enum_style(hits: Hits) -> EnumStyle:
    """How enumerations are printed while these faults are on."""
    return "strings" if "enums" in hits and hits["enums"][-1].value == "strings" else "integers"


def _natural(text: str, name: str, least: int = 0) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) or int(text) < least:
        raise _Refused(400, **{name: f"The value of {name} must be a whole number from {least}."})
    return int(text)
