# SPDX-License-Identifier: Apache-2.0
"""The decisions of a wait, without Airflow and HTTP."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_ip1.api.messages import Message
from airflow_provider_ip1.api.paging import Page
from airflow_provider_ip1.api.status import CATEGORIES, status_category
from airflow_provider_ip1.api.waiting import JITTER, MIN_PAUSE, Patience, Standing, StatusRule, Target, Watch
from airflow_provider_ip1.exceptions import IP1AuthError, IP1RateLimitError, IP1ResponseError, IP1ServerError

NUMBER = "46701740609"


def message(
    message_id: str, *codes: int, batch_id: str | None = "b", reference: str | None = None, **status: Any
) -> Message:
    return Message.from_json(
        {
            "id": message_id,
            "batchId": batch_id,
            "recipient": NUMBER,
            "reference": reference,
            "statuses": [
                {"code": code, "created": f"2026-11-01T10:00:{second:02}Z", **status}
                for second, code in enumerate(codes)
            ],
        }
    )


def look(watch: Watch, *messages: Message) -> Standing:
    poll = watch.poll()
    for each in messages:
        poll.take(each)
    return poll.finish()


def batch_watch(require: Any = "all", **rule: Any) -> Watch:
    return Watch(Target(batch_id="b"), StatusRule.read(**{"expected": "delivered", **rule}), require)


class TestRule:
    @given(st.integers(min_value=100, max_value=999))
    def test_default_failed_is_every_end_that_is_not_expected(self, code: int) -> None:
        verdict = StatusRule.read("delivered").judge(code)
        assert verdict == {"delivered": "reached", "pending": "waiting"}.get(status_category(code), "failed")

    @given(st.sets(st.sampled_from(CATEGORIES), min_size=1), st.integers(min_value=100, max_value=599))
    def test_survives_json(self, expected: set[str], code: int) -> None:
        rule = StatusRule.read(expected)
        again = StatusRule.read(**json.loads(json.dumps(rule.as_arguments())))
        assert again == rule
        assert again.judge(code) == rule.judge(code)

    def test_a_code_wins_over_its_category(self) -> None:
        rule = StatusRule.read(["delivered", 202], ["undelivered"])
        assert [rule.judge(code) for code in (201, 202, 203, 112, 511, None)] == [
            "reached", "reached", "failed", "waiting", "waiting", "waiting",
        ]  # fmt: skip


class TestVerdict:
    def test_the_latest_status_is_by_time_not_position(self) -> None:
        swapped = Message.from_json(
            {
                "id": "m",
                "statuses": [
                    {"code": 201, "created": "2026-11-01T10:05:00Z"},
                    {"code": 112, "created": "2026-11-01T10:00:00Z"},
                ],
            }
        )
        assert look(batch_watch(), swapped).verdict == "reached"

    def test_duration_decides_nothing_and_is_told(self) -> None:
        standing = look(batch_watch(), message("m", 112, duration=1))
        assert standing.verdict == "waiting"
        assert "112 DeliveredToCarrier (pending) duration 1" in standing.text

    def test_no_messages_and_no_statuses_are_waited_for(self) -> None:
        for require in ("all", "any"):
            assert look(batch_watch(require)).verdict == "waiting"
            assert look(batch_watch(require), message("m")).verdict == "waiting"

    @pytest.mark.parametrize(
        ("codes", "all_of_them", "any_of_them"),
        [
            ((201, 201), "reached", "reached"),
            ((201, 112), "waiting", "reached"),
            ((201, 511), "failed", "reached"),
            ((112, 511), "failed", "waiting"),
            ((511, 403), "failed", "failed"),
            ((112, 112), "waiting", "waiting"),
        ],
    )
    def test_all_and_any(self, codes: tuple[int, ...], all_of_them: str, any_of_them: str) -> None:
        messages = [message(f"m{index}", code) for index, code in enumerate(codes)]
        assert look(batch_watch("all"), *messages).verdict == all_of_them
        assert look(batch_watch("any"), *messages).verdict == any_of_them

    def test_a_message_that_was_found_and_is_not_there_keeps_the_wait_open(self) -> None:
        watch = Watch(Target(participant=NUMBER, reference="r"), StatusRule.read("delivered"))
        assert look(watch, message("m1", 112, reference="r"), message("m2", 201, reference="r")).verdict == "waiting"
        assert watch.poll().single_messages == [("b", "m1")]
        # m1 is 404 now, m2 has arrived for good and is not asked for.
        assert look(watch).verdict == "waiting"

    def test_the_result_is_json_with_nothing_personal(self) -> None:
        (result,) = look(batch_watch(), message("m", 201)).as_dicts()
        assert result == {
            "message_id": "m", "batch_id": "b", "code": 201, "category": "delivered",
            "created": "2026-11-01T10:00:00+00:00",
        }  # fmt: skip
        assert datetime.fromisoformat(result["created"]) == datetime(2026, 11, 1, 10, tzinfo=UTC)

    def test_many_failures_are_named_in_part(self) -> None:
        text = look(batch_watch(), *(message(f"m{index}", 202) for index in range(50))).text
        assert text.startswith("50 of 50 watched messages failed: message m0 of batch b to 46***09")
        assert text.endswith("and 45 more")
        assert NUMBER not in text

    def test_each_unknown_code_is_warned_about_once_even_elsewhere(self) -> None:
        watch = batch_watch()
        assert len(look(watch, message("m1", 199), message("m2", 198)).warnings) == 2
        assert look(watch, message("m1", 199)).warnings == ()
        elsewhere = Watch(watch.target, watch.rule, "all", json.loads(json.dumps(watch.state())))
        assert look(elsewhere, message("m1", 199)).warnings == ()


def page(*messages: Message) -> Page:
    return Page(
        NUMBER, None, 0, 0, tuple(each.id for each in messages), tuple(each.raw_json for each in messages), None
    )


class TestSearch:
    def test_for_a_message_ends_where_it_is(self) -> None:
        watch = Watch(Target(participant=NUMBER, message_id="m2"), StatusRule.read("delivered"))
        poll = watch.poll()
        assert not poll.take_page(page(message("m4", 201), message("m3", 201)))
        assert poll.take_page(page(message("m2", 112), message("m1", 201)))
        assert poll.single_messages == []
        assert poll.finish().verdict == "waiting"
        poll = watch.poll()
        assert poll.conversation is None
        assert poll.single_messages == [("b", "m2")]

    def test_for_a_reference_goes_on_to_what_was_newest(self) -> None:
        watch = Watch(Target(participant=NUMBER, reference="r"), StatusRule.read("delivered"))
        poll = watch.poll()
        assert not poll.take_page(page(message("m2", 201, reference="r"), message("m1", 201)))
        poll.finish()
        poll = watch.poll()
        assert not poll.take_page(page(message("m5", 201), message("m4", 112, reference="r")))
        # A message behind the newest of then that was not there then is found too.
        assert poll.take_page(page(message("m3", 201, reference="r"), message("m2", 201, reference="r")))
        assert [seen.message_id for seen in poll.finish().messages] == ["m2", "m4", "m3"]

    def test_a_poll_that_fails_half_way_changes_nothing(self) -> None:
        watch = Watch(Target(participant=NUMBER, reference="r"), StatusRule.read("delivered"))
        watch.poll().take_page(page(message("m2", 201, reference="r")))
        assert watch.state() == {"found": [], "newest": None, "warned": []}

    def test_a_message_in_no_batch_cannot_be_polled(self) -> None:
        watch = Watch(Target(participant=NUMBER, message_id="m"), StatusRule.read("delivered"))
        with pytest.raises(IP1ResponseError, match="no batch for message m"):
            watch.poll().take_page(page(message("m", 112, batch_id=None)))


def patience(**options: Any) -> Patience:
    return Patience(**{"poke_interval": 30, "deadline": 1000.0, "started_at": 0.0, **options})


class TestPatience:
    @given(st.floats(min_value=0, max_value=100), st.floats(min_value=0, max_value=2000), st.booleans(), st.booleans())
    def test_pauses_never_are_short_or_past_the_deadline(
        self, poke_interval: float, now: float, exponential_backoff: bool, has_failed: bool
    ) -> None:
        waiting = patience(poke_interval=poke_interval, exponential_backoff=exponential_backoff)
        poll_at = waiting.after_failure(IP1ServerError("x"), now) if has_failed else waiting.after_answer(now)
        if now >= 1000:
            assert poll_at is None
        else:
            assert poll_at is not None
            assert min(now + max(MIN_PAUSE, min(poke_interval, 60)), 1000) <= poll_at <= 1000

    def test_jitter_only_makes_pauses_longer(self) -> None:
        ends = {patience(uniform=lambda low, high, share=share: low + share * (high - low)).after_answer(0.0)
                for share in (0.0, 1.0)}  # fmt: skip
        assert ends == {30.0, 30.0 * (1 + JITTER)}

    def test_exponential_backoff_doubles(self) -> None:
        waiting = patience(exponential_backoff=True, max_wait=200, uniform=lambda low, high: low)
        now, pauses = 0.0, []
        while (poll_at := waiting.after_answer(now)) is not None:
            pauses.append(poll_at - now)
            now = poll_at
        assert pauses == [30, 30, 60, 120, 200, 200, 200, 160]

    def test_retry_after_is_at_least_waited(self) -> None:
        assert patience().after_failure(IP1RateLimitError("x", 300.0), 0.0) == 300.0
        assert patience().after_failure(IP1RateLimitError("x", 1000.5), 0.0) is None

    def test_what_will_not_pass_is_raised_at_once(self) -> None:
        with pytest.raises(IP1AuthError):
            patience().after_failure(IP1AuthError("x"), 0.0)
        assert patience(never_gives_up=True).after_failure(IP1AuthError("x"), 0.0) is not None

    def test_an_answer_forgives_all_failures(self) -> None:
        waiting = patience(deadline=1e9)
        for _ in range(3):
            for _ in range(9):
                waiting.after_failure(IP1ServerError("x"), 0.0)
            waiting.after_answer(0.0)
        for _ in range(9):
            waiting.after_failure(IP1ServerError("x"), 0.0)
        with pytest.raises(IP1ServerError, match="10 polls in a row"):
            waiting.after_failure(IP1ServerError("x"), 0.0)
