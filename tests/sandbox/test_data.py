# SPDX-License-Identifier: Apache-2.0
"""The sandbox's messages: the same for the same seed, different otherwise, plausible, and cheap."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from airflow_provider_ip1.sandbox import world
from airflow_provider_ip1.sandbox.messages import OWN_NUMBER, stamp
from airflow_provider_ip1.sandbox.texts import coding_and_segments
from airflow_provider_ip1.sandbox.world import Conversation, World

PRINT_DIGEST = """
import hashlib
from airflow_provider_ip1.sandbox.world import World
world = World(messages=700, conversations=5, seed={seed})
whole = hashlib.sha256()
for name, conversation in world.conversations.items():
    if conversation.history:
        whole.update(conversation.page(range(conversation.history), 0, conversation.history, descending=False,
                                       style="{style}"))
print(whole.hexdigest())
"""


def page(conversation: Conversation, start: int, stop: int, style: world.EnumStyle = "integers") -> list[dict]:
    return json.loads(conversation.page(conversation.rows, start, stop, descending=False, style=style))


def digest(seed: int, style: str = "integers") -> str:
    program = PRINT_DIGEST.format(seed=seed, style=style)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout


@pytest.mark.parametrize("style", ["integers", "strings"])
def test_the_same_seed_gives_the_same_bytes_in_another_process(style: str) -> None:
    assert digest(3, style) == digest(3, style)


def test_another_seed_gives_other_bytes() -> None:
    assert digest(3) != digest(4)


def test_a_message_does_not_depend_on_where_reading_began() -> None:
    one, other = World(messages=2000), World(messages=2000)
    late = page(other.conversations[world.MAIN], 1500, 1600)
    assert page(one.conversations[world.MAIN], 0, 2000)[1500:1600] == late


def test_ids_are_unique_and_ordered_by_time() -> None:
    made = World(messages=3000, conversations=20)
    ids = []
    for conversation in made.conversations.values():
        own = [message["id"] for message in page(conversation, 0, len(conversation.rows))]
        if conversation.history:
            history = own[: conversation.history]
            assert history == sorted(history)
        ids += own
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch("[0-9a-f]{24}", each) for each in ids)


def test_numbers_are_from_the_ranges_kept_free_for_fiction() -> None:
    ranges = ((46701740605, 46701740699), (46313900600, 46313900699), (46406280400, 46406280499),
              (46846500400, 46846500499), (46980319200, 46980319299))  # fmt: skip
    made = World(messages=500, conversations=len(world.GENERATED))
    found = {OWN_NUMBER, world.EMPTY}
    for conversation in made.conversations.values():
        for message in page(conversation, 0, min(len(conversation.rows), 100)):
            found |= {name for name in (message["sender"], message["recipient"]) if name.isdigit()}
            assert not re.search(r"\d{5}", message["body"])
    assert len(found) > 450
    assert all(any(low <= int(number) <= high for low, high in ranges) for number in found)


def test_messages_are_about_650_bytes_and_differ() -> None:
    conversation = World(messages=20_000).conversations[world.MAIN]
    whole = conversation.page(conversation.rows, 0, 20_000, descending=False, style="integers")
    assert 600 < len(whole) / 20_000 < 700
    messages = json.loads(whole)
    assert len({message["body"] for message in messages}) > 4000
    assert {message["direction"] for message in messages} == {0, 1}
    assert {message["datacoding"] for message in messages} == {0, 2}
    assert {message["type"] for message in messages} == {0, 1}
    assert {message["currency"].upper() for message in messages if "currency" in message} == {"SEK", "EUR"}
    assert len({message["currency"] for message in messages if "currency" in message}) == 4
    assert {message["statuses"][0]["code"] // 100 for message in messages} == {2, 4, 5}
    bodies = "".join(message["body"] for message in messages)
    assert all(character in bodies for character in 'åäöÅÄÖ"\n\\🎂%')


def test_the_past_is_over_when_it_ends() -> None:
    end = datetime(2026, 3, 1, 12, tzinfo=UTC)
    conversation = World(messages=5000, history_end=end).conversations[world.MAIN]
    messages = page(conversation, 0, 5000)
    modified = [datetime.fromisoformat(message["modified"]) for message in messages]
    assert max(modified) <= end
    assert modified != sorted(modified)  # delivery takes its time, so the order is by creation only
    assert all(message["statuses"][0]["created"] <= message["modified"] for message in messages)
    assert all(datetime.fromtimestamp(int(m["id"][:8], 16), UTC) < end for m in messages)


def test_conversations_do_not_say_the_same() -> None:
    made = World(messages=50, conversations=2)
    one, other = (made.conversations[number] for number in world.GENERATED[:2])
    assert [m["body"] for m in page(one, 0, 20)] != [m["body"] for m in page(other, 0, 20)]


def test_strings_are_in_mixed_case_and_mean_the_same() -> None:
    conversation = World(messages=3000).conversations[world.MAIN]
    numbers, strings = page(conversation, 0, 3000), page(conversation, 0, 3000, "strings")
    assert {message["direction"] for message in strings} == {"mt", "MT", "mo", "MO"}
    meaning = {
        "direction": {0: "mt", 1: "mo"},
        "type": {0: "flash", 1: "sms"},
        "datacoding": {0: "gsm", 2: "ucs"},
    }
    for number, string in zip(numbers, strings, strict=True):
        assert {field: meaning[field][number[field]] for field in meaning} == {
            field: string[field].lower() for field in meaning
        }
        assert number["id"] == string["id"]
        assert number["body"] == string["body"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a" * 160, (False, 1)),
        ("a" * 161, (False, 2)),
        ("a" * 306, (False, 2)),
        ("€" * 80, (False, 1)),
        ("€" * 81, (False, 2)),
        ("åäöÅÄÖé\n", (False, 1)),
        ("ł" * 70, (True, 1)),
        ("ł" * 71, (True, 2)),
        ("🎂" * 35, (True, 1)),
        ("🎂" * 36, (True, 2)),
    ],
)
def test_segments_and_coding_follow_the_standard(text: str, expected: tuple[bool, int]) -> None:
    assert coding_and_segments(text) == expected


@pytest.mark.parametrize("digits", [0, 3, 7])
@pytest.mark.parametrize("ms", [0, 951_782_399_999, 1_793_491_200_001])
def test_times_are_right(ms: int, digits: int) -> None:
    text = stamp(ms, digits).decode()
    expected = datetime.fromtimestamp(ms // 1000, UTC).replace(microsecond=ms % 1000 * 1000 if digits else 0)
    assert (
        datetime.fromisoformat(text).replace(microsecond=datetime.fromisoformat(text).microsecond // 1000 * 1000)
        == expected
    )
    assert len(text) == 20 + (digits + 1 if digits else 0)


def test_rows_come_and_go_where_they_should() -> None:
    conversation = World(messages=10).conversations[world.MAIN]

    def ids() -> list[str]:
        return [message["id"] for message in page(conversation, 0, len(conversation.rows))]

    before = ids()
    head = conversation.insert(2, "head")
    middle = conversation.insert(1, "middle")
    tail = conversation.insert(1)
    at = conversation.insert(1, 3)
    assert ids() == [*head, before[0], *at, *before[1:4], *middle, *before[4:], *tail]
    assert len(set(ids())) == 15
    assert conversation.delete(2, "head") == head
    assert conversation.delete(1, "tail") == tail
    assert conversation.delete(1, 1) == at
    assert conversation.delete(1, 4) == middle
    assert ids() == before
    conversation.delete(10)
    assert len(conversation.rows) == 0
    conversation.insert(1)
    assert len(ids()) == 1
    with pytest.raises(ValueError, match="row number up to 1"):
        conversation.insert(1, 2)
    with pytest.raises(ValueError, match="head, middle, tail"):
        conversation.delete(1, "end")


def test_a_million_messages_take_no_memory_until_they_are_read() -> None:
    made = World(messages=1_000_000)
    conversation = made.conversations[world.MAIN]
    assert isinstance(conversation.rows, range)
    last = page(conversation, 999_990, 1_000_000)
    assert len(last) == 10
    assert made.find_batch(last[-1]["batchId"]) == [(conversation, 999_999)]


def test_the_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world, "_CACHE_BYTES", 400_000)
    made = World(messages=3000)
    conversation = made.conversations[world.MAIN]
    first = page(conversation, 0, 3000)
    assert made.cached_bytes <= 400_000
    assert page(conversation, 0, 3000) == first


@pytest.mark.parametrize(
    "wrong",
    [{"messages": -1}, {"messages": 10_000_001}, {"conversations": 9999}, {"delivery_seconds": 0},
     {"history_end": datetime(2026, 1, 1)}],
)  # fmt: skip
def test_values_out_of_range_are_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        World(**wrong)
