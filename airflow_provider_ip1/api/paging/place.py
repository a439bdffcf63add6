# SPDX-License-Identifier: Apache-2.0
"""How far a list was read, how many rows it must have, and where to look for those that are not in their places."""

from __future__ import annotations

from array import array
from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from airflow_provider_ip1.api.page_body import RawPage
from airflow_provider_ip1.api.paging.link_evidence import DEFAULT_LIMIT
from airflow_provider_ip1.api.paging.listing import PageRequest
from airflow_provider_ip1.api.paging.page import once_each, values_at
from airflow_provider_ip1.api.requests import Order

#: Ids of at least this many rows are kept with their order. Of the others, only a fingerprint is kept.
RECENT_ROWS: Final = 1000
#: How often a list is read again before rows that are missing are an error.
MAX_PASSES: Final = 10

_PARTS: Final = 1024


class Place:
    """
    The place in a list up to which it was read.

    :param limit: rows requested per page.
    """

    def __init__(self, limit: int) -> None:
        self.delivered = DeliveredRows(at_least=2 * limit)
        #: The delivered rows that are listed, as far as known. The others were removed.
        self.listed = self.delivered
        self.anchor = ""
        #: Offset of the anchor, by the server's own count.
        self.position = 0
        #: The most rows that a page has had, without look-backs and with them. Look-backs are longer.
        self.capacity = self.granted = 0
        #: Offset and rows of the last page that joined.
        self.previous: tuple[int, Sequence[str]] = (0, ())
        #: Whether known rows came in another order than before.
        self.has_other_order = False
        #: Rows of :attr:`listed` that their page listed twice. The count of the list includes both.
        self.listed_twice = 0
        #: Whether ``start`` counts from 0 or from 1. The API's default is 0, so 1 takes a proof.
        self.base = 0
        #: Whether that is proven.
        self.is_base_known = False
        #: The rows at offset 0, and how many were requested.
        self.first_page: Sequence[str] = ()
        self._first_limit = 0

    def new_rows(self, page: RawPage) -> Sequence[int]:
        """
        Return the positions of the rows that were not delivered.

        :param page: the page.
        """
        ids = page.ids
        if not self.delivered:
            return range(len(ids))
        if ids and ids[0] == self.anchor and self.delivered.is_disjoint(ids[1:]):
            return range(1, len(ids))
        return self.delivered.missing_from(ids)

    def count_again(self) -> None:
        """Count the rows that are listed from now on, because some of those that were delivered have been removed."""
        self.listed = DeliveredRows(at_least=0)
        self.listed_twice = 0

    def note_listed(self, ids: Sequence[str]) -> None:
        """
        Note which rows are listed, if they are counted again.

        :param ids: the ids of a page.
        """
        if self.listed is not self.delivered:
            new = self.listed.missing_from(ids)
            once = once_each(ids, new)
            self.listed_twice += len(new) - len(once)
            self.listed.add(values_at(once, ids))

    def join(self, request: PageRequest, page: RawPage) -> None:
        """
        Continue behind the last row of a page.

        :param request: the request for the page.
        :param page: the page. It has rows.
        """
        self.anchor = page.ids[-1]
        self.position = request.start + len(page.ids) - 1
        self.previous = (request.start, page.ids)

    def note_base(self, request: PageRequest, page: RawPage, at_least: int = 3) -> None:
        """
        Note whether the server counts from 1: whether the same rows are at offsets 0 and 1.

        :param request: the request for the page.
        :param page: the page.
        :param at_least: how many rows have to be the same at offsets 0 and 1.
        """
        if request.start == 0:
            self.first_page, self._first_limit = page.ids, request.limit
        elif request.start == 1 and self._first_limit == request.limit:
            # Two rows of one creation time may be the same by chance.
            if len(page.ids) >= at_least or len(page.ids) < min(DEFAULT_LIMIT, request.limit):
                self.base = int(self.first_page == page.ids)
                self.is_base_known = bool(self.base) or self.first_page[1:2] == page.ids[:1]

    def may_count_from_one(self, request: PageRequest, page: RawPage) -> bool:
        """
        Return whether the second page begins one row earlier than it should, and is as it should be otherwise.

        :param request: the request for the page.
        :param page: the page.
        """
        start, ids = self.previous
        return start == 0 and request.start == self.position > 1 and page.ids[:2] == ids[-2:]

    def counts_from_one(self, rows: Sequence[str]) -> bool:
        """
        Decide that the server counts from 1 if one long page shows the rows of two pages, one of which began too early.

        Otherwise it shows the row that moved to the head, or that is in another order there.

        :param rows: the rows of both pages.
        """
        compared = min(len(self.first_page), len(rows))
        self.base = int(compared > self.position + 1 and [*self.first_page[:compared]] == [*rows[:compared]])
        self.is_base_known = bool(self.base)
        return self.is_base_known

    def is_next(self, request: PageRequest, page: RawPage, new: Sequence[int]) -> bool:
        """
        Return whether a page begins with the anchor in its place, and shows no other delivered row.

        A row can only get to a place that was read, without being seen, by pushing other rows out of their places.

        :param request: the request for the page.
        :param page: the page. It has a delivered row.
        :param new: positions of the rows that were not delivered.
        """
        is_known_alone = len(page.ids) - len(new) == 1 and page.ids[0] == self.anchor
        if is_known_alone and request.start == self.position:
            return True
        # Rows that arrived at an end of the list, or disappeared, leave the known rows in order and in front.
        known = sorted(set(range(len(page.ids))).difference(new))
        numbers = [self.delivered.number(page.ids[position]) for position in known]
        may_begin_later = request.order == "DESC" and numbers[0] == 0
        if numbers != sorted(numbers) or known[-1] - (known[0] if may_begin_later else 0) >= len(known):
            self.has_other_order = True
        return False

    def may_be_tied(self, page: RawPage) -> bool:
        """
        Return whether the anchor seems, by its id, to have the same creation time as a row in a page.

        iP.1's ids are 24 hexadecimal digits. They seem to begin with the second of creation.

        :param page: the page.
        """
        second = self.anchor[:8]
        return len(self.anchor) == 24 and any(key != self.anchor and key[:8] == second for key in page.ids)

    def end_of(self, request: PageRequest, page: RawPage) -> int:
        """
        Return where a page ends, by the server's own count.

        :param request: the request for the page.
        :param page: the page.
        """
        return (request.start or self.base) + len(page.ids)

    def missing(self, end: int) -> int:
        """
        Return how many of the rows up to an offset were not delivered.

        It is negative if rows were removed.

        :param end: from :meth:`end_of`.
        """
        return end - self.base - self.listed_twice - len(self.listed)


