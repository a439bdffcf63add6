# SPDX-License-Identifier: Apache-2.0
"""The body of ``POST /v2/batches``: which requests the sandbox accepts, and the text that each recipient gets."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from airflow_provider_ip1.api.json_text import UNDECODABLE
from airflow_provider_ip1.sandbox.past import timestamp
from airflow_provider_ip1.sandbox.responses import Refused
from airflow_provider_ip1.sandbox.texts import coding_and_segments

MAX_RECIPIENTS = 10_000
MAX_TEXT = 2000

#: How long a delivery window without an end stays open, in milliseconds.
WEEK_MS = 7 * 24 * 3600 * 1000
_SENDER = re.compile(r"[0-9]{1,15}|[0-9A-Za-z]{3,11}", re.ASCII)
_RECIPIENT = re.compile(r"[0-9]{1,15}", re.ASCII)
# iP.1's guide prints text, its schema and its sample integers.
_TYPES: dict[object, str] = {"flash": "flash", 0: "flash", "sms": "sms", 1: "sms"}
_DATACODINGS: dict[object, str] = {"gsm": "gsm", 0: "gsm", "ucs": "ucs", 2: "ucs"}
_PRIORITIES: dict[object, int] = {"normal": 1, 1: 1, "high": 2, 2: 2}
_PLACEHOLDER = re.compile(r"\{([^{}]+)\}")


@dataclass(frozen=True)
class SendRequest:
    """
    A batch to send.

    :param sender: a number or a name.
    :param body: the text, with placeholders if it is a template.
    :param texts: recipient -> the text to send.
    :param templated: whether ``body`` is a template.
    :param delivery_windows: when to send, as (opens, closes) in milliseconds since 1970; at once if there are none.
    """

    sender: str
    body: str
    texts: dict[str, str]
    templated: bool = False
    type: Literal["sms", "flash"] = "sms"
    datacoding: Literal["gsm", "ucs"] = "ucs"
    priority: int = 1
    delivery_windows: tuple[tuple[int, int], ...] = ()
    delivery_report_url: str | None = None
    reference: str | None = None
    tags: tuple[str, ...] = ()


def parse_send_request(raw: bytes, charset: str | None, now_ms: int) -> SendRequest:
    """
    Read and check the body of a request.

    :param raw: the body.
    :param charset: the charset of its Content-Type, UTF-8 if ``None``.
    :param now_ms: the sandbox's time. A delivery window must not be over.
    :raises Refused: with 400 and the field that is invalid.
    """
    order = json_object(raw, charset)
    sender, body = order.get("sender"), order.get("body")
    if not isinstance(sender, str) or not _SENDER.fullmatch(sender):
        raise Refused(400, sender="The sender must be a number of at most 15 digits, or 3 to 11 letters and digits.")
    if not isinstance(body, str) or not body.strip() or len(body) > MAX_TEXT:
        raise Refused(400, body=f"The body must be 1 to {MAX_TEXT} characters.")
    recipients = order.get("recipients")
    texts = render_texts(body, recipients)
    datacoding = _choice(order, "datacoding", "ucs", _DATACODINGS)
    if datacoding == "gsm" and any(coding_and_segments(text)[0] for text in texts.values()):
        raise Refused(400, body="The body has characters that datacoding gsm does not allow.")
    tags = _optional(
        order, "tags", [], lambda value: isinstance(value, list) and all(type(tag) is str for tag in value)
    )
    return SendRequest(
        sender=sender,
        body=body,
        texts=texts,
        templated=isinstance(recipients, dict),
        type=_choice(order, "type", "sms", _TYPES),
        datacoding=datacoding,
        priority=_choice(order, "priority", 1, _PRIORITIES),
        delivery_windows=_windows(order.get("deliverywindows") or [], now_ms),
        delivery_report_url=_optional(
            order, "deliveryReportUrl", None, lambda value: type(value) is str and value.startswith(("http:", "https:"))
        ),
        reference=_optional(order, "reference", None, lambda value: type(value) is str),
        tags=tuple(tags),
    )


def render_texts(body: str, recipients: object) -> dict[str, str]:
    """
    Return the text for each recipient.

    In a template, ``{key}`` becomes the recipient's value, or that of ``default``. Without either it becomes empty if
    another recipient has a value, and stays as it is if nobody has, as in version 1 of the API.

    :param body: the text.
    :param recipients: a list of numbers, or a dictionary from number to values by key, which may have ``default``.
    :raises Refused: with 400 if the recipients are invalid.
    """
    if not isinstance(recipients, list | dict):
        raise Refused(400, recipients="The recipients must be a list or a dictionary.")
    numbers = [number for number in recipients if number != "default" or isinstance(recipients, list)]
    if not 1 <= len(numbers) <= MAX_RECIPIENTS:
        raise Refused(400, recipients=f"There must be 1 to {MAX_RECIPIENTS} recipients.")
    if not all(isinstance(number, str) and _RECIPIENT.fullmatch(number) for number in numbers):
        raise Refused(400, recipients="Each recipient must be a number of at most 15 digits.")
    if isinstance(recipients, list):
        return dict.fromkeys(numbers, body)
    for values in recipients.values():
        if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
            raise Refused(400, recipients="The values of each recipient must be a dictionary of strings.")
    default = recipients.get("default", {})
    unset = dict.fromkeys((key for values in recipients.values() for key in values), "")
    return {number: _fill(body, {**unset, **default, **recipients[number]}) for number in numbers}


def _fill(body: str, values: dict[str, str]) -> str:
    text = _PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), body)
    if not text.strip() or len(text) > MAX_TEXT:
        raise Refused(400, body=f"The body must be 1 to {MAX_TEXT} characters for each recipient.")
    return text


def json_object(raw: bytes, charset: str | None) -> dict[str, Any]:
    """
    Read a JSON object.

    :param raw: the body of a request.
    :param charset: the charset of its Content-Type, UTF-8 if ``None``.
    :return: the object. Its names are in lower case, because iP.1's own sample sends ``Sender``, and iP.1's guide
        ``sender``; look them up in lower case. The names inside its values are as they were sent.
    :raises Refused: with 400 if it is not a JSON object.
    """
    try:
        value = msgspec.json.decode(raw.decode(charset or "utf-8").encode())
    except LookupError:
        raise Refused(400, "The charset in Content-Type is unknown.") from None
    except UNDECODABLE:
        value = None
    if not isinstance(value, dict):
        raise Refused(400, "The request must be a JSON object.")
    return _lower(value)


def _lower(value: dict[str, Any]) -> dict[str, Any]:
    return {name.lower(): each for name, each in value.items()}


def _optional(order: dict[str, Any], name: str, default: Any, is_valid: Callable[[Any], bool]) -> Any:
    value = order.get(name.lower())
    if value is None:
        return default
    if not is_valid(value):
        raise Refused(400, **{name: f"The {name} was invalid."})
    return value


def _choice(order: dict[str, Any], name: str, default: Any, choices: dict[object, Any]) -> Any:
    def key(value: object) -> object:
        # In Python, True is 1.
        return value.lower() if isinstance(value, str) else value if type(value) is int else None

    return choices[key(_optional(order, name, default, lambda value: key(value) in choices))]


def _windows(windows: object, now_ms: int) -> tuple[tuple[int, int], ...]:
    try:
        parsed = tuple(map(_window, windows)) if isinstance(windows, list) else ((0, 0),)
    except (ValueError, TypeError, AttributeError, OverflowError):
        parsed = ((0, 0),)
    if not all(opens_ms < closes_ms for opens_ms, closes_ms in parsed):
        text = "Each window must be an object with opens and, after that, closes, in ISO 8601."
        raise Refused(400, deliveryWindows=text)
    if parsed and all(closes_ms <= now_ms for _, closes_ms in parsed):
        raise Refused(400, deliveryWindows="All windows are over.")
    return parsed


def _window(window: dict[str, str]) -> tuple[int, int]:
    window = _lower(window)
    opens_ms = _parse_ms(window.get("opens"))
    closes_ms = opens_ms + WEEK_MS if window.get("closes") is None else _parse_ms(window["closes"])
    timestamp(closes_ms)  # Raises OverflowError if the time cannot be printed.
    return opens_ms, closes_ms


def _parse_ms(text: str | None) -> int:
    time = datetime.fromisoformat(text or "")
    return round((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1000)
