# SPDX-License-Identifier: Apache-2.0
"""Exports of the whole account, batch by batch."""

from __future__ import annotations

import csv
import gzip
import inspect
import io
import json
import logging
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pyarrow.parquet
import pytest

from airflow_provider_ip1.compat import AirflowSkipException
from airflow_provider_ip1.exceptions import IP1NoMessagesError, IP1PagingError, IP1ResponseError
from airflow_provider_ip1.sandbox.participants import EMPTY, MAIN, NAME, SEVEN
from airflow_provider_ip1.sandbox.send_request import SendRequest
from airflow_provider_ip1.sandbox.server import SandboxServer
from airflow_provider_ip1.transfers.conversation_to_s3 import ConversationToS3Operator
from airflow_provider_ip1.transfers.messages_to_s3 import MessagesToS3Operator
from dev import stack
from tests.hooks.hook_clients import RawServer, send
from tests.transfers.bucket_contents import Bucket

Operator = Callable[..., MessagesToS3Operator]
Export = Callable[..., dict[str, Any]]
# Before this day, because times ahead of this machine's clock do not count.
START = datetime.now(UTC).replace(microsecond=0) - timedelta(days=40)


class Account:
    """A sandbox with batches of 1 to 2,000 messages: sent, received, cancelled and for later delivery."""

    def __init__(self, server: SandboxServer, now: list[float]) -> None:
        self.server = server
        self._now = now
        self.late = self._future(SEVEN)
        self.cancelled = self._future(MAIN)
        assert self._store.find_batch(self.cancelled).cancel(self._store.now_ms())  # type: ignore[union-attr]
        self.pass_time(hours=1)
        self.server.receive(EMPTY, "Hej!")
        self.pass_time(hours=1)

    @property
    def _store(self) -> Any:
        return self.server.sandbox.store

    def pass_time(self, **time: float) -> None:
        self._now[0] += timedelta(**time).total_seconds()

    def send(self, *numbers: str) -> str:
        return self.server.send(list(numbers), "Hej!", sender="Sandbox")

    def _future(self, number: str) -> str:
        opens_ms = self._store.now_ms() + 10 * 24 * 3_600_000
        window = (opens_ms, opens_ms + 3_600_000)
        batch_id: str = self._store.send(
            SendRequest("Sandbox", "Hej!", {number: "Hej!"}, delivery_windows=(window,))
        ).id
        return batch_id

    @property
    def messages(self) -> dict[str, bytes]:
        """Message id -> JSON of every message in every conversation."""
        return {
            json.loads(raw)["id"]: raw
            for participant in self._store.conversations
            for raw in self.server.conversation_bytes(participant)
        }

    def between(self, since: datetime, until: datetime | None = None) -> set[str]:
        """The ids of the messages that were modified in a window."""
        return {
            key
            for key, raw in self.messages.items()
            if since <= modified(json.loads(raw)) and (until is None or modified(json.loads(raw)) < until)
        }


