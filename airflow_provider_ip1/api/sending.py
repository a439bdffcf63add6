# SPDX-License-Identifier: Apache-2.0
"""
What can be sent: every argument is checked before the first request.

Sources: iP.1's page "Sending SMS" (https://www.ip1sms.com/en/developer/sending-sms) for the fields of
``POST /v2/batches`` and their limits. No error of this module shows a text or a complete number.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, Required, TypeAlias, TypedDict, Unpack
from urllib.parse import urlsplit

from airflow_provider_ip1.api.addresses import (
    DEFAULT,
    Recipients,
    check_encodable,
    check_recipients,
    check_sender,
    have_values,
)
from airflow_provider_ip1.api.phone import mask_number
from airflow_provider_ip1.api.segments import count_segments
from airflow_provider_ip1.api.timestamps import read_time

SmsType: TypeAlias = Literal["sms", "flash"]
Datacoding: TypeAlias = Literal["ucs", "gsm"]
Priority: TypeAlias = Literal[1, 2]
DeliveryWindows: TypeAlias = Sequence[Mapping[str, datetime | str]]

#: The most characters that iP.1 accepts as a text, before any placeholder is filled in.
MAX_BODY_LENGTH: Final = 2000

#: The longest reference that iP.1 certainly keeps, in characters. Its limit is not documented.
MAX_REFERENCE: Final = 32
_OWN_REFERENCE = re.compile(r"af-[0-9a-f]{16}-[0-9a-f]{12}")
_TASK_PART = slice(len("af-") + 16 + len("-"))
_PLACEHOLDER = re.compile(r"\{([^{}]+)\}")


class SmsArguments(TypedDict, total=False):
    """The arguments of :meth:`IP1Hook.send_batch <airflow_provider_ip1.hooks.ip1.IP1Hook.send_batch>`."""

    recipients: Required[Recipients]
    body: Required[str]
    sender: str | None
    reference: str | None
    type: SmsType
    datacoding: Datacoding
    priority: Priority
    delivery_windows: DeliveryWindows | None
    delivery_report_url: str | None
    tags: Sequence[str]


class OutgoingBatch:
    """
    A batch that is about to be sent. Creating one checks everything; the attributes have the form that iP.1 expects.

    :param default_sender: the sender if ``sender`` is ``None`` or empty.
    :param identity: what identifies the task, for :func:`default_reference`. Default: nothing, for a random one.
    :param arguments: those of :meth:`IP1Hook.send_batch <airflow_provider_ip1.hooks.ip1.IP1Hook.send_batch>`.
    :raises ValueError: an argument cannot be used; the message names the argument. For a number, the error is an
        :class:`~airflow_provider_ip1.exceptions.IP1ParticipantError`, which is a ``ValueError``.
    """

    def __init__(
        self,
        *,
        default_sender: str | None = None,
        identity: Sequence[str | None] = (),
        **arguments: Unpack[SmsArguments],
    ) -> None:
        names = arguments.keys()
        if wrong := ({"recipients", "body"} - names) | (names - SmsArguments.__annotations__.keys()):
            raise TypeError(f"An SMS needs recipients and body, and takes no unknown argument: check {min(wrong)!r}.")
        given = arguments.get
        recipients, reference = arguments["recipients"], given("reference")
        self.body = _check_body(arguments["body"])
        self.is_templated = have_values(recipients)
        self.recipients, self.default_values = check_recipients(recipients)
        if self.is_templated:
            _check_placeholders(self.body, self.recipients, self.default_values)
        self.sender = check_sender(given("sender") or default_sender)
        self.reference = (
            default_reference(self.recipients, *identity) if reference is None else _check_label(reference, "reference")
        )
        self.type = _check_choice(given("type", "sms"), ("sms", "flash"), "type")
        self.datacoding = _check_choice(given("datacoding", "ucs"), ("ucs", "gsm"), "datacoding")
        self.priority = _check_choice(given("priority", 1), (1, 2), "priority")
        self.delivery_windows = _check_windows(given("delivery_windows"))
        self.delivery_report_url = _check_url(given("delivery_report_url"))
        self.tags = _check_tags(given("tags", ()))

    def __repr__(self) -> str:
        return f"<OutgoingBatch {self.reference_label} to {len(self.recipients)}>"

    @property
    def reference_label(self) -> str:
        """The reference for logs and errors: one made by this package as it is, any other with numbers masked."""
        return self.reference if _OWN_REFERENCE.fullmatch(self.reference) else mask_number(self.reference)

    @property
    def task_part(self) -> str:
        """The beginning of a default reference, which does not depend on the recipients."""
        return self.reference[_TASK_PART]

    @property
    def covers_recipients(self) -> bool:
        """Whether the reference is a default one, so that no batch to other recipients has it."""
        return self.reference == f"{self.task_part}{_digest(self.task_part, *sorted(self.recipients))[:12]}"

    @property
    def segments(self) -> int:
        """How many SMS each recipient gets; for a templated batch, the most that a recipient gets."""
        if not self.is_templated:
            return count_segments(self.body)
        return max(count_segments(self._render(values)) for values in self.recipients.values())

    def _render(self, values: Mapping[str, str]) -> str:
        merged = {**self.default_values, **values}
        return _PLACEHOLDER.sub(lambda found: merged[found[1]], self.body)

    def to_json(self) -> bytes:
        """Return the body of ``POST /v2/batches``. What was not set is left out."""
        recipients: Any = list(self.recipients)
        if self.is_templated:
            recipients = {number: dict(values) for number, values in self.recipients.items()}
            if self.default_values:
                recipients[DEFAULT] = dict(self.default_values)
        fields = {
            "sender": self.sender,
            "recipients": recipients,
            "body": self.body,
            "type": self.type,
            "datacoding": self.datacoding,
            "priority": self.priority,
            "deliveryWindows": self.delivery_windows,
            "deliveryReportUrl": self.delivery_report_url,
            "reference": self.reference,
            "tags": list(self.tags),
        }
        return json.dumps({name: value for name, value in fields.items() if value not in (None, [])}).encode()

    def check_limits(self, *, max_recipients: int, max_segments: int) -> None:
        """
        Check that the batch does not cost more than its sender expects.

        :param max_recipients: the most recipients, from 1.
        :param max_segments: the most SMS per recipient, from 1.
        :raises ValueError: the batch exceeds a limit; the message names the argument.
        """
        if len(self.recipients) > max_recipients:
            raise ValueError(
                f"max_recipients is {max_recipients}, but there are {len(self.recipients)} recipients. "
                "Nothing was sent. Raise max_recipients if this is intended."
            )
        segments = self.segments
        if segments > max_segments:
            longest = "longest text" if self.is_templated else "text"
            raise ValueError(
                f"max_segments is {max_segments}, but the {longest} takes {segments} SMS. "
                "Nothing was sent. Shorten the text, or raise max_segments if this is intended."
            )


def check_limit(value: int, argument: str) -> int:
    """
    Check a limit.

    :param value: the limit.
    :param argument: its name, for the error.
    :return: the limit.
    :raises ValueError: it is not a whole number from 1.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{argument} must be a whole number from 1, not {value!r}.")
    return value


