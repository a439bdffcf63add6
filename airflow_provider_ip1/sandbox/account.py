# SPDX-License-Identifier: Apache-2.0
"""The sandbox's account: its registered senders, its blacklist, its balance, and which messages they allow."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, MutableSet
from typing import Any, Literal, get_args

from airflow_provider_ip1.sandbox.participants import OWNER
from airflow_provider_ip1.sandbox.past import timestamp
from airflow_provider_ip1.sandbox.responses import Refused
from airflow_provider_ip1.sandbox.send_request import SendRequest
from airflow_provider_ip1.sandbox.sent import DELIVERED, price_of
from airflow_provider_ip1.sandbox.texts import SENDERS

CURRENCY = "SEK"
#: The senders of every account, and the only ones that a trial account can send as.
TRIAL_SENDERS = ("iP1", "iP1sms")
INSUFFICIENT_FUNDS = 402
SENDER_REJECTED = 403
RECIPIENT_REJECTED = 405

SenderRule = Literal["any", "registered", "trial"]
SENDER_RULES: tuple[SenderRule, ...] = get_args(SenderRule)

_MSISDN = re.compile(r"[0-9]{1,15}", re.ASCII)
# The page "Register sender" demands 3 to 11 letters and digits, but its example registers "Company name".
_SENDER = re.compile(r"[0-9]{1,15}|[0-9A-Za-z][0-9A-Za-z ]{1,10}[0-9A-Za-z]", re.ASCII)
_YEAR_2020_MS = 1_577_836_800_000


class Dated(MutableSet[str]):
    """
    A set of texts that remembers when each was added.

    :param now_ms: returns the sandbox's time in milliseconds since 1970.
    :param before: texts that were added in 2020.
    """

    def __init__(self, now_ms: Callable[[], int], before: Iterable[str] = ()) -> None:
        self._now_ms = now_ms
        self._added = dict.fromkeys(before, _YEAR_2020_MS)

    def __contains__(self, text: object) -> bool:
        return text in self._added

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._added))

    def __len__(self) -> int:
        return len(self._added)

    @classmethod
    def _from_iterable(cls, texts: Iterable[str]) -> set[str]:  # type: ignore[override]  # what | and & return
        return set(texts)

    def __repr__(self) -> str:
        return repr(set(self))

    def add(self, value: str) -> None:
        """Add a text. One that is there keeps its time."""
        self._added.setdefault(value, self._now_ms())

    def discard(self, value: str) -> None:
        """Remove a text, if it is there."""
        self._added.pop(value, None)

    def added_ms(self, text: str) -> int:
        """
        Return when a text was added, in milliseconds since 1970.

        :raises KeyError: if it is not there.
        """
        return self._added[text]


class Account:
    """
    What decides whether a message may be sent.

    :param sender_rule: who can send: ``any`` sender; the ``registered`` ones; or, as in a ``trial`` account, only
        ``iP1`` and ``iP1sms``.
    :param balance: what the account has paid in advance, in SEK. ``None`` for an account that pays later: its balance
        becomes negative.
    :param now_ms: returns the sandbox's time in milliseconds since 1970.
    :raises ValueError: if a value is out of range.
    """

    def __init__(
        self, *, sender_rule: SenderRule = "any", balance: float | None = None, now_ms: Callable[[], int]
    ) -> None:
        if sender_rule not in SENDER_RULES:
            raise ValueError(f"senders must be {', '.join(SENDER_RULES)}, not {sender_rule!r}")
        if balance is not None and balance < 0:
            raise ValueError(f"balance must be 0 or more, not {balance}")
        self._sender_rule = sender_rule
        self._prepaid = balance is not None
        self.balance = balance or 0.0
        self.senders = Dated(now_ms, (*SENDERS, *TRIAL_SENDERS))
        self.blacklist = Dated(now_ms)

    def final_status(self, order: SendRequest, recipient: str, text: str) -> int:
        """
        Return the last status of a message, and pay for it if it is sent.

        A sender that may not be used comes first, then the blacklist, then the balance.
        """
        if not self._may_send(order.sender):
            return SENDER_REJECTED
        if recipient in self.blacklist:
            return RECIPIENT_REJECTED
        price = price_of(text, order.priority)
        if self._prepaid and price > self.balance:
            return INSUFFICIENT_FUNDS
        self.balance = round(self.balance - price, 4)
        return DELIVERED

    def check(self, order: SendRequest) -> None:
        """
        Refuse a whole request, as version 1 of the API does.

        :raises Refused: with 403 if the sender may not be used or the balance does not suffice, with 400 if all
            recipients are on the blacklist.
        """
        if not self._may_send(order.sender):
            raise Refused(403, "The sender may not be used.")
        texts = [text for recipient, text in order.texts.items() if recipient not in self.blacklist]
        if not texts:
            raise Refused(400, recipients="All recipients are on the blacklist.")
        if self._prepaid and sum(price_of(text, order.priority) for text in texts) > self.balance:
            raise Refused(403, "The balance does not suffice.")

    def _may_send(self, sender: str) -> bool:
        if self._sender_rule == "any":
            return True
        return sender in self.senders and (self._sender_rule == "registered" or sender in TRIAL_SENDERS)

    def overview(self) -> dict[str, Any]:
        """Return the account as ``GET /api/me`` shows it."""
        return {
            "Account": OWNER,
            "Organization": "Sandbox",
            "Type": "swedish",
            "Balance": self.balance,
            "Currency": CURRENCY,
        }

    def details(self) -> dict[str, Any]:
        """Return the account as ``GET /api/me/account`` shows it, without a key."""
        return {
            "Key": "",
            "Parent": "",
            "Type": "swedish",
            "Balance": self.balance,
            "Currency": CURRENCY,
            "ID": OWNER,
            "Name": "Sandbox",
        }

    def sender(self, name: str) -> dict[str, str]:
        """
        Return a registered sender as the API shows it.

        :raises Refused: with 404 if it is not registered.
        """
        try:
            return {"sender": name, "created": timestamp(self.senders.added_ms(name), 0)}
        except KeyError:
            raise Refused(404, "The sender is not registered.") from None

    def blacklisted(self, msisdn: str) -> dict[str, str]:
        """
        Return an entry of the blacklist as the API shows it.

        :raises Refused: with 404 if the number is not there.
        """
        try:
            # iP.1's example has neither a zone nor a Z.
            return {"msisdn": msisdn, "created": timestamp(self.blacklist.added_ms(msisdn), 3).removesuffix("Z")}
        except KeyError:
            raise Refused(404, "The number is not on the blacklist.") from None


def check_sender(name: object) -> str:
    """
    Return a sender that can be registered.

    :raises Refused: with 400 if it is not a number of at most 15 digits, or 3 to 12 letters, digits and inner spaces.
    """
    if not isinstance(name, str) or not _SENDER.fullmatch(name):
        raise Refused(400, sender="The sender must be a number of at most 15 digits, or 3 to 12 letters and digits.")
    return name


def check_msisdn(number: object) -> str:
    """
    Return a number for the blacklist.

    :raises Refused: with 400 if it is not 1 to 15 digits.
    """
    if not isinstance(number, str) or not _MSISDN.fullmatch(number):
        raise Refused(400, msisdn="The msisdn must be a number of at most 15 digits.")
    return number
