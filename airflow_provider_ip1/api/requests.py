# SPDX-License-Identifier: Apache-2.0
"""
Builds requests to iP.1: method, path, query and body, and whether a request may be repeated.

Sources: iP.1's introduction (start, limit, order) and its pages on conversations, batches, reading and sending SMS.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias, TypedDict
from urllib.parse import quote, urlencode

from airflow_provider_ip1.api.phone import is_meant_as_number, mask_number, normalise
from airflow_provider_ip1.exceptions import IP1ParticipantError

Order: TypeAlias = Literal["ASC", "DESC"]
Direction: TypeAlias = Literal["mt", "mo"]


class ReadOptions(TypedDict, total=False):
    """
    How to read conversations, or the messages of the account.

    :param direction: ``"mt"`` for messages that you sent, ``"mo"`` for messages that you received, ``None`` (default)
        for both.
    :param order: by creation, ``"ASC"`` (default, oldest first) or ``"DESC"``.
    :param page_size: messages per request, 1 to 10000; default: the hook's.
    :param concurrency: maximum number of requests in flight, 1 to 64; default: the hook's.
    """

    direction: Direction | None
    order: Order
    page_size: int | None
    concurrency: int | None


@dataclass(frozen=True, slots=True)
class Request:
    """
    A request, relative to the connection's base URL.

    :param path: percent-encoded path, beginning with ``/v2/``.
    :param query: names and values, in order.
    :param label: the path with phone numbers masked, for logs and errors.
    :param key: the field that identifies a row of the list.
    :param names_participant: whether a 400 is about the participant.
    :param method: the HTTP method.
    :param body: JSON to send, or ``None``.
    :param retry: when the request may be repeated. ``"always"`` for a request that changes nothing or may take effect
        twice; ``"unless_sent"`` only if it cannot have reached the server, or the server refused it with 429.
    """

    path: str = field(repr=False)
    query: tuple[tuple[str, str], ...] = ()
    label: str = ""
    key: str = "id"
    names_participant: bool = False
    method: Literal["GET", "POST", "DELETE"] = "GET"
    body: bytes | None = field(default=None, repr=False)
    retry: Literal["always", "unless_sent"] = "always"

    def url(self, base_url: str) -> str:
        """
        Return the whole URL, percent-encoded.

        :param base_url: scheme, host, optional port and path prefix, without a slash at the end.
        """
        return f"{base_url}{self.path}" + (f"?{urlencode(self.query)}" if self.query else "")

    def page(self, start: int, limit: int, order: Order) -> Request:
        """
        Return the request for one page of the same list.

        :param start: offset in rows, from 0.
        :param limit: rows, from 1.
        :param order: ``"ASC"`` or ``"DESC"``.
        """
        return replace(self, query=(("start", str(start)), ("limit", str(limit)), ("order", order)))


def normalize_participant(participant: str, subject: str = "The participant") -> str:
    """
    Return a participant the way the API expects it: a number as country code and digits only, a sender name unchanged.

    :param participant: phone number with country code, in a notation that
        :func:`~airflow_provider_ip1.api.phone.normalise` accepts, or sender name.
    :param subject: which participant it is, for the error.
    :return: the text that goes, percent-encoded, into the path.
    :raises IP1ParticipantError: it is empty, is meant as a number but not clearly one with a country code, has control
        characters, or is ``.`` or ``..``.
    """
    if not isinstance(participant, str):
        raise IP1ParticipantError(
            f"{subject} must be a string, not {type(participant).__name__}. "
            "Give a phone number with country code or a sender name."
        )
    if is_meant_as_number(participant):
        return normalise(participant, subject)
    name = participant.strip()
    if problem := _problem_in_path(name):
        raise IP1ParticipantError(f"{subject} {problem}. Give a phone number with country code or a sender name.")
    return name


def normalize_participants(participants: Iterable[str]) -> list[str]:
    """
    Return several participants the way the API expects them.

    :param participants: phone numbers with country code, or sender names.
    :raises IP1ParticipantError: one cannot be used. The error says which one, by its position from 1.
    """
    given = list(participants)
    subject = "The participant" if len(given) == 1 else "The participant at position {}"
    return [normalize_participant(one, subject.format(position)) for position, one in enumerate(given, 1)]


def _problem_in_path(text: str) -> str | None:
    if not text:
        return "is empty"
    if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in text):
        return "has control characters"
    return "is a path, not a name" if text in (".", "..") else None


def check_id(value: str, name: str) -> str:
    """
    Return an id that can go into a path.

    :param value: batch or message id as iP.1 returned it.
    :param name: the argument's name, for the error.
    :raises ValueError: it is not a string, is empty, has control characters, or is ``.`` or ``..``.
    """
    if not isinstance(value, str):
        raise ValueError(f"{name} must be a string, not {type(value).__name__}")
    text = value.strip()
    if problem := _problem_in_path(text):
        raise ValueError(f"{name} {problem}")
    return text


def _batch_path(batch_id: str) -> str:
    return f"/v2/batches/{quote(check_id(batch_id, 'batch_id'), safe='')}"


def conversation_request(participant: str, direction: Direction | None = None) -> Request:
    """
    Request all messages to and from a participant: ``GET /v2/conversations/{participant}[/mt|/mo]``.

    :param participant: normalized, see :func:`normalize_participant`.
    :param direction: ``"mt"`` for messages that you sent, ``"mo"`` for messages that you received, ``None`` for both.
    """
    return _conversation_request(participant, f"/{direction}" if direction else "")


def summary_request(participant: str) -> Request:
    """
    Request the message counts of a conversation: ``GET /v2/conversations/{participant}/summary``.

    :param participant: normalized, see :func:`normalize_participant`.
    """
    return _conversation_request(participant, "/summary")


def _conversation_request(participant: str, suffix: str) -> Request:
    return Request(
        f"/v2/conversations/{quote(participant, safe='')}{suffix}",
        label=f"/v2/conversations/{mask_number(participant)}{suffix}",
        names_participant=True,
    )


def batch_messages_request(batch_id: str) -> Request:
    """
    Request the messages of a batch, each with its latest status: ``GET /v2/batches/{batchId}/messages``.

    :param batch_id: id of the batch, see :func:`check_id` for its errors. So are the ids of the other requests.
    """
    path = f"{_batch_path(batch_id)}/messages"
    return Request(path, label=path)


def message_request(batch_id: str, message_id: str) -> Request:
    """
    Request one message with all its statuses: ``GET /v2/batches/{batchId}/messages/{messageId}``.

    :param batch_id: id of the batch.
    :param message_id: id of the message.
    """
    path = f"{_batch_path(batch_id)}/messages/{quote(check_id(message_id, 'message_id'), safe='')}"
    return Request(path, label=path)


def batches_request() -> Request:
    """Request the account's batches, without their summaries: ``GET /v2/batches``."""
    return Request("/v2/batches", label="/v2/batches")


def senders_request() -> Request:
    """Request the account's registered senders: ``GET /v2/me/senders``."""
    return Request("/v2/me/senders", label="/v2/me/senders", key="sender")


def blacklist_request() -> Request:
    """Request the numbers that get no SMS from the account: ``GET /v2/blacklist``."""
    return Request("/v2/blacklist", label="/v2/blacklist", key="msisdn")


def batch_request(batch_id: str) -> Request:
    """
    Request one batch, with its summaries: ``GET /v2/batches/{batchId}``.

    :param batch_id: id of the batch.
    """
    path = _batch_path(batch_id)
    return Request(path, label=path)


def send_request(body: bytes) -> Request:
    """
    Send SMS: ``POST /v2/batches``. iP.1 documents no idempotency key, so the request must not be sent twice.

    :param body: the batch as JSON.
    """
    return Request("/v2/batches", label="/v2/batches", method="POST", body=body, retry="unless_sent")


def cancel_request(batch_id: str) -> Request:
    """
    Cancel a batch that was not sent yet: ``DELETE /v2/batches/{batchId}``. Repeating it changes nothing.

    :param batch_id: id of the batch.
    """
    return replace(batch_request(batch_id), method="DELETE")
