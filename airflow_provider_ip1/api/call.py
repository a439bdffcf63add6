# SPDX-License-Identifier: Apache-2.0
"""
One call to iP.1 without any I/O: the attempts, the pauses between them, and the result or a typed error.

The synchronous and the asynchronous client both run a :class:`Call`; they differ only in how they send and wait.
Sources: iP.1's introduction (Bearer key, https), the conversation page (200, 400, 404), RFC 9110 for ``Retry-After``
and status classes.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, Generic, Literal, TypeVar
from urllib.parse import quote, urljoin, urlsplit

from airflow_provider_ip1.api.json_text import UnreadableBody
from airflow_provider_ip1.api.requests import Request
from airflow_provider_ip1.exceptions import (
    IP1AuthError,
    IP1ConnectionError,
    IP1Error,
    IP1NotFoundError,
    IP1ParticipantError,
    IP1RateLimitError,
    IP1RefusedError,
    IP1ResponseError,
    IP1ServerError,
)

T = TypeVar("T")

RETRIED_STATUSES: Final = frozenset({408, 429, 500, 502, 503, 504})
REDIRECT_STATUSES: Final = frozenset({301, 302, 303, 307, 308})
#: Redirects within the origin that are followed for one call.
MAX_REDIRECTS: Final = 5
#: Seconds. The first pause is drawn from 0 to this, each further one from twice the range.
BACKOFF_BASE = 1.0
#: Seconds. The longest pause between two attempts, unless the server asks for a longer one.
BACKOFF_CAP: Final = 30.0
#: Seconds. If the server asks for a longer pause, the call fails, and Airflow's task retries do the waiting.
MAX_RETRY_AFTER: Final = 60.0
#: Seconds. The longest time for which a 429 pauses the other requests with its key.
MAX_KEY_PAUSE: Final = 60.0
_LATER: Final = "Try again later, for example with the task's retries."


@dataclass(frozen=True, slots=True)
class Response:
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
class TransportFailure:
    """
    Why there is no response.

    :param reason: for people, without URL, key or content.
    :param kind: ``"network"`` may work in a moment; ``"settings"`` needs a change of the connection (a certificate that
        is not trusted); ``"response"`` is a response that must not be read to its end (endless, too large).
    :param was_sent: whether the request may have reached the server. Only a failure before the request was written,
        such as a refused connection, proves that it has not.
    :param status: the HTTP status, if the response broke off after it.
    """

    reason: str
    kind: Literal["network", "settings", "response"] = "network"
    was_sent: bool = True
    status: int | None = None


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """
    How often and how long to try.

    :param max_attempts: most attempts per call, 1 to 20.
    :param uniform: draws from a range; tests replace it.
    """

    max_attempts: int = 5
    uniform: Callable[[float, float], float] = random.uniform

    def backoff(self, attempt: int) -> float:
        """
        Return the seconds to wait after a failed attempt: "full jitter", so that many workers do not retry at once.

        :param attempt: the attempt that failed, from 1.
        """
        return self.uniform(0.0, min(BACKOFF_CAP, BACKOFF_BASE * 2.0 ** min(attempt - 1, 16)))


class Call(Generic[T]):
    """
    One request, until it succeeds or has finally failed.

    The client sends :attr:`request` to :attr:`url`, passes the outcome to :meth:`receive` and waits as long as that
    says.

    :param request: the request.
    :param base_url: of the connection; nothing is ever sent to another origin.
    :param conn_id: the Airflow connection, for error texts.
    :param read: turns a successful response into the result. It may raise
        :class:`~airflow_provider_ip1.api.json_text.UnreadableBody` for a body that may be readable next time.
    :param missing: makes the result for a 404, where iP.1 documents that a 404 means "none".
    :param policy: how often to try.
    """

    def __init__(
        self,
        request: Request,
        *,
        base_url: str,
        conn_id: str,
        read: Callable[[Response], T],
        missing: Callable[[], T] | None = None,
        policy: RetryPolicy,
    ) -> None:
        self.request = request
        self.url = request.url(base_url)
        #: How often the request was sent, redirects not counted.
        self.attempts = 0
        #: Whether iP.1 seems to have responded 404. Only a client that knows the server can tell whether it is iP.1.
        self.is_not_found = False
        #: Whether the request may have taken effect, although the call failed. Matters where it must not be repeated.
        self.may_have_taken_effect = False
        #: Whether the server has responded 2xx, readable or not.
        self.was_accepted = False
        #: Why the last attempt had no usable response, for the log.
        self.problem = ""
        #: Seconds for which no request with the key should be sent, because the last one was one too many.
        self.key_pause = 0.0
        #: The HTTP status of the last attempt, if there was one.
        self.status: int | None = None
        #: Seconds, above 0, that the next attempt may take in all. ``None``: the client's timeouts alone hold.
        self.seconds_left: float | None = None
        self._base_url = base_url
        self._connection = f"connection {conn_id!r}"
        self._read = read
        self._missing = missing
        self._policy = policy
        self._redirects = 0
        self._results: list[T] = []

    @property
    def result(self) -> T:
        """
        The result, once :meth:`receive` has returned ``None``.

        :raises IP1NotFoundError: the response was a 404, where a single thing was requested.
        """
        if self.is_not_found and self._missing is None:
            raise IP1NotFoundError(f"iP.1 does not know {self.request.label} (404). Check the ids and the account.")
        return self._results[0]

    def receive(self, outcome: Response | TransportFailure, now: datetime) -> float | None:
        """
        Take the outcome of one attempt.

        :param outcome: the response, or why there is none.
        :param now: the time, aware.
        :return: seconds to wait before the request is sent to :attr:`url` again; ``None`` when the call is finished.
        :raises IP1Error: the call has finally failed.
        """
        self.key_pause = 0.0
        self.status = outcome.status
        if isinstance(outcome, Response) and outcome.status in REDIRECT_STATUSES:
            return self._redirect(outcome)
        self.attempts += 1
        if isinstance(outcome, TransportFailure):
            error = self._error_for_failure(outcome)
            self.was_accepted = outcome.status is not None and 200 <= outcome.status < 300
            return self._retry(error, is_retried=outcome.kind == "network", took_no_effect=not outcome.was_sent)
        if outcome.status == 200 or (200 < outcome.status < 300 and self.request.method != "GET"):
            return self._finish(outcome)
        if outcome.status == 404:
            return self._receive_not_found(outcome)
        is_retried = outcome.status in RETRIED_STATUSES
        pause = retry_after_seconds(outcome.headers, now) if is_retried else None
        error = self._error_for_status(outcome.status, pause)
        if outcome.status == 429:
            pause = pause or self._policy.backoff(self.attempts)
            self.key_pause = min(pause, MAX_KEY_PAUSE)
        # A server that refuses a request with a 4xx has not processed it. After a 408 or 5xx nobody can tell.
        took_no_effect = 400 <= outcome.status < 500 and outcome.status != 408
        return self._retry(error, pause, is_retried=is_retried, took_no_effect=took_no_effect)

    def _receive_not_found(self, response: Response) -> float | None:
        # A proxy may send one for a request that it has passed on, even with a JSON body.
        if not _is_empty_or_json(response.body):
            # A proxy or web server sends such pages.
            error = IP1ResponseError(
                self._unusable("a 404 that does not come from iP.1's API (its body is not JSON)")
                + f" Check that {self._base_url} is the iP.1 API and that no proxy responds in its place."
            )
            return self._retry(error, is_retried=True, took_no_effect=False)
        self.is_not_found = self.may_have_taken_effect = True
        if self._missing is not None:
            self._results.append(self._missing())
        return None

    def _finish(self, response: Response) -> float | None:
        self.was_accepted = True
        try:
            self._results.append(self._read(response))
            return None
        except UnreadableBody as unreadable:
            problem = str(unreadable)
        error = IP1ResponseError(
            self._unusable(f"a body that cannot be read ({problem})")
            + " Check that the connection's host is the iP.1 API and not a web page or proxy."
        )
        return self._retry(error, is_retried=True, took_no_effect=False)

    def _retry(self, error: IP1Error, pause: float | None = None, *, is_retried: bool, took_no_effect: bool) -> float:
        is_safe = self.request.retry == "always" or took_no_effect
        is_patient = pause is None or pause <= MAX_RETRY_AFTER
        if not is_retried or not is_safe or not is_patient or self.attempts >= self._policy.max_attempts:
            self.may_have_taken_effect = not took_no_effect
            raise error
        # If the server asks for 0 seconds, the next request must still not follow at once.
        return pause or self._policy.backoff(self.attempts)

    def _redirect(self, response: Response) -> float:
        self._redirects += 1
        target = _redirect_target(self.url, response.headers.get("location", ""), self._base_url)
        # A server may process a request before it redirects.
        self.may_have_taken_effect = self.request.method != "GET"
        if target is None or self.request.method != "GET":
            raise IP1ConnectionError(
                f"iP.1 redirects {self.request.label} to another server ({response.status}). The API key was not sent "
                f"there. Put the server's current address into the host of {self._connection}."
            )
        if self._redirects > MAX_REDIRECTS:
            raise IP1ResponseError(self._unusable(f"more than {MAX_REDIRECTS} redirects"))
        self.url, self.problem = target, f"{response.status}, a redirect"
        return 0.0

    # -- errors: iP.1 documents 400 and 404 for conversations, RFC 9110 the other statuses

    def _unusable(self, what: str) -> str:
        self.problem = what
        tries = "attempt" if self.attempts == 1 else "attempts"
        return f"No usable response from iP.1 for {self.request.label} after {self.attempts} {tries}: {what}."

    def _error_for_failure(self, failure: TransportFailure) -> IP1Error:
        text = self._unusable(failure.reason)
        if failure.kind == "settings":
            return IP1ConnectionError(
                f"{text} Check the host and the extras 'verify' and 'proxies' of {self._connection}."
            )
        if failure.kind == "response":
            return IP1ResponseError(f"{text} Request fewer messages at once (page_size), and check the host.")
        return IP1ServerError(f"{text} Check the host of {self._connection} and the network. {_LATER}")

    def _error_for_status(self, status: int, retry_after: float | None) -> IP1Error:
        wait = f" The server asks to wait {retry_after:.0f} s." if retry_after is not None else ""
        if status == 401:
            return IP1AuthError(
                f"iP.1 rejected the API key of {self._connection} (401). "
                "Put a valid key of the account into the connection's password."
            )
        if status == 403:
            # iP.1's older API responds 403 to an account without credits.
            balance = " Check the account's balance, too." if self.request.method == "POST" else ""
            return IP1AuthError(
                f"iP.1 does not allow {self._connection} to do this (403). {self._advice_for_403()}{balance}"
            )
        if status == 400 and self.request.names_participant:
            return IP1ParticipantError(
                f"iP.1 says that the participant is invalid (400, {self.request.label}). "
                "Give a phone number with country code and digits only, or a sender name. If it is correct, request "
                "fewer messages at once (page_size): the largest limit is not documented."
            )
        if status in (400, 422) and self.request.method == "POST":
            return IP1RefusedError(
                f"iP.1 refused the batch ({status}). Nothing was sent. Check that the sender is registered with iP.1, "
                "and that iP.1 accepts the recipients, the text, the datacoding and the delivery windows."
            )
        if status == 429:
            text = self._unusable("429, too many requests")
            advice = "Lower requests_per_second of the connection, or run fewer tasks at once (an Airflow pool)."
            return IP1RateLimitError(f"{text}{wait} {advice}", retry_after)
        text = self._unusable(f"status {status}")
        if status >= 500 or status == 408:
            return IP1ServerError(f"{text}{wait} {_LATER}", retry_after)
        return IP1ResponseError(f"{text} Check the connection's host, and that the API is version 2.")

    def _advice_for_403(self) -> str:
        if f".{urlsplit(self._base_url).hostname}".endswith(".ip1sms.com"):
            return (
                "Add the addresses of the Airflow workers and the triggerer to those that the key may be used from, or "
                "use a key that has the right."
            )
        return f"Check that {self._base_url} is iP.1's API or a proxy that lets Airflow's requests through."


def _is_empty_or_json(body: bytes) -> bool:
    text = body.strip()
    try:
        json.loads(text or b"null")
    except (ValueError, RecursionError):
        return False
    return True


def retry_after_seconds(headers: Mapping[str, str], now: datetime) -> float | None:
    """
    Read a ``Retry-After`` header (RFC 9110, 10.2.3: whole seconds, or a date).

    :param headers: names in lower case.
    :param now: the time, for a date in a response without a ``Date`` header.
    :return: seconds from now, never negative; ``None`` without a readable header.
    """
    text = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", text):
        return float(text)
    moment = http_date(text)
    if moment is None:
        return None
    return max(0.0, (moment - (http_date(headers.get("date", "")) or now)).total_seconds())


def http_date(text: str) -> datetime | None:
    """
    Read a date in a header (RFC 9110, 5.6.7).

    :param text: the date; empty without one.
    :return: the time; ``None`` if it is not a date.
    """
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def origin(url: str) -> tuple[str, str, int | None]:
    """
    Return scheme, host and port of a URL, for comparisons (RFC 6454).

    :param url: an absolute URL.
    :return: scheme and host in lower case, and the port, by default the scheme's.
    """
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    return scheme, (parts.hostname or "").lower(), parts.port or {"https": 443, "http": 80}.get(scheme)


def _redirect_target(url: str, location: str, base_url: str) -> str | None:
    r"""
    Return the URL that a redirect leads to, or ``None`` if that is another origin.

    Only path and query are taken from the header. The origin is taken from the connection, because not all HTTP
    libraries agree with urllib on which part of a malformed URL (``http://a\@b/``) is the host.
    """
    try:
        target = urljoin(url, location)
        if not location or origin(target) != origin(base_url):
            return None
        parts, base = urlsplit(target), urlsplit(base_url)
    except ValueError:
        return None
    # Percent-encoded text stays as it is; characters that a URL cannot hold are encoded.
    path = quote(parts.path, safe="/%:@!$&'()*+,;=~", errors="replace") or "/"
    query = quote(parts.query, safe="/%:@!$&'()*+,;=~?", errors="replace")
    return f"{base.scheme}://{base.netloc}{path}" + (f"?{query}" if query else "")
