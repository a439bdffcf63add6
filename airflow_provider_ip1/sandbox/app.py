# SPDX-License-Identifier: Apache-2.0
"""The sandbox as an aiohttp application: the way of a request through faults, key check, endpoint and log."""

from __future__ import annotations

import asyncio
import gzip
import hmac
import logging
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime
from email.utils import formatdate
from typing import Any

from aiohttp import web

from airflow_provider_ip1.sandbox.account import SenderRule
from airflow_provider_ip1.sandbox.account_endpoints import AccountEndpoints
from airflow_provider_ip1.sandbox.conversation import PLACES
from airflow_provider_ip1.sandbox.endpoints import Endpoints, Handler, current_hits, read_body
from airflow_provider_ip1.sandbox.faults import Faults, Hits
from airflow_provider_ip1.sandbox.participants import MAIN, is_participant
from airflow_provider_ip1.sandbox.pusher import Pusher, PushRecord
from airflow_provider_ip1.sandbox.pushes import RETRY_SECONDS, PushQueue
from airflow_provider_ip1.sandbox.request_log import RequestRecord, log
from airflow_provider_ip1.sandbox.responses import (
    Refused,
    disconnect,
    fault_response,
    json_response,
    problem,
    truncate,
    whole_body,
)
from airflow_provider_ip1.sandbox.send_request import json_object
from airflow_provider_ip1.sandbox.store import HISTORY_END, Store

DEFAULT_KEY = "sandbox-key"
# What iP.1 does not have. These requests are not counted, and no fault hits them.
_HEALTH, _INCOMING = "/healthz", "/sandbox/incoming"
_MAX_REQUEST_BYTES = 2**20
_GZIP_FROM_BYTES = 1024


