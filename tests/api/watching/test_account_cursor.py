# SPDX-License-Identifier: Apache-2.0
"""The cursor of the whole account misses nothing and repeats nothing, whatever happens to the list of batches."""

from __future__ import annotations

import json
import os
import random
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from airflow_provider_ip1.api.page_body import RawPage, read_link
from airflow_provider_ip1.api.paging.listing import Listing
from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.api.paging.read_ahead import ReadAhead
from airflow_provider_ip1.api.requests import Order
from airflow_provider_ip1.api.watching.account_cursor import MAX_NEW, UNFINISHED_FOR, AccountCursor
from airflow_provider_ip1.exceptions import IP1PagingError, IP1ResponseError

NUMBER = "46701740605"
BEGINNING = datetime(2026, 11, 1, tzinfo=UTC)
WINDOW, GUARD = AccountCursor.window, AccountCursor.guard


@dataclass
class Account:
    """
    A model of a server's list of batches, each with one message.

    :param rows: (second of creation, id, direction), oldest first. The ids of the messages are ``m`` and that of the
        batch.
    :param clamp: the most rows that the server returns at once.
    :param has_links: whether it sends ``Link`` headers.
    :param is_tied: whether the order among rows of the same second depends on the offset and the limit.
    :param ignores_order: whether it always lists the oldest rows first.
    :param hidden: batches whose messages are not listed yet.
    :param modified: the second that some messages tell as their time instead, by batch; ``None`` for no time.
    :param directions: what some batches say as their direction instead, by batch.
    :param message_directions: what all messages say as their direction, or nothing.
    :param changes: called before each list of batches is returned.
    """

    rows: list[tuple[int, str, str]] = field(default_factory=list)
    clamp: int = 10_000
    has_links: bool = True
    is_tied: bool = False
    ignores_order: bool = False
    hidden: set[str] = field(default_factory=set)
    modified: dict[str, int | None] = field(default_factory=dict)
    directions: dict[str, Any] = field(default_factory=dict)
    message_directions: dict[str, Any] = field(default_factory=dict)
    changes: Callable[[], None] = lambda: None
    requests: list[str] = field(default_factory=list)
    seconds: dict[str, int] = field(default_factory=dict)
    added: int = 0

    def arrive(self, second: int, direction: str = "mo") -> str:
        """Add a batch where its creation time belongs, after others of the same second."""
        self.added += 1
        batch_id = f"{self.added:024x}"
        place = bisect_right(self.rows, second, key=lambda row: row[0])
        self.rows.insert(place, (second, batch_id, direction))
        self.seconds[batch_id] = second
        return f"m{batch_id}"

    def respond(self, path: str, start: int, limit: int, order: Order) -> RawPage:
        self.requests.append(path)
        if path != "/v2/batches":
            return self._messages(path.split("/")[3], start)
        self.changes()
        limit = min(limit, self.clamp)
        listed = self.rows
        if self.is_tied:
            places = {row: random.Random(f"{row} {start} {limit}").random() for row in listed}
            listed = sorted(listed, key=lambda row: (row[0], places[row]))
        is_reversed = order == "DESC" and not self.ignores_order
        rows = listed[:: -1 if is_reversed else 1][start : start + limit]
        texts = [
            json.dumps(
                {"id": batch_id, "sender": NUMBER, "direction": self.directions.get(batch_id, direction.upper())}
            )
            for _, batch_id, direction in rows
        ]
        link = None
        if self.has_links:
            url = f"https://api.example/v2/batches?start={{}}&limit={limit}&order={order}"
            last = f'<{url.format(max(0, (len(self.rows) - 1) // limit * limit))}>; rel="last"'
            following = f'<{url.format(start + limit)}>; rel="next", ' if start + limit < len(self.rows) else ""
            link = following + last
        return RawPage([row[1] for row in rows], [text.encode() for text in texts], (), read_link(link))

    def _messages(self, batch_id: str, start: int) -> RawPage:
        if batch_id in self.hidden or start:
            return RawPage()
        second = self.modified.get(batch_id, self.seconds[batch_id])
        message: dict[str, Any] = {"id": f"m{batch_id}", "sender": NUMBER, "body": "Hej", **self.message_directions}
        if second is not None:
            message["modified"] = (BEGINNING + timedelta(seconds=second)).isoformat()
        link = '<https://api.example/v2/x?start=0&limit=1000&order=ASC>; rel="last"'
        return RawPage([message["id"]], [json.dumps(message).encode()], (), read_link(link))


