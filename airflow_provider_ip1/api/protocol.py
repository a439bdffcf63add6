# SPDX-License-Identifier: Apache-2.0
"""
One request to iP.1, without doing any I/O: what to send, what an answer means, and whether to try again.

The synchronous and the asynchronous hook both run an :class:`Exchange` and differ only in how they send and wait.
Sources: iP.1's introduction (Bearer key, https, start/limit/order), the conversation page (200, 400, 404), RFC 9110
for ``Retry-After`` and status classes. iP.1 documents no other status; 401, 403, 429 and 5xx are read as HTTP says.
"""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Generic, Literal, TypeVar
from urllib.parse import quote, urlencode, urljoin, urlsplit

from airflow_provider_ip1.api.json_text import UnreadableBody
from airflow_provider_ip1.api.link import parse_link
from airflow_provider_ip1.api.page_body import RawPage, split_page
from airflow_provider_ip1.api.paging import Direction, Order
from airflow_provider_ip1.api.privacy import mask_number
from airflow_provider_ip1.exceptions import (
    IP1AuthError,
    IP1ConnectionError,
    IP1Error,
    IP1NotFoundError,
    IP1ParticipantError,
    IP1RateLimitError,
    IP1ResponseError,
    IP1ServerError,
)

T = TypeVar("T")

RETRIED_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
REDIRECT_STATUSES = frozenset({301, 302, 303, 307, 308})
#: Same-origin redirects followed for one request.
MAX_REDIRECTS = 5
#: Seconds. The first pause is drawn from 0 to this, each further one from twice as much.
BACKOFF_BASE = 1.0
#: Seconds. No pause that we choose ourselves is longer.
BACKOFF_CAP = 30.0
#: Seconds. A server that asks for a longer pause gets it from Airflow's task retries, not from a sleeping worker.
MAX_RETRY_AFTER = 60.0

_NUMBER_LIKE = re.compile(r"[+\s().\-/]*[0-9][0-9\s().\-/]*")


# -- building requests


@dataclass(frozen=True, slots=True)
class Request:
    """
    A GET request, relative to the connection's base URL.

    :param path: percent-encoded path from ``/v2/`` on.
    :param query: names and values, in order.
    :param label: the path as it may be shown: phone numbers masked.
    :param is_list: whether a 404 means "none", as iP.1 documents for conversations.
    :param names_participant: whether a 400 is about the participant.
    """

    path: str = field(repr=False)
    query: tuple[tuple[str, str], ...] = ()
    label: str = ""
    is_list: bool = False
    names_participant: bool = False

    def url(self, base_url: str) -> str:
        """
        The whole URL, percent-encoded.

        :param base_url: scheme, host, optional port and path prefix, without a slash at the end.
        """
        return f"{base_url}{self.path}" + (f"?{urlencode(self.query)}" if self.query else "")

    def page(self, start: int, limit: int, order: Order) -> Request:
        """
        The same list, one page of it.

        :param start: offset in rows, from 0.
        :param limit: rows, from 1.
        :param order: ``"ASC"`` or ``"DESC"``.
        """
        return replace(self, query=(("start", str(start)), ("limit", str(limit)), ("order", order)))


def normalize_participant(participant: str) -> str:
    """
    A participant as the API wants it: a number as country code and digits only, a sender name as it is.

    ``+`` and separators are taken off numbers (iP.1: "MSISDN", digits only), and so is what comes along when a number
    is copied from a document or an address book: typographic dashes, wide digits, invisible direction marks. National
    numbers are not completed: iP.1 does not say whether it does so itself.

    :param participant: phone number or sender name.
    :return: what goes, percent-encoded, into the path.
    :raises IP1ParticipantError: it is empty, has control characters, or is ``.`` or ``..``.
    """
    if not isinstance(participant, str):
        raise IP1ParticipantError(
            f"The participant must be a string, not {type(participant).__name__}. "
            "Give a phone number with country code or a sender name."
        )
    text = participant.strip()
    plain = "".join(map(_plain_character, unicodedata.normalize("NFKC", text)))
    if _NUMBER_LIKE.fullmatch(plain):
        return re.sub(r"[^0-9]", "", plain)
    return _path_segment_text(text, "participant")


