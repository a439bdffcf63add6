# SPDX-License-Identifier: Apache-2.0
"""The cursor misses nothing and repeats nothing, whatever happens to the list between and during polls."""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from airflow_provider_ip1.api.messages import Message
from airflow_provider_ip1.api.page_body import RawPage, read_link
from airflow_provider_ip1.api.paging.listing import conversation_lists
from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.api.paging.read_ahead import ReadAhead
from airflow_provider_ip1.api.requests import Order
from airflow_provider_ip1.api.timestamps import LATEST_TIME
from airflow_provider_ip1.api.watching.cursor import (
    GUARD,
    MAX_ROWS,
    PAGE_SIZE,
    WINDOW,
    Cursor,
    received_at,
)
from airflow_provider_ip1.exceptions import IP1PagingError, IP1ResponseError

NUMBER = "46701740605"
BEGINNING = datetime(2026, 11, 1, tzinfo=UTC)


@dataclass
class Inbox:
    """
    A model of a server's list of incoming messages.

    :param rows: (second of creation, id), oldest first. Rows of the same second may be in any order.
    :param clamp: the most rows that the server returns at once.
    :param has_links: whether it sends ``Link`` headers.
    :param changes: called before each response.
    :param received: the second that some messages tell as their time instead, by id; ``None`` for no time.
    :param bodies: the texts of some messages, by id.
    :param is_tied: whether the order among rows of the same second depends on the offset and the limit.
    """

    rows: list[tuple[int, str]] = field(default_factory=list)
    clamp: int = 10_000
    has_links: bool = True
    changes: Callable[[], None] = lambda: None
    limits: list[int] = field(default_factory=list)
    added: int = 0
    received: dict[str, int | None] = field(default_factory=dict)
    bodies: dict[str, str] = field(default_factory=dict)
    is_tied: bool = False

    def arrive(self, second: int) -> str:
        """Add a message where its creation time belongs, after others of the same second."""
        self.added += 1
        message_id = f"{self.added:024x}"
        place = sum(row[0] <= second for row in self.rows)
        self.rows.insert(place, (second, message_id))
        return message_id

    def respond(self, start: int, limit: int, order: Order = "DESC") -> RawPage:
        self.changes()
        self.limits.append(limit)
        limit = min(limit, self.clamp)
        listed = self.rows
        # On smaller pages, a row of a tie at the border of two pages may be on neither of them.
        if self.is_tied and self.clamp >= 50:
            places = {row: random.Random(f"{row} {start} {limit}").random() for row in listed}
            listed = sorted(listed, key=lambda row: (row[0], places[row]))
        rows = listed[:: -1 if order == "DESC" else 1][start : start + limit]
        texts = [
            message_json(self.received.get(message_id, second), message_id, self.bodies.get(message_id, "Hej"))
            for second, message_id in rows
        ]
        times = [json.loads(text).get("modified") for text in texts]
        link = None
        if self.has_links:
            url = f"https://api.example/v2/x?start={{}}&limit={limit}&order=DESC"
            last = f'<{url.format(max(0, (len(self.rows) - 1) // limit * limit))}>; rel="last"'
            following = f'<{url.format(start + limit)}>; rel="next", ' if start + limit < len(self.rows) else ""
            link = following + last
        return RawPage([row[1] for row in rows], [text.encode() for text in texts], times, read_link(link))


def message_json(second: int | None, message_id: str, body: str) -> str:
    message: dict[str, Any] = {"id": message_id, "batchId": f"b{message_id}", "sender": NUMBER, "body": body}
    if second is not None:
        message["modified"] = (BEGINNING + timedelta(seconds=second)).isoformat()
    return json.dumps(message)


def poll(cursor: Cursor, inbox: Inbox, latest: datetime = LATEST_TIME) -> list[str]:
    """Poll once, through the pager. Returns the ids of the new messages, oldest first."""
    steps = cursor.poll(latest)
    query = next(steps)
    with pytest.raises(StopIteration) as ended:
        for page in pages_of(read_ahead_of(query), inbox):
            assert steps.send(page) is query
        steps.send(None)
    return [message.id for message in ended.value.value]


def read_ahead_of(query: Any) -> ReadAhead:
    assert query.participant == NUMBER and query.direction == "mo"
    return ReadAhead([query], page_size=200, concurrency=4)


def pages_of(ahead: ReadAhead, inbox: Inbox) -> Any:
    for step in ahead.steps():
        if isinstance(step, Page):
            yield step
        elif step is not None:
            ahead.receive(step, inbox.respond(step.start, step.limit, step.order))