def poll(cursor: AccountCursor, account: Account, second: float = 0.0) -> list[str]:
    """Poll once, through the pager, at a time in seconds after BEGINNING. Returns the ids of the new messages."""
    steps = cursor.poll(BEGINNING + timedelta(days=1, seconds=second))
    query: Any = next(steps)
    while True:
        for response in responses_to(query, account):
            try:
                step = steps.send(response)
            except StopIteration as ended:
                return [message.id for message in ended.value]
            if step is not query:
                query = step
                break


def responses_to(query: Listing, account: Account) -> Iterator[Page | None]:
    yield from pages_of(query, account)
    yield None


def pages_of(query: Listing, account: Account) -> Iterator[Page]:
    ahead = ReadAhead([query], page_size=200, concurrency=1)
    for step in ahead.steps():
        if isinstance(step, Page):
            yield step
        elif step is not None:
            path = step.request.path
            ahead.receive(step, account.respond(path, step.start, step.limit, step.order))


def restarted(cursor: AccountCursor, start: Any) -> AccountCursor:
    """Continue in another process."""
    return AccountCursor(start, json.loads(json.dumps(cursor.state())))


def full_account(count: int, **options: Any) -> Account:
    """An account that sends three batches for each one that it receives."""
    account = Account(**options)
    for second in range(count):
        account.arrive(second, "mt" if second % 4 else "mo")
    return account


def received(account: Account) -> list[str]:
    return [f"m{batch_id}" for _, batch_id, direction in account.rows if direction == "mo"]


class TestStart:
    @pytest.mark.parametrize("count", [0, 1, WINDOW - 1, WINDOW, WINDOW + 1, 700])
    @pytest.mark.parametrize("has_links", [True, False])
    def test_now(self, count: int, has_links: bool) -> None:
        account, cursor = full_account(count, has_links=has_links), AccountCursor("now")
        assert poll(cursor, account) == []
        expected = [account.arrive(1000) for _ in range(3)]
        account.arrive(1000, "mt")
        assert poll(cursor, account) == expected
        assert poll(cursor, account) == []

    @pytest.mark.parametrize("count", [0, 1, WINDOW + 1, 700])
    def test_beginning(self, count: int) -> None:
        account, cursor = full_account(count), AccountCursor("beginning")
        assert poll(cursor, account) == received(account)
        assert poll(cursor, account) == []

    @pytest.mark.parametrize("count", [0, 1, 2, WINDOW + 1, 700])
    @pytest.mark.parametrize("second", [0, 20, 150, 499, 900])
    def test_time(self, count: int, second: int) -> None:
        account = full_account(count)
        cursor = AccountCursor(BEGINNING + timedelta(seconds=second))
        expected = [
            f"m{an_id}" for created, an_id, direction in account.rows if created >= second and direction == "mo"
        ]
        assert poll(cursor, account) == expected
        account.arrive(second - 1)
        new = account.arrive(1000)
        assert poll(cursor, account) == [new]

    def test_times_of_sent_messages_that_changed_later(self) -> None:
        """Their time says when the status changed, which is no reason to stop too early."""
        account = full_account(700)
        account.modified = {an_id: 5000 for _, an_id, direction in account.rows if direction == "mt"}
        expected = [f"m{an_id}" for created, an_id, direction in account.rows if created >= 500 and direction == "mo"]
        assert poll(AccountCursor(BEGINNING + timedelta(seconds=500)), account) == expected

    def test_no_times_at_all(self) -> None:
        account = full_account(300)
        account.modified = dict.fromkeys([row[1] for row in account.rows])
        cursor = AccountCursor("now")
        assert poll(cursor, account) == []
        new = account.arrive(1000)
        account.modified[new[1:]] = None
        assert poll(cursor, account) == [new]

    def test_a_quiet_account_takes_few_requests(self) -> None:
        account = full_account(700)
        poll(AccountCursor(BEGINNING + timedelta(seconds=900)), account)
        # The list in both orders, a page that was requested ahead, and the time of the newest batch.
        assert len(account.requests) == 4