def _plain_character(character: str) -> str:
    return {"Pd": "-", "Cf": ""}.get(unicodedata.category(character), character)


def _path_segment_text(text: str, name: str) -> str:
    problem = None
    if not text.strip():
        problem = "is empty"
    elif any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in text):
        problem = "has control characters"
    elif text in (".", ".."):
        problem = "is a path, not a name"
    if problem is None:
        return text
    if name == "participant":
        raise IP1ParticipantError(f"The participant {problem}. Give a phone number with country code or a sender name.")
    raise ValueError(f"{name} {problem}")


def _segment(text: str) -> str:
    return quote(text, safe="")


def check_id(value: str, name: str) -> str:
    """
    An id that can go into a path.

    :param value: batch or message id as iP.1 gave it.
    :param name: the argument's name, for the error.
    :raises ValueError: it is no string, empty, has control characters, or is ``.`` or ``..``.
    """
    if not isinstance(value, str):
        raise ValueError(f"{name} must be a string, not {type(value).__name__}")
    return _path_segment_text(value.strip(), name)


def conversation_request(participant: str, direction: Direction | None = None) -> Request:
    """
    All messages to and from a participant: ``GET /v2/conversations/{participant}[/mt|/mo]``.

    :param participant: normalised, see :func:`normalize_participant`.
    :param direction: ``"mt"`` for what you sent, ``"mo"`` for what you received, ``None`` for both.
    """
    suffix = f"/{direction}" if direction else ""
    return Request(
        f"/v2/conversations/{_segment(participant)}{suffix}",
        label=f"/v2/conversations/{mask_number(participant)}{suffix}",
        is_list=True,
        names_participant=True,
    )


def summary_request(participant: str) -> Request:
    """
    Message counts of a conversation: ``GET /v2/conversations/{participant}/summary``.

    :param participant: normalised, see :func:`normalize_participant`.
    """
    return Request(
        f"/v2/conversations/{_segment(participant)}/summary",
        label=f"/v2/conversations/{mask_number(participant)}/summary",
        is_list=True,
        names_participant=True,
    )


def batch_messages_request(batch_id: str) -> Request:
    """
    The messages of a batch, each with its latest status: ``GET /v2/batches/{batchId}/messages``.

    :param batch_id: id of the batch.
    """
    path = f"/v2/batches/{_segment(batch_id)}/messages"
    return Request(path, label=path, is_list=True)


def message_request(batch_id: str, message_id: str) -> Request:
    """
    One message with all its statuses: ``GET /v2/batches/{batchId}/messages/{messageId}``.

    :param batch_id: id of the batch.
    :param message_id: id of the message.
    """
    path = f"/v2/batches/{_segment(batch_id)}/messages/{_segment(message_id)}"
    return Request(path, label=path)


def read_rows(answer: Answer) -> RawPage:
    """
    Read one page of a list.

    :param answer: a 200 answer.
    :raises UnreadableBody: it is no JSON, or was cut; worth asking for again.
    :raises IP1ResponseError: it is no list of messages.
    """
    return replace(split_page(answer.body), links=parse_link(answer.headers.get("link")))


# -- reading answers


