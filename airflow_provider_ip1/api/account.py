# SPDX-License-Identifier: Apache-2.0
"""
The account's registered senders and its blacklist.

Source: iP.1's pages "Register sender" and "Managing black list".
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from airflow_provider_ip1.api.json_fields import Fields
from airflow_provider_ip1.api.json_text import BytesLike
from airflow_provider_ip1.api.phone import mask_number

#: The only senders of a trial account. iP.1 may not list them.
TRIAL_SENDERS: Final = ("iP1", "iP1sms")
#: How many registered senders an error lists.
_SHOWN_SENDERS: Final = 10


@dataclass(frozen=True, slots=True)
class RegisteredSender:
    """
    A sender that the account has registered.

    :param sender: the name or number.
    :param created: when it was registered, in UTC; ``None`` if iP.1 sent no readable time.
    """

    sender: str
    created: datetime | None = None


@dataclass(frozen=True, slots=True, repr=False)
class BlacklistEntry:
    """
    A number that gets no SMS from the account.

    :param msisdn: the number, with country code.
    :param created: when it was added, in UTC; ``None`` if iP.1 sent no readable time. iP.1's example has no time zone.
    """

    msisdn: str
    created: datetime | None = None

    def __repr__(self) -> str:
        return f"BlacklistEntry(msisdn={mask_number(self.msisdn)!r}, created={self.created!r})"


def decode_sender(raw: BytesLike) -> RegisteredSender:
    """
    Decode a registered sender.

    :param raw: the JSON object.
    :raises IP1ResponseError: it is not a sender. The error names the field.
    """
    fields = Fields(raw, "A registered sender")
    return RegisteredSender(fields.id("sender"), fields.timestamp("created"))


def decode_blacklist_entry(raw: BytesLike) -> BlacklistEntry:
    """
    Decode an entry of the blacklist.

    :param raw: the JSON object.
    :raises IP1ResponseError: it is not an entry. The error names the field.
    """
    fields = Fields(raw, "An entry of the blacklist")
    return BlacklistEntry(fields.id("msisdn"), fields.timestamp("created"))


def senders_text(known: Collection[str] | None, sender: str | None = None) -> str:
    """
    Say which senders the account has registered.

    :param known: the registered senders; ``None`` if they could not be read.
    :param sender: the sender to compare them with.
    :return: sentences for an error, with numbers masked.
    """
    if known is None:
        return "iP.1's list of registered senders could not be read."
    names = [mask_number(name) for name in known]
    shown = ", ".join(names[:_SHOWN_SENDERS]) + (", ..." if len(names) > _SHOWN_SENDERS else "")
    text = f"Registered senders: {shown or 'none'}."
    if sender is not None and sender not in known:
        text = f"Sender {mask_number(sender)} is not registered. {text}"
    return f"{text} A trial account can only send as {' or '.join(TRIAL_SENDERS)}."