def restarted(cursor: Cursor, start: Any) -> Cursor:
    """Continue in another process."""
    return Cursor(NUMBER, start, json.loads(json.dumps(cursor.state())))


def full_inbox(count: int, **options: Any) -> Inbox:
    inbox = Inbox(**options)
    for second in range(count):
        inbox.arrive(second)
    return inbox


def inbox_of(seconds: list[int]) -> Inbox:
    """A list that shows these times, the first one at its top."""
    return Inbox([(second, f"{number:024x}") for number, second in enumerate(reversed(seconds))])


def ids_of(inbox: Inbox) -> list[str]:
    return [message_id for _, message_id in inbox.rows]


@pytest.mark.parametrize("impossible", [datetime(1, 1, 1, tzinfo=UTC), datetime(2099, 1, 1, tzinfo=UTC)], ids=str)
def test_an_impossible_time_hides_no_message(impossible: datetime) -> None:
    """Not even after all known rows have disappeared, when the times of the others decide."""
    inbox, cursor, latest = full_inbox(100), Cursor(NUMBER, "now"), BEGINNING + timedelta(days=2)
    wrong = inbox.arrive(500)
    inbox.received[wrong] = int((impossible - BEGINNING).total_seconds())
    assert poll(cursor, inbox, latest) == []
    assert cursor.state()["newest"] == (BEGINNING + timedelta(seconds=99)).timestamp()
    inbox.rows.clear()
    expected = [inbox.arrive(600) for _ in range(60)]
    assert poll(cursor, inbox, latest) == expected


class TestStart:
    @pytest.mark.parametrize("count", [0, 1, WINDOW - 1, WINDOW, WINDOW + 1, 200])
    @pytest.mark.parametrize("has_links", [True, False])
    def test_now(self, count: int, has_links: bool) -> None:
        inbox = full_inbox(count, has_links=has_links)
        cursor = Cursor(NUMBER, "now")
        assert poll(cursor, inbox) == []
        expected = [inbox.arrive(1000) for _ in range(3)]
        assert poll(cursor, inbox) == expected
        assert poll(cursor, inbox) == []

    @pytest.mark.parametrize("count", [0, 1, WINDOW, WINDOW + 1, 200])
    def test_beginning(self, count: int) -> None:
        inbox = full_inbox(count)
        cursor = Cursor(NUMBER, "beginning")
        assert poll(cursor, inbox) == ids_of(inbox)
        assert poll(cursor, inbox) == []

    @pytest.mark.parametrize("count", [0, 1, WINDOW, WINDOW + 1, 500])
    @pytest.mark.parametrize("second", [0, 20, 150, 499, 900])
    def test_time(self, count: int, second: int) -> None:
        inbox = full_inbox(count)
        cursor = Cursor(NUMBER, BEGINNING + timedelta(seconds=second))
        assert poll(cursor, inbox) == [message_id for created, message_id in inbox.rows if created >= second]
        inbox.arrive(second - 1)
        expected = inbox.arrive(1000)
        assert poll(cursor, inbox) == [expected]

    def test_messages_without_a_time(self) -> None:
        inbox = full_inbox(200)
        cursor = Cursor(NUMBER, BEGINNING + timedelta(seconds=500))
        assert poll(cursor, inbox) == []
        inbox.received = dict.fromkeys(ids_of(inbox))
        expected = inbox.arrive(1000)
        inbox.received[expected] = None
        assert poll(cursor, inbox) == [expected]

    @pytest.mark.parametrize("is_restarted", [False, True])
    def test_no_times_at_all(self, is_restarted: bool) -> None:
        inbox = full_inbox(200)
        inbox.received = dict.fromkeys(ids_of(inbox))
        cursor = Cursor(NUMBER, "now")
        assert poll(cursor, inbox) == []
        if is_restarted:
            cursor = restarted(cursor, "now")
        expected = inbox.arrive(1000)
        assert poll(cursor, inbox) == [expected]

    def test_a_message_without_a_time_counts_above_all_from_before_the_start(self) -> None:
        inbox = full_inbox(200)
        ids = ids_of(inbox)
        # A time decides wherever the message is.
        inbox.received = {ids[150]: None, ids[85]: None, ids[80]: 150}
        cursor = Cursor(NUMBER, BEGINNING + timedelta(seconds=100))
        assert poll(cursor, inbox) == [ids[80], *ids[100:]]

    def test_messages_without_a_time_count_if_none_is_from_before_the_start(self) -> None:
        inbox = full_inbox(3)
        ids = ids_of(inbox)
        inbox.received = {ids[0]: None, ids[2]: None}
        assert poll(Cursor(NUMBER, BEGINNING), inbox) == ids

    def test_a_number_that_cannot_be_used(self) -> None:
        with pytest.raises(Exception, match="country code"):
            Cursor("0701740605", "now")


