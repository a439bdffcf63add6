# SPDX-License-Identifier: Apache-2.0
"""
Who a batch is from, and who it is for.

Sources: iP.1's page "Sending SMS" (https://www.ip1sms.com/en/developer/sending-sms). No error of this module shows a
complete number.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from airflow_provider_ip1.api.phone import SHORTEST_NUMBER, is_meant_as_number, normalise
from airflow_provider_ip1.exceptions import IP1ParticipantError

Recipients: TypeAlias = str | Sequence[str | Mapping[str, str]] | Mapping[str, Mapping[str, str]]

#: The key of the number where recipients are a list of mappings.
RECIPIENT: Final = "recipient"
#: The number that stands for the values of recipients that lack their own.
DEFAULT: Final = "default"

_SENDER_NAME = re.compile(r"[0-9A-Za-z]{3,11}")


def check_encodable(text: str, argument: str) -> None:
    """
    Check that a text can be sent.

    :param text: the text.
    :param argument: its name, for the error.
    :raises ValueError: it contains half of a character (a lone UTF-16 surrogate), as the names of files and damaged
        texts do.
    """
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError(
            f"{argument} contains half of a character, which cannot be sent. Decode the text with the right encoding, "
            "or with errors='replace'."
        )


def have_values(recipients: Any) -> bool:
    """Return whether recipients have values for placeholders: a mapping, or a list with a mapping in it."""
    is_list = isinstance(recipients, Sequence) and not isinstance(recipients, str)
    return isinstance(recipients, Mapping) or (is_list and any(isinstance(one, Mapping) for one in recipients))


def check_recipients(recipients: Any) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """
    Check recipients.

    :param recipients: see :class:`~airflow_provider_ip1.api.sending.OutgoingBatch`.
    :return: number -> values, and the default values.
    :raises ValueError: they cannot be used. The error says which number by its position.
    """
    default_values: dict[str, str] = {}
    if recipients is None:
        recipients = ()
    if isinstance(recipients, str):
        recipients = [part for part in map(str.strip, recipients.split(",")) if part]
    if isinstance(recipients, Mapping):
        given = list(recipients.items())
    elif isinstance(recipients, Sequence) and not isinstance(recipients, bytes | bytearray):
        given = [_split(recipient, position) for position, recipient in enumerate(recipients, 1)]
    else:
        raise ValueError(
            f"recipients must be a string, a list of strings or a mapping, not {type(recipients).__name__}."
        )
    checked: dict[str, dict[str, str]] = {}
    for position, (recipient, values) in enumerate(given, 1):
        if recipient == DEFAULT and have_values(recipients):
            default_values = _check_values(values, DEFAULT)
            continue
        number = _check_number(recipient, position)
        own_values = _check_values(values, f"number {position}")
        if checked.setdefault(number, own_values) != own_values:
            raise ValueError(
                f"recipients: number {position} is there twice, with different values. Keep one of the entries."
            )
    if not checked:
        raise ValueError("recipients is empty. Give at least one phone number with country code.")
    return checked, default_values


def _split(recipient: Any, position: int) -> tuple[Any, Any]:
    if not isinstance(recipient, Mapping):
        return recipient, {}
    if RECIPIENT not in recipient:
        raise ValueError(f"recipients: number {position} is a mapping without the key {RECIPIENT!r}.")
    return recipient[RECIPIENT], {name: value for name, value in recipient.items() if name != RECIPIENT}


def _check_number(recipient: Any, position: int) -> str:
    if not isinstance(recipient, str):
        raise ValueError(f"recipients: number {position} must be a string, not {type(recipient).__name__}.")
    if not recipient.strip():
        raise ValueError(f"recipients: number {position} is empty.")
    number = normalise(recipient, f"recipients: number {position}")
    if len(number) < SHORTEST_NUMBER:
        # Such as the parts of "46,701,740,606".
        raise IP1ParticipantError(
            f"recipients: number {position} has only {len(number)} digits. Give the country code and the number. A "
            "comma separates numbers, not groups of digits."
        )
    return number


def _check_values(values: Any, owner: str) -> dict[str, str]:
    if not isinstance(values, Mapping) or not all(
        isinstance(name, str) and isinstance(value, str) for name, value in values.items()
    ):
        raise ValueError(f"recipients: the values of {owner} must be a mapping of strings to strings.")
    for text in (*values, *values.values()):
        check_encodable(text, f"recipients: the values of {owner}")
    return dict(values)


def check_sender(sender: Any) -> str:
    """
    Check a sender.

    :param sender: 3 to 11 letters (A-Z, a-z) and digits, or a number of at most 15 digits.
    :return: the name, or the digits of the number.
    :raises ValueError: it is something else.
    """
    if sender is None or (isinstance(sender, str) and not sender.strip()):
        raise ValueError("sender is missing. Pass it, or set the extra 'sender' of the connection.")
    if not isinstance(sender, str):
        raise ValueError(f"sender must be a string, not {type(sender).__name__}.")
    if is_meant_as_number(sender):
        return normalise(sender, "sender")
    text = sender.strip()
    if not _SENDER_NAME.fullmatch(text):
        raise ValueError("sender must be 3 to 11 letters (A-Z, a-z) and digits, or a number of at most 15 digits.")
    return text
