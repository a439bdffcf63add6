# SPDX-License-Identifier: Apache-2.0
"""
The types that iP.1's SMS API v2 returns: messages, their statuses, and the summary of a conversation.

The documented shape is in ``schema/conversation_messages.json`` (the schema of iP.1's operation
GetConversationMessages). :mod:`airflow_provider_ip1.api.decoding` reads these types from JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, TypeAlias

import msgspec

from airflow_provider_ip1.api.json_text import parse_json
from airflow_provider_ip1.api.phone import mask_number
from airflow_provider_ip1.api.status import Category, latest_report, status_category
from airflow_provider_ip1.api.timestamps import LATEST_TIME, is_plausible

Scalar: TypeAlias = str | int | float
"""A value that iP.1 does not document, kept as sent."""

# iP.1's schema specifies enums as integers, while the human documentation
# (https://www.ip1sms.com/en/developer/readinsms) shows them as strings in mixed case. Both are accepted.
_Names: TypeAlias = Mapping[Scalar | None, str]

TYPES: Final[_Names] = {0: "flash", 1: "sms", "0": "flash", "1": "sms", "flash": "flash", "sms": "sms"}
DATACODINGS: Final[_Names] = {0: "gsm", 2: "ucs", "0": "gsm", "2": "ucs", "gsm": "gsm", "ucs": "ucs"}
PRIORITIES: Final[Mapping[Scalar | None, int]] = {1: 1, 2: 2, "1": 1, "2": 2, "normal": 1, "high": 2}


def name_or_value(value: Scalar | None, names: Mapping[Scalar | None, Any]) -> Any:
    """Return the name of an enum value; the value itself if iP.1 does not document it."""
    if isinstance(value, bool):
        # A dictionary considers true equal to 1, but true is not an enum value.
        return value
    return names.get(value.casefold() if isinstance(value, str) else value, value)


class Shown(msgspec.Struct, frozen=True, gc=False):
    """An object whose texts for people contain only what its class lists for them."""

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={item!r}" for name, item in self.__rich_repr__())
        return f"{type(self).__name__}({shown})"


class ApiObject(Shown, frozen=True, gc=False, kw_only=True):
    """
    An object that iP.1 sent.

    :param raw_json: the JSON object, byte for byte as iP.1 sent it.
    """

    raw_json: bytes = b"{}"

    @property
    def raw(self) -> dict[str, Any]:
        """
        iP.1's JSON object, complete. Each access parses it again, so changing the result changes no object.

        A number that Python cannot represent, such as 1e400 or an integer of 5,000 digits, is a text.
        """
        fields: dict[str, Any] = parse_json(self.raw_json)
        return fields


class MessageStatus(Shown, frozen=True, gc=False):
    """
    One delivery report of a message.

    :param code: status code, see :mod:`airflow_provider_ip1.api.status`.
    :param duration: whether iP.1 considers the status permanent, as sent. Documented as 0 or 1. The documentation does
        not say which of the two is permanent, and its examples contradict each other.
    :param created: when the report was made, in UTC.
    """

    code: int
    duration: Scalar | None = None
    created: datetime | None = None

    @property
    def category(self) -> Category:
        """What the code means for the delivery."""
        return status_category(self.code)

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [
            ("code", self.code),
            # Any other value is undocumented and may contain personal data.
            ("duration", self.duration if self.duration in (None, 0, 1) else "..."),
            ("created", self.created and self.created.isoformat()),
        ]


class Message(ApiObject, frozen=True, gc=False):
    """
    One SMS of a conversation or batch. A field that iP.1 omits or sends as null is ``None``.

    ``repr()`` and ``str()`` show neither the body nor a complete phone number.

    :param id: iP.1's unique id, never empty.
    :param batch_id: id of the batch the message belongs to. Received messages belong to a batch too.
    :param owner: the account the message belongs to.
    :param sender: phone number or alphanumeric name.
    :param recipient: phone number or alphanumeric name. For a received message this is your own number.
    :param body: the text. A lone half of a UTF-16 pair, which UTF-8 cannot represent, becomes U+FFFD.
    :param direction: ``mt`` (you sent it) or ``mo`` (you received it). iP.1 documents these names, but not which of its
        integers 0 and 1 is which. The direction is therefore taken from iP.1's text; failing that, from the endpoint
        (/mt, /mo); failing that, from the addresses: a message to the participant is ``mt``, one from the participant
        is ``mo``. It is ``None`` if none of these decides. An undocumented text is kept as sent.
    :param segments: number of SMS the text needs.
    :param type: ``sms`` or ``flash``. Any other value is kept as sent.
    :param datacoding: ``gsm`` or ``ucs``, the smallest coding the text needs. Any other value is kept as sent.
    :param priority: 1 (normal) or 2 (high). Any other value is kept as sent.
    :param price: price of the whole message, all segments, with the digits that iP.1 sent.
    :param currency: currency of the price, in upper case.
    :param statuses: the delivery reports in iP.1's order. Lists of messages contain only the latest report of each
        message. A message read by its id contains all of them.
    :param modified: time of the last change, in UTC, to the microsecond. A time without a zone is read as UTC.
    :param reference: your own reference, given when the message was sent.
    :param mcc: mobile country code, three digits.
    :param mnc: mobile network code, two or three digits.
    :param raw_json: the JSON object, byte for byte as iP.1 sent it.
    """

    id: str
    batch_id: str | None = None
    owner: str | None = None
    sender: str | None = None
    recipient: str | None = None
    body: str | None = None
    direction: str | None = None
    segments: int | None = None
    type: Scalar | None = None
    datacoding: Scalar | None = None
    priority: Scalar | None = None
    price: Decimal | None = None
    currency: str | None = None
    statuses: tuple[MessageStatus, ...] = ()
    modified: datetime | None = None
    reference: str | None = None
    mcc: str | None = None
    mnc: str | None = None

    @property
    def extra_fields(self) -> dict[str, Any]:
        """
        What iP.1 sent that no attribute contains, as JSON values under iP.1's names. Usually empty.

        Contains the fields that iP.1 does not document and ``direction`` if its integer could not be explained. If a
        status report has undocumented fields, ``statuses`` is a list with one object per report.
        """
        raw = self.raw
        extra = {name: value for name, value in raw.items() if name not in DOCUMENTED_FIELDS}
        if self.direction is None and raw.get("direction") is not None:
            extra["direction"] = raw["direction"]
        reports = [
            {name: value for name, value in report.items() if name not in DOCUMENTED_STATUS_FIELDS}
            for report in (raw["statuses"] if self.statuses else ())
        ]
        if any(reports):
            extra["statuses"] = reports
        return extra

    @property
    def latest_status(self) -> MessageStatus | None:
        """
        The most recent report, by ``created`` and not by position. ``None`` if there are no reports.

        Of reports with the same time the later one in the list wins. A report without ``created``, or dated before the
        year 2000, counts as made at the same time as the latest report before it, but a pending one never follows a
        final one.
        """
        return self.latest_status_until(LATEST_TIME)

    def latest_status_until(self, latest: datetime) -> MessageStatus | None:
        """
        Return the most recent report, as :attr:`latest_status`, with the rule for times in the future as well.

        :param latest: a report that is dated later counts as undated: a day from now.
        """
        times = [report.created if is_plausible(report.created, latest) else None for report in self.statuses]
        position = latest_report([report.code for report in self.statuses], times)
        return None if position is None else self.statuses[position]

    @property
    def status_code(self) -> int | None:
        """Code of :attr:`latest_status`."""
        latest = self.latest_status
        return None if latest is None else latest.code

    @property
    def status_category(self) -> Category | None:
        """Category of :attr:`latest_status`, see :func:`airflow_provider_ip1.api.status.status_category`."""
        latest = self.latest_status
        return None if latest is None else latest.category

    def to_dict(self) -> dict[str, Any]:
        """
        Convert the message to a dictionary that :func:`json.dumps` accepts.

        It contains the body and the complete numbers, so keep it out of logs and XCom.

        :return: every attribute except ``raw``, under its own name. Times are ISO 8601 texts in UTC. The price is a
            text, which keeps its digits. A status is a dictionary of ``code``, ``duration`` and ``created``.
        """
        fields: dict[str, Any] = msgspec.to_builtins(msgspec.structs.replace(self, raw_json=b""))
        del fields["raw_json"]
        return fields | {
            "statuses": [*fields["statuses"]],
            "latest_status": msgspec.to_builtins(self.latest_status),
            "status_code": self.status_code,
            "status_category": self.status_category,
        }

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [
            ("id", self.id),
            ("direction", self.direction if self.direction in (None, "mt", "mo") else "..."),
            ("sender", self.sender and mask_number(self.sender)),
            ("recipient", self.recipient and mask_number(self.recipient)),
            ("status_code", self.status_code),
            ("modified", self.modified and self.modified.isoformat()),
        ]


DOCUMENTED_FIELDS: Final = frozenset(
    "batchId" if name == "batch_id" else name for name in Message.__struct_fields__ if name != "raw_json"
)
"""The fields of a message under iP.1's names."""