def default_reference(recipients: Iterable[str], *identity: str | None) -> str:
    """
    Return the reference of a batch for which none was given.

    It stays the same for every try of a task and after the task was cleared, even if the text has changed, so that the
    task can see that it has already sent its SMS. It depends on the recipients and not on the index of a mapped task,
    because the same index may stand for somebody else after the list has changed.

    :param recipients: the numbers, in any order.
    :param identity: what identifies the task: deployment, DAG, run and task. Without it, the reference is random, for
        a batch that is sent only once.
    :return: ``af-``, 16 hexadecimal digits for the identity, ``-``, and 12 for the recipients: 32 characters.
    """
    task_part = f"af-{_digest(*identity)[:16] if identity else secrets.token_hex(8)}-"
    return f"{task_part}{_digest(task_part, *sorted(recipients))[:12]}"


def alert_reference(*identity: Any) -> str:
    """
    Return the reference of an alert that several tasks may send, of which one is enough.

    :param identity: what the alerts have in common.
    :return: ``af-``, 16 hexadecimal digits, ``-``, and 12 more: 32 characters.
    """
    digest = _digest(*identity)
    return f"af-{digest[:16]}-{digest[16:28]}"


def _digest(*values: Any) -> str:
    return hashlib.sha256(json.dumps(values, default=str).encode()).hexdigest()


