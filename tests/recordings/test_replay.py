# SPDX-License-Identifier: Apache-2.0
"""Both hooks read the same recordings, each through its own HTTP library."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from vcr.cassette import Cassette as Replay
from vcr.errors import CannotOverwriteExistingCassetteException

from airflow_provider_ip1 import exceptions
from airflow_provider_ip1.api.batches import Batch
from airflow_provider_ip1.api.messages import ConversationSummary, Message
from airflow_provider_ip1.hooks.ip1 import IP1AsyncHook, IP1Hook
from dev.live import cassettes, expectations
from dev.live.exchange import Exchange

NAMES = [path.relative_to(cassettes.FOLDER).with_suffix("").as_posix() for path in cassettes.paths()]
each_cassette = pytest.mark.parametrize("cassette_name", NAMES)
one_cassette = pytest.mark.parametrize("cassette_name", ["sandbox/conversation_pages"])
pytestmark = [pytest.mark.vcr, pytest.mark.block_network]


async def run(hook_class: type, conn_id: str, call: cassettes.Call) -> list[Any]:
    if hook_class is IP1Hook:
        with IP1Hook(conn_id, **call.hook_arguments) as hook:
            return call.run(hook)
    async with IP1AsyncHook(conn_id, **call.hook_arguments) as async_hook:
        result = getattr(async_hook, call.method)(**call.arguments)
        return [each async for each in result] if call.method.startswith("iter_") else [await result]


def without_control(cassette: cassettes.Cassette) -> list[Exchange]:
    """The interactions without the request that proves, after a first 404, that the server is iP.1's API."""
    return [each for each in cassette.exchanges if not each.url.endswith("/v2/batches?limit=1")]


def recorded_messages(cassette: cassettes.Cassette) -> dict[str, dict[str, Any]]:
    """Return every recorded message or batch in the order of its first appearance, read without this provider."""
    messages: dict[str, dict[str, Any]] = {}
    for each in without_control(cassette):
        document = json.loads(each.body, parse_float=Decimal) if each.status in (200, 201) else []
        for row in document if isinstance(document, list) else [document]:
            messages.setdefault(row["id"], row)
    return messages


@pytest.mark.parametrize("hook_class", [IP1Hook, IP1AsyncHook])
@each_cassette
async def test_replay(
    cassette_name: str,
    hook_class: type,
    cassette: cassettes.Cassette,
    vcr: Replay,
    ip1_conn_id: str,
) -> None:
    if cassette.outcome != "ok":
        with pytest.raises(exceptions.IP1Error) as raised:
            await run(hook_class, ip1_conn_id, cassette.call)
        assert type(raised.value).__name__ == cassette.outcome
        participant = cassette.call.arguments.get("participant")
        assert participant is None or not participant.isdigit() or participant not in str(raised.value)
    else:
        given = await run(hook_class, ip1_conn_id, cassette.call)
        if cassette.call.method == "get_summary":
            check_summary(given, cassette)
        elif cassette.call.method == "cancel_batch":
            assert given == [None]
        elif "batch" in cassette.call.method and cassette.call.method != "iter_batch_messages":
            check_batches(given, cassette)
        else:
            check_messages(given, cassette)
    assert vcr.all_played


def check_messages(given: list[Message], cassette: cassettes.Cassette) -> None:
    recorded = recorded_messages(cassette)
    assert [message.id for message in given] == list(recorded)
    for message, row in zip(given, recorded.values(), strict=True):
        assert json.loads(message.raw_json, parse_float=Decimal) == row
        check_message(message, row, cassette.call.arguments.get("participant"))
        direction = cassette.call.arguments.get("direction")
        assert direction is None or message.direction == direction


def check_batches(given: list[Batch], cassette: cassettes.Cassette) -> None:
    recorded = recorded_messages(cassette)
    if cassette.call.method == "send_batch":
        # Without an id in the response, the batch comes from the list of all batches.
        reference = cassette.call.arguments["reference"]
        recorded = {batch_id: row for batch_id, row in recorded.items() if row["reference"] == reference}
    assert [batch.id for batch in given] == list(recorded)
    for batch, row in zip(given, recorded.values(), strict=True):
        assert json.loads(batch.raw_json, parse_float=Decimal) == row
        read = (batch.sender, batch.direction, batch.priority, batch.templated, batch.status, batch.reference)
        assert read == (
            row["sender"], row["direction"].lower(), row["priority"], row["templated"], row["status"], row["reference"]
        )  # fmt: skip
        assert batch.tags == tuple(row["tags"])
        assert (batch.message_summary is None) == ("messageSummary" not in row)
        assert (batch.price_summary is None) == ("priceSummary" not in row)


