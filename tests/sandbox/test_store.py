# SPDX-License-Identifier: Apache-2.0
"""The sandbox's messages are plausible, the same for the same seed, and cost no memory until they are read."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_ip1.sandbox import participants
from airflow_provider_ip1.sandbox.batches import PastBatch
from airflow_provider_ip1.sandbox.conversation import Conversation
from airflow_provider_ip1.sandbox.participants import MAIN
from airflow_provider_ip1.sandbox.past import EnumStyle, timestamp
from airflow_provider_ip1.sandbox.store import Store
from airflow_provider_ip1.sandbox.texts import coding_and_segments

PRINT_DIGEST = """
import hashlib
from airflow_provider_ip1.sandbox.store import Store
digest = hashlib.sha256()
for conversation in Store(messages=700, conversations=5, seed={seed}).conversations.values():
    for row in range(conversation.past.count):
        digest.update(conversation.message(row, "{style}", 0))
print(digest.hexdigest())
"""


def read(
    conversation: Conversation, start: int = 0, stop: int | None = None, style: EnumStyle = "integers"
) -> list[dict[str, Any]]:
    return [json.loads(conversation.message(row, style, 0)) for row in conversation.rows[start:stop]]


def digest(seed: int, style: str = "integers") -> str:
    program = PRINT_DIGEST.format(seed=seed, style=style)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout


@pytest.mark.parametrize("style", ["integers", "strings"])
def test_same_seed_makes_same_bytes_in_another_process(style: str) -> None:
    assert digest(3, style) == digest(3, style)


def test_another_seed_makes_other_bytes() -> None:
    assert digest(3) != digest(4)


def test_message_does_not_depend_on_where_reading_starts() -> None:
    one, other = Store(messages=2000), Store(messages=2000)
    late = read(other.conversations[MAIN], 1500, 1600)
    assert read(one.conversations[MAIN])[1500:1600] == late


def test_ids_are_unique_and_ordered_by_time() -> None:
    ids = []
    for conversation in Store(messages=3000, conversations=20).conversations.values():
        own = [message["id"] for message in read(conversation)]
        past = own[: conversation.past.count]
        assert past == sorted(past)
        ids += own
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch("[0-9a-f]{24}", each) for each in ids)


def test_numbers_are_reserved_for_fiction() -> None:
    ranges = ((46701740605, 46701740699), (46313900600, 46313900699), (46406280400, 46406280499),
              (46846500400, 46846500499), (46980319200, 46980319299))  # fmt: skip
    found = {participants.OWN_NUMBER, participants.EMPTY}
    for conversation in Store(messages=500, conversations=len(participants.GENERATED)).conversations.values():
        for message in read(conversation, 0, 100):
            found |= {name for name in (message["sender"], message["recipient"]) if name.isdigit()}
            assert not re.search(r"\d{5}", message["body"])
    assert len(found) > 450
    assert all(any(low <= int(number) <= high for low, high in ranges) for number in found)


def test_messages_have_about_650_bytes_and_differ() -> None:
    conversation = Store(messages=20_000).conversations[MAIN]
    assert 600 < sum(len(conversation.message(row, "integers", 0)) for row in range(20_000)) / 20_000 < 700
    messages = read(conversation)
    assert len({message["body"] for message in messages}) > 4000
    assert {message["direction"] for message in messages} == {0, 1}
    assert {message["datacoding"] for message in messages} == {0, 2}
    assert {message["type"] for message in messages} == {0, 1}
    assert {(message["direction"], message["priority"]) for message in messages} == {(0, 1), (0, 2), (1, 1)}
    assert {message["currency"].upper() for message in messages if "currency" in message} == {"SEK", "EUR"}
    assert len({message["currency"] for message in messages if "currency" in message}) == 4
    assert {message["statuses"][0]["code"] for message in messages} == {201, 202, 402, 403, 406, 500, 511, 599}
    bodies = "".join(message["body"] for message in messages)
    assert all(character in bodies for character in 'åäöÅÄÖ"\n\\🎂%')


def test_past_ends_when_it_should() -> None:
    end = datetime(2026, 3, 1, 12, tzinfo=UTC)
    messages = read(Store(messages=5000, history_end=end).conversations[MAIN])
    modified = [datetime.fromisoformat(message["modified"]) for message in messages]
    assert max(modified) <= end
    assert modified != sorted(modified)  # Delivery takes time, so only the creation times are in order.
    assert all(message["statuses"][0]["created"] <= message["modified"] for message in messages)
    assert all(datetime.fromtimestamp(int(message["id"][:8], 16), UTC) < end for message in messages)


def test_past_ends_in_november_2026_on_every_day() -> None:
    newest = read(Store(messages=5000).conversations[MAIN])[-1]
    assert "2026-10-31T22" < newest["modified"] < "2026-11-01"


def test_id_starts_with_the_second_of_the_creation() -> None:
    conversation = Store(messages=200).conversations[MAIN]
    for row in conversation.rows:
        first = conversation.past_message(row, "integers")["statuses"][0]
        if first["code"] == 101:
            created = int(datetime.fromisoformat(first["created"]).timestamp())
            assert conversation.message_id(row)[:8] == conversation.batch_id(row)[:8] == f"{created:08x}"


def test_conversations_differ() -> None:
    store = Store(messages=50, conversations=2)
    one, other = (read(store.conversations[number]) for number in participants.GENERATED[:2])
    assert [message["body"] for message in one[:20]] != [message["body"] for message in other[:20]]


def test_strings_are_in_mixed_case_and_mean_the_same() -> None:
    conversation = Store(messages=3000).conversations[MAIN]
    numbers, strings = read(conversation), read(conversation, style="strings")
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
def test_coding_and_segments_follow_the_standard(text: str, expected: tuple[bool, int]) -> None:
    assert coding_and_segments(text) == expected


@pytest.mark.parametrize("digits", [0, 3, 7])
@pytest.mark.parametrize("ms", [0, 951_782_399_999, 1_793_491_200_001])
def test_timestamps_are_correct(ms: int, digits: Any) -> None:
    text = timestamp(ms, digits)
    printed = datetime.fromisoformat(text)
    milliseconds = ms % 1000 if digits else 0
    assert printed.replace(microsecond=0) == datetime.fromtimestamp(ms // 1000, UTC)
    assert printed.microsecond // 1000 == milliseconds
    assert len(text) == 20 + (digits + 1 if digits else 0)


def test_rows_are_inserted_and_deleted_where_they_should() -> None:
    conversation = Store(messages=10).conversations[MAIN]

    def ids() -> list[str]:
        return [message["id"] for message in read(conversation)]

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


def test_million_messages_take_no_memory_until_they_are_read() -> None:
    store = Store(messages=1_000_000)
    conversation = store.conversations[MAIN]
    assert isinstance(conversation.rows, range)
    last = read(conversation, 999_990)
    assert len(last) == 10
    assert store.find_batch(last[-1]["batchId"]) == PastBatch(conversation, 999_999)


@pytest.mark.parametrize(
    "wrong",
    [{"messages": -1}, {"messages": 10_000_001}, {"conversations": 9999}, {"delivery_seconds": 0},
     {"history_end": datetime(2026, 1, 1)}],
)  # fmt: skip
def test_values_out_of_range_are_rejected(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Store(**wrong)


def test_a_future_batch_waits_for_its_window() -> None:
    now = [1_800_000_000.0]
    store = Store(messages=0, batches=["3+86400"], delivery_seconds=20, clock=lambda: now[0])
    batch = store.find_batch(store.batch_ids()[-1][1])
    assert batch is not None

    def codes() -> set[int]:
        messages = [json.loads(raw) for raw in batch.messages(slice(None), "integers", store.now_ms())]
        assert len(messages) == 3
        return {message["statuses"][-1]["code"] for message in messages}

    (window,) = batch.to_dict(store.now_ms(), with_summaries=False)["deliveryWindows"]
    assert window == {"opens": "2027-01-16T08:00:00.000Z", "closes": "2027-01-23T08:00:00.000Z"}
    now[0] += 86_399
    assert codes() == {102}
    now[0] += 21
    assert codes() == {201}


def test_batches_of_any_size_are_sent_at_the_start() -> None:
    store = Store(messages=3, batches=["1", "2000"], clock=lambda: 1_800_000_000.0)
    sizes = {batch_id: len(batch) for _, batch_id in store.batch_ids() if (batch := store.find_batch(batch_id))}
    assert sorted(sizes.values())[-2:] == [120, 2000]
    assert len(sizes) == len(store.batch_ids())
    large = store.find_batch(max(sizes, key=sizes.__getitem__))
    assert large is not None
    messages = [json.loads(raw) for raw in large.messages(slice(None), "integers", store.now_ms())]
    assert len({message["id"] for message in messages}) == 2000
    in_conversations = {
        json.loads(conversation.message(row, "integers", 0))["id"]
        for conversation in store.conversations.values()
        for row in conversation.rows
    }
    assert {message["id"] for message in messages} < in_conversations
    before = len(store.batch_ids())
    store.receive("46701740605", "Hej!")
    assert len(store.batch_ids()) == before + 1, "the list that is remembered is the present one"