def _check_placeholders(
    body: str, recipients: Mapping[str, Mapping[str, str]], default_values: Mapping[str, str]
) -> None:
    # iP.1 does not document what it sends for a placeholder without a value.
    for number, name in enumerate(dict.fromkeys(_PLACEHOLDER.findall(body)), 1):
        for position, values in enumerate(recipients.values(), 1):
            if name not in values and name not in default_values:
                raise ValueError(
                    f"recipients: recipient {position} has no value for a placeholder of the text "
                    f"(placeholder {number}). Add the value, or one under 'default'."
                )


def _check_body(body: Any) -> str:
    if not isinstance(body, str):
        raise ValueError(f"body must be a string, not {type(body).__name__}.")
    if not body.strip():
        raise ValueError("body is blank. iP.1 does not send a blank text.")
    check_encodable(body, "body")
    if len(body) > MAX_BODY_LENGTH:
        raise ValueError(f"body has {len(body)} characters. iP.1 accepts at most {MAX_BODY_LENGTH}.")
    return body


def _check_label(value: Any, argument: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{argument} must be a string, not {type(value).__name__}.")
    text = value.strip()
    if not text:
        raise ValueError(f"{argument} is blank.")
    if not text.isprintable():
        raise ValueError(f"{argument} contains control characters.")
    return text


def _check_tags(tags: Any) -> tuple[str, ...]:
    if isinstance(tags, str) or not isinstance(tags, Sequence):
        raise ValueError(f"tags must be a list of strings, not {type(tags).__name__}.")
    return tuple(_check_label(tag, "tags: each tag") for tag in tags)


def _check_choice(value: Any, choices: tuple[Any, ...], argument: str) -> Any:
    if isinstance(value, bool) or value not in choices:
        allowed = " or ".join(map(repr, choices))
        raise ValueError(f"{argument} must be {allowed}.")
    # Not an equal value of another type, such as 1.0.
    return choices[choices.index(value)]


def _check_url(url: Any) -> str | None:
    if url is None:
        return None
    # The URL may contain a secret, so the error does not show it.
    problem = "delivery_report_url must be an http or https URL without spaces."
    if not isinstance(url, str) or not url.isprintable() or " " in url:
        raise ValueError(problem)
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(problem)
    return url


def _check_windows(windows: Any) -> list[dict[str, str]]:
    if windows is None:
        return []
    if isinstance(windows, str | Mapping) or not isinstance(windows, Sequence):
        raise ValueError(f"delivery_windows must be a list of mappings, not {type(windows).__name__}.")
    return [_check_window(window, position) for position, window in enumerate(windows, 1)]


def _check_window(window: Any, position: int) -> dict[str, str]:
    subject = f"delivery_windows: window {position}"
    if not isinstance(window, Mapping) or not {"opens"} <= set(window) <= {"opens", "closes"}:
        raise ValueError(f"{subject} must be a mapping with 'opens' and, optionally, 'closes'.")
    opens = read_time(window["opens"], f"{subject}: opens")
    if window.get("closes") in (None, ""):
        return {"opens": _iso(opens)}
    closes = read_time(window["closes"], f"{subject}: closes")
    if closes <= opens:
        raise ValueError(f"{subject} closes at {_iso(closes)}, which is not after it opens ({_iso(opens)}).")
    return {"opens": _iso(opens), "closes": _iso(closes)}


def _iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