class TestReading:
    def test_one_request_if_nothing_is_new(self) -> None:
        inbox = full_inbox(500)
        cursor = Cursor(NUMBER, "now")
        for _ in range(3):
            poll(cursor, inbox)
        assert inbox.limits == [PAGE_SIZE] * 3

    def test_one_request_for_a_few_new_messages(self) -> None:
        inbox = full_inbox(500)
        cursor = Cursor(NUMBER, "now")
        poll(cursor, inbox)
        for _ in range(PAGE_SIZE - WINDOW):
            inbox.arrive(1000)
        assert len(poll(cursor, inbox)) == PAGE_SIZE - WINDOW
        assert len(inbox.limits) == 2

    def test_no_page_is_requested_below_the_remembered_rows(self) -> None:
        inbox = full_inbox(500, clamp=14)
        pages_of_the_window, rest = divmod(WINDOW - 1, inbox.clamp - 1)
        assert not rest
        poll(Cursor(NUMBER, "now"), inbox)
        assert len(inbox.limits) == pages_of_the_window

    def test_after_a_deletion_the_guard_is_read_below_the_remembered_rows(self) -> None:
        for rows_below in (GUARD - 1, GUARD):
            inbox = full_inbox(500, clamp=WINDOW - 1 + rows_below)
            cursor = Cursor(NUMBER, "now")
            poll(cursor, inbox)
            del inbox.rows[-5], inbox.limits[:]
            poll(cursor, inbox)
            assert (len(inbox.limits) == 1) is (rows_below == GUARD)

    @pytest.mark.no_cover
    def test_too_many_messages_are_an_error(self) -> None:
        inbox = full_inbox(MAX_ROWS)
        assert poll(Cursor(NUMBER, "beginning"), inbox) == ids_of(inbox)
        inbox.arrive(MAX_ROWS)
        with pytest.raises(IP1PagingError, match=r"more than 10,000 incoming messages"):
            poll(Cursor(NUMBER, "beginning"), inbox)

    def test_a_failed_poll_changes_nothing(self) -> None:
        inbox = full_inbox(300)
        cursor = Cursor(NUMBER, "now")
        poll(cursor, inbox)
        before = cursor.state()
        expected = [inbox.arrive(1000) for _ in range(100)]
        steps = cursor.poll()
        query = next(steps)
        page = next(pages_of(ReadAhead(conversation_lists([NUMBER], order="DESC"), page_size=20, concurrency=1), inbox))
        assert steps.send(page) is query
        steps.close()
        assert cursor.state() == before
        assert poll(cursor, inbox) == expected

    @pytest.mark.parametrize(
        "seconds",
        [
            [*range(200)],
            # All but two rows have the same time.
            [5] * 25 + [6] * 175,
            # The second row is older than the first.
            [100, 99, *range(101, 299)],
        ],
    )
    def test_oldest_first_is_an_error(self, seconds: list[int]) -> None:
        inbox = inbox_of(seconds)
        for start in ("now", BEGINNING + timedelta(seconds=100)):
            with pytest.raises(IP1ResponseError, match="newest first"):
                poll(Cursor(NUMBER, start), inbox)  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        "seconds",
        [
            # The newest row is older than the last one read, but most rows fall.
            [50, *range(199, 0, -1)],
            # Most rows rise, but not from the first to the last.
            [200, *range(1, 200)],
            # As many rise as fall.
            [5, 4, *[6] * 198],
            [7] * 200,
            # Most rows rise, but the last one of the poll is as old as the first, or older.
            [5, *range(6, 54), 5, *[0] * 150],
            [5, *range(6, 54), 4, *[0] * 150],
        ],
    )
    def test_an_order_that_is_not_clearly_wrong_is_no_error(self, seconds: list[int]) -> None:
        assert poll(Cursor(NUMBER, "now"), inbox_of(seconds)) == []

    def test_the_order_of_a_list_that_is_read_completely_does_not_matter(self) -> None:
        inbox = full_inbox(30)
        inbox.rows.reverse()
        assert poll(Cursor(NUMBER, "now"), inbox) == []