def check_message(message: Message, row: dict[str, Any], participant: str | None) -> None:
    """The message has the values of the row, in the types of the documented schema."""
    documented = expectations.SCHEMA["items"]["properties"]
    assert set(row) <= set(documented), "the recording has a field that the schema does not have"
    # The schema does not explain the integers of direction. Without a participant they stay as they are.
    is_explained = isinstance(row.get("direction"), str) or participant is not None
    assert message.extra_fields == ({} if is_explained or "direction" not in row else {"direction": row["direction"]})
    same = {"id": "id", "batchId": "batch_id", "owner": "owner", "sender": "sender", "recipient": "recipient"}
    same |= {"body": "body", "segments": "segments", "priority": "priority", "price": "price"}
    same |= {"reference": "reference", "mcc": "mcc", "mnc": "mnc"}
    read = {name: getattr(message, attribute) for name, attribute in same.items()}
    assert {name: value for name, value in read.items() if value is not None} == {
        name: row[name] for name in same if row.get(name) is not None
    }
    if "currency" in row:
        assert message.currency == row["currency"].upper()
    if "type" in row:
        assert message.type in ("sms", "flash") and message.datacoding in ("gsm", "ucs")
        assert message.direction == (expected_direction(row, participant) if is_explained else None)
    assert [status.code for status in message.statuses] == [status["code"] for status in row.get("statuses", ())]
    assert message.modified is not None and message.modified.isoformat()[:19] == row["modified"][:19]


def expected_direction(row: dict[str, Any], participant: str | None) -> str:
    if isinstance(row["direction"], str):
        return row["direction"].lower()
    assert participant in (row["sender"], row["recipient"])
    return "mt" if row["recipient"] == participant else "mo"


def check_summary(given: list[ConversationSummary], cassette: cassettes.Cassette) -> None:
    (summary,) = given
    (recorded,) = without_control(cassette)
    document = json.loads(recorded.body) if recorded.status == 200 else {}
    assert summary.participant == cassette.call.arguments["participant"]
    assert summary.total_messages == document.get("totalMessageCount", 0)
    assert summary.total_sms == document.get("totalSmsCount", 0)


@one_cassette
async def test_replay_with_reading_ahead(cassette_name: str, vcr: Replay, ip1_conn_id: str) -> None:
    """Several requests in flight read the same pages, in any order."""
    vcr.allow_playback_repeats = True
    hook = IP1Hook(ip1_conn_id, page_size=10, concurrency=4, requests_per_second=0)
    assert [message.id for message in hook.iter_messages("46701740605")] == list(
        recorded_messages(cassettes.load(cassettes.FOLDER / f"{cassette_name}.yaml"))
    )
    hook.close()


@pytest.mark.parametrize("hook_class", [IP1Hook, IP1AsyncHook])
@one_cassette
async def test_request_without_a_recording_is_an_error(cassette_name: str, hook_class: type, ip1_conn_id: str) -> None:
    call = cassettes.Call("get_summary", {"participant": "46701740605"}, {"max_attempts": 1})
    with pytest.raises(CannotOverwriteExistingCassetteException):
        await run(hook_class, ip1_conn_id, call)


@pytest.mark.parametrize("hook_class", [IP1Hook, IP1AsyncHook])
@one_cassette
async def test_network_is_blocked(
    cassette_name: str, hook_class: type, vcr: Replay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that vcrpy lets through does not reach the network either."""
    monkeypatch.setattr(type(vcr), "can_play_response_for", lambda *_: False)
    monkeypatch.setattr(type(vcr), "write_protected", property(lambda _: False))
    connection = json.dumps({"conn_type": "ip1", "host": "https://127.0.0.1:9", "password": "any-key"})
    monkeypatch.setenv("AIRFLOW_CONN_IP1_DEFAULT", connection)
    call = cassettes.Call("get_summary", {"participant": "46701740605"}, {"max_attempts": 1})
    with pytest.raises(RuntimeError, match="Network is disabled"):
        await run(hook_class, "ip1_default", call)
