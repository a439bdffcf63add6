# SPDX-License-Identifier: Apache-2.0
"""Finds the new rows of a list by the place of those that are known."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, Generic, Protocol, TypeVar

# Known rows may have been deleted, so a few unknown ones in a row do not show that no known one follows.
_LONG_GAP: Final = 20


class HasId(Protocol):
    """A row of a list."""

    @property
    def id(self) -> str:
        """Its id."""


R = TypeVar("R", bound=HasId)


class KnownRows(Generic[R]):
    """
    Finds the unknown rows above the last known row of a list that is read newest first.

    A row that iP.1 listed late stands among known rows, so a row is not old only because known ones come before it.

    :param known: the ids that are known: the newest ones of an earlier run.
    :param count: how many a run remembers. If fewer are known, they are the whole list, so every other row is new.
    """

    def __init__(self, known: Collection[str], count: int) -> None:
        self._known = frozenset(known)
        self._count = count
        self._left = set(known)
        self._gap = 0
        self._in_place: list[str] = []
        self._late: list[str] = []
        #: Rows below the last known one so far. They are new if another known one follows.
        self.waiting: list[R] = []
        #: Whether no known row follows.
        self.is_past = False

    def take(self, rows: Sequence[R], is_late: bool) -> list[R]:
        """
        Look at the next page.

        :param rows: its rows.
        :param is_late: whether they belong among those of earlier pages. Then their place says nothing.
        :return: the rows that are new for certain. Some may come from earlier pages.
        """
        unknown = [row for row in rows if row.id not in self._known]
        hits = [at for at, row in enumerate(rows) if row.id in self._known]
        had_hit = self.has_met_any
        self._left -= {rows[at].id for at in hits}
        (self._late if is_late else self._in_place).extend(row.id for row in rows[: self._count])
        del self._in_place[self._count :], self._late[self._count :]
        if is_late or len(self._known) < self._count or not (had_hit or hits):
            return unknown
        new: list[R] = []
        if not self.is_past:
            last = hits[-1] if hits else -1
            below = [row for row in rows[last + 1 :] if row.id not in self._known]
            if hits:
                new = [*self.waiting, *unknown[: len(unknown) - len(below)]]
                self.waiting, self._gap = [], 0
            self.waiting += below
            self._gap += len(rows) - last - 1
            self.is_past = not self._left or (not hits and self._gap >= _LONG_GAP)
        return new

    @property
    def has_met_any(self) -> bool:
        """Whether a known row was met."""
        return len(self._left) < len(self._known)

    @property
    def is_missing(self) -> bool:
        """Whether the list has had no row so far, although some are known."""
        return bool(self._known) and not self.newest

    @property
    def starts_over(self) -> bool:
        """Whether the list has had rows, but none of those that are known."""
        return bool(self._known) and bool(self.newest) and not self.has_met_any

    @property
    def has_newest(self) -> bool:
        """Whether as many rows were read as a run remembers."""
        return len(self._in_place) >= self._count

    @property
    def newest(self) -> list[str]:
        """The ids of the newest rows, for the next run."""
        return [*self._in_place, *self._late][: self._count]
