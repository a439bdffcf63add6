# SPDX-License-Identifier: Apache-2.0
"""What a poll asks iP.1 for, and what it makes of the responses."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import combinations
from typing import Any

import pytest

from airflow_provider_ip1.api.decoding import decode_message
from airflow_provider_ip1.api.messages import Message
from airflow_provider_ip1.api.watching.status_watch import TIED, StatusWatch, check_selection
from airflow_provider_ip1.api.watching.watch import PollResult, ReadMessage, read_batch, read_conversation
from airflow_provider_ip1.exceptions import IP1ParticipantError, IP1ResponseError
from tests.api.json_values import dumps
from tests.api.watching.watched_messages import NUMBER, make_message, make_page, make_watch, poll

REFERENCE = {"participant": NUMBER, "reference": "r"}


def look(watch: StatusWatch, *messages: Message) -> PollResult:
    return poll(watch, *messages)[0]


def in_another_process(watch: StatusWatch) -> StatusWatch:
    return StatusWatch(**json.loads(json.dumps(watch.to_dict())))


class TestVerdict:
    def test_the_latest_status_is_the_latest_by_time(self) -> None:
        swapped = decode_message(
            dumps(
                {
                    "id": "m",
                    "statuses": [
                        {"code": 201, "created": "2026-11-01T10:05:00Z"},
                        {"code": 112, "created": "2026-11-01T10:00:00Z"},
                    ],
                }
            )
        )
        assert look(make_watch(), swapped).verdict == "success"

    @pytest.mark.parametrize("impossible", ["0001-01-01T00:00:00Z", "2099-01-01T00:00:00Z"])
    @pytest.mark.parametrize("wrong_code", [112, 201])
    @pytest.mark.parametrize("is_first", [True, False])
    def test_an_impossible_time_hides_no_delivery(self, impossible: str, wrong_code: int, is_first: bool) -> None:
        wrong = {"code": wrong_code, "created": impossible}
        good = {"code": 313 - wrong_code, "created": "2026-11-01T10:00:00Z"}
        message = decode_message(dumps({"id": "m", "statuses": [wrong, good] if is_first else [good, wrong]}))
        steps = make_watch().poll(datetime(2026, 11, 3, tzinfo=UTC))
        next(steps)
        steps.send(make_page(message))
        result = steps.send(None)
        assert isinstance(result, PollResult)
        assert (result.verdict, result.messages[0]["code"]) == ("success", 201)

    def test_duration_is_ignored(self) -> None:
        result = look(make_watch(), make_message("m", 112, duration=1))
        assert result.verdict == "waiting"
        assert result.text == "Batch b: 1 x 112 DeliveredToCarrier (pending)"

    def test_without_messages_or_statuses_the_wait_goes_on(self) -> None:
        for require in ("all", "any"):
            result = look(make_watch(require=require))
            assert (result.verdict, result.text) == ("waiting", "Batch b: not known to iP.1 yet")
            result = look(make_watch(require=require), make_message("m"))
            assert (result.verdict, result.text) == ("waiting", "Batch b: 1 x no status yet")

    @pytest.mark.parametrize(
        ("codes", "with_all", "with_any"),
        [
            ((201, 201), "success", "success"),
            ((201, 112), "waiting", "success"),
            ((201, 511), "failure", "success"),
            ((112, 511), "failure", "waiting"),
            ((511, 403), "failure", "failure"),
            ((112, 112), "waiting", "waiting"),
        ],
    )
    def test_all_and_any(self, codes: tuple[int, ...], with_all: str, with_any: str) -> None:
        messages = [make_message(f"m{index}", code) for index, code in enumerate(codes)]
        assert look(make_watch(), *messages).verdict == with_all
        assert look(make_watch(require="any"), *messages).verdict == with_any

    def test_all_is_the_default(self) -> None:
        assert look(StatusWatch(batch_id="b"), make_message("m", 201), make_message("n", 112)).verdict == "waiting"

    @pytest.mark.parametrize(("require", "code", "verdict"), [("all", 201, "success"), ("any", 511, "failure")])
    def test_a_message_that_disappears_keeps_the_wait_open(self, require: str, code: int, verdict: str) -> None:
        watch = make_watch(require=require)
        first, second = make_message("m1", code), make_message("m2", code)
        assert look(watch, make_message("m1", 112), second).verdict == "waiting"
        assert look(watch, second).verdict == "waiting"
        # Another process continues with the state of this one.
        watch = in_another_process(watch)
        assert look(watch, second).verdict == "waiting"
        assert look(watch, first, second).verdict == verdict

    def test_a_found_message_that_disappears_keeps_the_wait_open(self) -> None:
        watch = make_watch(**REFERENCE)
        page = make_page(make_message("m1", 112, reference="r"), make_message("m2", 201, reference="r"))
        assert poll(watch, page)[0].verdict == "waiting"
        # m1 returns 404 now. m2 has arrived for good, so the poll does not read it again.
        result, queries = poll(watch)
        assert queries[1:] == [ReadMessage("b", "m1")]
        assert (result.verdict, [message["message_id"] for message in result.messages]) == ("waiting", ["m2"])
        result, _ = poll(watch, singles={"m1": make_message("m1", 201)})
        assert (result.verdict, [message["message_id"] for message in result.messages]) == ("success", ["m2", "m1"])

    def test_an_expected_status_that_is_not_final_is_read_again(self) -> None:
        watch = make_watch(**REFERENCE, expected=["delivered", 112])
        poll(watch, make_page(make_message("m1", 112, reference="r"), make_message("m2", reference="r")))
        _, queries = poll(watch)
        assert queries[1:] == [ReadMessage("b", "m1"), ReadMessage("b", "m2")]

    def test_a_final_status_that_is_not_expected_is_read_again(self) -> None:
        watch = make_watch(**REFERENCE, require="any")
        poll(watch, make_page(make_message("m1", 511, reference="r"), make_message("m2", 112, reference="r")))
        _, queries = poll(watch)
        assert queries[1:] == [ReadMessage("b", "m1"), ReadMessage("b", "m2")]


class TestExpectedCount:
    @pytest.mark.parametrize(("expected_count", "verdict"), [(1, "success"), (2, "success"), (3, "waiting")])
    def test_all(self, expected_count: int, verdict: str) -> None:
        watch = make_watch(expected_count=expected_count)
        assert look(watch, make_message("m1", 201), make_message("m2", 201)).verdict == verdict

    @pytest.mark.parametrize(("expected_count", "verdict"), [(2, "failure"), (3, "waiting")])
    def test_any(self, expected_count: int, verdict: str) -> None:
        watch = make_watch(require="any", expected_count=expected_count)
        assert look(watch, make_message("m1", 511), make_message("m2", 511)).verdict == verdict

    def test_a_decisive_message_ends_the_wait_earlier(self) -> None:
        assert look(make_watch(expected_count=9), make_message("m", 511)).verdict == "failure"
        assert look(make_watch(require="any", expected_count=9), make_message("m", 201)).verdict == "success"

    def test_no_messages_are_never_enough(self) -> None:
        assert look(make_watch(expected_count=1)).verdict == "waiting"

    def test_the_text_tells_how_many_exist(self) -> None:
        result = look(make_watch(expected_count=1200), make_message("m", 201))
        assert result.text == "Batch b: 1 x 201 DeliveredToHandset (delivered); 1 of 1,200 expected messages"
        result = look(make_watch(expected_count=1), make_message("m", 112))
        assert result.text == "Batch b: 1 x 112 DeliveredToCarrier (pending); 1 of 1 expected message"

    @pytest.mark.parametrize(("given", "number"), [(None, None), (1, 1), ("1", 1), (" 20 ", 20)])
    def test_the_forms_of_the_argument(self, given: Any, number: int | None) -> None:
        assert make_watch(expected_count=given).to_dict()["expected_count"] == number
        assert make_watch(**REFERENCE, expected_count=given).to_dict()["expected_count"] == number

    @pytest.mark.parametrize("given", [0, "0", -1, "", "many", "²", 1.5, True, "46701740609x"])
    def test_other_values(self, given: Any) -> None:
        with pytest.raises(ValueError, match="expected_count must be a whole number of 1 or more, not") as caught:
            make_watch(expected_count=given)
        assert NUMBER not in str(caught.value)

    def test_it_does_not_apply_to_a_single_message(self) -> None:
        with pytest.raises(ValueError, match="expected_count is for a batch or a reference"):
            make_watch(batch_id="b", message_id="m", expected_count=1)


class TestResult:
    def test_it_consists_of_json_values_without_personal_data(self) -> None:
        (message,) = look(make_watch(), make_message("m", 201)).messages
        assert message == {
            "message_id": "m", "batch_id": "b", "code": 201, "category": "delivered",
            "created": "2026-11-01T10:00:00+00:00",
        }  # fmt: skip
        assert datetime.fromisoformat(message["created"]) == datetime(2026, 11, 1, 10, tzinfo=UTC)

    def test_missing_values_are_none(self) -> None:
        (message,) = look(make_watch(), make_message("m")).messages
        assert message == {
            "message_id": "m", "batch_id": "b", "code": None, "category": None, "created": None
        }  # fmt: skip
        undated = decode_message(dumps({"id": "m", "statuses": [{"code": 201}]}))
        (message,) = look(make_watch(), undated).messages
        assert message["created"] is None

    def test_a_failure_begins_with_the_status(self) -> None:
        result = look(make_watch(), make_message("m", 202))
        text = result.text
        assert NUMBER not in text + repr(result)
        assert text == "202 Expired (undelivered): message m of batch b to 46***09. 1 of 1 watched message failed."

    def test_a_code_without_a_name(self) -> None:
        text = look(make_watch(), make_message("m1", 511), make_message("m2", 201)).text
        assert text == "511 (failed): message m1 of batch b to 46***09. 1 of 2 watched messages failed."

    @pytest.mark.parametrize(("count", "more"), [(5, ""), (6, "; and 1 more"), (50, "; and 45 more")])
    def test_a_failure_names_at_most_five_messages(self, count: int, more: str) -> None:
        text = look(make_watch(), *(make_message(f"m{index}", 202) for index in range(count))).text
        assert text.count(": message m") == 5
        assert text.endswith(f"46***09{more}. {count} of {count} watched messages failed.")
        assert NUMBER not in text

    def test_progress_counts_messages_by_status(self) -> None:
        result = look(make_watch(), *(make_message(f"m{index}", code) for index, code in enumerate((201, 112, 201))))
        assert result.text == "Batch b: 1 x 112 DeliveredToCarrier (pending), 2 x 201 DeliveredToHandset (delivered)"

    def test_each_unknown_code_causes_one_warning(self) -> None:
        watch = make_watch()
        first, second = look(watch, make_message("m1", 199), make_message("m2", 198), make_message("m3")).warnings
        assert first.startswith("iP.1 returned status code 198, which it does not document.")
        assert "counts as pending" in first
        assert "status code 199" in second
        assert look(watch, make_message("m1", 199)).warnings == ()
        # Nor does another process warn again.
        copy = in_another_process(watch)
        assert look(copy, make_message("m1", 199), make_message("m2", 112)).warnings == ()


class TestQueries:
    def test_a_batch_is_read_as_a_list(self) -> None:
        assert poll(make_watch(), make_message("m", 112))[1] == [read_batch("b")]

    def test_a_message_of_a_batch_is_read_by_its_ids(self) -> None:
        watch = make_watch(batch_id="b", message_id="m")
        result, queries = poll(watch)
        assert (result.verdict, result.messages, queries) == ("waiting", [], [ReadMessage("b", "m")])
        result, queries = poll(watch, singles={"m": make_message("m", 201)})
        assert (result.verdict, queries) == ("success", [ReadMessage("b", "m")])

    def test_a_message_without_a_batch_id_belongs_to_the_watched_batch(self) -> None:
        (message,) = look(make_watch(), make_message("m", 201, batch_id=None)).messages
        assert message["batch_id"] == "b"

    def test_a_search_for_a_message_ends_on_its_page(self) -> None:
        watch = make_watch(participant=NUMBER, message_id="m2")
        steps = watch.poll()
        query = next(steps)
        assert query == read_conversation(NUMBER)
        assert steps.send(make_page(make_message("m4", 201), make_message("m3", 201))) is query
        result = steps.send(make_page(make_message("m2", 112), make_message("m1", 201)))
        assert isinstance(result, PollResult)
        assert result.verdict == "waiting"
        assert [message["message_id"] for message in result.messages] == ["m2"]
        # From now on it is read by its id.
        result, queries = poll(watch, singles={"m2": make_message("m2", 201)})
        assert (result.verdict, queries) == ("success", [ReadMessage("b", "m2")])

    def test_a_search_for_a_message_continues_in_another_process(self) -> None:
        watch = make_watch(participant=NUMBER, message_id="m")
        poll(watch, make_page(make_message("m9", 201)), make_page(make_message("m8", 201)))
        watch = in_another_process(watch)
        steps = watch.poll()
        query = next(steps)
        # m9 was the newest message, so older ones need not be searched again.
        older = [make_message(f"m8{number}", 201) for number in range(TIED)]
        assert isinstance(steps.send(make_page(make_message("m10", 201), make_message("m9", 201), *older)), PollResult)
        assert query == read_conversation(NUMBER)

    def test_a_search_for_a_reference_ends_at_what_was_the_newest(self) -> None:
        watch = make_watch(**REFERENCE)
        poll(watch, make_page(make_message("m2", 201, reference="r"), make_message("m1", 201)))
        steps = watch.poll()
        query = next(steps)
        assert steps.send(make_page(make_message("m5", 201), make_message("m4", 112, reference="r"))) is query
        # A message on the page of m2 is found even if it was not there before, and so is one that is tied with it.
        page = make_page(make_message("m3", 201, reference="r"), make_message("m2", 201, reference="r"))
        assert steps.send(page) is query
        tied = [make_message(f"m2{number}", 201, reference="r" if number == 1 else None) for number in range(TIED)]
        result = steps.send(make_page(*tied))
        assert isinstance(result, PollResult)
        assert [message["message_id"] for message in result.messages] == ["m2", "m4", "m3", "m21"]

    def test_the_newest_message_is_the_first_of_the_first_page(self) -> None:
        watch = make_watch(**REFERENCE)
        poll(watch, make_page(make_message("m4", 201), make_message("m3", 201)), make_page(make_message("m2", 201)))
        assert watch.to_dict()["state"]["newest"] == "m4"
        # A conversation that is empty for a moment does not change that.
        poll(watch)
        assert watch.to_dict()["state"]["newest"] == "m4"

    def test_messages_of_a_page_are_not_read_again(self) -> None:
        watch = make_watch(**REFERENCE)
        page = make_page(make_message("m1", 112, reference="r"))
        poll(watch, page)
        assert poll(watch, page)[1] == [read_conversation(NUMBER)]

    def test_a_poll_that_fails_halfway_changes_nothing(self) -> None:
        watch = make_watch(**REFERENCE)
        before = watch.to_dict()["state"]
        steps = watch.poll()
        next(steps)
        steps.send(make_page(make_message("m2", 199, reference="r")))
        steps.close()
        assert watch.to_dict()["state"] == before

    def test_a_message_without_a_batch_cannot_be_watched(self) -> None:
        watch = make_watch(participant=NUMBER, message_id="m")
        with pytest.raises(IP1ResponseError, match="returned message m without a batch id"):
            poll(watch, make_page(make_message("m", 112, batch_id=None)))


def test_state_is_json() -> None:
    watch = make_watch(**REFERENCE)
    assert watch.to_dict()["state"] == {"found": [], "newest": None, "warned": [], "count": 0}
    poll(watch, make_page(make_message("m2", 199, reference="r"), make_message("m1", 198, reference="r")))
    state = watch.to_dict()["state"]
    assert state == {"found": [["b", "m2"], ["b", "m1"]], "newest": "m2", "warned": [198, 199], "count": 2}
    assert in_another_process(watch).to_dict() == watch.to_dict()


@pytest.mark.parametrize("require", ["most", "ALL", None])
def test_other_values_of_require(require: Any) -> None:
    with pytest.raises(ValueError, match="require must be 'all' or 'any'"):
        make_watch(require=require)


def test_a_blank_reference_selects_nothing() -> None:
    with pytest.raises(ValueError, match="reference must be"):
        make_watch(participant=NUMBER, reference="")


class TestSelection:
    def test_exactly_four_combinations_select_messages(self) -> None:
        names = ("participant", "batch_id", "message_id", "reference")
        valid = [{"batch_id", "message_id"}, {"participant", "message_id"}, {"participant", "reference"}, {"batch_id"}]
        for size in range(len(names) + 1):
            for chosen in map(set, combinations(names, size)):
                if chosen in valid:
                    check_selection(chosen)
                    continue
                with pytest.raises(ValueError, match="Say which messages to watch") as caught:
                    check_selection(chosen)
                assert str(caught.value).endswith(f"Given: {', '.join(sorted(chosen)) or 'none of them'}.")
                with pytest.raises(ValueError, match="Say which messages to watch"):
                    StatusWatch(**dict.fromkeys(chosen, NUMBER))

    def test_values_are_normalized(self) -> None:
        watch = StatusWatch(participant="+46 70-174 06 09", message_id=" m ")
        assert (watch.participant, watch.message_id) == (NUMBER, "m")

    @pytest.mark.parametrize(
        ("arguments", "error", "text"),
        [
            ({"batch_id": ""}, ValueError, "batch_id is empty"),
            ({"batch_id": "b", "message_id": 7}, ValueError, "message_id must be a string"),
            ({"participant": 7, "reference": "r"}, IP1ParticipantError, "must be a string"),
        ],
        ids=str,
    )
    def test_the_error_names_the_invalid_argument(
        self, arguments: dict[str, Any], error: type[Exception], text: str
    ) -> None:
        with pytest.raises(error, match=text):
            StatusWatch(**arguments)

    @pytest.mark.parametrize(
        ("arguments", "text", "title"),
        [
            ({"batch_id": "b"}, "batch b", "any message of batch b"),
            ({"batch_id": "b", "message_id": "m"}, "message m", "message m"),
            ({"participant": NUMBER, "message_id": "m"}, "message m", "message m"),
            (REFERENCE, "messages with reference 'r'", "any message with reference 'r'"),
            (
                {"participant": NUMBER, "reference": NUMBER},
                "messages with reference '46***09'",
                "any message with reference '46***09'",
            ),
        ],
        ids=str,
    )
    def test_its_texts_contain_no_complete_number(self, arguments: dict[str, Any], text: str, title: str) -> None:
        watch = make_watch(**arguments, require="any")
        assert (watch.subject, watch.title) == (text, f"{title} to reach delivered")
        assert NUMBER not in repr(watch)

    def test_its_text_is_short(self) -> None:
        assert len(make_watch(participant=NUMBER, reference="x" * 5000).subject) < 100


def test_a_description_has_every_option() -> None:
    options = {"reference": "r", "participant": NUMBER, "require": "any", "expected_count": "3"}
    watch = StatusWatch(**options, expected={"delivered", 202}, failed=("rejected", "511"))
    assert watch.to_dict() == {
        **options, "batch_id": None, "message_id": None, "expected_count": 3,
        "expected": [202, "delivered"], "failed": [511, "rejected"],
        "state": {"found": [], "newest": None, "warned": [], "count": 0},
    }  # fmt: skip
    assert in_another_process(watch).to_dict() == watch.to_dict()
