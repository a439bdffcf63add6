# SPDX-License-Identifier: Apache-2.0
"""Each clause of the contract of checkpoints: what a run reads and exports, and what it remembers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from airflow_provider_ip1.api.batches import Batch, DeliveryWindow
from airflow_provider_ip1.api.checkpoint.increment import (
    KNOWN_BATCHES,
    KNOWN_MESSAGES,
    AccountIncrement,
    ConversationIncrement,
    Row,
    closing_time,
    rows_of,
)
from airflow_provider_ip1.api.checkpoint.state import State
from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.exceptions import IP1PagingError

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LOOKBACK = timedelta(days=3)
BEFORE = NOW - HOUR
"""When the run before began."""


@dataclass(frozen=True)
class Listed:
    """A batch in the list of batches."""

    id: str


def row(name: int | str, age: timedelta = 2 * DAY, status: int | None = 201, *, incoming: bool = False) -> Row:
    return Row(str(name), status, NOW - age, incoming)


def old_rows(count: int, first: int = 0, status: int = 201) -> list[Row]:
    """Rows of a list, newest first: each a minute older than the one before, and all older than the position."""
    return [row(number, 2 * HOUR + timedelta(minutes=number), status) for number in range(first, first + count)]


def stored(state: State) -> State:
    """What the next run reads from the JSON."""
    return msgspec.json.decode(msgspec.json.encode(state), type=State)


def first_run(rows: Sequence[Row], now: datetime = BEFORE) -> State:
    increment = ConversationIncrement(None, now, LOOKBACK)
    assert increment.take(rows) == list(rows) or not rows
    assert not increment.is_done
    return stored(increment.end())


def run(
    state: State | None, *pages: Sequence[Row], now: datetime = NOW, to_the_end: bool = True
) -> tuple[list[str], State]:
    """Read pages until enough is read. Returns the ids that are exported, and the next state."""
    increment = ConversationIncrement(state, now, LOOKBACK)
    exported: list[str] = []
    for number, page in enumerate(pages, 1):
        exported += [one.id for one in increment.take(page)]
        if increment.is_done:
            assert number == len(pages), "the test expects all pages to be read"
            break
    else:
        assert to_the_end, "the list should not be read to its end"
    assert len(exported) == len(set(exported))
    return exported, stored(increment.end())


# -- a conversation


def test_the_first_run_exports_everything_and_remembers_the_newest_rows_and_the_unsettled_ones() -> None:
    rows = old_rows(50)
    rows[3].status, rows[30].status = 101, None
    state = first_run(rows)
    assert state.position == BEFORE - timedelta(minutes=5)
    assert state.known == [str(number) for number in range(KNOWN_MESSAGES)]
    assert set(state.unsettled) == {"3", "30"}


def test_nothing_new_takes_one_page_and_exports_nothing() -> None:
    rows = old_rows(400)
    assert run(first_run(rows), rows[:200], to_the_end=False)[0] == []


def test_new_rows_above_the_known_ones_are_exported_whatever_their_times() -> None:
    rows = old_rows(400)
    new = [row("a", timedelta(minutes=5)), row("b", DAY)]
    assert run(first_run(rows), [*new, *rows[:198]], to_the_end=False)[0] == ["a", "b"]


def test_a_row_that_appeared_late_among_the_known_ones_is_new() -> None:
    rows = old_rows(400)
    late = row("late", DAY)
    assert run(first_run(rows), [*rows[:19], late, *rows[19:199]], to_the_end=False)[0] == ["late"]


def test_rows_wait_for_a_known_row_on_a_later_page() -> None:
    """Its place is known only then. Meanwhile, rows that are exported for another reason are not exported twice."""
    rows = old_rows(400)
    late = [row("late", DAY), row("recent", timedelta(minutes=1)), row("late too", DAY)]
    exported, _ = run(first_run(rows), [*rows[:10], *late], rows[10:300], to_the_end=False)
    assert sorted(exported) == ["late", "late too", "recent"]


def test_a_known_row_after_a_page_without_one_does_not_make_old_rows_new() -> None:
    rows = old_rows(400)
    rows[85].status = 112
    state = first_run(rows)
    exported, _ = run(state, rows[:19], rows[20:60], [*rows[60:70], rows[19], *rows[70:90]], to_the_end=False)
    assert exported == []


def test_a_short_page_without_a_known_row_does_not_end_the_search_for_them() -> None:
    rows = old_rows(400)
    late = [row(f"late {number}", DAY) for number in range(5)]
    assert run(first_run(rows), rows[:10], late, rows[10:300], to_the_end=False)[0] == [one.id for one in late]


def test_only_a_page_without_a_known_row_ends_the_search_for_them() -> None:
    rows = old_rows(400)
    late = [row(f"late {number}", DAY) for number in range(30)]
    assert run(first_run(rows), [*rows[:10], *late], rows[10:300], to_the_end=False)[0] == [one.id for one in late]


def test_of_rows_that_arrived_out_of_place_only_their_ids_count() -> None:
    rows = old_rows(400)
    state = first_run(rows)
    increment = ConversationIncrement(state, NOW, LOOKBACK)
    assert increment.take([*rows[:10], rows[200]]) == []
    # Were its place believed, the known row would make the old one before it new, and the one after it old.
    assert increment.take([rows[15], rows[300]], is_late=True) == [rows[300]]
    assert not increment.is_done
    assert increment.take(rows[201:210]) == []
    assert increment.take([*rows[10:15], *rows[16:200]]) == [rows[200], *rows[201:210]]
    assert increment.is_done
    assert "300" not in increment.end().known


def test_a_checkpoint_that_knows_few_rows_knew_all_of_them() -> None:
    rows = old_rows(KNOWN_MESSAGES - 1)
    exported, _ = run(first_run(rows), [*rows, *old_rows(30, first=100)], old_rows(5, first=200))
    assert exported == [str(number) for number in (*range(100, 130), *range(200, 205))]


def test_a_row_that_changed_after_the_position_is_exported_wherever_it_stands() -> None:
    rows = old_rows(400)
    state = first_run(rows)
    rows[150].time = BEFORE - timedelta(minutes=5)
    rows[160].time = None
    rows[170].time = BEFORE - timedelta(minutes=6)
    assert run(state, rows[:200], to_the_end=False)[0] == ["150", "160"]


def test_the_list_is_read_until_it_has_passed_the_position() -> None:
    rows = old_rows(400)
    state = first_run(rows)
    recent = [row(f"recent {number}", timedelta(minutes=number)) for number in range(50)]
    # The known rows changed as well, and so did more than a page below them.
    for one in rows[:100]:
        one.time = BEFORE
    exported, _ = run(state, [*recent, *rows[:50]], rows[50:100], rows[100:200], to_the_end=False)
    assert len(exported) == 150


def test_a_late_row_does_not_show_that_the_position_was_passed() -> None:
    rows = old_rows(400)
    state = first_run(rows)
    increment = ConversationIncrement(state, NOW, LOOKBACK)
    for one in rows[:60]:
        one.time = (one.time or NOW) + 2 * HOUR
    assert increment.take(rows[:40]) == rows[:40]
    increment.take([rows[300]], is_late=True)
    assert not increment.is_done
    assert increment.take(rows[40:300]) == rows[40:60]
    assert increment.is_done


def test_a_list_that_is_not_newest_first_is_read_to_its_end() -> None:
    rows = list(reversed(old_rows(400)))
    state = first_run(rows)
    new = row("new", timedelta(minutes=1))
    assert run(state, rows[:200], rows[200:], [new])[0] == ["new"]


def test_the_list_is_read_until_the_unsettled_messages_were_met() -> None:
    """The oldest unsettled message changed later than twenty newer ones settled."""
    rows = old_rows(400)
    rows[350].status = 112
    state = first_run(rows)
    rows[350].status = 201
    exported, after = run(state, rows[:200], rows[200:400], to_the_end=False)
    assert exported == ["350"]
    assert after.unsettled == {}


def test_a_new_status_is_exported_although_its_times_are_old() -> None:
    """A status whose time is after ``modified``, or that iP.1 shows late."""
    rows = old_rows(400)
    rows[5].status = 112
    state = first_run(rows)
    rows[5].status = 406
    exported, after = run(state, rows[:200], to_the_end=False)
    assert exported == ["5"]
    assert (after.unsettled["5"].status, after.unsettled["5"].since) == (406, NOW)
    assert after.unsettled["5"].first_seen == BEFORE


def test_a_message_that_is_gone_is_forgotten() -> None:
    rows = old_rows(400)
    rows[350].status = 112
    _, after = run(first_run(rows), rows[:200], [*rows[200:350], *rows[351:]])
    assert after.unsettled == {}


@pytest.mark.parametrize(("status", "is_incoming"), [(201, False), (102, True), (None, True)])
def test_settled_messages_are_not_remembered(status: int | None, is_incoming: bool) -> None:
    assert first_run([row("a", status=status, incoming=is_incoming)]).unsettled == {}


@pytest.mark.parametrize("status", [None, 101, 104, 202, 203, 299, 404, 511, 777])
def test_other_messages_are_remembered(status: int | None) -> None:
    assert list(first_run([row("a", status=status)]).unsettled) == ["a"]


@pytest.mark.parametrize("status", [202, 203, 406, 511])
def test_a_final_status_is_looked_at_after_a_day_and_at_status_lookback(status: int) -> None:
    rows = old_rows(400)
    rows[300].status = status
    state = first_run(rows, NOW)
    looked_at = []
    for hours in (1, 23, 24, 25, 71, 72, 73, 200):
        increment = ConversationIncrement(state, NOW + hours * HOUR, LOOKBACK)
        assert increment.take(rows[:200]) == []
        if not increment.is_done:
            looked_at.append(hours)
            assert increment.take(rows[200:]) == []
            assert increment.is_done
        state = stored(increment.end())
    assert looked_at == [24, 72]
    assert state.unsettled == {}


@pytest.mark.parametrize(("lookback", "days"), [(10 * DAY, 10), (None, 3)])
def test_the_second_look_is_at_status_lookback(lookback: timedelta | None, days: int) -> None:
    state = first_run([row("a", status=406)], NOW)
    looks = {}
    for day in (1, days - 1, days):
        increment = ConversationIncrement(state, NOW + day * DAY, lookback)
        increment.take([row("a", status=406)])
        state = stored(increment.end())
        looks[day] = [one.looks for one in state.unsettled.values()]
    assert looks == {1: [1], days - 1: [1], days: []}


def test_a_row_that_waits_for_its_place_is_looked_at_once() -> None:
    rows = old_rows(400)
    rows[30].status = 406
    state = first_run(rows, NOW)
    increment = ConversationIncrement(state, NOW + DAY, LOOKBACK)
    assert increment.take([*rows[:19], rows[30]]) == []
    assert increment.take([rows[19], *rows[20:30], *rows[31:200]]) == [rows[30]]
    assert increment.end().unsettled["30"].looks == 1


def test_a_corrected_status_is_exported_and_counts_as_new() -> None:
    """A failed message that is delivered later."""
    rows = old_rows(400)
    rows[100].status = 406
    state = first_run(rows, NOW)
    rows[100].status = 201
    exported, after = run(state, rows[:200], now=NOW + DAY, to_the_end=False)
    assert (exported, after.unsettled) == (["100"], {})
    rows[100].status = 202
    exported, after = run(state, rows[:200], now=NOW + DAY, to_the_end=False)
    assert exported == ["100"]
    assert (after.unsettled["100"].looks, after.unsettled["100"].since) == (0, NOW + DAY)


def test_a_message_that_is_met_by_chance_changes_nothing() -> None:
    """It is exported if it changed. But a repeated run may not meet it, so it stays remembered until it is due."""
    rows = old_rows(400)
    rows[30].status = 406
    state = first_run(rows, NOW)
    rows[30].status = 201
    exported, after = run(state, rows[:200], now=NOW + HOUR, to_the_end=False)
    assert exported == ["30"]
    assert after.unsettled == state.unsettled


def test_a_status_is_given_up_after_status_lookback() -> None:
    rows = old_rows(400)
    rows[30].status = 112
    state = first_run(rows, NOW)
    increment = ConversationIncrement(state, NOW + LOOKBACK, LOOKBACK)
    increment.take(rows[:200])
    assert list(increment.end().unsettled) == ["30"]
    increment = ConversationIncrement(state, NOW + LOOKBACK + HOUR, LOOKBACK)
    increment.take(rows[:200])
    assert (increment.end().unsettled, increment.given_up) == ({}, 1)
    # Not remembered again, although it is met again.
    assert run(increment.end(), rows[:200], now=NOW + 4 * DAY, to_the_end=False)[1].unsettled == {}
    increment = ConversationIncrement(state, NOW + 400 * DAY, None)
    increment.take(rows[:200])
    assert list(increment.end().unsettled) == ["30"]


def test_a_repeated_run_exports_at_least_the_same() -> None:
    rows = old_rows(400)
    rows[30].status = 112
    state = first_run(rows)
    new = row("new", timedelta(minutes=1))
    rows[30].status = 201
    once, after = run(state, [new, *rows[:199]], to_the_end=False)
    newer = row("newer", timedelta(0))
    again, _ = run(state, [newer, new, *rows[:198]], now=NOW + HOUR, to_the_end=False)
    assert set(once) < set(again) == {"newer", "new", "30"}
    assert after.unsettled == {}


def test_an_empty_list_changes_nothing_if_rows_are_known() -> None:
    """A transient 404 for a known conversation."""
    state = first_run(old_rows(5))
    increment = ConversationIncrement(state, NOW, LOOKBACK)
    assert increment.place.is_missing
    assert increment.end() == state


def test_an_empty_list_of_which_nothing_is_known_moves_the_position() -> None:
    state = ConversationIncrement(None, BEFORE, LOOKBACK).end()
    assert (state.known, state.position) == ([], BEFORE - timedelta(minutes=5))
    assert run(state, [row("first", 9 * DAY)])[0] == ["first"]


def test_a_list_without_any_known_row_is_exported_again() -> None:
    state = first_run(old_rows(30))
    rows = old_rows(400, first=1000)
    increment = ConversationIncrement(state, NOW, LOOKBACK)
    assert increment.take(rows[:200]) == rows[:200]
    assert not increment.is_done
    assert increment.take(rows[200:]) == rows[200:]
    assert increment.place.starts_over
    assert not increment.place.is_missing


def test_the_first_run_with_since_remembers_what_may_still_change() -> None:
    rows = [row(number, number * HOUR) for number in range(200)]
    rows[30].status = rows[31].status = 101
    increment = ConversationIncrement(None, NOW, timedelta(hours=10), NOW - 20 * HOUR)
    assert increment.take(rows[:15]) == rows[:15]
    assert not increment.is_done
    assert increment.take(rows[15:29]) == rows[15:21]
    assert not increment.is_done
    assert increment.take(rows[29:40]) == []
    assert increment.is_done
    state = increment.end()
    assert set(state.unsettled) == {"30", "31"}
    assert len(state.known) == KNOWN_MESSAGES
    assert state.position == NOW - timedelta(minutes=5)


def test_the_first_run_with_since_reads_enough_rows_to_know_the_newest() -> None:
    rows = [row(number, number * DAY) for number in range(40)]
    increment = ConversationIncrement(None, NOW, timedelta(0), NOW - HOUR)
    increment.take(rows[:18])
    assert not increment.is_done
    increment.take(rows[18:20])
    assert increment.is_done


# -- the account


def batches(count: int, first: int = 0) -> list[Listed]:
    return [Listed(f"b{number}") for number in range(first, first + count)]


def account(
    state: State | None,
    listed: Sequence[Listed],
    messages: dict[str, list[Row]] | None = None,
    now: datetime = NOW,
    page: int = 200,
    gone: Sequence[str] = (),
) -> tuple[list[str], list[str], State]:
    """Run an increment of the account. Returns the batches read, the ids exported, and the next state."""
    increment = AccountIncrement[Listed](state, now, LOOKBACK)
    for start in range(0, len(listed), page):
        increment.take_list(listed[start : start + page])
        if increment.has_list:
            break
    to_read = (
        [one.id for one in listed] if increment.is_first else [one.id for one in increment.new] + [*increment.again]
    )
    exported: list[str] = []
    for name in to_read:
        rows = (messages or {}).get(name, [row(f"{name}.0", 2 * DAY)])
        if name in gone:
            continue
        if rows:
            exported += [one.id for one in increment.take(name, rows)]
        else:
            increment.take_empty(name)
    return to_read, exported, stored(increment.end())


def test_the_first_run_of_the_account_exports_everything_and_knows_the_newest_batches() -> None:
    read, exported, state = account(None, batches(450), now=BEFORE)
    assert len(read) == len(exported) == 450
    assert state.known == [f"b{number}" for number in range(KNOWN_BATCHES)]
    assert (state.young, state.unsettled) == ([], {})


def test_the_first_run_knows_the_batches_of_the_last_hour_as_well() -> None:
    messages = {"b300": [row("x", BEFORE - NOW + timedelta(minutes=30) + HOUR)]}
    messages["b300"][0].time = BEFORE - timedelta(minutes=30)
    _, _, state = account(None, batches(450), messages, now=BEFORE)
    assert state.known == [f"b{number}" for number in (*range(KNOWN_BATCHES), 300)]


def test_only_new_batches_are_read_however_many_there_are() -> None:
    _, _, state = account(None, batches(1000), now=BEFORE)
    new = [Listed("new 1"), Listed("new 2")]
    late = Listed("late")
    increment = AccountIncrement[Listed](state, NOW, LOOKBACK)
    increment.take_list([*new, *batches(150), late])
    assert not increment.has_list
    increment.take_list(batches(200, first=150))
    assert increment.has_list
    assert increment.new == [*new, late]
    assert increment.again == {}


def test_a_batch_stays_known_for_an_hour() -> None:
    """So that a batch that is listed late, below many newer ones, stands among known ones."""
    _, _, state = account(None, batches(300), now=BEFORE - 5 * HOUR)
    burst = [Listed(f"n{number}") for number in range(700)]
    _, _, state = account(state, [*burst, *batches(300)], now=BEFORE)
    assert set(state.known) == {one.id for one in burst}
    late = Listed("late")
    read, _, state = account(
        state, [*burst[:650], late, *burst[650:], *batches(300)], now=BEFORE + timedelta(minutes=59)
    )
    assert read == ["late"]
    assert len(state.known) == 701
    _, _, state = account(state, [*burst, *batches(300)], now=BEFORE + timedelta(minutes=120))
    assert state.known == [one.id for one in burst[:KNOWN_BATCHES]]


def test_a_new_batch_is_exported_completely() -> None:
    _, _, state = account(None, batches(300), now=BEFORE)
    messages = {"new": [row("new.0", 90 * DAY), row("new.1", 90 * DAY, 101)]}
    read, exported, state = account(state, [Listed("new"), *batches(300)], messages)
    assert (read, exported) == (["new"], ["new.0", "new.1"])
    assert state.unsettled["new.1"].batch == "new"


def test_batches_with_unsettled_messages_are_read_again_and_only_changes_exported() -> None:
    messages = {"b250": [row("u", 2 * DAY, 102), row("settled", 2 * DAY), row("failed", 2 * DAY, 406)]}
    _, _, state = account(None, batches(300), messages, now=BEFORE)
    messages["b250"][0].status = 112
    read, exported, after = account(state, batches(300), messages)
    assert (read, exported) == (["b250"], ["u"])
    messages["b250"][0].status = 201
    read, exported, after = account(after, batches(300), messages, now=NOW + HOUR)
    assert (read, exported) == (["b250"], ["u"])
    assert list(after.unsettled) == ["failed"]
    assert account(after, batches(300), messages, now=NOW + 2 * HOUR)[0] == []


@pytest.mark.parametrize(("age", "is_young"), [(timedelta(minutes=9), True), (timedelta(minutes=11), False)])
def test_young_batches_are_read_again(age: timedelta, is_young: bool) -> None:
    messages = {"b0": [row("old"), row("young")]}
    messages["b0"][1].time = BEFORE - age
    _, _, state = account(None, batches(300), messages, now=BEFORE)
    messages["b0"].append(row("later"))
    messages["b0"][2].time = BEFORE
    read, exported, state = account(state, batches(300), messages)
    assert (read, exported) == ((["b0"], ["later"]) if is_young else ([], []))
    assert account(state, batches(300), messages, now=NOW + HOUR)[0] == []


def test_a_batch_without_messages_is_read_again_until_it_is_given_up() -> None:
    messages: dict[str, list[Row]] = {"b5": []}
    _, _, state = account(None, batches(300), messages, now=BEFORE)
    for hours in (1, 24, 72):
        read, _, state = account(state, batches(300), messages, now=BEFORE + hours * HOUR)
        assert read == ["b5"]
    with_messages = account(state, batches(300), {"b5": [row("b5.0", timedelta(0))]}, now=BEFORE + 73 * HOUR)
    assert (with_messages[1], with_messages[2].unsettled) == (["b5.0"], {})
    _, _, state = account(state, batches(300), messages, now=BEFORE + 73 * HOUR)
    assert account(state, batches(300), messages, now=BEFORE + 74 * HOUR)[0] == []


def test_a_message_waits_for_the_end_of_the_delivery_windows_of_its_batch() -> None:
    windows = (DeliveryWindow(NOW + DAY, NOW + 2 * DAY), DeliveryWindow(NOW + 8 * DAY, NOW + 9 * DAY))
    closes = closing_time(Batch("b0", delivery_windows=windows))
    assert closes == NOW + 9 * DAY
    assert closing_time(Batch("b0")) is None
    increment = AccountIncrement[Listed](None, NOW, LOOKBACK)
    increment.take_list(batches(1))
    increment.take("b0", [row("scheduled", timedelta(0), 101)], closes)
    state = stored(increment.end())
    messages = {"b0": [row("scheduled", timedelta(0), 101)]}
    for days in (1, 11, 12):
        read, _, state = account(state, batches(1), messages, now=NOW + days * DAY)
        assert read == ["b0"]
        assert "scheduled" in state.unsettled
    # The end of the windows is still known when another status is remembered, although only the list of batches has it.
    messages["b0"][0].status = 102
    assert account(state, batches(1), messages, now=NOW + 12 * DAY)[2].unsettled["scheduled"].closes == closes
    messages["b0"][0].status = 101
    assert account(state, batches(1), messages, now=NOW + 12 * DAY + HOUR)[2].unsettled == {}


def test_messages_of_one_batch_that_are_given_up_at_different_times_do_not_keep_each_other() -> None:
    messages = {"b0": [row("first", HOUR, 101)]}
    _, _, state = account(None, batches(1), messages, now=NOW)
    messages["b0"].append(Row("second", 101, NOW + timedelta(minutes=5)))
    _, _, state = account(state, batches(1), messages, now=NOW + timedelta(minutes=7))
    assert set(state.unsettled) == {"first", "second"}
    for minutes in (1, 8, 9):
        _, _, state = account(state, batches(1), messages, now=NOW + LOOKBACK + timedelta(minutes=minutes))
    assert state.unsettled == {}


def test_a_batch_that_is_gone_is_forgotten_and_so_is_a_message_that_its_batch_lacks() -> None:
    messages = {"b1": [row("u", 2 * DAY, 102)], "b2": [row("v", 2 * DAY, 102)], "b3": [row("w", 2 * DAY, 102)]}
    _, _, state = account(None, batches(300), messages, now=BEFORE)
    messages["b2"] = [row("other", 2 * DAY)]
    messages["b3"] = []
    read, exported, state = account(state, batches(300), messages, gone=["b1"])
    assert (read, exported) == (["b1", "b2", "b3"], [])
    # A batch that exists, and suddenly shows no messages, does not show that they are gone.
    assert set(state.unsettled) == {"w", "b3"}
    _, _, state = account(state, batches(300), messages, now=NOW + 3 * DAY + HOUR)
    assert state.unsettled == {}


def test_an_empty_list_of_batches_changes_nothing_if_batches_are_known() -> None:
    _, _, state = account(None, batches(300), {"b0": [row("u", 2 * DAY, 102)]}, now=BEFORE)
    assert account(state, []) == ([], [], state)


def test_everything_is_read_again_if_all_known_batches_are_gone() -> None:
    _, _, state = account(None, batches(300), {"b0": [row("u", 2 * DAY, 102)]}, now=BEFORE)
    read, exported, after = account(state, batches(450, first=200))
    assert read == [f"b{number}" for number in range(200, 650)] + ["b0"]
    assert exported == [f"{name}.0" for name in read[:-1]]
    assert after.unsettled == {}


def test_a_batch_that_is_new_and_has_unsettled_messages_is_read_once() -> None:
    _, _, state = account(None, batches(300), {"b250": [row("u", 2 * DAY, 102)]}, now=BEFORE)
    read, exported, _ = account(state, batches(100, first=200), {"b250": [row("u", 2 * DAY, 102)]})
    assert read == [f"b{number}" for number in range(200, 300)]
    assert "u" in exported


def test_a_list_that_is_oldest_first_is_an_error() -> None:
    days = {f"b{number}": [row(f"m{number}", (40 - number) * DAY)] for number in range(40)}
    with pytest.raises(IP1PagingError, match="oldest batch first.*without a checkpoint"):
        account(None, batches(40), days)
    # Messages of a few days may have been delivered in any order.
    minutes = {f"b{number}": [row(f"m{number}", (40 - number) * HOUR)] for number in range(40)}
    assert len(account(None, batches(40), minutes)[1]) == 40


def test_the_first_run_of_the_account_with_since_remembers_what_may_still_change() -> None:
    increment = AccountIncrement[Listed](None, NOW, LOOKBACK, NOW - DAY)
    increment.take_list(batches(3))
    rows = [row("new", HOUR), row("old", 2 * DAY), row("open", 2 * DAY, 101), Row("undated", 201, None)]
    assert [one.id for one in increment.take("b0", rows)] == ["new", "undated"]
    assert list(increment.end().unsettled) == ["open"]


# -- rows


def test_the_time_of_a_row_is_the_later_of_its_change_and_its_latest_status() -> None:
    raws = [
        b'{"id":"a","direction":0,"modified":"2026-11-30T10:00:00Z","statuses":[{"code":112,"created":"2026-11-30T10:00:02Z"}]}',
        b'{"id":"b","sender":"46701740605","modified":"2026-11-30T10:00:00Z","statuses":[{"code":201,"created":"2026-11-30T09:00:00Z"}]}',
        b'{"id":"c","modified":"2099-01-01T00:00:00Z","statuses":[{"code":201,"created":"0001-01-01T00:00:00Z"}]}',
        b'{"id":"d","modified":7,"statuses":"odd"}',
    ]
    page = Page("46701740605", None, 0, 0, ("a", "b", "c", "d"), tuple(raws), None)
    seen = [(one.id, one.status, one.time, one.is_incoming) for one in rows_of(page, NOW + DAY)]
    ten = datetime(2026, 11, 30, 10, tzinfo=UTC)
    assert seen == [
        ("a", 112, ten + timedelta(seconds=2), False),
        ("b", 201, ten, True),
        ("c", 201, None, False),
        ("d", None, None, False),
    ]