class TestDisappearing:
    @pytest.mark.parametrize("is_restarted", [False, True])
    def test_all_remembered_messages(self, is_restarted: bool) -> None:
        inbox = full_inbox(200)
        cursor = Cursor(NUMBER, "now")
        poll(cursor, inbox)
        newest = cursor.state()["newest"]
        if is_restarted:
            cursor = restarted(cursor, "now")
        del inbox.rows[-WINDOW:]
        assert poll(cursor, inbox) == []
        assert cursor.state()["newest"] == newest
        expected = inbox.arrive(1000)
        assert poll(cursor, inbox) == [expected]

    def test_all_remembered_messages_while_others_arrive(self) -> None:
        inbox = full_inbox(200)
        cursor = Cursor(NUMBER, "now")
        poll(cursor, inbox)
        del inbox.rows[-WINDOW:]
        expected = [inbox.arrive(199), inbox.arrive(1000), inbox.arrive(1000)]
        inbox.received[expected[1]] = None
        assert poll(cursor, inbox) == expected

    def test_what_was_new_below_the_remembered_messages_is_not_repeated(self) -> None:
        inbox = full_inbox(200)
        cursor = Cursor(NUMBER, "now")
        poll(cursor, inbox)
        expected = [inbox.arrive(1000) for _ in range(WINDOW + 1)]
        assert poll(cursor, inbox) == expected
        del inbox.rows[-WINDOW:]
        assert poll(cursor, inbox) == []

    def test_all_but_the_oldest_remembered_messages(self) -> None:
        inbox = full_inbox(200)
        cursor = Cursor(NUMBER, "now")
        poll(cursor, inbox)
        del inbox.rows[-WINDOW + 2 :]
        # The place in the list decides, not the time.
        inbox.received = dict.fromkeys(ids_of(inbox))
        expected = inbox.arrive(1000)
        assert poll(cursor, inbox) == [expected]

    def test_messages_that_come_back(self) -> None:
        """As from a replica that is behind."""
        inbox = full_inbox(200)
        cursor = Cursor(NUMBER, "now")
        poll(cursor, inbox)
        hidden, inbox.rows[-5:] = inbox.rows[-5:], []
        assert poll(cursor, inbox) == []
        inbox.rows += hidden
        assert poll(cursor, inbox) == []

    def test_everything(self) -> None:
        inbox = full_inbox(200)
        cursor = Cursor(NUMBER, "now")
        poll(cursor, inbox)
        inbox.rows.clear()
        assert poll(cursor, inbox) == []
        expected = inbox.arrive(0)
        assert poll(cursor, inbox) == [expected]


