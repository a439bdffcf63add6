# SPDX-License-Identifier: Apache-2.0
"""The table of transitions, compared with what random reads of the model servers cause."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from airflow_provider_ip1.api.page_body import RawPage
from airflow_provider_ip1.api.paging.listing import PageRequest
from airflow_provider_ip1.api.paging.pager import Pager
from airflow_provider_ip1.api.paging.states import TRANSITIONS, Event, State
from airflow_provider_ip1.exceptions import IP1PagingError, IP1ResponseError
from tests.api.paging.model_server import LINK_STYLES, ModelServer, read
from tests.api.paging.test_incomplete_lists import CutServer
from tests.api.paging.test_misbehaving_servers import MisbehavingServer
from tests.api.paging.test_pager import DeafServer
from tests.api.paging.test_tied_lists import tied_server

#: Pairs that take a coincidence which these reads do not have. Each follows from the meaning of its state.
COINCIDENCES = {
    State.BEHIND: {
        Event.ANCHOR,
        Event.ANCHOR_AND_MORE,
        Event.CUT,
        Event.OUTDATED,
        Event.LAST,
        Event.SHORT,
        Event.STUCK,
    },
    State.CONFIRM: {
        *{Event.ANCHOR, Event.CUT, Event.LAST, Event.OUTDATED, Event.REPEATED},
        *{Event.SHORT, Event.STUCK, Event.KNOWN, Event.NEW, Event.UNKNOWN, Event.EMPTY},
    },
    State.PROBE: {Event.STOPPED, Event.STUCK},
    State.RESTART: {
        *{Event.ANCHOR, Event.ANCHOR_AND_MORE, Event.CUT, Event.KNOWN, Event.LAST, Event.OUTDATED},
        *{Event.REPEATED, Event.SHORT, Event.SINGLE, Event.STOPPED},
    },
    State.SEARCH: {Event.ANCHOR, Event.ANCHOR_AND_MORE, Event.CUT, Event.LAST, Event.OUTDATED, Event.SHORT},
}


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[tuple[State, Event, State]]]:
    """Every transition that happens, from here on."""
    transitions: set[tuple[State, Event, State]] = set()
    enter, stop = Pager._enter, Pager.stop

    def recorded_enter(self: Pager, request: PageRequest, page: RawPage, event: Event) -> None:
        before = self.state
        try:
            enter(self, request, page, event)
        finally:
            transitions.add((before, event, TRANSITIONS[before][event]))

    def recorded_stop(self: Pager, failure: Exception | None = None) -> None:
        before = self.state
        stop(self, failure)
        if before is not State.END:
            transitions.add((before, Event.STOPPED, self.state))

    monkeypatch.setattr(Pager, "_enter", recorded_enter)
    monkeypatch.setattr(Pager, "stop", recorded_stop)
    yield transitions


def change(choose: random.Random) -> tuple[str, int, int]:
    kind = choose.choice(["insert", "delete", "repeat", "swap", "move"])
    return kind, choose.choice([0, 3, 10_000]), choose.choice([1, 5, 40])


def servers() -> Iterator[tuple[ModelServer, int]]:
    for seed in range(500):
        choose = random.Random(seed)
        yield tied_server(choose, "request", ("insert", "delete")), choose.randint(2, 20)
        yield tied_server(choose, "time"), choose.randint(2, 20)
        yield (
            MisbehavingServer(
                [f"row{number}" for number in range(choose.randint(0, 120))],
                order=choose.choice(["ASC", "DESC"]),
                clamp=choose.choice([1, 2, 5, 10_000]),
                clamps={choose.randint(0, 30): choose.randint(2, 9)},
                base=choose.choice([0, 1]),
                link_style=choose.choice(LINK_STYLES),
                plan={choose.randint(0, 20): [change(choose) for _ in range(3)] for _ in range(5)},
                foreign={choose.randint(0, 60): choose.choice(["error", "empty"])},
            ),
            choose.randint(2, 30),
        )
    yield CutServer([f"row{number}" for number in range(120)]), 50
    yield DeafServer(["a", "b", "c"], link_style="none"), 20


@pytest.mark.no_cover
def test_reads_cause_the_transitions_of_the_table_and_no_others(seen: set[tuple[State, Event, State]]) -> None:
    for server, page_size in servers():
        try:
            read(server, page_size, 3, random.Random(1))
        except (IP1PagingError, IP1ResponseError):
            pass
        except AssertionError as error:
            # One row per page may take more responses than the model gives.
            assert "does not end" not in str(error)
    table = {(state, event, target) for state, events in TRANSITIONS.items() for event, target in events.items()}
    assert seen <= table
    never = {(state, event) for state, event, _ in table - seen}
    assert never <= {(state, event) for state, events in COINCIDENCES.items() for event in events}
    assert {state for _, _, state in seen} == set(State) - {State.START}


def test_nothing_leads_out_of_the_end() -> None:
    assert set(TRANSITIONS) == set(State) - {State.END}
    assert {event for events in TRANSITIONS.values() for event in events} == set(Event)