class DeliveredRows:
    """
    Remembers which rows were delivered, and the order of the last ones.

    A long list takes 8 bytes per row. A fingerprint has 64 bits, so two of a million rows share one with a probability
    of 3 in 100 million. The later one would then be missing in the count of the list, which is an error.

    :param at_least: how many ids to keep with their order at least.
    """

    def __init__(self, at_least: int) -> None:
        self._at_least = max(RECENT_ROWS, at_least)
        # id -> its number in the order of delivery. Two generations, so that forgetting takes almost no time.
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
    """A set of ids that supports nothing except adding ids and asking whether it contains one."""

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
        self._unsorted.fromlist([*map(hash, ids)])

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


def search_offsets(
    position: int, *, stride: int, widest: int, forward_first: bool, is_behind_the_end: Callable[[], bool]
) -> Iterator[int]:
    """
    Yield offsets around a position, alternately before and behind it, in growing strides.

    :param position: the row's last offset.
    :param stride: rows between the first offsets, from 1.
    :param widest: most rows between two offsets: no more than are remembered, or a page could land on either side of
        them.
    :param forward_first: begin behind the position. In a list that is newest first, rows come in at the head and push
        the others back; in the other order, rows leave at the head.
    :param is_behind_the_end: whether an offset behind the position turned out to be behind the end of the list.
    """
    back = ahead = position
    step = stride
    while back > 0 or not is_behind_the_end():
        for is_forward in (forward_first, not forward_first):
            if is_forward and not is_behind_the_end():
                ahead += step
                yield ahead
            elif not is_forward and back > 0:
                back = max(back - step, 0)
                yield back
        step = min(2 * step, max(stride, widest))


def repair_pass(number: int, order: Order, largest: int) -> tuple[Order, int, float]:
    """
    Choose how to read a list again whose pages did not fit together.

    Rows that change places do so within rows of the same creation time. The fewer pages there are, and the more their
    borders differ, the fewer rows can stay hidden. If the whole list fits on one page, none can. So the first and the
    last reading request pages as large as the server grants, and the others somewhat smaller ones.

    :param number: how often the list was read again already, from 0 to ``MAX_PASSES - 1``.
    :param order: how it was read first.
    :param largest: the most rows per page that the server grants, as far as known.
    :return: the order, the rows to request per page, and by what part of a page the second page begins before its
        place, so that the borders differ.
    """
    if number == MAX_PASSES - 1:
        return order, largest, 0.0
    other: Order = "DESC" if order == "ASC" else "ASC"
    return other if number % 2 else order, max(largest - number * largest // 20, 2), number / 11