@dataclass(frozen=True, slots=True)
class Answer:
    """
    What the server sent.

    :param status: HTTP status code.
    :param headers: header names in lower case; values of a repeated header joined with ``", "``.
    :param body: the whole body, decompressed.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Failure:
    """
    Why there is no answer.

    :param reason: for people, without URL, key or content.
    :param kind: ``"network"`` may work in a moment; ``"settings"`` needs the connection changed (a certificate that
        is not trusted); ``"answer"`` is an answer that must not be read on (endless, too large).
    """

    reason: str
    kind: Literal["network", "settings", "answer"] = "network"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """
    How often and how long to try.

    :param max_attempts: requests sent in all for one answer, 1 to 20.
    :param uniform: draws from a range, to be replaced in tests.
    """

    max_attempts: int = 5
    uniform: Callable[[float, float], float] = random.uniform

    def backoff(self, attempt: int) -> float:
        """
        Seconds to wait after an attempt failed: "full jitter", so that many workers do not come back at once.

        :param attempt: the attempt that failed, from 1.
        """
        return self.uniform(0.0, min(BACKOFF_CAP, BACKOFF_BASE * 2.0 ** min(attempt - 1, 16)))


def retry_after_seconds(headers: Mapping[str, str], now: datetime) -> float | None:
    """
    What a ``Retry-After`` header asks for (RFC 9110, 10.2.3: whole seconds, or a date).

    :param headers: names in lower case.
    :param now: used for a date where the answer has no ``Date`` of its own.
    :return: seconds from now, never negative; ``None`` without a readable header.
    """
    text = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", text):
        return float(text)
    moment = _http_date(text)
    if moment is None:
        return None
    return max(0.0, (moment - (_http_date(headers.get("date", "")) or now)).total_seconds())


def _http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class Exchange(Generic[T]):
    """
    One question to iP.1 until it is answered: sends, redirects, retries and, at the end, a result or a typed error.

    The transport sends :attr:`url`, hands what came back to :meth:`received` and waits as long as that says.

    :param request: what to ask.
    :param base_url: of the connection; nothing is ever sent to another origin.
    :param conn_id: the Airflow connection, for error texts.
    :param read: turns the body of a 200 answer into the result; may raise
        :class:`~airflow_provider_ip1.api.json_text.UnreadableBody` for a body worth asking for again.
    :param missing: the result of a 404 where the request is for a list.
    :param policy: how often to try.
    """

    def __init__(
        self,
        request: Request,
        *,
        base_url: str,
        conn_id: str,
        read: Callable[[Answer], T],
        missing: Callable[[], T] | None = None,
        policy: RetryPolicy,
    ) -> None:
        self.request = request
        self.url = request.url(base_url)
        self.attempts = 0
        self._base_url = base_url
        self._conn_id = conn_id
        self._read = read
        self._missing = missing
        self._policy = policy
        self._redirects = 0
        self._results: list[T] = []

    @property
    def result(self) -> T:
        """What was asked for, once :meth:`received` has returned ``None``."""
        return self._results[0]

    def received(self, outcome: Answer | Failure, now: datetime) -> float | None:
        """
        Take what one sending of :attr:`url` brought.

        :param outcome: the answer, or why there is none.
        :param now: the time, aware.
        :return: seconds to wait before sending :attr:`url` (which may have changed) again; ``None`` when it is done.
        :raises IP1Error: the answer is final and is not what was asked for.
        """
        if isinstance(outcome, Failure):
            self.attempts += 1
            return self._again(None, self._failed(outcome), can_retry=outcome.kind == "network")
        if outcome.status in REDIRECT_STATUSES:
            return self._redirected(outcome)
        self.attempts += 1
        if outcome.status == 200:
            return self._take(outcome)
        if outcome.status == 404 and self.request.is_list and self._missing is not None:
            self._results.append(self._missing())
            return None
        pause = retry_after_seconds(outcome.headers, now) if outcome.status in RETRIED_STATUSES else None
        return self._again(pause, self._error(outcome.status, pause), outcome.status in RETRIED_STATUSES)

    def _take(self, answer: Answer) -> float | None:
        problem = None
        try:
            self._results.append(self._read(answer))
        except UnreadableBody as unreadable:
            problem = str(unreadable)
        if problem is None:
            return None
        error = IP1ResponseError(
            self._text(f"a body that cannot be read ({problem})")
            + " Check that the connection's host is the iP.1 API and not a web page or proxy."
        )
        return self._again(None, error, can_retry=True)

    def _again(self, pause: float | None, error: IP1Error, can_retry: bool) -> float:
        if not can_retry or self.attempts >= self._policy.max_attempts:
            raise error
        if pause is not None and pause > MAX_RETRY_AFTER:
            raise error
        # A server that says "0 seconds" must not be asked in a hot loop.
        return pause if pause else self._policy.backoff(self.attempts)

    def _redirected(self, answer: Answer) -> float:
        self._redirects += 1
        target = _redirect_target(self.url, answer.headers.get("location", ""), self._base_url)
        if target is None:
            raise IP1ConnectionError(
                f"iP.1 redirects {self.request.label} to another server ({answer.status}). The API key was not sent "
                f"there. Put the server's present address into the host of connection {self._conn_id!r}."
            )
        if self._redirects > MAX_REDIRECTS:
            raise IP1ResponseError(self._text(f"more than {MAX_REDIRECTS} redirects"))
        self.url = target
        return 0.0

    def _failed(self, failure: Failure) -> IP1Error:
        if failure.kind == "settings":
            return IP1ConnectionError(
                self._text(failure.reason) + f" Check host, verify and proxies of connection {self._conn_id!r}."
            )
        if failure.kind == "answer":
            return IP1ResponseError(self._text(failure.reason) + " Ask for fewer messages at once (page_size).")
        return IP1ServerError(
            self._text(failure.reason) + f" Check the host of connection {self._conn_id!r} and the network, or let "
            "Airflow retry the task later."
        )

    def _error(self, status: int, pause: float | None) -> IP1Error:
        connection = f"connection {self._conn_id!r}"
        if status == 401:
            return IP1AuthError(
                f"iP.1 refused the API key of {connection} (401). "
                "Put a valid key of the account into the connection's password."
            )
        if status == 403:
            return IP1AuthError(
                f"iP.1 forbids this with the API key of {connection} (403). Add the address of the Airflow workers "
                "to those the key may be used from, or use a key that has the right."
            )
        if status == 400 and self.request.names_participant:
            return IP1ParticipantError(
                f"iP.1 says that the participant is invalid (400, {self.request.label}). "
                "Give a phone number with country code and digits only, or a sender name. If it is right, ask for "
                "fewer messages at once (page_size): the largest limit is not documented."
            )
        if status == 404:
            return IP1NotFoundError(f"iP.1 does not know {self.request.label} (404). Check the ids and the account.")
        if status == 429:
            wait = f" The server asks to wait {pause:.0f} s." if pause is not None else ""
            return IP1RateLimitError(
                self._text("429, too many requests") + wait + " Lower requests_per_second of the connection, or run "
                "fewer tasks at once (an Airflow pool).",
                retry_after=pause,
            )
        if status >= 500 or status == 408:
            wait = f" The server asks to wait {pause:.0f} s." if pause is not None else ""
            return IP1ServerError(
                self._text(f"status {status}") + wait + " Let Airflow retry the task later.", retry_after=pause
            )
        return IP1ResponseError(
            self._text(f"status {status}") + " Check the connection's host, and that the API is version 2."
        )

    def _text(self, what: str) -> str:
        tries = "attempt" if self.attempts == 1 else "attempts"
        return f"No usable answer from iP.1 for {self.request.label} after {self.attempts} {tries}: {what}."


def origin(url: str) -> tuple[str, str, int | None]:
    """
    Scheme, host and port of a URL, for comparing (RFC 6454).

    :param url: an absolute URL.
    :return: lower-case scheme and host, port with the scheme's default filled in.
    """
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    return scheme, (parts.hostname or "").lower(), parts.port or {"https": 443, "http": 80}.get(scheme)


def _redirect_target(url: str, location: str, base_url: str) -> str | None:
    r"""
    The URL that a redirect leads to, ``None`` where it leads to another origin.

    Only path and query are taken from the header. The origin is written down anew, because HTTP libraries do not all
    agree with urllib on which part of a crooked URL (``http://a\@b/``) is the host.
    """
    try:
        target = urljoin(url, location)
        if not location or origin(target) != origin(base_url):
            return None
        parts, base = urlsplit(target), urlsplit(base_url)
    except ValueError:
        return None
    # What is percent-encoded stays so; what a URL cannot hold is encoded.
    path = quote(parts.path, safe="/%:@!$&'()*+,;=~", errors="replace") or "/"
    query = quote(parts.query, safe="/%:@!$&'()*+,;=~?", errors="replace")
    return f"{base.scheme}://{base.netloc}{path}" + (f"?{query}" if query else "")
