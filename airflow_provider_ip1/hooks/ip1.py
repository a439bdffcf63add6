# SPDX-License-Identifier: Apache-2.0
"""
Hooks for the iP.1 SMS API: one on requests, one on aiohttp.

What to send, how to page, what to retry and when to give up is decided under ``airflow_provider_ip1.api``. The
hooks send, wait and look up the Airflow connection.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import aclosing, closing
from datetime import UTC, datetime
from functools import cache, cached_property, partial
from importlib.metadata import PackageNotFoundError, version
from queue import SimpleQueue
from typing import Any, TypeVar
from weakref import WeakValueDictionary

import aiohttp
import requests
import urllib3
import yarl
from airflow.providers.common.compat.connection import get_async_connection, get_async_extra_dejson
from airflow.providers.common.compat.sdk import BaseHook, mask_secret
from requests.auth import AuthBase

from airflow_provider_ip1 import __version__
from airflow_provider_ip1.api.messages import ConversationSummary, Message
from airflow_provider_ip1.api.page_body import RawPage
from airflow_provider_ip1.api.paging import Direction, Order, Page, Pager, PageRequest, ReadAhead
from airflow_provider_ip1.api.progress import Progress
from airflow_provider_ip1.api.protocol import (
    Answer,
    Exchange,
    Failure,
    Request,
    RetryPolicy,
    batch_messages_request,
    check_id,
    conversation_request,
    message_request,
    normalize_participant,
    read_rows,
    summary_request,
)
from airflow_provider_ip1.api.rate import RequestRate
from airflow_provider_ip1.api.settings import Settings, check_argument, read_settings
from airflow_provider_ip1.exceptions import IP1ConnectionError, IP1Error
from airflow_provider_ip1.hooks.log_masking import mask_urllib3_log

T = TypeVar("T")

#: Bytes. No page of 10,000 messages comes near it; an answer without end is not read into memory.
MAX_BODY_BYTES = 256 * 1024 * 1024
#: An answer may take this many read timeouts in all, however slowly it drips.
MAX_BODY_TIMEOUTS = 10
_CHUNK = 256 * 1024
# A number reserved for fiction, so that testing a connection asks about nobody.
_TEST_PARTICIPANT = "46701740605"


class _BearerAuth(AuthBase):
    """Sets the key on each request. With an auth of its own, requests does not fall back on a netrc file."""

    def __init__(self, api_key: str) -> None:
        self._api_key = api_key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._api_key}"
        return request


class _Session(requests.Session):
    """A session that leaves redirects alone: :class:`~airflow_provider_ip1.api.protocol.Exchange` judges them."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """None. With any other answer, requests reads a redirect's body to its end even when it need not follow."""
        return None