def modified(message: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(message["modified"]).astimezone(UTC)


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    now = [START.timestamp()]
    with SandboxServer(
        messages=150, batches=["1", "60", "2000"], history_end=START - timedelta(days=5), clock=lambda: now[0]
    ) as server:
        connection = stack.ip1_connection(server.url, requests_per_second=0, max_attempts=1)
        monkeypatch.setenv("AIRFLOW_CONN_IP1_DEFAULT", connection)
        yield Account(server, now)


@pytest.fixture
def operator(bucket: Bucket) -> Operator:
    def make(**changes: Any) -> MessagesToS3Operator:
        return MessagesToS3Operator(
            **({"task_id": "export", "s3_bucket": bucket.name, "s3_key": "out.jsonl", "concurrency": 8} | changes)
        )

    return make


@pytest.fixture
def export(operator: Operator, account: Account) -> Export:
    return lambda **changes: operator(**changes).execute({})


def lines(bucket: Bucket, key: str = "out.jsonl") -> list[bytes]:
    stored = bucket.get(key)
    assert stored is not None
    return (gzip.decompress(stored) if key.endswith(".gz") else stored).splitlines()


def ids(bucket: Bucket) -> list[str]:
    return [json.loads(line)["id"] for line in lines(bucket)]


# -- the object


def test_the_account_is_the_union_of_its_conversations_byte_for_byte(
    export: Export, account: Account, bucket: Bucket
) -> None:
    result = export(s3_key="out.jsonl.gz")
    stored = lines(bucket, "out.jsonl.gz")
    expected = account.messages
    assert {json.loads(line)["id"]: line for line in stored} == expected
    assert result["messages"] == len(stored) == len(expected) > 2300
    assert account.server.max_in_flight <= 8


def test_the_result_describes_the_object(export: Export, account: Account, bucket: Bucket) -> None:
    result = export()
    messages = [json.loads(raw) for raw in account.messages.values()]
    times = sorted(map(modified, messages))
    batches = {message["batchId"] for message in messages}
    participants = {message["sender" if message["direction"] else "recipient"] for message in messages}
    assert result.pop("pages") > len(batches)
    assert 0 < result.pop("seconds") < 600
    pending = sorted(modified(message) for message in messages if message["statuses"][0]["code"] < 200)
    # The message for later delivery, and the one that stays at 112.
    assert len(pending) == 2
    assert result == {
        "uri": f"s3://{bucket.name}/out.jsonl",
        "messages": len(messages),
        "batches": len(batches),
        "participants": len(participants),
        "empty": 0,
        "bytes": len(bucket.get("out.jsonl") or b""),
        "first_modified": times[0].isoformat(),
        "last_modified": times[-1].isoformat(),
        "pending": 2,
        "oldest_pending": pending[0].isoformat(),
        "since": None,
    }
    json.dumps(result)


def test_batches_are_written_oldest_first_and_newest_first_with_since(
    export: Export, account: Account, bucket: Bucket
) -> None:
    def order() -> list[str]:
        return list(dict.fromkeys(json.loads(line)["batchId"] for line in lines(bucket)))

    export()
    everything, oldest_first = lines(bucket), order()
    listed = [batch_id for _, batch_id in account._store.batch_ids()]
    assert oldest_first == listed
    export(since="2000-01-01", replace="always")
    assert order() == listed[::-1]
    # The messages of a batch are in the same order in both.
    in_batch = [line for line in everything if json.loads(line)["batchId"] == account._store.batch_ids()[-3][1]]
    assert [line for line in lines(bucket) if line in set(in_batch)] == in_batch


@pytest.mark.parametrize("key", ["out.csv", "out.parquet"])
def test_the_column_participant_is_the_other_side(export: Export, account: Account, bucket: Bucket, key: str) -> None:
    """The rows are those of the conversations, apart from their order."""
    export(s3_key=key, file_format=key.split(".")[1])
    conversations = [who for who, conversation in account._store.conversations.items() if conversation.rows]
    ConversationToS3Operator(
        task_id="export",
        participant=conversations,
        s3_bucket=bucket.name,
        s3_key=f"union/{key}",
        file_format=key.split(".")[1],  # type: ignore[arg-type]
    ).execute({})
    whole, union = (rows(key, bucket.get(each) or b"") for each in (key, f"union/{key}"))
    assert sorted(whole) == sorted(union)
    assert len(whole) == len(account.messages)


def rows(key: str, stored: bytes) -> list[str]:
    if key.endswith(".csv"):
        return [json.dumps(row, sort_keys=True) for row in csv.DictReader(io.StringIO(stored.decode(), newline=""))]
    return [repr(row) for row in pyarrow.parquet.read_table(io.BytesIO(stored)).to_pylist()]


@pytest.mark.parametrize("direction", ["mt", "MO"])
def test_one_direction(export: Export, account: Account, bucket: Bucket, direction: str) -> None:
    result = export(direction=direction)
    expected = {
        key for key, raw in account.messages.items() if json.loads(raw)["direction"] == (direction.lower() == "mo")
    }
    assert set(ids(bucket)) == expected
    assert len(ids(bucket)) == len(expected) > 40
    # Batches of the other direction cost no request.
    requests = [request for request in account.server.requests if request.path.endswith("/messages")]
    assert len({request.path for request in requests}) == result["batches"]


def test_redaction_covers_the_participant(
    export: Export, account: Account, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "AIRFLOW_CONN_IP1_DEFAULT", stack.ip1_connection(account.server.url, redact_key="k", requests_per_second=0)
    )
    export(s3_key="out.csv", file_format="csv", redact={"sender": "hash", "recipient": "hash", "body": "drop"})
    stored = bucket.get("out.csv") or b""
    assert not re.search(rb"4670174\d{4}", stored)
    table = list(csv.DictReader(io.StringIO(stored.decode(), newline="")))
    assert all(len(row["participant"]) == 64 for row in table)
    assert all(row["participant"] == row["sender" if row["direction"] == "mo" else "recipient"] for row in table)


# -- requests


def test_a_batch_of_one_message_costs_one_request(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    with SandboxServer(messages=900) as server:
        monkeypatch.setenv("AIRFLOW_CONN_IP1_DEFAULT", stack.ip1_connection(server.url, requests_per_second=0))
        result = operator().execute({})
        assert result["batches"] > 920
        assert len(server.requests) <= 1.05 * result["batches"]


# -- since


def test_since_reads_only_new_batches(export: Export, account: Account, bucket: Bucket) -> None:
    account.pass_time(days=20)
    account.send(MAIN)
    account.pass_time(hours=2)
    since = START + timedelta(days=20)
    account.server.requests.clear()
    result = export(since=since)
    assert set(ids(bucket)) == account.between(since)
    assert result["messages"] == 1
    # The new batch, and as many as it takes to see that the list is newest first.
    assert 15 <= result["batches"] <= 40
    # The others were requested ahead.
    assert len(account.server.requests) < 130


def test_since_contains_what_changed_lately(export: Export, account: Account, bucket: Bucket) -> None:
    """Three batches within the lookback, each with a change of status in the window or not."""
    since = START + timedelta(hours=1)
    export(since=since)
    assert set(ids(bucket)) == account.between(since)
    assert len(ids(bucket)) == 1
    export(since=START, until=since, replace="always")
    assert set(ids(bucket)) == account.between(START, since)
    assert len(ids(bucket)) > 2000


def test_a_batch_for_later_delivery_does_not_hide_newer_ones(export: Export, account: Account, bucket: Bucket) -> None:
    """The list shows it where it is delivered, although its messages were last modified long ago."""
    account.pass_time(days=9)
    newer = [account.send(MAIN) for _ in range(3)]
    account.pass_time(hours=1)
    store = account._store
    original = store.batch_ids
    store.batch_ids = lambda: [
        *(batch for batch in original() if batch[1] != account.late),
        next(batch for batch in original() if batch[1] == account.late),
    ]
    export(since=START + timedelta(days=9), status_lookback=timedelta(days=1))
    assert {json.loads(line)["batchId"] for line in lines(bucket)} == set(newer)


def test_what_was_scheduled_further_ahead_than_the_lookback_needs_a_longer_one(
    export: Export, account: Account, bucket: Bucket
) -> None:
    account.pass_time(days=8)
    account.send(MAIN)
    account.pass_time(days=2, hours=2)
    since = START + timedelta(days=10)
    delivered = account.between(since)
    assert len(delivered) == 1
    for _ in range(20):
        account.pass_time(hours=8)
        account.send(MAIN)
    export(since=since)
    assert not delivered & set(ids(bucket))
    for lookback in (timedelta(days=13), None):
        export(since=since, status_lookback=lookback)
        assert set(ids(bucket)) == account.between(since) > delivered


def test_without_lookback_every_batch_is_read(export: Export, account: Account, bucket: Bucket) -> None:
    result = export(since=START, status_lookback=None)
    assert result["batches"] == len(account._store.batch_ids())
    assert set(ids(bucket)) == account.between(START)


def test_no_message_is_lost_if_the_server_ignores_the_order(
    export: Export, account: Account, bucket: Bucket, caplog: pytest.LogCaptureFixture
) -> None:
    account.server.faults.add("ignore-order")
    with caplog.at_level(logging.WARNING):
        export(since=START)
    assert set(ids(bucket)) == account.between(START)
    assert "newest first" in caplog.text


@pytest.mark.parametrize("order", ["oldest first", "shuffled", "newest first"])
def test_a_first_batch_that_was_delivered_late_shows_no_order(
    operator: Operator, bucket: Bucket, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    """200 batches, of which the first one was delivered 5 minutes after its creation, and the others at once."""
    start = datetime(2026, 10, 1, tzinfo=UTC)
    batches = [f"b{number:03}" for number in range(200)]
    times = {batch: start + timedelta(hours=number * 4) for number, batch in enumerate(batches)}
    times[batches[0]] += timedelta(hours=5)
    since = times[batches[190]]
    if order == "shuffled":
        Random(1).shuffle(batches)
    elif order == "newest first":
        batches.reverse()

    def answer(request: Any) -> None:
        url = urlsplit(request.path)
        query = {name: int(value) for name, value in parse_qsl(url.query) if name in ("start", "limit")}
        rows: list[dict[str, Any]] = [{"id": batch, "direction": "mt"} for batch in batches]
        if url.path.endswith("/messages"):
            batch = url.path.split("/")[-2]
            rows = [{"id": f"m-{batch}", "recipient": MAIN, "modified": times[batch].isoformat()}]
        page = rows[query["start"] : query["start"] + query["limit"]]
        last = (len(rows) - 1) // query["limit"] * query["limit"]
        send(request, 200, json.dumps(page).encode(), Link=f'<?start={last}&limit={query["limit"]}>; rel="last"')

    with RawServer(answer) as server:
        connection = stack.ip1_connection(server.url, requests_per_second=0)
        monkeypatch.setenv("AIRFLOW_CONN_IP1_DEFAULT", connection)
        result = operator(since=since).execute({})
    assert result["messages"] == 10
    assert (result["batches"] == 200) == (order != "newest first")


# -- batches that come and go


def test_new_batches_during_the_export(export: Export, account: Account, bucket: Bucket) -> None:
    before = account.messages
    account.server.faults.add("insert@20:count=5,at=head")
    account.server.faults.add("insert@300:count=5,at=tail")
    export()
    exported = ids(bucket)
    assert len(exported) == len(set(exported))
    assert set(before) <= set(exported)


def test_deleted_batches_during_the_export(export: Export, account: Account, bucket: Bucket) -> None:
    account.server.faults.add("delete@20:count=30,at=head")
    account.server.faults.add("delete@300:count=30,at=middle")
    result = export()
    exported = ids(bucket)
    assert len(exported) == len(set(exported))
    assert set(account.messages) <= set(exported)
    # Some of them were listed, and gone when they were read.
    assert result["batches"] - result["empty"] == len({json.loads(line)["batchId"] for line in lines(bucket)})


# -- no messages


def test_an_account_without_messages(operator: Operator, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(request: Any) -> None:
        send(request, 200 if request.path.startswith("/v2/me") else 404, b"[]" if "/me/" in request.path else b"")

    with RawServer(answer) as server:
        monkeypatch.setenv("AIRFLOW_CONN_IP1_DEFAULT", stack.ip1_connection(server.url))
        result = operator().execute({})
        assert (result["messages"], result["batches"], result["participants"], result["empty"]) == (0, 0, 0, 0)
        assert bucket.get("out.jsonl") == b""
        with pytest.raises(AirflowSkipException):
            operator(on_empty="skip").execute({})
        with pytest.raises(IP1NoMessagesError, match=r"Check direction, since and until"):
            operator(on_empty="fail").execute({})
        bucket.put("full.jsonl", b"{}\n")
        with pytest.raises(IP1NoMessagesError, match=r"Check direction, since and until"):
            operator(s3_key="full.jsonl").execute({})


def account_of(message: dict[str, Any], batch: dict[str, Any]) -> Callable[[Any], None]:
    """A server with one batch of one message."""

    def answer(request: Any) -> None:
        rows = [message] if "/messages" in request.path else [batch]
        send(request, 200, json.dumps(rows).encode(), Link='<?start=0&limit=200>; rel="last"')

    return answer


def test_a_message_of_unknown_direction(
    operator: Operator, bucket: Bucket, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    message = {"id": "m", "sender": MAIN, "recipient": SEVEN, "direction": 0, "modified": "2026-10-01T00:00:00Z"}
    with RawServer(account_of(message, {"id": "b", "direction": 0})) as server:
        monkeypatch.setenv("AIRFLOW_CONN_IP1_DEFAULT", stack.ip1_connection(server.url))
        result = operator(s3_key="out.csv", file_format="csv").execute({})
        assert (result["messages"], result["participants"]) == (1, 0)
        (row,) = csv.DictReader(io.StringIO((bucket.get("out.csv") or b"").decode(), newline=""))
        assert (row["participant"], row["direction"]) == ("", "")
        assert "The participant of 1 message is unknown." in "".join(capfd.readouterr())
        with pytest.raises(IP1ResponseError, match="Leave out the argument direction") as error:
            operator(direction="mt").execute({})
    assert MAIN not in str(error.value)


def test_a_batch_of_unknown_direction_is_filtered_by_message(
    operator: Operator, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = {"id": "m", "sender": MAIN, "recipient": SEVEN, "direction": "mo", "modified": "2026-10-01T00:00:00Z"}
    with RawServer(account_of(message, {"id": "b"})) as server:
        monkeypatch.setenv("AIRFLOW_CONN_IP1_DEFAULT", stack.ip1_connection(server.url))
        assert operator(direction="mo").execute({})["messages"] == 1
        result = operator(direction="mt", s3_key="none.jsonl").execute({})
    assert (result["messages"], result["batches"], result["empty"]) == (0, 1, 0)


# -- totals


def test_verify_total_accepts_a_complete_export_and_new_messages(
    export: Export, account: Account, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "airflow_provider_ip1.transfers.report._CLOCK_DIFFERENCE", datetime.now(UTC) - START - timedelta(hours=1)
    )
    count = len(account.messages)
    assert export(verify_total=True)["messages"] == count
    mo = export(verify_total=True, direction="mo", s3_key="mo.jsonl")["messages"]
    assert 40 < mo < count
    # When the first summary is requested, a message that the list of batches did not have arrived.
    hook_summary = account.server.sandbox.store.conversations[SEVEN].summary
    account._store.conversations[SEVEN].summary = lambda now_ms: (account.send(SEVEN), hook_summary(now_ms))[1]
    assert export(verify_total=True)["messages"] == count


def test_verify_total_fails_if_batches_lack_messages(export: Export, account: Account, bucket: Bucket) -> None:
    """For example, because iP.1 lists no batches for incoming messages."""
    bucket.put("out.jsonl", b"from yesterday")
    store = account._store
    original = store.batch_ids
    now_ms = store.now_ms()
    store.batch_ids = lambda: [
        (created_ms, batch_id)
        for created_ms, batch_id in original()
        if store.find_batch(batch_id).to_dict(now_ms, with_summaries=False)["direction"] == "MT"
    ]
    with pytest.raises(IP1PagingError, match=r"the batches of the account contain \d+ of its") as error:
        export(verify_total=True)
    assert not re.search(r"\d{8}", str(error.value))
    assert bucket.get("out.jsonl") == b"from yesterday"


UNVERIFIABLE = {
    "integer directions": {"direction": 0},
    "a national number": {"direction": "mt", "recipient": "070-174 06 07"},
    "no number": {"direction": "mt", "recipient": None},
    "a summary without a total": {"direction": "mt", "recipient": SEVEN},
}


@pytest.mark.parametrize("changes", UNVERIFIABLE.values(), ids=UNVERIFIABLE)
def test_verify_total_says_that_it_cannot_verify(
    operator: Operator, bucket: Bucket, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    message = {"id": "m", "sender": "Salon", "recipient": SEVEN, "modified": "2026-10-01T00:00:00Z"} | changes
    answer = account_of(message, {"id": "b", "direction": 0})
    with RawServer(
        lambda request: send(request, 200, b"{}") if "/summary" in request.path else answer(request)
    ) as server:
        monkeypatch.setenv("AIRFLOW_CONN_IP1_DEFAULT", stack.ip1_connection(server.url))
        assert operator().execute({})["messages"] == 1
        with pytest.raises(IP1ResponseError, match=r"^verify_total: .*cannot be verified.*verify_total=False") as error:
            operator(verify_total=True, s3_key="other.jsonl").execute({})
    assert not re.search(rf"174|{SEVEN}", str(error.value))
    assert bucket.keys() == ["out.jsonl"]


@pytest.mark.parametrize("rows", [0, 1])
def test_verify_total_does_not_take_missing_messages_for_new_ones(
    operator: Operator, bucket: Bucket, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    """The summary counts more messages than the batches contain, and the list of the conversation is a 404 or short."""
    message = {
        "id": "m",
        "sender": "Salon",
        "recipient": SEVEN,
        "direction": "mt",
        "modified": f"{datetime.now(UTC):%FT%TZ}",
    }
    answer = account_of(message, {"id": "b", "direction": "mt"})

    def with_summary(request: Any) -> None:
        if "/summary" in request.path:
            send(request, 200, b'{"totalMessageCount": 9}')
        elif "/conversations/" in request.path:
            body = json.dumps([message] * rows).encode()
            send(request, 200 if rows else 404, body if rows else b"", Link='<?start=0&limit=200>; rel="last"')
        else:
            answer(request)

    with RawServer(with_summary) as server:
        monkeypatch.setenv("AIRFLOW_CONN_IP1_DEFAULT", stack.ip1_connection(server.url))
        with pytest.raises(IP1PagingError, match="contain 1 of its messages, but iP.1's summary counts 9"):
            operator(verify_total=True).execute({})
    assert bucket.keys() == []


def test_verify_total_needs_every_batch(operator: Operator) -> None:
    with pytest.raises(ValueError, match="^verify_total: .*status_lookback=None"):
        operator(verify_total=True, since="2026-11-01")


# -- arguments


def test_the_arguments_are_those_of_the_other_operator() -> None:
    """All but participant, with the same order, types and defaults."""
    ours, others = (
        {name: str(parameter) for name, parameter in inspect.signature(operator).parameters.items()}
        for operator in (MessagesToS3Operator, ConversationToS3Operator)
    )
    del others["participant"]
    assert ours == others
    assert {"participant", *MessagesToS3Operator.template_fields} == set(ConversationToS3Operator.template_fields)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"direction": "out"}, "direction"),
        ({"file_format": "xml"}, "file_format"),
        ({"since": "tomorrow"}, "since"),
        ({"status_lookback": 3}, "status_lookback"),
        ({"on_empty": "ignore"}, "on_empty"),
        ({"s3_key": ""}, "s3_key"),
        ({"page_size": 0}, "page_size"),
    ],
)
def test_the_error_for_an_invalid_argument_names_it(
    export: Export, account: Account, changes: dict[str, Any], named: str
) -> None:
    with pytest.raises(ValueError, match=named):
        export(**changes)
    assert account.server.requests == []


def test_participant_is_not_an_argument(operator: Operator) -> None:
    with pytest.raises(Exception, match="participant"):
        operator(participant=MAIN)


# -- personal data


def test_nothing_personal_is_logged_or_stored(
    operator: Operator,
    account: Account,
    bucket: Bucket,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("airflow.providers.openlineage")
    messages = [json.loads(raw) for raw in account.messages.values()]
    pushed: dict[str, Any] = {}
    ti = SimpleNamespace(try_number=1, xcom_push=lambda key, value: pushed.update({key: value}))
    task = operator(page_size=1000, since="2000-01-01")
    with caplog.at_level(logging.DEBUG):
        returned = task.execute({"ti": ti})
    lineage = task.get_openlineage_facets_on_complete(ti)
    (read,), (written,) = lineage.inputs, lineage.outputs
    assert (read.namespace, read.name) == (account.server.url, "v2/batches")
    assert written.outputFacets["outputStatistics"].rowCount == len(messages)
    assert pushed == {}
    log = caplog.text + "".join(capfd.readouterr())
    head = bucket.client.head_object(Bucket=bucket.name, Key="out.jsonl")
    everything = log + json.dumps([returned, pushed]) + repr(lineage) + repr(head)
    assert f"Wrote {len(messages):,} messages of {returned['batches']:,} batches" in log
    assert "Exporting all messages of the account, modified from 2000-01-01" in log
    for message in messages:
        for text in (message["body"], *(side for side in (message["sender"], message["recipient"]) if side.isdigit())):
            assert text not in everything
    assert stack.SANDBOX_KEY not in everything


def test_a_key_that_contains_a_number_is_rejected(export: Export, account: Account, bucket: Bucket) -> None:
    """Whose numbers they are shows only while messages are read. Nothing is written then."""
    with pytest.raises(ValueError, match="^s3_key: .*phone number") as error:
        export(s3_key=f"sms/2026-11-10/{MAIN}.jsonl")
    assert MAIN not in str(error.value)
    assert bucket.keys() == []
    assert bucket.unfinished_uploads() == []
    assert export(s3_key="sms/2026-11-10/20261110T000000.jsonl")["messages"] == len(account.messages)


def test_names_are_participants_too(export: Export, account: Account, bucket: Bucket) -> None:
    export(s3_key="out.csv", file_format="csv")
    table = csv.DictReader(io.StringIO((bucket.get("out.csv") or b"").decode(), newline=""))
    assert NAME in {row["participant"] for row in table}
