# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from airflow_provider_ip1.api.paging.page import Page
from airflow_provider_ip1.api.participant_search import ParticipantSearch, SeenParticipants
from airflow_provider_ip1.exceptions import IP1ResponseError

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
OWN = "46701740699"


def page(*messages: dict[str, Any], direction: Any = None, modified: tuple[str | None, ...] = ()) -> Page:
    raws = tuple(json.dumps({"id": str(number)} | message).encode() for number, message in enumerate(messages))
    ids = tuple(str(number) for number in range(len(raws)))
    return Page(None, direction, 0, 0, ids, raws, None, modified)


def sent(to: Any, direction: Any = "mt") -> dict[str, Any]:
    return {"sender": OWN, "recipient": to, "direction": direction}


def received(sender: str, direction: Any = "MO") -> dict[str, Any]:
    return {"sender": sender, "recipient": OWN, "direction": direction}


def test_each_other_side_is_new_once() -> None:
    seen = SeenParticipants()
    assert seen.new_in(page(sent("46701740605"), received("46701740606"), sent("46701740605"))) == [
        "46701740605",
        "46701740606",
    ]
    assert seen.new_in(page(received("46701740605"), sent("46701740607"))) == ["46701740607"]
    assert (len(seen), seen.unknown) == (3, 0)


def test_other_spellings_are_the_same_participant() -> None:
    seen = SeenParticipants()
    messages = [sent("+46 70-174 06 05"), sent("0046701740605"), received("Grannen"), received("GRANNEN"), sent("0123")]
    assert seen.new_in(page(*messages)) == ["46701740605", "Grannen", "0123"]


def test_the_direction_of_the_batch_explains_an_integer() -> None:
    assert SeenParticipants().new_in(page(sent("46701740605", 0), direction="mt")) == ["46701740605"]
    assert SeenParticipants().new_in(page(received("46701740605", 0), direction="mo")) == ["46701740605"]


def test_a_message_without_other_side_is_counted() -> None:
    seen = SeenParticipants()
    assert seen.new_in(page(sent("46701740605", 0), sent(None), sent("46701740606"), {"sender": 5})) == ["46701740606"]
    assert (len(seen), seen.unknown) == (1, 3)


def test_a_search_does_not_leave_out_a_message_silently() -> None:
    search = ParticipantSearch(None, NOW)
    with pytest.raises(IP1ResponseError, match="whether it was sent or received") as caught:
        list(search.new_in(page(sent("46701740605", 1))))
    assert "46701740605" not in str(caught.value)


def text(time: datetime) -> str:
    return time.isoformat()


@pytest.mark.parametrize("since", ["2026-11-01T10:00:00Z", "2026-11-01T10:00:00", datetime(2026, 11, 1, 10)])
def test_since_selects_by_modification(since: Any) -> None:
    search = ParticipantSearch(since, NOW)
    times = ("2026-11-01T09:59:59Z", "2026-11-01T10:00:00Z", None, "0001-01-01T00:00:00Z", "2027-01-01T00:00:00Z")
    messages = [sent(f"4670174060{number}") for number in range(5, 10)]
    assert list(search.new_in(page(*messages, modified=times))) == ["46701740606"]


def test_since_ends_the_search_three_days_earlier() -> None:
    search = ParticipantSearch(NOW, NOW)
    ages = [*range(14), 71, 73, 74]
    pages = [page(sent("46701740605"), modified=(text(NOW - timedelta(hours=age)),)) for age in ages]
    assert [search.is_over(each) for each in pages] == [False] * 16 + [True]
    forever = ParticipantSearch(None, NOW)
    assert not any(forever.is_over(each) for each in pages)


@pytest.mark.parametrize("seed", range(20))
def test_no_participant_is_lost_in_a_list_that_is_not_newest_first(seed: int) -> None:
    """Oldest first, where the first batch was delivered five minutes late; and in no order."""
    numbers = [f"46701740{number}" for number in range(605, 700)]
    ages = [timedelta(days=len(numbers) - at) for at in range(len(numbers))]
    ages[0] = ages[1] - timedelta(minutes=5)
    pages = [page(sent(number), modified=(text(NOW - age),)) for number, age in zip(numbers, ages, strict=True)]
    if seed:
        Random(seed).shuffle(pages)
    search, found = ParticipantSearch(NOW - timedelta(days=10), NOW), list[str]()
    for each in pages:
        if search.is_over(each):
            break
        found += search.new_in(each)
    assert sorted(found) == numbers[-10:]


@pytest.mark.parametrize("since", ["yesterday", "2026-13-01", "", 5, object()])
def test_an_unreadable_time_is_refused(since: Any) -> None:
    with pytest.raises(ValueError, match="^since: "):
        ParticipantSearch(since, NOW)
