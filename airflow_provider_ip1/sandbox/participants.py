# SPDX-License-Identifier: Apache-2.0
"""The phone numbers and names in the sandbox, all from ranges that are reserved for fiction."""

from __future__ import annotations

import re

# The Swedish Post and Telecom Authority reserves these ranges for books and films.
MAIN = "46701740605"
SEVEN = "46701740606"
SINGLE = "46701740607"
EMPTY = "46701740608"
LIVE = "46701740609"
NAME = "Grannen"
NAME_WITH_SPACE = "Min skola"
#: The numbers that ``--conversations`` gives a conversation, in this order.
GENERATED = tuple(
    str(number)
    for first, last in (
        (46701740610, 46701740699),
        (46313900600, 46313900699),
        (46406280400, 46406280499),
        (46846500400, 46846500498),
        (46980319200, 46980319299),
    )
    for number in range(first, last + 1)
)
#: The number of the sandbox's account, which incoming messages are sent to.
OWN_NUMBER = "46846500499"
#: The id of the sandbox's account.
OWNER = "ip1-00000"

_NUMBER = re.compile(r"[0-9]{1,15}\Z", re.ASCII)
_NAME = re.compile(r"[0-9A-Za-z ]{1,11}\Z", re.ASCII)


def is_participant(text: str) -> bool:
    """
    Tell whether iP.1 would accept a participant: at most 15 digits, or a name of at most 11 letters and digits.

    iP.1's page "Sending SMS" states this rule for senders and recipients. Spaces inside a name are accepted because
    iP.1's own example registers a sender with one.
    """
    return bool(_NUMBER.match(text) or (_NAME.match(text) and text.strip() == text))
