# SPDX-License-Identifier: Apache-2.0
"""
Batches: what iP.1 calls the messages that were sent with one request.

Source: https://www.ip1sms.com/en/developer/batches (table and example; there is no schema).
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from airflow_provider_ip1.api.messages import ApiObject, Scalar, StatusCount
from airflow_provider_ip1.api.phone import mask_number


class DeliveryWindow(msgspec.Struct, frozen=True, gc=False):
    """
    A time in which iP.1 may deliver the messages of a batch.

    :param opens: the beginning, in UTC.
    :param closes: the end, in UTC.
    """

    opens: datetime | None = None
    closes: datetime | None = None


class PriceSummary(msgspec.Struct, frozen=True, gc=False):
    """
    What the messages of a batch cost.

    :param total: price of all messages, with the digits that iP.1 wrote.
    :param currency: currency of the prices, upper case.
    :param average: price per message.
    """

    total: Decimal | None = None
    currency: str | None = None
    average: Decimal | None = None


class Batch(ApiObject, frozen=True, gc=False):
    """
    The messages that were sent with one request. A field that iP.1 leaves out or sends as null is ``None``.

    ``repr()`` and ``str()`` show neither the text nor a complete phone number. The text is in :attr:`raw`.

    :param id: iP.1's unique id, never empty.
    :param sender: phone number or alphanumeric name.
    :param owner: the account that the batch belongs to.
    :param direction: ``mt``: you sent it.
    :param type: ``sms`` or ``flash``; another value as received.
    :param datacoding: ``gsm`` or ``ucs``, the largest alphabet allowed; another value as received.
    :param priority: 1 (normal) or 2 (high); another value as received.
    :param templated: whether each recipient has values for placeholders in the text.
    :param status: status code, see :mod:`airflow_provider_ip1.api.status`.
    :param delivery_windows: when the messages may be delivered; empty for at once.
    :param reference: your own reference, given when the batch was sent.
    :param tags: your own labels.
    :param message_summary: status code -> counts. ``None`` in a list of batches, which lacks it.
    :param price_summary: the price. ``None`` in a list of batches, which lacks it.
    :param raw_json: the JSON object, byte for byte as iP.1 sent it.
    """

    id: str
    sender: str | None = None
    owner: str | None = None
    direction: str | None = None
    type: Scalar | None = None
    datacoding: Scalar | None = None
    priority: Scalar | None = None
    templated: bool | None = None
    status: int | None = None
    delivery_windows: tuple[DeliveryWindow, ...] = ()
    reference: str | None = None
    tags: tuple[str, ...] = ()
    message_summary: dict[int, StatusCount] | None = None
    price_summary: PriceSummary | None = None

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [
            ("id", self.id),
            ("sender", self.sender and mask_number(self.sender)),
            ("status", self.status),
            ("reference", self.reference and mask_number(self.reference)),
        ]
