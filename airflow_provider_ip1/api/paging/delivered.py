# SPDX-License-Identifier: Apache-2.0
"""The ids that later pages are compared with."""

from __future__ import annotations

from array import array
from bisect import bisect_left, insort
from collections.abc import Sequence
from typing import Final

#: Ids of at least this many rows are kept with their order. Of the others, only a fingerprint is kept.
RECENT_ROWS: Final = 1000

_PARTS: Final = 1024


class DeliveredRows:
    """
    Remembers which rows were delivered, and the order of the last ones.

    A long list takes 8 bytes per row. A fingerprint has 64 bits, so two of a million rows share one with a probability
    of 3 in 100 million. The later one would then be missing in the count of the list, which is an error.

    :param at_least: how many ids to keep with their order at least.
    """

    def __init__(self, at_least: int) -> None:
        self._at_least = max(RECENT_ROWS, at_least)
        # id -> its number in the order of delivery. Two generations, so that forgetting costs next to nothing.
        self._recent: dict[str, int] = {}
        self._older: dict[str, int] = {}
        self._count = 0
        self._forgotten = _Fingerprints()

    def __len__(self) -> int:
        return self._count

    @property
    def recent(self) -> int:
        """How many rows are known with their order."""
        return len(self._recent) + len(self._older)

    def add(self, ids: Sequence[str]) -> None:
        """
        Remember ids that were delivered.

        :param ids: in the order of delivery. None of them was delivered before.
        """
        self._recent.update(zip(ids, range(self._count, self._count + len(ids)), strict=True))
        self._count += len(ids)
        if len(self._recent) > self._at_least:
            self._forgotten.add(self._older)
            self._older, self._recent = self._recent, {}

    def is_disjoint(self, ids: Sequence[str]) -> bool:
        """
        Return whether none of the ids was delivered.

        :param ids: any ids.
        """
        return (
            self._recent.keys().isdisjoint(ids)
            and self._older.keys().isdisjoint(ids)
            and (not self._forgotten.may_have(ids) or all(key not in self._forgotten for key in ids))
        )

    def missing_from(self, ids: Sequence[str]) -> list[int]:
        """
        Return the positions of the rows in a page that were not delivered.

        :param ids: the ids of a page.
        """
        forgotten = self._forgotten if self._forgotten.may_have(ids) else ()
        return [
            position
            for position, key in enumerate(ids)
            if key not in self._recent and key not in self._older and key not in forgotten
        ]

    def number(self, key: str) -> int:
        """
        Return how many rows were delivered before a row, or -1 if that is not known any more.

        :param key: the id of a row that was delivered.
        """
        return self._recent.get(key, self._older.get(key, -1))


class _Fingerprints:
    """A set of ids of which nothing is ever asked but whether it has one."""

    def __init__(self) -> None:
        self._unsorted = array("q")
        # Sorted, by the last bits of the fingerprint: moving the rest of a whole array aside would take too long.
        self._parts: list[array[int]] = []
        self._lowest = self._highest = ""

    def add(self, ids: dict[str, int]) -> None:
        if not ids:
            return
        # Sorting what is sorted already takes less time than looking for the ends.
        ordered = sorted(ids)
        self._lowest = min(self._lowest or ordered[0], ordered[0])
        self._highest = max(self._highest, ordered[-1])
        self._unsorted.extend(map(hash, ids))

    def may_have(self, ids: Sequence[str]) -> bool:
        # iP.1's ids begin with a time. Rows of another time than all that are in here are not in here, and then
        # nothing has to be sorted.
        if not ids or not self._highest:
            return False
        ordered = sorted(ids)
        return ordered[0] <= self._highest and ordered[-1] >= self._lowest

    def __contains__(self, key: object) -> bool:
        if self._unsorted:
            self._parts = self._parts or [array("q") for _ in range(_PARTS)]
            for fingerprint in self._unsorted:
                insort(self._parts[fingerprint % _PARTS], fingerprint)
            self._unsorted = array("q")
        fingerprint = hash(key)
        part = self._parts[fingerprint % _PARTS]
        index = bisect_left(part, fingerprint)
        return index < len(part) and part[index] == fingerprint
