# SPDX-License-Identifier: Apache-2.0
"""
Builds requests to iP.1: method, path, query and body, and whether a request may be repeated.

Sources: iP.1's introduction (start, limit, order) and its pages on conversations, batches, reading and sending SMS.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field, replace
from typing import Final, Literal, TypeAlias
from urllib.parse import quote, urlencode

from airflow_provider_ip1.api.privacy import mask_number
from airflow_provider_ip1.exceptions import IP1ParticipantError

Order: TypeAlias = Literal["ASC", "DESC"]
Direction: TypeAlias = Literal["mt", "mo"]
Method: TypeAlias = Literal["GET", "POST", "DELETE"]
Retry: TypeAlias = Literal["always", "unless_sent"]

_NUMBER_LIKE: Final = re.compile(r"[+\s().\-/]*[0-9][0-9\s().\-/]*")
# The trunk prefix in parentheses behind a country code: it is dialed within the country only.
_TRUNK_PREFIX: Final = re.compile(r"(?<=[0-9])[\s.\-/]*\(0\)")


@dataclass(frozen=True, slots=True)
class Request:
    """
    A request, relative to the connection's base URL.

    :param path: percent-encoded path, beginning with ``/v2/``.
    :param query: names and values, in order.
    :param label: the path with phone numbers masked, for logs and errors.
    :param is_list: whether a 404 means "none", as iP.1 documents for conversations.
    :param names_participant: whether a 400 is about the participant.
    :param method: the HTTP method.
    :param body: JSON to send, or ``None``.
    :param retry: when the request may be repeated. ``"always"`` for a request that changes nothing or may take effect
        twice; ``"unless_sent"`` only if it cannot have reached the server, or the server refused it with 429.
    """

    path: str = field(repr=False)
    query: tuple[tuple[str, str], ...] = ()
    label: str = ""
    is_list: bool = False
    names_participant: bool = False
    method: Method = "GET"
    body: bytes | None = field(default=None, repr=False)
    retry: Retry = "always"

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


def normalize_participant(participant: str) -> str:
    """
    Return a participant the way the API expects it: a number as country code and digits only, a sender name unchanged.

    ``+``, a leading ``00``, a trunk prefix in parentheses, ``(0)``, and separators are removed from numbers (iP.1:
    "MSISDN", digits only). So are the marks that come along when a number is copied from a document or an address
    book: typographic dashes, full-width digits, invisible direction marks.

    :param participant: phone number with country code, or sender name.
    :return: the text that goes, percent-encoded, into the path.
    :raises IP1ParticipantError: it is empty, lacks the country code, has control characters, or is ``.`` or ``..``.
    """
    if not isinstance(participant, str):
        raise IP1ParticipantError(
            f"The participant must be a string, not {type(participant).__name__}. "
            "Give a phone number with country code or a sender name."
        )
    text = participant.strip()
    plain = "".join(map(_plain_character, unicodedata.normalize("NFKC", text)))
    if not _NUMBER_LIKE.fullmatch(plain):
        return _path_segment_text(text, "participant")
    digits = re.sub(r"[^0-9]", "", _TRUNK_PREFIX.sub("", plain)).removeprefix("00")
    if not digits or digits.startswith("0"):
        raise IP1ParticipantError(
            f"The participant {mask_number(plain)} has no country code: it begins with a single 0. "
            "Give the number with its country code, such as 46 for Sweden, and without that 0."
        )
    return digits


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
    Return an id that can go into a path.

    :param value: batch or message id as iP.1 returned it.
    :param name: the argument's name, for the error.
    :raises ValueError: it is not a string, is empty, has control characters, or is ``.`` or ``..``.
    """
    if not isinstance(value, str):
        raise ValueError(f"{name} must be a string, not {type(value).__name__}")
    return _path_segment_text(value.strip(), name)


def conversation_request(participant: str, direction: Direction | None = None) -> Request:
    """
    Request all messages to and from a participant: ``GET /v2/conversations/{participant}[/mt|/mo]``.

    :param participant: normalized, see :func:`normalize_participant`.
    :param direction: ``"mt"`` for messages that you sent, ``"mo"`` for messages that you received, ``None`` for both.
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
    Request the message counts of a conversation: ``GET /v2/conversations/{participant}/summary``.

    :param participant: normalized, see :func:`normalize_participant`.
    """
    return Request(
        f"/v2/conversations/{_segment(participant)}/summary",
        label=f"/v2/conversations/{mask_number(participant)}/summary",
        is_list=True,
        names_participant=True,
    )


def batch_messages_request(batch_id: str) -> Request:
    """
    Request the messages of a batch, each with its latest status: ``GET /v2/batches/{batchId}/messages``.

    :param batch_id: id of the batch.
    """
    path = f"/v2/batches/{_segment(batch_id)}/messages"
    return Request(path, label=path, is_list=True)


def message_request(batch_id: str, message_id: str) -> Request:
    """
    Request one message with all its statuses: ``GET /v2/batches/{batchId}/messages/{messageId}``.

    :param batch_id: id of the batch.
    :param message_id: id of the message.
    """
    path = f"/v2/batches/{_segment(batch_id)}/messages/{_segment(message_id)}"
    return Request(path, label=path)


def batches_request() -> Request:
    """Request the account's batches, without their summaries: ``GET /v2/batches``."""
    return Request("/v2/batches", label="/v2/batches", is_list=True)


def senders_request() -> Request:
    """Request the account's registered senders: ``GET /v2/me/senders``."""
    return Request("/v2/me/senders", label="/v2/me/senders", is_list=True)


def batch_request(batch_id: str) -> Request:
    """
    Request one batch, with its summaries: ``GET /v2/batches/{batchId}``.

    :param batch_id: id of the batch.
    """
    path = f"/v2/batches/{_segment(batch_id)}"
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
    path = f"/v2/batches/{_segment(batch_id)}"
    return Request(path, label=path, method="DELETE")