DOCUMENTED_STATUS_FIELDS: Final = frozenset(MessageStatus.__struct_fields__)
"""The fields of a status under iP.1's names."""


class StatusCount(msgspec.Struct, frozen=True, gc=False):
    """
    How many messages of a conversation have one status.

    :param messages: number of messages.
    :param sms: number of SMS segments of these messages.
    """

    messages: int | None = None
    sms: int | None = None


class ConversationSummary(ApiObject, frozen=True, gc=False):
    """
    The counts that GET /v2/conversations/{participant}/summary returns. A message counts under its latest status only.

    Source: https://www.ip1sms.com/en/developer/conversations/ (table and example; there is no schema).

    :param participant: the phone number or name the summary is about.
    :param total_messages: number of messages in both directions.
    :param total_sms: number of SMS segments in both directions.
    :param mobile_terminated: status code -> counts of the messages you sent.
    :param mobile_originated: status code -> counts of the messages you received.
    :param raw_json: the JSON object, byte for byte as iP.1 sent it.
    """

    participant: str | None = None
    total_messages: int | None = None
    total_sms: int | None = None
    mobile_terminated: dict[int, StatusCount] = {}
    mobile_originated: dict[int, StatusCount] = {}

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [
            ("participant", self.participant and mask_number(self.participant)),
            ("total_messages", self.total_messages),
            ("total_sms", self.total_sms),
            ("mobile_terminated", self.mobile_terminated),
            ("mobile_originated", self.mobile_originated),
        ]
