# SPDX-License-Identifier: Apache-2.0
"""
The states of reading one list, and every transition between them.

The **anchor** is a delivered row whose offset is known, usually the last one. Each request after the first one asks
for the anchor and the rows behind it, because offsets shift when rows come or go between two requests.

The **count** of a list is where it ends: the offset of its last page and the rows of that page. If fewer rows than
that were delivered, rows with the same creation time have changed places from one request to the next.
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
    #: rows that were not delivered are new, and no row between the two pages can be missed unless rows change places.
    FOLLOW = auto()
    #: The page was requested from just behind the anchor. It only says whether something may be there; rows that do
    #: not join what was read are not delivered but requested again with the anchor.
    BEHIND = auto()
    #: Nothing was behind the anchor. Only a page with exactly the anchor ends the list: had a row moved up to the
    #: anchor's place in between, the page would show that row instead.
    CONFIRM = auto()
    #: Two different offsets returned the same rows. An offset that no list reaches shows whether the server ignores
    #: ``start`` or the list has moved. It delivers nothing.
    PROBE = auto()
    #: The page showed no delivered row, so the list has moved. Pages around the anchor's last offset are requested,
    #: never farther apart than the rows that are remembered, and nothing is delivered until one of them joins.
    SEARCH = auto()
    #: No delivered row is listed any more. Reading starts again at offset 0 and delivers what was not delivered
    #: before. An empty list here is an error: it may not be iP.1's response.
    RESTART = auto()
    #: The list ended, but its count says that rows are missing. They may just have arrived, so its newest end is read
    #: again, whatever the order. Every row that was not delivered is new, wherever it is: the count decides.
    RECOUNT = auto()
    #: Rows are still missing. The whole list is read again in other pages, up to ten times.
    REPAIR = auto()
    #: The end was proven, the reader has seen enough, or an error was raised. No response changes anything any more.
    END = auto()


class Event(Enum):
    """What a response shows, given what was delivered."""

    #: Not a single row, or a 404.
    EMPTY = auto()
    #: Rows, none of which was delivered.
    UNKNOWN = auto()
    #: Rows that were not delivered, next to delivered ones (or at the start of the list). In :attr:`State.RECOUNT` and
    #: :attr:`State.REPAIR`: any rows.
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
    #: The end, although the last ``Link`` header announced a page behind it. A second time, it is an error.
    CUT = auto()
    #: The end, in a response from before rows were found that had moved. It has to be requested again.
    OUTDATED = auto()
    #: The end, with fewer rows delivered than the list has.
    SHORT = auto()
    #: The last page of the search: none of those requested had a delivered row.
    NOT_FOUND = auto()
    #: Responses that add nothing, because rows change places from request to request. Only a count helps.
    STUCK = auto()
    #: Not a response: an error was raised, or the reader has seen enough.
    STOPPED = auto()


_ENDS: Final = {
    Event.LAST: State.END,
    Event.ANCHOR: State.END,
    Event.CUT: State.FOLLOW,
    Event.OUTDATED: State.FOLLOW,
    Event.SHORT: State.RECOUNT,
    Event.STOPPED: State.END,
}
#: What a page that joins what was read means in any state.
_JOINS: Final = {
    **_ENDS,
    Event.NEW: State.FOLLOW,
    Event.KNOWN: State.FOLLOW,
    Event.ANCHOR_AND_MORE: State.BEHIND,
    Event.REPEATED: State.PROBE,
    Event.STUCK: State.REPAIR,
}

#: The state after an event. A pair that is missing cannot occur.
TRANSITIONS: Final[Mapping[State, Mapping[Event, State]]] = {
    State.START: {
        Event.EMPTY: State.END,
        Event.NEW: State.FOLLOW,
        Event.SINGLE: State.BEHIND,
        Event.LAST: State.END,
        Event.STOPPED: State.END,
    },
    State.FOLLOW: {**_JOINS, Event.EMPTY: State.SEARCH, Event.UNKNOWN: State.SEARCH},
    State.BEHIND: {**_JOINS, Event.EMPTY: State.CONFIRM, Event.UNKNOWN: State.FOLLOW},
    State.CONFIRM: {
        **_JOINS,
        Event.EMPTY: State.SEARCH,
        Event.UNKNOWN: State.SEARCH,
        # Nothing is behind the anchor, as the response before has shown.
        Event.ANCHOR_AND_MORE: State.END,
    },
    State.PROBE: {
        Event.REPEATED: State.END,
        Event.OTHER: State.FOLLOW,
        Event.STUCK: State.REPAIR,
        Event.STOPPED: State.END,
    },
    State.SEARCH: {
        **_JOINS,
        Event.EMPTY: State.SEARCH,
        Event.UNKNOWN: State.SEARCH,
        Event.REPEATED: State.FOLLOW,
        Event.NOT_FOUND: State.RESTART,
    },
    State.RESTART: {
        **_ENDS,
        Event.NEW: State.FOLLOW,
        Event.SINGLE: State.BEHIND,
        Event.KNOWN: State.FOLLOW,
        Event.ANCHOR_AND_MORE: State.BEHIND,
        Event.REPEATED: State.FOLLOW,
    },
    State.RECOUNT: {
        Event.NEW: State.RECOUNT,
        Event.LAST: State.END,
        Event.SHORT: State.REPAIR,
        Event.STOPPED: State.END,
    },
    State.REPAIR: {
        Event.NEW: State.REPAIR,
        Event.LAST: State.END,
        Event.SHORT: State.REPAIR,
        Event.STOPPED: State.END,
    },
}