class Sandbox:
    """
    A stand-in for the iP.1 API.

    :param messages: messages in the main conversation (46701740605), 0 to 10,000,000; default 5000.
    :param conversations: further conversations, 0 to 489; default 0.
    :param seed: the same seed makes the same messages and the same random faults; default 1.
    :param key: the API key to accept; default ``sandbox-key``.
    :param faults: see ``--help`` of the sandbox.
    :param latency: how long each response takes at least, in seconds; default 0.
    :param delivery_seconds: how long a message takes from being accepted to its final status; default 20.
    :param replies: what recipients reply, see ``--help`` of the sandbox; default nothing.
    :param batches: batches that are sent when the sandbox starts, besides the demo batches, see ``--help`` of the
        sandbox; default none.
    :param senders: who can send: ``any`` sender (the default), the ``registered`` ones, or, as in a ``trial`` account,
        only ``iP1`` and ``iP1sms``. Messages of other senders end as 403.
    :param balance: what the account has paid in advance, in SEK, 0 or more. Messages that it does not cover end as 402.
        Default: the account pays later.
    :param incoming_url: where to push incoming messages to; default nowhere.
    :param push_retry_seconds: after how long a push without a 200 is sent again, above 0; default 600, as documented.
    :param push_anywhere: send pushes to any address instead of only this machine's loopback addresses; default False.
    :param history_end: no message of the past is newer than this (with a time zone); default 2026-11-01 UTC.
    :param compress: compress responses with gzip if the client accepts it; default False.
    :param clock: returns the sandbox's time in seconds since 1970; default :func:`time.time`.
    :param record: called with each request after its response.
    :param record_push: called with each attempt to send a push.
    :raises ValueError: if a value is out of range or a fault is invalid.
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
        replies: Iterable[str] = (),
        batches: Iterable[str] = (),
        senders: SenderRule = "any",
        balance: float | None = None,
        incoming_url: str | None = None,
        push_retry_seconds: float = RETRY_SECONDS,
        push_anywhere: bool = False,
        history_end: datetime = HISTORY_END,
        compress: bool = False,
        clock: Callable[[], float] = time.time,
        record: Callable[[RequestRecord], None] | None = None,
        record_push: Callable[[PushRecord], None] | None = None,
    ) -> None:
        if latency < 0:
            raise ValueError(f"latency must be 0 or more seconds, not {latency}")
        self.faults = Faults(faults, seed)
        self.store = Store(
            messages=messages,
            conversations=conversations,
            seed=seed,
            history_end=history_end,
            delivery_seconds=delivery_seconds,
            replies=replies,
            batches=batches,
            senders=senders,
            balance=balance,
            pushes=PushQueue(self.faults, retry_seconds=push_retry_seconds),
            clock=clock,
        )
        self.pusher = Pusher(self.store, anywhere=push_anywhere, record=record_push)
        self.incoming_url = incoming_url
        self.key = key
        self.latency = latency
        self.compress = compress
        self.in_flight = 0
        self.max_in_flight = 0
        self._clock = clock
        self._record = record
        self._received: Counter[str] = Counter()

    @property
    def incoming_url(self) -> str | None:
        """Where incoming messages are pushed to. Setting it raises ``ValueError`` if that is not allowed."""
        return self.store.incoming_url

    @incoming_url.setter
    def incoming_url(self, url: str | None) -> None:
        if url is not None:
            self.pusher.check(url)
        self.store.incoming_url = url

    def application(self) -> web.Application:
        """Return a new aiohttp application that serves this sandbox."""
        app = web.Application(middlewares=[self._middleware], client_max_size=_MAX_REQUEST_BYTES)
        app.router.add_get(_HEALTH, _healthz)
        app.router.add_post(_INCOMING, self._receive)
        Endpoints(self.store).add_to(app.router)
        AccountEndpoints(self.store.account).add_to(app.router)
        app.cleanup_ctx.append(self.pusher.run)
        return app

    @property
    def _middleware(self) -> Any:
        @web.middleware
        async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
            is_own = request.path in (_HEALTH, _INCOMING)
            return await (handler(request) if is_own else self._serve(request, handler))

        return middleware

    async def _serve(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._received[request.method] += 1
        number = self._received.total()
        received_at = time.monotonic()
        hits = self.faults.for_request(number, request.method, self._received[request.method])
        current_hits.set(hits)
        if "slow" in hits:
            # So that a client that leaves while its request is in flight has sent it nevertheless.
            await request.read()
        self.in_flight += 1
        in_flight = self.in_flight
        self.max_in_flight = max(self.max_in_flight, in_flight)
        status = 0
        try:
            await _wait(self.latency + _seconds(hits, after_processing=False))
            self._change_rows(request, hits)
            cut = hits.last("reset") or hits.last("close")
            if cut is not None and not cut.is_after_processing:
                return disconnect(request, reset=cut.kind == "reset")
            response = await self._respond(request, handler, hits)
            response.headers["Date"] = formatdate(self._clock(), usegmt=True)
            await _wait(_seconds(hits, after_processing=True))
            if cut is not None:
                return disconnect(request, reset=cut.kind == "reset")
            if "truncate" in hits:
                return await truncate(request, response, chunked=hits.option("truncate", "chunked", "no") == "yes")
            status = response.status
            return response
        finally:
            self.in_flight -= 1
            if self._record is not None or log.isEnabledFor(logging.INFO):
                record = RequestRecord(
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
                if self._record is not None:
                    self._record(record)
                record.log()

    async def _respond(self, request: web.Request, handler: Handler, hits: Hits) -> web.Response:
        redirect, status = hits.last("redirect"), hits.last("status")
        if redirect is not None:
            location = {"Location": redirect.options["to"]}
            return web.Response(status=int(redirect.options.get("status", 302)), headers=location)
        if status is not None and not status.is_after_processing:
            return fault_response(status, self._clock())
        try:
            self._check_key(request)
            self.store.receive_replies()
            response = await handler(request)
        except Refused as refused:
            return problem(refused.status, refused.detail, refused.errors)
        except web.HTTPException as error:
            response = problem(error.status)
            if "Allow" in error.headers:
                response.headers["Allow"] = error.headers["Allow"]
            return response
        return fault_response(status, self._clock()) if status is not None else self._spoil(request, response, hits)

    def _spoil(self, request: web.Request, response: web.Response, hits: Hits) -> web.Response:
        """Apply the faults that change a successful response, and compress it."""
        if "html" in hits:
            page = "<!DOCTYPE html><html><body><h1>Welcome</h1></body></html>"
            return web.Response(text=page, content_type="text/html")
        body = whole_body(response)
        if "empty" in hits:
            body = b""
        if "badjson" in hits:
            body = body[: max(len(body) // 2, 1)]
        code = hits.value("unknown-status")
        if code is not None:
            # A quotation mark inside a text is escaped, so this finds only fields.
            body = body.replace(b'"code":201,', b'"code":%b,' % code.encode())
        if "direction" in hits:
            body = re.sub(rb'(?<=[^\\]"direction":)[01]', lambda match: b"1" if match[0] == b"0" else b"0", body)
        if body is not response.body:
            response.body = body
        if self.compress and len(body) >= _GZIP_FROM_BYTES and "gzip" in request.headers.get("Accept-Encoding", ""):
            response.body = gzip.compress(body, compresslevel=1, mtime=0)
            response.headers["Content-Encoding"] = "gzip"
        return response

    async def _receive(self, request: web.Request) -> web.Response:
        """Receive an SMS that somebody sends from a shell, and return it."""
        try:
            self._check_key(request)
            fields = json_object(await read_body(request), request.charset)
            sender, body = fields.get("sender"), fields.get("body")
            if not isinstance(sender, str) or not is_participant(sender):
                raise Refused(400, sender="The sender must be a number of at most 15 digits, or a name.")
            if not isinstance(body, str) or not body.strip():
                raise Refused(400, body="The body must be a text.")
            batch = await asyncio.to_thread(self.store.receive, sender, body)
        except Refused as refused:
            return problem(refused.status, refused.detail, refused.errors)
        return json_response(batch.sent[0].to_dict(batch.created_ms, "integers"), 201)

    def _check_key(self, request: web.Request) -> None:
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(
            key.strip().encode(errors="surrogateescape"), self.key.encode()
        ):
            raise Refused(401)

    def _change_rows(self, request: web.Request, hits: Hits) -> None:
        for fault in (*hits.all("insert"), *hits.all("delete"), *hits.all("swap")):
            requested = request.match_info.get("participant", MAIN)
            conversation = self.store.conversations.get(fault.options.get("participant", requested))
            if conversation is None:
                continue
            if fault.kind == "swap":
                conversation.swap(int(fault.options["at"]))
                continue
            at: str | int = fault.options.get("at", "tail" if fault.kind == "insert" else "head")
            if at not in PLACES:
                at = min(int(at), len(conversation.rows))
            change = conversation.insert if fault.kind == "insert" else conversation.delete
            change(int(fault.options.get("count", "1")), at)


async def _wait(seconds: float) -> None:
    if seconds:
        await asyncio.sleep(seconds)


def _seconds(hits: Hits, *, after_processing: bool) -> float:
    slow = (fault for fault in hits.all("slow") if fault.is_after_processing is after_processing)
    return sum(float(fault.options["seconds"]) for fault in slow)


async def _healthz(_request: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})
