# SPDX-License-Identifier: Apache-2.0
"""Which SMS ends a wait, what is said meanwhile, and how a wait goes on in another process."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from airflow_provider_ip1.api.messages import Message
from airflow_provider_ip1.api.timestamps import LATEST_TIME
from airflow_provider_ip1.api.watching.incoming import IncomingWatch, describe_sms
from airflow_provider_ip1.api.watching.watch import PollResult
from airflow_provider_ip1.exceptions import IP1Error
from tests.api.watching.test_arrivals import result_of
from tests.api.watching.test_cursor import BEGINNING, NUMBER, Inbox, full_inbox

SINCE = BEGINNING + timedelta(seconds=1000)


def make_watch(pattern: str | None = None) -> IncomingWatch:
    return IncomingWatch(NUMBER, SINCE, pattern)


def arrive(inbox: Inbox, second: int, body: str) -> str:
    message_id = inbox.arrive(second)
    inbox.bodies[message_id] = body
    return message_id


def waiting(text: str) -> PollResult:
    return PollResult("waiting", [], text)


def test_the_first_message_since_the_start_ends_the_wait() -> None:
    inbox, watch = full_inbox(100), make_watch()
    assert result_of(watch, inbox) == waiting("No SMS from 46***05 so far")
    first = inbox.arrive(1000)
    inbox.arrive(1001)
    found = {"message_id": first, "batch_id": f"b{first}", "received": SINCE.isoformat(), "groups": []}
    text = f"Message {first} was received at 2026-11-01 00:16:40 UTC"
    assert result_of(watch, inbox) == PollResult("success", [found], text)


def test_a_message_from_before_the_start_does_not_count() -> None:
    inbox, watch = full_inbox(100), make_watch()
    inbox.arrive(999)
    assert result_of(watch, inbox).verdict == "waiting"


def test_the_oldest_message_that_matches_counts() -> None:
    inbox, watch = full_inbox(100), make_watch("(?P<yes>[Jj]a)|(?P<no>[Nn]ej)")
    arrive(inbox, 1001, "Vem?")
    no = arrive(inbox, 1002, "Nej")
    arrive(inbox, 1003, "Ja")
    result = result_of(watch, inbox)
    assert [(message["message_id"], message["groups"]) for message in result.messages] == [(no, ["no"])]


def test_messages_that_do_not_match_are_counted() -> None:
    inbox, watch = full_inbox(100), make_watch("^ja$")
    assert result_of(watch, inbox) == waiting("No SMS from 46***05 so far")
    arrive(inbox, 1001, "Vem?")
    assert result_of(watch, inbox) == waiting("1 message from 46***05, but none that matches")
    assert result_of(watch, inbox) == waiting("1 message from 46***05, but none that matches")
    arrive(inbox, 1002, "")
    arrive(inbox, 1003, "Hur?")
    assert result_of(watch, inbox) == waiting("3 messages from 46***05, but none that matches")


def test_another_process_goes_on() -> None:
    inbox, watch = full_inbox(100), make_watch("^ja$")
    arrive(inbox, 1001, "Vem?")
    result_of(watch, inbox)
    description = json.loads(json.dumps(watch.to_dict()))
    assert NUMBER not in json.dumps(description["state"]) and "Vem" not in json.dumps(description)
    other = IncomingWatch(**description)
    assert (other.since, other.to_dict()) == (SINCE, description)
    assert result_of(other, inbox) == waiting("1 message from 46***05, but none that matches")
    yes = arrive(inbox, 1002, "ja")
    assert [message["message_id"] for message in result_of(other, inbox).messages] == [yes]


def test_the_texts_for_the_log() -> None:
    watch = make_watch()
    assert (watch.participant, watch.subject) == (NUMBER, "SMS from 46***05")
    assert watch.title == "an SMS from 46***05, received since 2026-11-01 00:16:40 UTC"
    assert make_watch("x").title == (
        "an SMS from 46***05 that matches the pattern, received since 2026-11-01 00:16:40 UTC"
    )
    assert (make_watch("x").pattern, watch.pattern, watch.since) == ("x", None, SINCE)


def test_a_pattern_without_end_is_an_error() -> None:
    inbox, watch = full_inbox(0), make_watch("^(a|aa)+$")
    arrive(inbox, 1001, "a" * 40 + "!")
    with pytest.raises(IP1Error, match="backtracks too much"):
        result_of(watch, inbox)


def test_ids_that_contain_the_number_are_masked() -> None:
    message = Message(id=f"x{NUMBER}", batch_id=f"{NUMBER}y")
    assert describe_sms(message, NUMBER, LATEST_TIME) == {
        "message_id": "x46***05", "batch_id": "46***05y", "received": None, "groups": [],
    }  # fmt: skip