class TestReading:
    def test_one_request_if_nothing_is_new(self) -> None:
        account, cursor = full_account(700), AccountCursor("now")
        poll(cursor, account)
        account.requests.clear()
        for _ in range(3):
            assert poll(cursor, account) == []
        assert account.requests == ["/v2/batches"] * 3

    def test_sent_batches_are_not_read(self) -> None:
        account, cursor = full_account(700), AccountCursor("now")
        poll(cursor, account)
        account.requests.clear()
        for _ in range(200 - WINDOW):
            account.arrive(1000, "mt")
        assert poll(cursor, account) == []
        assert account.requests == ["/v2/batches"]

    @pytest.mark.parametrize("start", ["now", BEGINNING + timedelta(seconds=650)])
    def test_a_server_that_ignores_the_order(self, start: Any) -> None:
        """Otherwise nothing would ever be new."""
        with pytest.raises(IP1ResponseError, match="newest first"):
            poll(AccountCursor(start), full_account(700, ignores_order=True))

    @pytest.mark.parametrize("count", [100, WINDOW])
    def test_the_order_of_a_list_that_is_read_completely_does_not_matter(self, count: int) -> None:
        account = full_account(count, ignores_order=True)
        expected = [f"m{an_id}" for second, an_id, direction in account.rows if second >= 50 and direction == "mo"]
        assert sorted(poll(AccountCursor(BEGINNING + timedelta(seconds=50)), account)) == expected

    def test_a_status_that_changed_late_says_nothing_about_the_order(self) -> None:
        account = full_account(700)
        account.rows.insert(0, (0, f"{900:024x}", "mt"))
        account.seconds[f"{900:024x}"] = 5000
        assert poll(AccountCursor("now"), account) == []

    def test_a_server_that_lists_the_other_way_round(self) -> None:
        account = full_account(701)
        account.seconds = {an_id: 699 - second for an_id, second in account.seconds.items()}
        with pytest.raises(IP1ResponseError, match="newest first"):
            poll(AccountCursor("now"), account)

    def test_a_short_list_that_grows_is_checked_once_its_order_matters(self) -> None:
        account, cursor = full_account(10, ignores_order=True), AccountCursor("now")
        assert poll(cursor, account) == []
        expected = [account.arrive(1000) for _ in range(WINDOW - 10)]
        assert sorted(poll(cursor, account)) == expected
        account.arrive(1000)
        with pytest.raises(IP1ResponseError, match="newest first"):
            poll(cursor, account)

    def test_too_many_batches_are_an_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(AccountCursor, "most_rows", 700)
        account = full_account(701)
        with pytest.raises(IP1PagingError, match="more than 700 batches to list"):
            poll(AccountCursor("beginning"), account)
        assert poll(AccountCursor("now"), account) == []

    def test_a_failed_poll_changes_nothing(self) -> None:
        account, cursor = full_account(700), AccountCursor("now")
        poll(cursor, account)
        before, expected = cursor.state(), [account.arrive(1000) for _ in range(100)]
        steps = cursor.poll()
        query: Any = next(steps)
        steps.send(next(pages_of(query, account)))
        steps.close()
        assert cursor.state() == before
        assert poll(cursor, account) == expected


