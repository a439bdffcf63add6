# SPDX-License-Identifier: Apache-2.0
"""
The status codes of iP.1's SMS API v2: their documented names, and what each code means for the delivery.

Source: iP.1's page "Status codes" (https://www.ip1sms.com/en/developer/statuscodes). It says that new codes may be
added, and that software should then use the first digit. A code has a name here only if a page about SMS names it. The
e-mail product also names 405 to 407 (RecipientRejected, GenericRejected, InvalidSender). No page about SMS confirms
these names, so 405 to 407, like 408 to 599, are known by number and group only.

API v1 has a different list, in which 101 and 110 are errors. Do not interpret its codes with this table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, get_args

Category = Literal["pending", "delivered", "undelivered", "rejected", "failed"]

CATEGORIES: Final[tuple[Category, ...]] = get_args(Category)
"""Every category, from "still open" to "failed at iP.1 or the operator"."""

TERMINAL_CATEGORIES: Final[tuple[Category, ...]] = CATEGORIES[1:]
"""The categories that are final."""

STATUS_NAMES: Final[Mapping[int, str]] = {
    101: "Accepted",
    102: "Queued",
    103: "Funded",
    # The price was returned to the balance. This probably follows a failure, but no page calls it final, so it is
    # pending like every other 1xx.
    104: "Refunded",
    110: "Sending",
    111: "DeliveredToGateway",
    112: "DeliveredToCarrier",
    113: "DeliveredToGSM",
    # The page describes it, but the enum of the API's schema lacks it.
    114: "QueuedAtGateway",
    201: "DeliveredToHandset",
    202: "Expired",
    203: "Canceled",
    402: "InsufficientFunds",
    403: "SenderRejected",
    404: "ContentRejected",
}
"""The codes that iP.1 names for SMS."""

_UNNAMED_CODES = (405, 406, 407, 408, 409, 500, 501, 502, 503, 511, 512, 513, 514, 515, 516, 599)

KNOWN_CODES: Final[frozenset[int]] = frozenset(STATUS_NAMES).union(_UNNAMED_CODES)
"""Every code that iP.1 documents: the enum of the API's schema (operation GetConversationMessages), and 114."""

_DELIVERED: Final = 201

_CATEGORY_OF_GROUP: Final[Mapping[int, Category]] = {
    1: "pending",
    # iP.1 describes this group as "Success: ended in a way the user defined", which includes Expired and Canceled.
    # So every 2xx is final, but only 201 is a delivery. An unknown 2xx must not count as one.
    2: "undelivered",
    4: "rejected",
    5: "failed",
}


def status_name(code: int) -> str | None:
    """
    Return iP.1's name of a status code.

    :param code: a status code, such as 201.
    :return: the documented name, such as ``DeliveredToHandset``; ``None`` if iP.1 documents none for SMS.
    """
    return STATUS_NAMES.get(code)


def status_category(code: int) -> Category:
    """
    Return what a status code means for the delivery.

    Only 201 is ``delivered``. For any other code the first digit decides, as iP.1 advises: 1xx is ``pending`` (104
    Refunded too), 2xx ``undelivered`` (the message ended without a known delivery), 4xx ``rejected``, 5xx ``failed``.
    A code outside these groups, such as 0, 3xx or 999, has no documented meaning. It is ``pending``, so a task that
    waits for the message ends with a timeout, and not with a success or failure that iP.1 did not report.

    :param code: a status code, known or unknown.
    :return: one of :data:`CATEGORIES`.
    """
    if code == _DELIVERED:
        return "delivered"
    return _CATEGORY_OF_GROUP.get(code // 100, "pending")


def is_terminal(category: str) -> bool:
    """
    Return whether a category is final.

    iP.1 also marks single reports as permanent or temporary (``duration``), but its pages contradict each other about
    which number is which. So only the category decides.

    :param category: one of :data:`CATEGORIES`.
    :return: ``False`` for ``pending``, ``True`` for the others.
    :raises ValueError: the category is not one of :data:`CATEGORIES`.
    """
    if category not in CATEGORIES:
        raise ValueError(f"Unknown status category {category!r}: use one of {', '.join(CATEGORIES)}.")
    return category in TERMINAL_CATEGORIES


def latest_report(codes: Sequence[int], times: Sequence[Any]) -> int | None:
    """
    Find the most recent of a message's reports.

    :param codes: their status codes.
    :param times: when they were made, comparable with each other; ``None`` where that is unknown.
    :return: the position of the most recent one; ``None`` if there are no reports. Of reports whose times do not
        decide, the later one wins, except that a pending one never follows a final one.
    """
    position = when = None
    for at, (code, time) in enumerate(zip(codes, times, strict=True)):
        if position is None or (time is not None and when is not None and time >= when):
            is_later = True
        elif time is not None and when is not None:
            is_later = False
        else:
            is_later = is_terminal(status_category(code)) or not is_terminal(status_category(codes[position]))
        if is_later:
            position, when = at, time or when
    return position
