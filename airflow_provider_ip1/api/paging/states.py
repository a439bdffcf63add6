# SPDX-License-Identifier: Apache-2.0
"""
The states of reading one list, and every transition between them.

The **anchor** is a delivered row whose offset is known, usually the last one. Each request after the first one asks
for the anchor and the rows behind it, because offsets shift when rows come or go between two requests.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final


class State(Enum):
    """What the pager expects of the next response."""

    #: Nothing was delivered yet, so every row of the page is new and none can be missed in front of it.
    START = auto()
    #: The page was requested from the anchor on. A delivered row in it proves that the page joins what was read, so
    #: rows that were not delivered are new, and no row between the two pages can be missed.
    FOLLOW = auto()
    #: The page was requested from just behind the anchor. It only says whether something may be there; rows that do
    #: not join what was read are not delivered but requested again with the anchor.
    BEHIND = auto()
    #: Nothing was behind the anchor. Only a page with exactly the anchor ends the list: had a row moved up to the
    #: anchor's place in between, the page would show that row instead.
    CONFIRM = auto()
    #: Two different offsets returned the same rows. An offset that no list reaches tells a server that ignores
    #: ``start`` from a list that moved; it delivers nothing.
    PROBE = auto()
    #: The page showed no delivered row, so the list has moved. Pages around the anchor's last offset are requested,
    #: never farther apart than the rows that are remembered, and nothing is delivered until one of them joins.
    SEARCH = auto()
    #: Every delivered row is gone, and all of them are remembered. Reading starts again at offset 0 and delivers what
    #: was not delivered before. An empty list here is an error: it cannot be told from a response that is not iP.1's.
    RESTART = auto()
    #: The end was proven, or an error was raised. No response changes anything any more.
    END = auto()


class Event(Enum):
    """What a response shows, given what was delivered."""

    #: Not a single row, or a 404.
    EMPTY = auto()
    #: Rows, none of which was delivered.
    UNKNOWN = auto()
    #: Rows that were not delivered, next to delivered ones (or at the start of the list).
    NEW = auto()
    #: The same, from a server that has never shown more than one row per page.
    SINGLE = auto()
    #: A page that ends the list according to everything it says, see :meth:`LinkEvidence.ends_with`.
    LAST = auto()
    #: Exactly the anchor, in a page that has room for more and does not promise a next page.
    ANCHOR = auto()
    #: Exactly the anchor, but the page has no room for more or promises a next page.
    ANCHOR_AND_MORE = auto()
    #: Delivered rows only, other than exactly the anchor.
    KNOWN = auto()
    #: The rows of the previous response, although another offset was requested.
    REPEATED = auto()
    #: In :attr:`State.PROBE`: anything but the rows of the previous response.
    OTHER = auto()


#: The state after an event. A pair that is missing cannot occur.
TRANSITIONS: Final[Mapping[State, Mapping[Event, State]]] = {
    State.START: {
        Event.EMPTY: State.END,
        Event.NEW: State.FOLLOW,
        Event.SINGLE: State.BEHIND,
        Event.LAST: State.END,
    },
    State.FOLLOW: {
        Event.EMPTY: State.SEARCH,
        Event.UNKNOWN: State.SEARCH,
        Event.NEW: State.FOLLOW,
        Event.LAST: State.END,
        Event.ANCHOR: State.END,
        Event.ANCHOR_AND_MORE: State.BEHIND,
        Event.KNOWN: State.FOLLOW,
        Event.REPEATED: State.PROBE,
    },
    State.BEHIND: {
        Event.EMPTY: State.CONFIRM,
        Event.UNKNOWN: State.FOLLOW,
        Event.NEW: State.FOLLOW,
        Event.LAST: State.END,
        Event.ANCHOR: State.END,
        Event.ANCHOR_AND_MORE: State.BEHIND,
        Event.KNOWN: State.FOLLOW,
        Event.REPEATED: State.PROBE,
    },
    State.CONFIRM: {
        Event.EMPTY: State.SEARCH,
        Event.UNKNOWN: State.SEARCH,
        Event.NEW: State.FOLLOW,
        Event.LAST: State.END,
        Event.ANCHOR: State.END,
        Event.ANCHOR_AND_MORE: State.END,
        Event.KNOWN: State.FOLLOW,
        Event.REPEATED: State.PROBE,
    },
    State.PROBE: {
        Event.REPEATED: State.END,
        Event.OTHER: State.FOLLOW,
    },
    State.SEARCH: {
        Event.EMPTY: State.SEARCH,
        Event.UNKNOWN: State.SEARCH,
        Event.NEW: State.FOLLOW,
        Event.LAST: State.END,
        Event.ANCHOR: State.END,
        Event.ANCHOR_AND_MORE: State.BEHIND,
        Event.KNOWN: State.FOLLOW,
        Event.REPEATED: State.FOLLOW,
    },
    State.RESTART: {
        # An error, see above.
        Event.EMPTY: State.END,
        Event.NEW: State.FOLLOW,
        Event.SINGLE: State.BEHIND,
        Event.LAST: State.END,
        Event.ANCHOR: State.END,
        Event.ANCHOR_AND_MORE: State.BEHIND,
        Event.KNOWN: State.FOLLOW,
        Event.REPEATED: State.FOLLOW,
    },
}