class _SharedRate:
    """
    The request rate of all hooks of a process that use the same key, whatever thread they run in.

    Before sending, wait as long as :meth:`reserve` says, then as long as :meth:`confirm` says. Who was woken late, as
    all that wait in an event loop are when something blocks it, would else go together with the others.
    """

    _shared: WeakValueDictionary[tuple[str, str, float], _SharedRate] = WeakValueDictionary()
    _sharing = threading.Lock()

    def __init__(self, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._planned = RequestRate(per_second)
        self._sent = RequestRate(per_second)
        self._clock = clock
        self._lock = threading.Lock()

    @classmethod
    def of(cls, settings: Settings) -> _SharedRate:
        key_digest = hashlib.sha256(settings.api_key.encode()).hexdigest()
        name = (settings.base_url, key_digest, settings.requests_per_second)
        with cls._sharing:
            shared = cls._shared.get(name)
            if shared is None:
                shared = cls._shared[name] = cls(settings.requests_per_second)
            return shared

    def reserve(self) -> float:
        with self._lock:
            return self._planned.reserve(self._clock())

    def confirm(self) -> float:
        with self._lock:
            return self._sent.reserve(self._clock())


class _ClosedReading(Exception):
    """Ends the work of a read-ahead thread whose reader has gone. Nobody sees it."""


@cache
def _user_agent() -> str:
    airflow = "unknown"
    for distribution in ("apache-airflow", "apache-airflow-core", "apache-airflow-task-sdk"):
        try:
            airflow = version(distribution)
            break
        except PackageNotFoundError:
            continue
    return f"airflow-provider-ip1/{__version__} (Airflow {airflow})"


def _check_direction(direction: str | None) -> Direction | None:
    lowered = direction.lower() if isinstance(direction, str) else direction
    if lowered is None or lowered == "mt" or lowered == "mo":
        return lowered  # type: ignore[return-value]  # mypy does not narrow a str to literals here
    raise ValueError("direction must be None, 'mt' (sent by you) or 'mo' (received by you)")


def _check_order(order: str) -> Order:
    raised = order.upper() if isinstance(order, str) else order
    if raised == "ASC" or raised == "DESC":
        return raised  # type: ignore[return-value]  # as above
    raise ValueError("order must be 'ASC' (oldest first) or 'DESC'")


def _failure(error: Exception) -> Failure:
    """What went wrong on the network, in words that quote no URL."""
    name = type(error).__name__
    causes = list(_causes(error))
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        # aiohttp's own error of this type lacks the message.
        reason = next((cause.verify_message for cause in causes if hasattr(cause, "verify_message")), name)
        return Failure(f"the server's certificate is not trusted ({reason})", kind="settings")
    for cause in causes:
        if isinstance(cause, OSError) and cause.strerror and not isinstance(cause, requests.RequestException):
            return Failure(f"{name}: {cause.strerror}")
    if any(isinstance(cause, TimeoutError) for cause in causes):
        return Failure(f"{name}: the server did not answer in time")
    return Failure(name)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and what led to it. urllib3 keeps that in ``reason`` and in arguments, too."""
    waiting, seen = [error], set()
    while waiting:
        cause = waiting.pop(0)
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        linked = (getattr(cause, "reason", None), *cause.args, cause.__cause__, cause.__context__)
        waiting += [link for link in linked if isinstance(link, BaseException)]


class _Fetchers:
    """
    Threads that send the requests of one reading.

    Python waits for the threads of a ThreadPoolExecutor before it exits, here for an answer that nobody wants any more.
    It does not wait for these.
    """

    def __init__(self) -> None:
        self._jobs: SimpleQueue[tuple[PageRequest, Callable[[], RawPage]] | None] = SimpleQueue()
        self._results: SimpleQueue[tuple[PageRequest, RawPage | BaseException]] = SimpleQueue()
        self._threads = 0
        #: Requests whose answer was not taken yet.
        self.pending = 0

    def start(self, wanted: PageRequest, fetch: Callable[[], RawPage]) -> None:
        self.pending += 1
        self._jobs.put((wanted, fetch))
        if self.pending > self._threads:
            self._threads += 1
            threading.Thread(target=self._work, name="ip1-read-ahead", daemon=True).start()

    def next_result(self) -> tuple[PageRequest, RawPage | BaseException]:
        result = self._results.get()
        self.pending -= 1
        return result

    def close(self) -> None:
        for _ in range(self._threads):
            self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            wanted, fetch = job
            try:
                self._results.put((wanted, fetch()))
            except BaseException as error:  # whoever takes the result gets it
                self._results.put((wanted, error))
            # Or this thread would hold on to a page until it gets the next.
            del job, wanted, fetch


class _BaseIP1Hook(BaseHook):
    """What the two hooks share: arguments, settings, and what to ask iP.1 for."""

    conn_name_attr = "ip1_conn_id"
    default_conn_name = "ip1_default"
    conn_type = "ip1"
    hook_name = "iP.1 SMS"

    def __init__(
        self,
        ip1_conn_id: str = default_conn_name,
        *,
        timeout: float | tuple[float, float] | None = None,
        page_size: int | None = None,
        concurrency: int | None = None,
        max_attempts: int | None = None,
        requests_per_second: float | None = None,
    ) -> None:
        super().__init__()
        self.ip1_conn_id = ip1_conn_id
        self._overrides: Mapping[str, Any] = {
            name: check_argument(name, value)
            for name, value in {
                "timeout": timeout,
                "page_size": page_size,
                "concurrency": concurrency,
                "max_attempts": max_attempts,
                "requests_per_second": requests_per_second,
            }.items()
        }
        #: Requests sent so far, those sent again included.
        self.requests_sent = 0
        #: How many of them were sent again after a failure.
        self.retries = 0
        self._counting = threading.Lock()
        self._warned = False

    def _read_settings(self, connection: Any, extra: Mapping[str, Any]) -> Settings:
        settings, unknown = read_settings(
            self.ip1_conn_id,
            host=connection.host,
            schema=connection.schema,
            port=connection.port,
            password=connection.password,
            extra=extra,
            overrides=self._overrides,
        )
        if unknown and not self._warned:
            self._warned = True
            self.log.warning(
                "Connection %r has extras that the iP.1 provider does not know: %s.",
                self.ip1_conn_id,
                ", ".join(unknown),
            )
        return settings

    def _exchange(
        self,
        settings: Settings,
        request: Request,
        read: Callable[[Answer], T],
        missing: Callable[[], T] | None = None,
    ) -> Exchange[T]:
        return Exchange(
            request,
            base_url=settings.base_url,
            conn_id=self.ip1_conn_id,
            read=read,
            missing=missing,
            policy=RetryPolicy(settings.max_attempts),
        )

    def _page_exchange(self, settings: Settings, wanted: PageRequest) -> Exchange[RawPage]:
        request: Request = wanted.pager.source
        page = request.page(wanted.start, wanted.limit, wanted.pager.order)
        return self._exchange(settings, page, read_rows, missing=RawPage)

    def _message_exchange(self, settings: Settings, request: Request) -> Exchange[Message]:
        return self._exchange(settings, request, lambda answer: Message.from_json(answer.body))

    def _summary_exchange(self, settings: Settings, participant: str) -> Exchange[ConversationSummary]:
        return self._exchange(
            settings,
            summary_request(participant),
            lambda answer: ConversationSummary.from_json(answer.body),
            missing=lambda: ConversationSummary(participant=participant, total_messages=0, total_sms=0),
        )

    def _test_exchange(self, settings: Settings) -> Exchange[RawPage]:
        request = conversation_request(_TEST_PARTICIPANT).page(0, 1, "ASC")
        return self._exchange(settings, request, read_rows, missing=RawPage)

    def _received(self, exchange: Exchange[Any], outcome: Answer | Failure) -> float | None:
        """Count what was sent, and let the exchange say what is next."""
        with self._counting:
            self.requests_sent += 1
        delay = exchange.received(outcome, datetime.now(UTC))
        if delay is not None:
            with self._counting:
                self.retries += 1
            self.log.info("Asking iP.1 again for %s in %.1f s.", exchange.request.label, delay)
        return delay

    def _pager(
        self,
        request: Request,
        settings: Settings,
        *,
        order: Order,
        page_size: int | None,
        concurrency: int | None,
        participant: str | None = None,
        direction: Direction | None = None,
    ) -> Pager:
        return Pager(
            page_size=page_size or settings.page_size,
            window=concurrency or settings.concurrency,
            order=order,
            participant=participant,
            direction=direction,
            source=request,
        )

    def _conversation_pagers(
        self,
        participants: Iterable[str],
        settings: Settings,
        *,
        direction: Direction | None,
        order: Order,
        page_size: int | None,
        concurrency: int | None,
    ) -> Iterable[Callable[[], Pager]]:
        for participant in participants:
            yield partial(
                self._pager,
                conversation_request(participant, direction),
                settings,
                order=order,
                page_size=page_size,
                concurrency=concurrency,
                participant=participant,
                direction=direction,
            )

    def _conversation_lists(
        self,
        participants: Iterable[str],
        direction: str | None,
        order: str,
        page_size: int | None,
        concurrency: int | None,
    ) -> tuple[Callable[[Settings], Iterable[Callable[[], Pager]]], int]:
        """Check the arguments of a reading of conversations. Gives what makes its pagers, and how many there are."""
        check_argument("page_size", page_size)
        check_argument("concurrency", concurrency)
        normalized = [normalize_participant(participant) for participant in participants]
        pagers = partial(
            self._conversation_pagers,
            normalized,
            direction=_check_direction(direction),
            order=_check_order(order),
            page_size=page_size,
            concurrency=concurrency,
        )
        return pagers, len(normalized)

    def _batch_list(
        self, batch_id: str, order: str, page_size: int | None
    ) -> Callable[[Settings], Iterable[Callable[[], Pager]]]:
        """Check the arguments of a reading of a batch. Gives what makes its pager."""
        check_argument("page_size", page_size)
        request = batch_messages_request(check_id(batch_id, "batch_id"))
        checked_order = _check_order(order)

        def pagers(settings: Settings) -> Iterable[Callable[[], Pager]]:
            return [partial(self._pager, request, settings, order=checked_order, page_size=page_size, concurrency=None)]

        return pagers

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """The connection form's field names on Airflow 2; Airflow 3 reads them from the provider's metadata."""
        behaviour = _declared_connection_type()["ui-field-behaviour"]
        return {key.replace("-", "_"): value for key, value in behaviour.items()}

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """The connection form's extra fields on Airflow 2, made from the provider's metadata for Airflow 3."""
        from flask_appbuilder.fieldwidgets import BS3PasswordFieldWidget, BS3TextFieldWidget
        from wtforms import BooleanField, FloatField, IntegerField, PasswordField, StringField
        from wtforms.validators import Optional

        widgets: dict[str, Any] = {}
        for name, declared in _declared_connection_type()["conn-fields"].items():
            schema = declared["schema"]
            first_type = schema["type"][0]
            label, described = declared["label"], {"description": declared["description"]}
            if schema.get("format") == "password":
                widgets[name] = PasswordField(label, widget=BS3PasswordFieldWidget(), **described)
            elif first_type == "boolean":
                widgets[name] = BooleanField(label, default=bool(schema.get("default")), **described)
            else:
                kind = {"integer": IntegerField, "number": FloatField}.get(first_type, StringField)
                widgets[name] = kind(label, widget=BS3TextFieldWidget(), validators=[Optional()], **described)
        return widgets


def _declared_connection_type() -> dict[str, Any]:
    from airflow_provider_ip1.get_provider_info import get_provider_info

    return get_provider_info()["connection-types"][0]  # type: ignore[no-any-return]


class IP1Hook(_BaseIP1Hook):
    """
    Reads SMS conversations, batches and messages from iP.1 (https://www.ip1sms.com/en/developer/).

    Paging, retries and the request rate are done for the caller. Whatever happens to a conversation while it is read,
    every message that was there throughout comes out exactly once and in order, or an
    :class:`~airflow_provider_ip1.exceptions.IP1Error` says why not.

    The arguments win over the connection's extras of the same name, and those over the defaults. Nothing is looked up
    or sent before the first call. One hook holds one session; it may be used from several threads.

    :param ip1_conn_id: Airflow connection with the API key in *password* and the base URL in *host*.
    :param timeout: seconds above 0 to wait for the server, or (connect, read). Default (10, 60).
    :param page_size: messages asked for per request, 1 to 10000. Default 200. The largest that iP.1 grants is not
        documented; it may send fewer, which is noticed.
    :param concurrency: most requests in flight, 1 to 64. Default 4.
    :param max_attempts: most requests sent for one answer, 1 to 20. Default 5.
    :param requests_per_second: most requests per second of this process with this key, 0 for no limit. Default 20.
    :raises ValueError: an argument is out of range; names it.
    """

    @cached_property
    def settings(self) -> Settings:
        """
        What the connection and the arguments say together.

        :raises IP1ConnectionError: the connection cannot be used; names the field.
        """
        connection = self.get_connection(self.ip1_conn_id)
        settings = self._read_settings(connection, connection.extra_dejson)
        if settings.redact_key:
            # Airflow masks extras by their names and does not know this one. IP1AsyncHook never uses it.
            mask_secret(settings.redact_key)
        return settings

    @cached_property
    def _session(self) -> requests.Session:
        mask_urllib3_log()
        session = _Session()
        session.headers.update({"Accept": "application/json", "User-Agent": _user_agent()})
        session.auth = _BearerAuth(self.settings.api_key)
        adapter = requests.adapters.HTTPAdapter(pool_connections=1, pool_maxsize=64, max_retries=0)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        return session

    @cached_property
    def _prepared(self) -> requests.PreparedRequest:
        """What every request has in common. Only the URL differs, and that is encoded already."""
        return self._session.prepare_request(requests.Request("GET", self.settings.base_url))

    @cached_property
    def _transport_settings(self) -> Mapping[str, Any]:
        """Proxies and certificates, with the environment's looked up once and not for every request."""
        settings = self.settings
        found = self._session.merge_environment_settings(
            settings.base_url, dict(settings.proxies or {}), True, settings.verify, None
        )
        if isinstance(found["verify"], str):
            _ssl_context(found["verify"], settings.conn_id)
        return found

    @cached_property
    def _rate(self) -> _SharedRate:
        return _SharedRate.of(self.settings)

    def get_conn(self) -> requests.Session:
        """
        The session that all requests of this hook go through, with the key, the user agent and the connection pool.

        :raises IP1ConnectionError: the connection cannot be used.
        """
        return self._session

    def close(self) -> None:
        """Close the session and its connections. The hook opens a new one when it is used again."""
        session = self.__dict__.pop("_session", None)
        for name in ("_prepared", "_transport_settings"):
            self.__dict__.pop(name, None)
        if session is not None:
            session.close()

    def iter_messages(
        self,
        participant: str,
        *,
        direction: str | None = None,
        order: str = "ASC",
        page_size: int | None = None,
        concurrency: int | None = None,
    ) -> Iterator[Message]:
        """
        All messages to and from a participant. A conversation without messages (404) ends at once.

        :param participant: phone number with country code, or sender name.
        :param direction: ``"mt"`` for what you sent, ``"mo"`` for what you received, ``None`` (default) for both.
        :param order: by creation, ``"ASC"`` (default, oldest first) or ``"DESC"``.
        :param page_size: messages per request, 1 to 10000; default as the hook's.
        :param concurrency: most requests in flight, 1 to 64; default as the hook's.
        :return: an iterator; closing it early stops the reading ahead.
        :raises IP1Error: see :mod:`airflow_provider_ip1.exceptions`.
        :raises ValueError: an argument is out of range; names it.
        """
        pages = self.iter_pages(
            participant, direction=direction, order=order, page_size=page_size, concurrency=concurrency
        )
        return self._messages_of(pages)

    def iter_pages(
        self,
        participant: str,
        *,
        direction: str | None = None,
        order: str = "ASC",
        page_size: int | None = None,
        concurrency: int | None = None,
    ) -> Iterator[Page]:
        """
        The same as :meth:`iter_messages` in pages, with the messages' JSON as iP.1 sent it.

        :param participant: phone number with country code, or sender name.
        :param direction: ``"mt"`` for what you sent, ``"mo"`` for what you received, ``None`` (default) for both.
        :param order: by creation, ``"ASC"`` (default, oldest first) or ``"DESC"``.
        :param page_size: messages per request, 1 to 10000; default as the hook's.
        :param concurrency: most requests in flight, 1 to 64; default as the hook's.
        :return: an iterator of pages with at least one message each.
        :raises IP1Error: see :mod:`airflow_provider_ip1.exceptions`.
        :raises ValueError: an argument is out of range; names it.
        """
        return self.iter_pages_of(
            [participant], direction=direction, order=order, page_size=page_size, concurrency=concurrency
        )

    def iter_pages_of(
        self,
        participants: Iterable[str],
        *,
        direction: str | None = None,
        order: str = "ASC",
        page_size: int | None = None,
        concurrency: int | None = None,
        is_last_page: Callable[[Page], bool] | None = None,
    ) -> Iterator[Page]:
        """
        The pages of several conversations, one conversation after the other, read ahead across their borders.

        :param participants: phone numbers with country code, or sender names.
        :param direction: ``"mt"`` for what you sent, ``"mo"`` for what you received, ``None`` (default) for both.
        :param order: by creation, ``"ASC"`` (default, oldest first) or ``"DESC"``.
        :param page_size: messages per request, 1 to 10000; default as the hook's.
        :param concurrency: most requests in flight, 1 to 64; default as the hook's.
        :param is_last_page: called with each page before it is yielded; where it returns true, the rest of that
            conversation is not read.
        :return: an iterator of pages; ``participant`` of a page says whose it is.
        :raises IP1Error: see :mod:`airflow_provider_ip1.exceptions`.
        :raises ValueError: an argument is out of range; names it.
        """
        pagers, count = self._conversation_lists(participants, direction, order, page_size, concurrency)
        return self._read(pagers, concurrency, is_last_page, is_one_list=count == 1)

    def iter_batch_messages(
        self, batch_id: str, *, order: str = "ASC", page_size: int | None = None
    ) -> Iterator[Message]:
        """
        The messages of a batch, each with its latest status only (iP.1's page on reading SMS).

        :param batch_id: id of the batch.
        :param order: by creation, ``"ASC"`` (default) or ``"DESC"``.
        :param page_size: messages per request, 1 to 10000; default as the hook's.
        :return: an iterator; a batch that iP.1 does not know, or has no messages of yet (404), ends at once.
        :raises IP1Error: see :mod:`airflow_provider_ip1.exceptions`.
        :raises ValueError: an argument is out of range; names it.
        """
        return self._messages_of(self._read(self._batch_list(batch_id, order, page_size), None))

    def get_summary(self, participant: str) -> ConversationSummary:
        """
        How many messages a conversation has, by direction and latest status code.

        :param participant: phone number with country code, or sender name.
        :return: the counts; all zero where iP.1 has no messages (404).
        :raises IP1Error: see :mod:`airflow_provider_ip1.exceptions`.
        """
        normalized = normalize_participant(participant)
        return self._run(self._summary_exchange(self.settings, normalized))

    def get_message(self, batch_id: str, message_id: str) -> Message:
        """
        One message with its full status history (iP.1's page on reading SMS).

        :param batch_id: id of the batch that the message belongs to.
        :param message_id: id of the message.
        :raises IP1NotFoundError: iP.1 does not know it (yet).
        :raises IP1Error: see :mod:`airflow_provider_ip1.exceptions`.
        :raises ValueError: an id is empty or cannot be part of a path.
        """
        request = message_request(check_id(batch_id, "batch_id"), check_id(message_id, "message_id"))
        return self._run(self._message_exchange(self.settings, request))

    def test_connection(self) -> tuple[bool, str]:
        """
        Ask iP.1 for one message of a number that nobody has, to see whether address and key are right.

        :return: whether it worked, and a sentence for people.
        """
        try:
            self._run(self._test_exchange(self.settings))
        except IP1Error as error:
            return False, str(error)
        return True, f"{self.settings.base_url} accepted the API key."

    # -- sending

    def _run(self, exchange: Exchange[T], closed: threading.Event | None = None) -> T:
        closed = closed or threading.Event()
        while True:
            for turn in (self._rate.reserve, self._rate.confirm):
                if (pause := turn()) > 0:
                    closed.wait(pause)
            if closed.is_set():
                raise _ClosedReading
            delay = self._received(exchange, self._send(exchange.url))
            if delay is None:
                return exchange.result
            if closed.wait(delay):
                raise _ClosedReading

    def _send(self, url: str) -> Answer | Failure:
        session = self._session
        try:
            request = self._prepared.copy()
            request.url = url
            with session.send(
                request, timeout=self.settings.timeout, allow_redirects=False, **self._transport_settings
            ) as response:
                return self._receive(response)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            return _failure(error)

    def _receive(self, response: requests.Response) -> Answer | Failure:
        read_timeout = self.settings.timeout[1]
        deadline = time.monotonic() + MAX_BODY_TIMEOUTS * read_timeout
        body = bytearray()
        # Unlike iter_content, read1 comes back with what is there, so that the deadline holds for a trickle, too.
        response.raw.decode_content = True
        while chunk := response.raw.read1(_CHUNK):
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                return Failure(f"the answer is larger than {MAX_BODY_BYTES:,} bytes", kind="answer")
            if time.monotonic() > deadline:
                return Failure("the answer came too slowly")
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, headers, bytes(body))

    # -- reading ahead

    def _messages_of(self, pages: Iterator[Page]) -> Iterator[Message]:
        with closing(pages):  # type: ignore[type-var]  # a generator, as _read makes it
            for page in pages:
                yield from page.messages

    def _read(
        self,
        pagers: Callable[[Settings], Iterable[Callable[[], Pager]]],
        concurrency: int | None,
        is_last_page: Callable[[Page], bool] | None = None,
        is_one_list: bool = True,
    ) -> Iterator[Page]:
        settings = self.settings
        ahead = ReadAhead(pagers(settings), concurrency or settings.concurrency)
        progress = Progress(time.monotonic())
        # Of several lists, or of one that is not read to its end, the total says nothing about the time left.
        has_total = is_one_list and is_last_page is None
        closed = threading.Event()
        fetchers = _Fetchers()

        def send() -> None:
            for wanted in ahead.wanted():
                fetchers.start(wanted, partial(self._run, self._page_exchange(settings, wanted), closed))

        try:
            send()
            while not ahead.done:
                page = ahead.next_page()
                if page is None:
                    send()
                    if fetchers.pending:
                        wanted, answer = fetchers.next_result()
                        if not isinstance(answer, (RawPage, Exception)):
                            raise answer
                        ahead.received(wanted, answer)
                    continue
                if is_last_page is not None and is_last_page(page):
                    ahead.skip_rest()
                total_hint = page.total_hint if has_total else None
                line = progress.add(len(page), total_hint, time.monotonic())
                if line:
                    self.log.info("Reading from iP.1: %s.", line)
                # The consumer takes its time with this page; the next ones are fetched meanwhile.
                send()
                yield page
        finally:
            closed.set()
            fetchers.close()


def _ssl_context(ca_path: str, conn_id: str) -> ssl.SSLContext:
    try:
        return _load_ssl_context(ca_path)
    except OSError:
        problem = "cannot be read as CA certificates. Give a file in PEM format."
    raise IP1ConnectionError(
        f"Connection {conn_id!r}: what extra 'verify', REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE names {problem}"
    )


@cache
def _load_ssl_context(ca_path: str) -> ssl.SSLContext:
    is_folder = os.path.isdir(ca_path)
    return ssl.create_default_context(cafile=None if is_folder else ca_path, capath=ca_path if is_folder else None)


async def _send_once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """
    Keep aiohttp from sending a request again of its own accord when the connection breaks.

    That is decided, counted and paced by :class:`~airflow_provider_ip1.api.protocol.Exchange`. aiohttp does it for two
    kinds of errors only, so these leave here as another.
    """
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise aiohttp.ClientConnectionError from error


class IP1AsyncHook(_BaseIP1Hook):
    """
    :class:`IP1Hook` for event loops, such as the triggerer's: the same methods as coroutines and async iterators.

    Close it with ``await hook.close()`` or use it as ``async with IP1AsyncHook(...) as hook``. It belongs to the event
    loop in which it was first used.

    :param ip1_conn_id: Airflow connection with the API key in *password* and the base URL in *host*.
    :param timeout: seconds above 0 to wait for the server, or (connect, read). Default (10, 60).
    :param page_size: messages asked for per request, 1 to 10000. Default 200.
    :param concurrency: most requests in flight, 1 to 64. Default 4.
    :param max_attempts: most requests sent for one answer, 1 to 20. Default 5.
    :param requests_per_second: most requests per second of this process with this key, 0 for no limit. Default 20.
    :raises ValueError: an argument is out of range; names it.
    """

    def __init__(self, ip1_conn_id: str = _BaseIP1Hook.default_conn_name, **settings: Any) -> None:
        super().__init__(ip1_conn_id, **settings)
        self._opened: tuple[Settings, aiohttp.ClientSession, Mapping[str, Any], _SharedRate] | None = None
        self._opening = asyncio.Lock()

    async def __aenter__(self) -> IP1AsyncHook:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the session and its connections. The hook opens a new one when it is used again."""
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened[1].close()

    async def get_settings(self) -> Settings:
        """
        What the connection and the arguments say together. Looked up once until :meth:`close`.

        :raises IP1ConnectionError: the connection cannot be used; names the field.
        """
        return (await self._open())[0]

    async def get_conn(self) -> aiohttp.ClientSession:
        """
        The session that all requests of this hook go through.

        :raises IP1ConnectionError: the connection cannot be used.
        """
        return (await self._open())[1]

    async def reload_connection(self) -> None:
        """
        Look the connection up again, for long waits in which a key may be changed.

        The session stays where nothing has changed.

        :raises IP1ConnectionError: the connection cannot be used; names the field.
        """
        if self._opened is None:
            return
        if await self._lookup() != self._opened[0]:
            await self.close()

    async def _lookup(self) -> Settings:
        connection = await get_async_connection(self.ip1_conn_id, hook=type(self))
        return self._read_settings(connection, await get_async_extra_dejson(connection))

    async def _open(self) -> tuple[Settings, aiohttp.ClientSession, Mapping[str, Any], _SharedRate]:
        async with self._opening:
            if self._opened is None:
                settings = await self._lookup()
                how = await asyncio.to_thread(_aiohttp_arguments, settings)
                connect, read = settings.timeout
                session = aiohttp.ClientSession(
                    headers={
                        "Accept": "application/json",
                        "Authorization": f"Bearer {settings.api_key}",
                        "User-Agent": _user_agent(),
                    },
                    timeout=aiohttp.ClientTimeout(
                        total=connect + MAX_BODY_TIMEOUTS * read, sock_connect=connect, sock_read=read
                    ),
                    connector=aiohttp.TCPConnector(limit=64),
                    cookie_jar=aiohttp.DummyCookieJar(),
                    middlewares=(_send_once,),
                )
                self._opened = settings, session, how, _SharedRate.of(settings)
            return self._opened

    def iter_messages(
        self,
        participant: str,
        *,
        direction: str | None = None,
        order: str = "ASC",
        page_size: int | None = None,
        concurrency: int | None = None,
    ) -> AsyncIterator[Message]:
        """See :meth:`IP1Hook.iter_messages`; an async iterator."""
        pages = self.iter_pages(
            participant, direction=direction, order=order, page_size=page_size, concurrency=concurrency
        )
        return self._messages_of(pages)

    def iter_pages(
        self,
        participant: str,
        *,
        direction: str | None = None,
        order: str = "ASC",
        page_size: int | None = None,
        concurrency: int | None = None,
    ) -> AsyncIterator[Page]:
        """See :meth:`IP1Hook.iter_pages`; an async iterator."""
        return self.iter_pages_of(
            [participant], direction=direction, order=order, page_size=page_size, concurrency=concurrency
        )

    def iter_pages_of(
        self,
        participants: Iterable[str],
        *,
        direction: str | None = None,
        order: str = "ASC",
        page_size: int | None = None,
        concurrency: int | None = None,
        is_last_page: Callable[[Page], bool] | None = None,
    ) -> AsyncIterator[Page]:
        """See :meth:`IP1Hook.iter_pages_of`; an async iterator."""
        pagers, count = self._conversation_lists(participants, direction, order, page_size, concurrency)
        return self._read(pagers, concurrency, is_last_page, is_one_list=count == 1)

    def iter_batch_messages(
        self, batch_id: str, *, order: str = "ASC", page_size: int | None = None
    ) -> AsyncIterator[Message]:
        """See :meth:`IP1Hook.iter_batch_messages`; an async iterator."""
        return self._messages_of(self._read(self._batch_list(batch_id, order, page_size), None))

    async def get_summary(self, participant: str) -> ConversationSummary:
        """See :meth:`IP1Hook.get_summary`."""
        normalized = normalize_participant(participant)
        return await self._run(self._summary_exchange(await self.get_settings(), normalized))

    async def get_message(self, batch_id: str, message_id: str) -> Message:
        """See :meth:`IP1Hook.get_message`."""
        request = message_request(check_id(batch_id, "batch_id"), check_id(message_id, "message_id"))
        return await self._run(self._message_exchange(await self.get_settings(), request))

    async def test_connection(self) -> tuple[bool, str]:
        """See :meth:`IP1Hook.test_connection`."""
        try:
            settings = await self.get_settings()
            await self._run(self._test_exchange(settings))
        except IP1Error as error:
            return False, str(error)
        return True, f"{settings.base_url} accepted the API key."

    # -- sending

    async def _run(self, exchange: Exchange[T]) -> T:
        while True:
            _, _, _, rate = await self._open()
            for turn in (rate.reserve, rate.confirm):
                if (pause := turn()) > 0:
                    await asyncio.sleep(pause)
            # Anew: the hook may have been closed during the pause.
            _, session, how, _ = await self._open()
            delay = self._received(exchange, await self._send(session, exchange.url, how))
            if delay is None:
                return exchange.result
            await asyncio.sleep(delay)

    @staticmethod
    async def _send(session: aiohttp.ClientSession, url: str, how: Mapping[str, Any]) -> Answer | Failure:
        try:
            async with session.get(yarl.URL(url, encoded=True), allow_redirects=False, **how) as response:
                body = bytearray()
                async for chunk in response.content.iter_chunked(_CHUNK):
                    body += chunk
                    if len(body) > MAX_BODY_BYTES:
                        return Failure(f"the answer is larger than {MAX_BODY_BYTES:,} bytes", kind="answer")
                headers = {name.lower(): ", ".join(response.headers.getall(name)) for name in response.headers}
                return Answer(response.status, headers, bytes(body))
        except (aiohttp.ClientError, OSError) as error:
            return _failure(error)

    # -- reading ahead

    async def _messages_of(self, pages: AsyncIterator[Page]) -> AsyncIterator[Message]:
        async with aclosing(pages):  # type: ignore[type-var]  # a generator, as _read makes it
            async for page in pages:
                for message in page.messages:
                    yield message

    async def _read(
        self,
        pagers: Callable[[Settings], Iterable[Callable[[], Pager]]],
        concurrency: int | None,
        is_last_page: Callable[[Page], bool] | None = None,
        is_one_list: bool = True,
    ) -> AsyncIterator[Page]:
        settings = await self.get_settings()
        ahead = ReadAhead(pagers(settings), concurrency or settings.concurrency)
        progress = Progress(time.monotonic())
        # Of several lists, or of one that is not read to its end, the total says nothing about the time left.
        has_total = is_one_list and is_last_page is None
        pending: dict[asyncio.Task[RawPage], PageRequest] = {}

        def send() -> None:
            for wanted in ahead.wanted():
                pending[asyncio.ensure_future(self._run(self._page_exchange(settings, wanted)))] = wanted

        try:
            send()
            while not ahead.done:
                page = ahead.next_page()
                if page is None:
                    send()
                    if pending:
                        await self._collect(ahead, pending)
                    continue
                if is_last_page is not None and is_last_page(page):
                    ahead.skip_rest()
                total_hint = page.total_hint if has_total else None
                line = progress.add(len(page), total_hint, time.monotonic())
                if line:
                    self.log.info("Reading from iP.1: %s.", line)
                send()
                yield page
        finally:
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)

    @staticmethod
    async def _collect(ahead: ReadAhead, pending: dict[asyncio.Task[RawPage], PageRequest]) -> None:
        finished, _ = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for task in finished:
            error = task.exception()
            if error is not None and not isinstance(error, Exception):
                raise error
            ahead.received(pending.pop(task), error if error is not None else task.result())


def _aiohttp_arguments(settings: Settings) -> Mapping[str, Any]:
    """Proxy and certificates for aiohttp, found in the same places as requests finds them."""
    with requests.Session() as session:
        found = session.merge_environment_settings(
            settings.base_url, dict(settings.proxies or {}), False, settings.verify, None
        )
    proxy = requests.utils.select_proxy(settings.base_url, found["proxies"])
    verify = found["verify"]
    return {"proxy": proxy, "ssl": _ssl_context(verify, settings.conn_id) if isinstance(verify, str) else verify}
