# SPDX-License-Identifier: Apache-2.0
"""A model of a server: the whole truth about a list, so that tests can compare what was read with what was there."""

from __future__ import annotations

import random
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from airflow_provider_ip1.api.page_body import RawPage, read_link
from airflow_provider_ip1.api.paging.larger_pages import LargerPages
from airflow_provider_ip1.api.paging.listing import Listing, PageRequest
from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.api.paging.read_ahead import Outcome, ReadAhead
from airflow_provider_ip1.api.requests import Order, conversation_request

#: The order among rows of the same creation time: always the same, another one for each offset, limit and order (such
#: as MariaDB's), or another one for each request.
TiedOrder = Literal["rows", "request", "time"]

LINK_STYLES = ("rfc8288", "no-semicolon", "swallowed", "none", "requested-limit", "nonsense", "always-next")


@dataclass
class ModelServer:
    """What iP.1 documents about a list, with everything left open that it leaves open."""

    rows: list[str]
    order: Order = "ASC"
    clamp: int = 10_000
    clamp_later: int = 10_000
    clamp_from: int = 10_000
    base: int = 0
    link_style: str = "rfc8288"
    changes: Callable[[ModelServer, int], None] = lambda server, request: None
    #: How many rows each were created at the same time, and what the order among those depends on.
    tied: int = 1
    tied_order: TiedOrder = "rows"
    requests: list[tuple[int, int]] = field(default_factory=list)
    ever_removed: set[str] = field(default_factory=set)
    added: int = 0

    @property
    def starts(self) -> list[int]:
        """The offsets that were requested, in order."""
        return [start for start, _ in self.requests]

    def insert(self, index: int, count: int) -> None:
        index = min(index, len(self.rows))
        self.rows[index:index] = [f"new{self.added + offset}" for offset in range(count)]
        self.added += count

    def delete(self, index: int, count: int) -> None:
        self.ever_removed.update(self.rows[index : index + count])
        del self.rows[index : index + count]

    def respond(self, start: int, limit: int, order: Order | None = None) -> Outcome:
        self.changes(self, len(self.requests))
        if len(self.requests) >= self.clamp_from:
            self.clamp = self.clamp_later
        self.requests.append((start, limit))
        assert limit >= 2, "a page of one row cannot overlap"
        listed = self.listed(order or self.order, start, limit)
        offset = max(start - self.base, 0)
        ids = listed[offset : offset + min(limit, self.clamp)]
        return RawPage(ids, [key.encode() for key in ids], (), read_link(self.link(start, limit, len(listed))))

    def listed(self, order: Order, start: int, limit: int) -> list[str]:
        """Return the rows in the order in which one request lists them."""
        rows = self.rows
        if self.tied_order != "rows":
            # A row's time is in its id. Rows that were inserted have the time of the row before.
            seed = f"{order} {max(start - self.base, 0)} {min(limit, self.clamp)}"
            shuffle = random.Random(seed if self.tied_order == "request" else f"{seed} {len(self.requests)}")
            time, groups = 0, defaultdict(list)
            for row in rows:
                time = int(row[3:]) // self.tied if row.startswith("row") else time
                groups[time].append(row)
            for group in groups.values():
                shuffle.shuffle(group)
            rows = [row for time in sorted(groups) for row in groups[time]]
        return rows if order == "ASC" else rows[::-1]

    def link(self, start: int, limit: int, total: int) -> str | None:
        # A server that computes links from the requested limit grants at least iP.1's default of 50 rows.
        is_requested = self.link_style == "requested-limit" and min(self.clamp, self.clamp_later) >= min(50, limit)
        step = limit if is_requested else min(limit, self.clamp)
        url = "https://api.example/v2/x?start={}&limit=" + f"{step}&order={self.order}"
        last = url.format(self.base + max(0, (total - 1) // step * step))
        following = url.format(start + step)
        separator = " " if self.link_style == "no-semicolon" else "; "
        if self.link_style == "none":
            return None
        if self.link_style == "swallowed":
            return '; rel="next", ; rel="load"'
        if self.link_style == "nonsense":
            return 'rel=last <<>>; "<?start=5&limit=x>; rel=last, <?start=0&limit=3>; rel="last"'
        if self.link_style == "always-next":
            return f'<{following}>; rel="next"'
        links = [f'<{last}>{separator}rel="last"']
        if start - self.base + step < total:
            links.insert(0, f'<{following}>{separator}rel="next"')
        return ", ".join(links)


def a_list(participant: str | None = None, order: Order = "ASC") -> Listing:
    return Listing(conversation_request("46701740605"), participant, order=order)


class GrowingPages(LargerPages):
    """Growing pages for short lists."""

    first = 6
    larger = 30


def read_ahead(lists: list[Listing], page_size: int | None, concurrency: int) -> ReadAhead:
    return ReadAhead(lists, page_size=page_size, concurrency=concurrency, larger=GrowingPages())


def read(
    server: ModelServer, page_size: int | None, concurrency: int, shuffle: random.Random | None = None
) -> list[str]:
    """Read the model to its end, answering in any order; fails when it does not end."""
    ahead = read_ahead([a_list(order=server.order)], page_size, concurrency)
    return [key for page in pages_of(ahead, {None: server}, concurrency, shuffle) for key in page.ids]


def read_pages(server: ModelServer, page_size: int | None, concurrency: int, shuffle: random.Random) -> list[Page]:
    """Read the model as :func:`read` does. Returns the pages."""
    ahead = read_ahead([a_list(order=server.order)], page_size, concurrency)
    return pages_of(ahead, {None: server}, concurrency, shuffle)


def name_of(request: PageRequest) -> str | None:
    """Return what tells the lists of one read apart."""
    batch = request.listing.batch
    return request.listing.participant if batch is None else batch.id


def pages_of(
    ahead: ReadAhead,
    servers: Mapping[str | None, ModelServer],
    concurrency: int,
    shuffle: random.Random | None = None,
) -> list[Page]:
    pages: list[Page] = []
    in_flight: deque[tuple[PageRequest, Outcome]] = deque()
    for _ in range(20_000):
        for request in ahead.next_requests():
            # The server answers at once; the answer may arrive much later.
            in_flight.append((request, servers[name_of(request)].respond(request.start, request.limit, request.order)))
        assert len(in_flight) <= concurrency
        if shuffle is not None:
            shuffle.shuffle(in_flight)
        page = ahead.next_page()
        if page is not None:
            pages.append(page)
        elif ahead.done:
            assert not ahead.next_requests()
            return pages
        else:
            assert in_flight, "nothing in flight, nothing ready, not done"
            ahead.receive(*in_flight.popleft())
    raise AssertionError("it does not end")
