# SPDX-License-Identifier: Apache-2.0
"""
The names of iP.1's enum values, and the direction of a message.

iP.1's schema specifies enums as integers, while the human documentation
(https://www.ip1sms.com/en/developer/readinsms) shows them as strings in mixed case. Both are accepted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, TypeAlias

from airflow_provider_ip1.api.messages import Scalar

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


def direction_of(
    value: Scalar | None, endpoint: str | None, other_side: str | None, sender: str | None, recipient: str | None
) -> str | None:
    """
    Determine the direction of a message, as :class:`~airflow_provider_ip1.api.messages.Message` documents it.

    :param value: iP.1's value.
    :param endpoint: ``mt`` or ``mo`` if the endpoint returns only these.
    :param other_side: the participant of the conversation, from :func:`normalize_address`.
    :param sender: the message's sender.
    :param recipient: the message's recipient.
    """
    if isinstance(value, str) and value and not value.isdigit():
        known = value.casefold()
        return known if known in ("mt", "mo") else value
    if endpoint is not None:
        return endpoint
    if other_side is not None:
        is_recipient = recipient is not None and normalize_address(recipient) == other_side
        is_sender = sender is not None and normalize_address(sender) == other_side
        if is_recipient != is_sender:
            return "mt" if is_recipient else "mo"
    return None


@lru_cache(maxsize=1024)
def normalize_address(text: str) -> str:
    """
    Return the form in which different spellings of one number or name are equal.

    :param text: a phone number or an alphanumeric name.
    """
    digits = re.sub(r"[\s().\-/+]", "", text)
    return digits.removeprefix("00") if digits.isdigit() else text.strip().casefold()
