# SPDX-License-Identifier: Apache-2.0
"""The ids that a later page is compared with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

#: Ids of at least this many rows are remembered.
REMEMBERED_ROWS: Final = 1000


class DeliveredRows:
    """
    Remembers the ids that were delivered last, and counts them all.

    :param at_least: how many ids to remember at least.
    """

    def __init__(self, at_least: int) -> None:
        self._at_least = max(REMEMBERED_ROWS, at_least)
        # id -> its number in the order of delivery. Two generations, so that forgetting costs next to nothing.
        self._recent: dict[str, int] = {}
        self._older: dict[str, int] = {}
        self._count = 0
        #: Whether ids were forgotten.
        self.has_forgotten = False

    def __len__(self) -> int:
        return self._count

    @property
    def remembered(self) -> set[str]:
        """The ids that are remembered."""
        return self._recent.keys() | self._older.keys()

    def add(self, ids: Sequence[str]) -> None:
        """
        Remember ids that were delivered.

        :param ids: in the order of delivery.
        """
        self._recent.update(zip(ids, range(self._count, self._count + len(ids)), strict=True))
        self._count += len(ids)
        if len(self._recent) > self._at_least:
            self.has_forgotten = self.has_forgotten or bool(self._older)
            self._older, self._recent = self._recent, {}

    def is_disjoint(self, ids: Iterable[str]) -> bool:
        """
        Return whether none of the ids is remembered.

        :param ids: any ids.
        """
        return self._recent.keys().isdisjoint(ids) and self._older.keys().isdisjoint(ids)

    def missing_from(self, ids: Sequence[str]) -> list[int]:
        """
        Return the positions of the rows in a page that were not delivered.

        A row may have been delivered and forgotten. Where the page could show such rows, only those behind its last
        remembered row count: rows keep their order, so these are new.

        :param ids: the ids of a page.
        """
        numbers = [self._number(key) for key in ids]
        known = [number for number in numbers if number is not None]
        missing = [position for position, number in enumerate(numbers) if number is None]
        if not known or not missing or not self.has_forgotten or min(known) - len(ids) >= self._oldest:
            return missing
        last_known = max(position for position, number in enumerate(numbers) if number is not None)
        return [position for position in missing if position > last_known]

    @property
    def _oldest(self) -> int:
        return next(iter(self._older.values()), 0)

    def _number(self, key: str) -> int | None:
        number = self._recent.get(key)
        return self._older.get(key) if number is None else number
