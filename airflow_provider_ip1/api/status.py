# SPDX-License-Identifier: Apache-2.0
"""
The status codes of iP.1's SMS API v2: which names are documented, and what a code means for a delivery.

Source: iP.1's page "Status codes" (https://www.ip1sms.com/en/developer/statuscodes). It says that new codes may be
added and that software should then go by the first digit. A code has a name here only where a page about SMS gives
one. The e-mail product has names for 405-407 as well (RecipientRejected, GenericRejected, InvalidSender); no page
about SMS confirms them, so those codes, like 408-599, are known by number and group only.

The codes of API v1 are another list, in which 101 and 110 are errors. They must not be read with this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, get_args

Category = Literal["pending", "delivered", "undelivered", "rejected", "failed"]

CATEGORIES: Final[tuple[Category, ...]] = get_args(Category)
"""Every category, from "nothing decided yet" to "went wrong at iP.1 or the operator"."""

TERMINAL_CATEGORIES: Final[tuple[Category, ...]] = CATEGORIES[1:]
"""The categories after which no other outcome is to be expected."""

STATUS_NAMES: Final[Mapping[int, str]] = MappingProxyType(
    {
        101: "Accepted",
        102: "Queued",
        103: "Funded",
        # The price went back to the balance. It likely follows a failure, but no page calls it final: it is pending,
        # as every 1xx.
        104: "Refunded",
        110: "Sending",
        111: "DeliveredToGateway",
        112: "DeliveredToCarrier",
        113: "DeliveredToGSM",
        # Described on the page, missing from the enum of the API's schema.
        114: "QueuedAtGateway",
        201: "DeliveredToHandset",
        202: "Expired",
        203: "Canceled",
        402: "InsufficientFunds",
        403: "SenderRejected",
        404: "ContentRejected",
    }
)
"""The codes whose name iP.1 documents for SMS."""

_UNNAMED_CODES = (405, 406, 407, 408, 409, 500, 501, 502, 503, 511, 512, 513, 514, 515, 516, 599)

KNOWN_CODES: Final[frozenset[int]] = frozenset(STATUS_NAMES).union(_UNNAMED_CODES)
"""
Every code that iP.1 documents: the enum of the API's schema (operation GetConversationMessages), and 114.
"""

_DELIVERED: Final = 201

_CATEGORY_OF_GROUP: Final[Mapping[int, Category]] = MappingProxyType(
    {
        1: "pending",
        # iP.1 calls the group "Success: ended in a way the user defined", which includes Expired and Canceled. So a
        # 2xx is an end, but only 201 is a delivery; a 2xx that nobody knows must not pass for one.
        2: "undelivered",
        4: "rejected",
        5: "failed",
    }
)


def status_name(code: int) -> str | None:
    """
    Give iP.1's name of a status code.

    :param code: a status code, such as 201.
    :return: the documented name, such as ``DeliveredToHandset``; ``None`` where iP.1 documents none for SMS.
    """
    return STATUS_NAMES.get(code)


def status_category(code: int) -> Category:
    """
    Tell what a status code means for the delivery.

    201, and only 201, is ``delivered``. Any other code goes by its first digit, as iP.1 advises: 1xx is ``pending``
    (104 Refunded too), 2xx ``undelivered`` (the message ended without a known delivery), 4xx ``rejected``, 5xx
    ``failed``. A code outside these groups, such as 0, 3xx or 999, has no documented meaning: it is ``pending``,
    since nothing says that the message reached an end. Whoever waits for a message is then ended by its own timeout,
    never by a success or a failure that iP.1 did not report.

    :param code: a status code, known or not.
    :return: one of :data:`CATEGORIES`.
    """
    if code == _DELIVERED:
        return "delivered"
    return _CATEGORY_OF_GROUP.get(code // 100, "pending")


def is_terminal(category: str) -> bool:
    """
    Tell whether a message of this category has reached its end, whatever the end is.

    iP.1 marks single reports as permanent or temporary (``duration``), but the pages contradict each other on which
    number is which, so this goes by the category alone.

    :param category: one of :data:`CATEGORIES`.
    :return: ``False`` for ``pending``, ``True`` for the others.
    :raises ValueError: the category is none of :data:`CATEGORIES`.
    """
    if category not in CATEGORIES:
        raise ValueError(f"Unknown status category {category!r}: use one of {', '.join(CATEGORIES)}.")
    return category in TERMINAL_CATEGORIES


def describe_status(code: int) -> str:
    """
    Put a status code into words for logs and errors, such as ``201 DeliveredToHandset`` or ``512 (failed)``.

    :param code: a status code, known or not.
    :return: the code with its name, or with its category where it has no documented name.
    """
    name = status_name(code)
    return f"{code} {name}" if name else f"{code} ({status_category(code)})"