@pytest.mark.no_cover
class TestBursts:
    @pytest.mark.parametrize("count", [2000, pytest.param(10_000, marks=pytest.mark.slow)])
    def test_many_messages(self, count: int) -> None:
        """Each poll reads at most 200, the oldest first, and says that more are left."""
        account, cursor = full_account(700), AccountCursor("now")
        poll(cursor, account)
        expected = [account.arrive(1000 + number // 20) for number in range(count)]
        account.requests.clear()
        new: list[str] = []
        for turn in range(count // MAX_NEW):
            assert len(found := poll(cursor, account)) == MAX_NEW
            assert cursor.has_more is (turn < count // MAX_NEW - 1)
            new += found
            cursor = restarted(cursor, "now")
        assert new == expected and poll(cursor, account) == []
        # One request per message, and the list of batches down to the place that was reached, each time.
        assert len(account.requests) <= count + (count // MAX_NEW + 2) * (count // 200 + 2) // 2

    def test_messages_that_arrive_meanwhile_come_last(self) -> None:
        account, cursor = full_account(700), AccountCursor("now")
        poll(cursor, account)
        expected = [account.arrive(1000 + number // 20) for number in range(500)]
        new = poll(cursor, account)
        expected.append(account.arrive(2000))
        for _ in range(2):
            new += poll(cursor, account)
        assert new == expected and not cursor.has_more

    def test_a_long_list_from_its_beginning(self) -> None:
        account, cursor = full_account(2000), AccountCursor("beginning")
        new: list[str] = []
        while not new or cursor.has_more:
            new += poll(cursor, account)
        assert new == received(account)


class TestBatchesWithoutMessages:
    def test_their_messages_are_found_when_they_appear(self) -> None:
        account, cursor = full_account(700), AccountCursor("now")
        poll(cursor, account)
        late, early = account.arrive(1000), account.arrive(1000)
        account.hidden = {late[1:]}
        assert poll(cursor, account) == [early]
        for _ in range(120):
            account.arrive(1001, "mt")
        cursor = restarted(cursor, "now")
        # Also below so many newer ones that it would not count as new otherwise.
        assert poll(cursor, account, UNFINISHED_FOR - 1) == []
        account.hidden.clear()
        assert poll(cursor, account, UNFINISHED_FOR - 1) == [late]
        assert poll(cursor, account, UNFINISHED_FOR) == []

    def test_they_are_given_up_with_a_warning(self) -> None:
        """Otherwise each poll would read them again."""
        account, cursor = full_account(700), AccountCursor("now")
        poll(cursor, account)
        account.hidden = {account.arrive(1000)[1:]}
        assert poll(cursor, account) == [] and cursor.warnings == ()
        cursor = restarted(cursor, "now")
        assert poll(cursor, account, UNFINISHED_FOR) == []
        (warning,) = cursor.warnings
        assert "no messages of 1 incoming batch for 10 minutes" in warning
        account.requests.clear()
        assert poll(cursor, account, UNFINISHED_FOR) == [] and cursor.warnings == ()
        assert account.requests == ["/v2/batches"]


class TestDirection:
    @pytest.mark.parametrize("value", [0, 1, None, "?"])
    def test_an_unknown_direction_of_a_batch_is_that_of_its_messages(self, value: Any) -> None:
        account, cursor = full_account(700), AccountCursor("now")
        poll(cursor, account)
        new = account.arrive(1000)
        account.directions = {new[1:]: value}
        account.message_directions = {"direction": "MT"}
        assert poll(restarted(cursor, "now"), account) == []
        account.message_directions = {"direction": "mo"}
        assert poll(cursor, account) == [new]

    def test_a_direction_that_nothing_tells_is_an_error(self) -> None:
        account, cursor = full_account(700), AccountCursor("now")
        poll(cursor, account)
        account.directions = {account.arrive(1000)[1:]: 1}
        with pytest.raises(IP1ResponseError, match="whether it was sent or received"):
            poll(cursor, account)


class TestState:
    def test_contains_no_ids_and_is_small(self) -> None:
        account, cursor = full_account(700), AccountCursor("now")
        poll(cursor, account)
        account.hidden = {account.arrive(1000)[1:]}
        poll(cursor, account)
        text = json.dumps(cursor.state())
        assert NUMBER not in text and account.rows[-1][1] not in text and account.rows[-2][1] not in text
        assert len(text) < 7000

    def test_all_known_batches_disappear(self) -> None:
        account, cursor = full_account(700), AccountCursor("now")
        poll(cursor, account)
        first = account.arrive(1000)
        assert poll(cursor, account) == [first]
        del account.rows[-WINDOW - 1 :]
        new = account.arrive(2000)
        assert poll(cursor, account) == [new]
        assert poll(cursor, account) == []


class AccountMachine(RuleBasedStateMachine):
    """Everything that may happen to a list of batches. Each incoming message that counts is new in exactly one poll."""

    @initialize(
        count=st.one_of(st.integers(0, 200), st.integers(0, 500)),
        start=st.sampled_from(["now", "beginning", "time"]),
        seed=st.integers(0, 2**16),
        has_links=st.booleans(),
        clamp=st.sampled_from([10_000, 50]),
        is_tied=st.booleans(),
    )
    def begin(self, count: int, start: str, seed: int, has_links: bool, clamp: int, is_tied: bool) -> None:
        self.random = random.Random(seed)
        self.account = Account(has_links=has_links, clamp=clamp, is_tied=is_tied)
        self.second = 0
        for _ in range(count):
            self._arrive()
        self.new: Counter[str] = Counter()
        self.kind = start
        self.since = self.random.randint(0, self.second + 1)
        self.expected = {
            f"m{an_id}"
            for second, an_id, direction in self.account.rows
            if direction == "mo" and (start == "beginning" or (start == "time" and second >= self.since))
        }
        self.optional: set[str] = set()
        self.start: Any = BEGINNING + timedelta(seconds=self.since) if start == "time" else start
        self.cursor = AccountCursor(self.start)
        self.has_polled = False
        self._begin_interval()

    def _arrive(self) -> tuple[int, str | None]:
        # At most 8 batches share a second.
        if self.random.random() < 0.3 or sum(row[0] == self.second for row in self.account.rows[-10:]) >= 8:
            self.second += 1
        direction = self.random.choice(["mt", "mo"])
        message_id = self.account.arrive(self.second, direction)
        return self.second, message_id if direction == "mo" else None

    def _begin_interval(self) -> None:
        self.late = self.deleted = 0
        self.newest = [row[1] for row in self.account.rows[-60:]]

    def _expect(self, second: int, message_id: str | None) -> None:
        counts = self.has_polled if self.kind == "now" else self.kind == "beginning" or second >= self.since
        if message_id is not None and counts:
            self.expected.add(message_id)

    @rule(count=st.one_of(st.integers(1, 3), st.integers(1, 250)))
    def batches_arrive(self, count: int) -> None:
        for _ in range(count):
            self._expect(*self._arrive())

    @precondition(lambda self: self.late < 20)
    @rule(count=st.integers(1, 5))
    def batches_appear_late(self, count: int) -> None:
        """Below newer batches: at most 60 of those that the last poll has seen."""
        seconds = [row[0] for row in self.account.rows if self.newest and row[1] == self.newest[0]]
        for _ in range(count if seconds else 0):
            second = self.random.randint(min(seconds[0] + 1, self.second), self.second)
            if sum(row[0] == second for row in self.account.rows) < 8:
                self.late += 1
                self._expect(second, self.account.arrive(second))

    @rule()
    def a_batch_is_listed_before_its_messages(self) -> None:
        second, message_id = self._arrive()
        if message_id is not None:
            self.account.hidden.add(message_id[1:])
            self._expect(second, message_id)

    @rule()
    def messages_appear(self) -> None:
        self.account.hidden.clear()

    @precondition(lambda self: self.deleted < 5)
    @rule(data=st.data())
    def a_batch_disappears(self, data: st.DataObject) -> None:
        if self.account.rows:
            self.deleted += 1
            _, an_id, _ = self.account.rows.pop(-1 - data.draw(st.integers(0, min(len(self.account.rows) - 1, 100))))
            if f"m{an_id}" not in self.new:
                self.expected.discard(f"m{an_id}")
                self.optional.add(f"m{an_id}")

    @rule(place=st.integers(0, 200))
    def neighbors_change_places(self, place: int) -> None:
        rows = self.account.rows
        if place + 1 < len(rows) and rows[-1 - place][0] == rows[-2 - place][0]:
            rows[-1 - place], rows[-2 - place] = rows[-2 - place], rows[-1 - place]

    @rule()
    def another_process_continues(self) -> None:
        if self.has_polled:
            self.cursor = restarted(self.cursor, self.start)

    @rule(during=st.integers(0, 4))
    def poll(self, during: int) -> None:
        """Batches may arrive during the poll as well. The next poll has to find them."""
        hidden = {f"m{an_id}" for an_id in self.account.hidden}
        expected_before, left = self.expected - hidden, [during]

        def change() -> None:
            if left[0] and self.random.random() < 0.5:
                left[0] -= 1
                second, message_id = self._arrive()
                self._expect(second, message_id)
                if message_id is not None:
                    self.optional.add(message_id)

        self.account.changes = change
        new = poll(self.cursor, self.account)
        self.account.changes = lambda: None
        self.has_polled = True
        while self.cursor.has_more:
            new += poll(self.cursor, self.account)
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
            self.account.hidden.clear()
            self.poll(0)


AccountMachine.TestCase.settings = settings(
    max_examples=int(os.environ.get("IP1_CURSOR_RUNS", "40")),
    stateful_step_count=15,
)
TestAccountMachine = AccountMachine.TestCase


def test_a_batch_that_is_read_late_hides_none_that_are_left_to_the_next_poll() -> None:
    """
    It arrived during a poll that found more new batches than it may read, so the next one begins far below it.

    Found by ``make test-replies``.
    """
    machine = AccountMachine()
    machine.begin(count=220, start="beginning", seed=217, has_links=False, clamp=10_000, is_tied=False)
    for _ in range(5):
        machine.a_batch_is_listed_before_its_messages()
    machine.batches_arrive(count=220)
    machine.batches_arrive(count=220)
    machine.poll(during=2)
    machine.teardown()
    machine.nothing_is_repeated()