class TestPlaces:
    def test_a_forgotten_message_changes_places_with_the_oldest_remembered_one(self) -> None:
        inbox = full_inbox(200)
        rows = inbox.rows
        rows[-WINDOW - 1] = (rows[-WINDOW][0], rows[-WINDOW - 1][1])
        cursor = Cursor(NUMBER, "now")
        poll(cursor, inbox)
        rows[-WINDOW - 1], rows[-WINDOW] = rows[-WINDOW], rows[-WINDOW - 1]
        assert poll(cursor, inbox) == []

    def test_a_row_of_late_messages_while_others_arrive_and_disappear(self) -> None:
        inbox = full_inbox(200, clamp=7)
        cursor = Cursor(NUMBER, "now")
        poll(cursor, inbox)
        del inbox.rows[-20]
        late = [inbox.arrive(196) for _ in range(GUARD + 8)]
        arrived = [inbox.arrive(1000) for _ in range(WINDOW + 5)]
        assert poll(cursor, inbox) == late + arrived

    def test_a_message_that_only_the_count_of_the_list_reveals(self) -> None:
        """The first page and the second one list the messages of one second in different orders."""
        for count in range(40, 60):
            inbox, cursor = (
                Inbox([(number // 4, f"old{number}") for number in range(200)], is_tied=True),
                Cursor(NUMBER, "now"),
            )
            poll(cursor, inbox)
            # Some have the time of the newest message that is known.
            expected = [inbox.arrive(second) for second in [49] * 4 + [100 + number // 4 for number in range(count)]]
            assert sorted([*poll(cursor, inbox), *poll(cursor, inbox)]) == expected, count


class TestState:
    def test_before_the_first_poll(self) -> None:
        assert Cursor(NUMBER, "beginning").state() == {"known": [], "others": [], "whole": True, "newest": None}

    @pytest.mark.parametrize(("count", "is_whole"), [(WINDOW - 1, True), (WINDOW, True), (WINDOW + 1, False)])
    def test_tells_whether_it_remembers_the_whole_list(self, count: int, is_whole: bool) -> None:
        cursor = Cursor(NUMBER, "beginning")
        poll(cursor, full_inbox(count))
        assert cursor.state()["whole"] is is_whole

    def test_remembers_the_newest_of_those_below_the_window(self) -> None:
        inbox = full_inbox(200)
        inbox.received[ids_of(inbox)[130]] = None
        cursor, below = Cursor(NUMBER, "beginning"), Cursor(NUMBER, "now")
        poll(cursor, inbox)
        # A message without a time may be the newest.
        inbox.rows = [*inbox.rows[:130], *inbox.rows[131:-WINDOW], inbox.rows[130]]
        poll(below, inbox)
        assert cursor.state()["others"] == below.state()["known"]

    def test_contains_no_ids_and_is_small(self) -> None:
        inbox = full_inbox(200)
        inbox.rows.append((1000, f"{NUMBER}-1"))
        cursor = Cursor(NUMBER, "now")
        poll(cursor, inbox)
        del inbox.rows[-WINDOW:]
        poll(cursor, inbox)
        text = json.dumps(cursor.state())
        assert NUMBER not in text and inbox.rows[-1][1] not in text
        assert len(text) < 2000
        assert {len(digest) for digest in cursor.state()["known"]} == {16}
        assert len(cursor.state()["known"]) == len(cursor.state()["others"]) == WINDOW


def test_the_earliest_plausible_time_counts() -> None:
    from tests.api.watching.watched_messages import make_message

    first = make_message("m", 101, 201)
    assert received_at(first) == datetime(2026, 11, 1, 10, tzinfo=UTC)
    assert received_at(Message(id="m", modified=datetime(2000, 1, 1, tzinfo=UTC))) is not None
    assert received_at(Message(id="m", modified=datetime(1970, 1, 1, tzinfo=UTC))) is None


# How many late messages and deletions there may be between two polls, for the promises in the docs.
LATE = GUARD - 2
DELETED = 5


class CursorMachine(RuleBasedStateMachine):
    """Everything that may happen to a list. Each message that counts is new in exactly one poll."""

    @initialize(
        count=st.one_of(st.integers(0, 60), st.integers(0, 300)),
        start=st.sampled_from(["now", "beginning", "time"]),
        seed=st.integers(0, 2**16),
        has_links=st.booleans(),
        clamp=st.sampled_from([10_000, 50, 7]),
        is_tied=st.booleans(),
    )
    def begin(self, count: int, start: str, seed: int, has_links: bool, clamp: int, is_tied: bool) -> None:
        self.random = random.Random(seed)
        self.inbox = Inbox(has_links=has_links, clamp=clamp, is_tied=is_tied)
        self.second = 0
        for _ in range(count):
            self.inbox.arrive(self._next_second())
        self.expected: set[str] = set()
        self.optional: set[str] = set()
        self.new: Counter[str] = Counter()
        self.kind = start
        self.since = self.random.randint(0, self.second + 1)
        self.start: Any = BEGINNING + timedelta(seconds=self.since) if start == "time" else start
        if start == "beginning":
            self.expected = {message_id for _, message_id in self.inbox.rows}
        elif start == "time":
            self.expected = {message_id for second, message_id in self.inbox.rows if second >= self.since}
        self.cursor = Cursor(NUMBER, self.start)
        self.has_polled = False
        self._begin_interval()

    def _next_second(self) -> int:
        # At most GUARD - 1 messages share a second, so that a message never changes places with one far away.
        if self.random.random() < 0.3 or sum(row[0] == self.second for row in self.inbox.rows[-GUARD:]) >= GUARD - 2:
            self.second += 1
        return self.second

    def _begin_interval(self) -> None:
        self.late = self.deleted = 0
        self.newest = [message_id for _, message_id in self.inbox.rows[-20:]]

    def _expect(self, second: int, message_id: str) -> None:
        if self.kind == "time" and second < self.since:
            return
        if self.kind == "now" and not self.has_polled:
            return
        self.expected.add(message_id)

    @rule(count=st.one_of(st.integers(1, 3), st.integers(1, 120)))
    def messages_arrive(self, count: int) -> None:
        for _ in range(count):
            second = self._next_second()
            self._expect(second, self.inbox.arrive(second))

    @precondition(lambda self: self.late < LATE)
    @rule()
    def a_message_appears_late(self) -> None:
        """Below newer messages: at most 20 of those that the last poll has seen."""
        oldest = self.newest[0] if self.newest else None
        seconds = [second for second, message_id in self.inbox.rows if message_id == oldest]
        if not seconds:
            return
        second = self.random.randint(min(seconds[0] + 1, self.second), self.second)
        if sum(row[0] == second for row in self.inbox.rows) >= GUARD - 2:
            return
        self.late += 1
        self._expect(second, self.inbox.arrive(second))

    @precondition(lambda self: self.deleted < DELETED)
    @rule(data=st.data())
    def a_message_disappears(self, data: st.DataObject) -> None:
        if self.inbox.rows:
            place = data.draw(st.integers(0, min(len(self.inbox.rows) - 1, 60)))
            self._delete(place)

    def _delete(self, place: int) -> None:
        self.deleted += 1
        _, message_id = self.inbox.rows.pop(-1 - place)
        if message_id not in self.new:
            self.expected.discard(message_id)
            self.optional.add(message_id)

    @rule(place=st.integers(0, 60))
    def neighbors_change_places(self, place: int) -> None:
        rows = self.inbox.rows
        if place + 1 < len(rows) and rows[-1 - place][0] == rows[-2 - place][0]:
            rows[-1 - place], rows[-2 - place] = rows[-2 - place], rows[-1 - place]

    @rule(clamp=st.sampled_from([10_000, 50, 7]))
    def the_limit_changes(self, clamp: int) -> None:
        self.inbox.clamp = clamp

    @rule()
    def another_process_continues(self) -> None:
        if self.has_polled:
            self.cursor = restarted(self.cursor, self.start)

    @rule(during=st.integers(0, 4))
    def poll(self, during: int) -> None:
        """Messages may arrive and disappear during the poll as well. The next poll has to find them."""
        expected_before, left = set(self.expected), [during]

        def change() -> None:
            if left[0] and self.random.random() < 0.5:
                left[0] -= 1
                second = self._next_second()
                message_id = self.inbox.arrive(second)
                if self.has_polled or self.kind != "now":
                    self._expect(second, message_id)
                else:
                    self.optional.add(message_id)

        self.inbox.changes = change
        new = poll(self.cursor, self.inbox)
        self.inbox.changes = lambda: None
        self.has_polled = True
        self.new.update(new)
        assert expected_before - set(self.new) == set(), "missed"
        self._begin_interval()

    @invariant()
    def nothing_is_repeated(self) -> None:
        if hasattr(self, "new"):
            assert [message_id for message_id, count in self.new.items() if count > 1] == []
            assert set(self.new) <= self.expected | self.optional, "was there before the start"

    def teardown(self) -> None:
        if hasattr(self, "new"):
            self.poll(0)


CursorMachine.TestCase.settings = settings(
    max_examples=int(os.environ.get("IP1_CURSOR_RUNS", "60")),
    stateful_step_count=25,
)
TestCursorMachine = CursorMachine.TestCase


def test_a_known_message_that_is_read_late_makes_no_old_one_new() -> None:
    """
    Two messages arrive during a poll, which then finds one that it knows after the oldest ones of the list.

    Found by ``make test-replies``.
    """
    machine = CursorMachine()
    machine.begin(count=42, start="now", seed=3025, has_links=False, clamp=10_000, is_tied=True)
    machine.a_message_appears_late()
    machine.a_message_appears_late()
    machine.poll(during=0)
    machine.messages_arrive(count=70)
    machine.a_message_appears_late()
    machine.poll(during=2)
    machine.nothing_is_repeated()


def test_a_page_requested_before_a_message_arrived_hides_no_other_one() -> None:
    """
    On each page, two messages of one second come in another order, so that a page requested ahead lacks one of them.

    Two messages arrive during the poll, and the count alone cannot tell them from the one that is missing. Found by
    ``make test-replies``.
    """
    machine = CursorMachine()
    machine.begin(count=41, start="now", seed=0, has_links=False, clamp=10_000, is_tied=True)
    machine.poll(during=0)
    machine.the_limit_changes(clamp=50)
    for count in (4, 28, 69):
        machine.messages_arrive(count=count)
    machine.a_message_appears_late()
    machine.poll(during=2)
    machine.nothing_is_repeated()
