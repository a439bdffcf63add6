# SPDX-License-Identifier: Apache-2.0
"""An export never replaces messages that it does not contain, unless it is told to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_ip1.exceptions import IP1NoMessagesError
from airflow_provider_ip1.sandbox.participants import EMPTY, MAIN, SEVEN, SINGLE
from airflow_provider_ip1.sandbox.server import SandboxServer
from airflow_provider_ip1.transfers.conversation_to_s3 import ConversationToS3Operator
from airflow_provider_ip1.transfers.export_conversations import export_conversations
from airflow_provider_ip1.transfers.messages_to_s3 import MessagesToS3Operator
from airflow_provider_ip1.transfers.replacing import Origin
from airflow_provider_ip1.transfers.selection import Window
from airflow_provider_ip1.transfers.stores import ObjectState
from dev import stack
from tests.transfers.bucket_contents import Bucket
from tests.transfers.sandbox_conversations import connected_sandbox

Export = Callable[..., dict[str, Any]]

ALL: dict[str, str] = {}
WIDE = {"since": "2026-10-20", "until": "2026-10-30"}
FROM_20 = {"since": "2026-10-20"}
FROM_22 = {"since": "2026-10-22T02:00:00+02:00"}
UNTIL_30 = {"until": "2026-10-30"}
NARROW = {"since": "2026-10-22", "until": "2026-10-26"}
WINDOWS = {
    "all": ALL,
    "wide": WIDE,
    "from 20": FROM_20,
    "from 22": FROM_22,
    "until 30": UNTIL_30,
    "narrow": NARROW,
}
CONTAINED = {
    "all": set(WINDOWS),
    "wide": {"wide", "narrow"},
    "from 20": {"from 20", "from 22", "wide", "narrow"},
    "from 22": {"from 22", "narrow"},
    "until 30": {"until 30", "wide", "narrow"},
    "narrow": {"narrow"},
}


@pytest.fixture(scope="module")
def history() -> Iterator[SandboxServer]:
    with SandboxServer(messages=300) as server:
        yield server


@pytest.fixture
def history_connection(history: SandboxServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_IP1_DEFAULT", stack.ip1_connection(history.url, requests_per_second=0))


@pytest.fixture
def export(operator: Callable[..., ConversationToS3Operator], history_connection: None) -> Export:
    def make(*, context: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
        return operator(**changes).execute(context or {})

    return make


def run(run_id: str = "scheduled__1", **ti: Any) -> dict[str, Any]:
    """The context of a task's run."""
    names = {"dag_id": "lake", "task_id": "export", "map_index": -1, "try_number": 1}
    return {"ti": SimpleNamespace(**names | ti, xcom_push=lambda key, value: None), "run_id": run_id}


def origin(window: dict[str, str]) -> Origin:
    limits = Window.from_arguments(window.get("since"), window.get("until"), None)
    times = {"ip1-since": limits.since, "ip1-until": limits.until}
    metadata = {name: time.isoformat() for name, time in times.items() if time is not None}
    return Origin(limits, {"ip1-source": "v2/conversations#0123", **metadata})


STORE: Any = SimpleNamespace(argument="s3_key", uri="s3://lake/out.jsonl")


@pytest.mark.parametrize("new", WINDOWS)
@pytest.mark.parametrize("old", WINDOWS)
def test_a_window_replaces_only_what_it_contains(old: str, new: str) -> None:
    state = ObjectState(etag='"1"', size=1, metadata=origin(WINDOWS[old]).metadata)
    if old in CONTAINED[new]:
        origin(WINDOWS[new]).check_replaces(state, STORE)
        return
    with pytest.raises(ValueError, match=r"^s3_key: s3://.*/out.jsonl contains messages.*\{\{ run_id .*'always'"):
        origin(WINDOWS[new]).check_replaces(state, STORE)


def test_always_replaces_any_object(export: Export, bucket: Bucket) -> None:
    export(**WIDE)
    stored = bucket.get("out.jsonl")
    with pytest.raises(ValueError, match="contains messages modified from 2026-10-20.* and before 2026-10-30"):
        export(**NARROW)
    assert bucket.get("out.jsonl") == stored
    assert export(**NARROW, replace="always")["messages"] > 0
    assert bucket.get("out.jsonl") != stored


@pytest.mark.parametrize("kind", ["operator", "function", "account"])
def test_since_added_to_a_dag_with_a_constant_key_keeps_the_archive(
    history_connection: None, history: SandboxServer, bucket: Bucket, kind: str
) -> None:
    """No request is sent to iP.1 either. The archive has several parts, so its metadata was sent before its bytes."""
    key = {"s3_bucket": bucket.name, "s3_key": "out.jsonl"}

    def export(**window: str) -> None:
        if kind == "function":
            export_conversations([MAIN] * 2, **key, **window)  # type: ignore[arg-type]
        elif kind == "operator":
            ConversationToS3Operator(task_id="export", participant=MAIN, **key, **window).execute({})  # type: ignore[arg-type]
        else:
            MessagesToS3Operator(task_id="export", **key, **window).execute({})  # type: ignore[arg-type]

    export()
    head = bucket.client.head_object(Bucket=bucket.name, Key="out.jsonl")
    assert head["ETag"].endswith('-1"') is False
    history.requests.clear()
    with pytest.raises(ValueError, match="contains messages of any time"):
        export(since="2026-10-31T22:00:00Z")
    assert [request.path for request in history.requests if "messages" in request.path] == []
    assert bucket.client.head_object(Bucket=bucket.name, Key="out.jsonl")["ETag"] == head["ETag"]
    export()


def test_an_object_of_several_parts_says_its_window(
    operator: Callable[..., ConversationToS3Operator], bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connected_sandbox(monkeypatch, messages=10_000):
        operator(until="2030-01-01").execute({})
        head = bucket.client.head_object(Bucket=bucket.name, Key="out.jsonl")
        assert head["ETag"].endswith('-2"')
        assert head["Metadata"]["ip1-until"] == "2030-01-01T00:00:00+00:00"
        with pytest.raises(ValueError, match="contains messages modified before 2030-01-01"):
            operator(until="2029-01-01").execute({})


OTHERS = {
    "another participant": ({"participant": MAIN}, {"participant": SEVEN}),
    "fewer participants": ({"participant": [MAIN, SEVEN]}, {"participant": [MAIN]}),
    "more participants": ({"participant": [MAIN]}, {"participant": [MAIN, SEVEN]}),
    "the other direction": ({"direction": "mt"}, {"direction": "mo"}),
    "one direction of two": ({}, {"direction": "mo"}),
    "another connection": ({}, {"ip1_conn_id": "ip1_other"}),
}


@pytest.mark.parametrize(("old", "new"), OTHERS.values(), ids=OTHERS)
def test_another_source_is_not_replaced(
    export: Export,
    history: SandboxServer,
    bucket: Bucket,
    monkeypatch: pytest.MonkeyPatch,
    old: dict[str, Any],
    new: dict[str, Any],
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_IP1_OTHER", stack.ip1_connection(history.url, requests_per_second=0))
    export(**old)
    stored = bucket.get("out.jsonl")
    with pytest.raises(ValueError, match=r"^s3_key: .*other participants, another direction or another connection"):
        export(**new)
    assert bucket.get("out.jsonl") == stored
    export(**new, replace="always", on_empty="write")


def test_the_account_and_a_conversation_are_different_sources(export: Export, bucket: Bucket) -> None:
    export()
    account = MessagesToS3Operator(task_id="export", s3_bucket=bucket.name, s3_key="out.jsonl")
    with pytest.raises(ValueError, match="other participants"):
        account.execute({})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"participant": [MAIN, SEVEN]}, {"participant": [SEVEN, f"+{MAIN}"]}),
        ({"direction": "mo"}, {}),
        ({"direction": "mt", **NARROW}, {"direction": "MT", **WIDE}),
        ({**FROM_22}, {"status_lookback": None, "file_format": "jsonl", **FROM_22}),
    ],
)
def test_the_same_source_is_replaced(export: Export, bucket: Bucket, old: dict[str, Any], new: dict[str, Any]) -> None:
    assert export(**new)["messages"] >= export(**old, s3_key="old.jsonl")["messages"] > 0
    export(**old, s3_key="again.jsonl")
    export(**new, s3_key="again.jsonl")
    assert bucket.get("again.jsonl") == bucket.get("out.jsonl")


def test_a_run_replaces_its_own_object(export: Export, bucket: Bucket) -> None:
    """Its window may have moved since, for example because it was cleared."""
    export(context=run(), **WIDE)
    export(context=run(try_number=2), **NARROW)
    for other in (run("scheduled__2"), run(task_id="other"), run(dag_id="other"), run(map_index=1), {}):
        export(context=run(), **WIDE)
        with pytest.raises(ValueError, match="contains messages modified from 2026-10-20"):
            export(context=other, **NARROW)


def test_mapped_tasks_with_one_key_do_not_replace_each_other(export: Export, bucket: Bucket) -> None:
    assert export(participant=SEVEN, context=run(map_index=0))["messages"] == 7
    with pytest.raises(ValueError, match="other participants"):
        export(participant=SINGLE, context=run(map_index=1))
    assert len((bucket.get("out.jsonl") or b"").splitlines()) == 7


FOREIGN = [{}, {"ip1-upload": "0123456789abcdef", "ip1-try": "1"}, {"ip1-since": "2026-10-20T00:00:00+00:00"}]


@pytest.mark.parametrize("metadata", FOREIGN)
def test_an_object_that_does_not_say_where_it_comes_from(
    export: Export, bucket: Bucket, caplog: pytest.LogCaptureFixture, metadata: dict[str, str]
) -> None:
    bucket.client.put_object(Bucket=bucket.name, Key="out.jsonl", Body=b"an archive", Metadata=metadata)
    with pytest.raises(ValueError, match="does not say which messages it contains"):
        export(**WIDE)
    assert bucket.get("out.jsonl") == b"an archive"
    export()
    assert "does not say where its content comes from" in caplog.text


@pytest.mark.parametrize("since", ["", "soon", "2026-10-20", "2026-13-01T00:00:00+00:00"])
def test_a_window_that_cannot_be_read_is_not_replaced_by_a_window(export: Export, bucket: Bucket, since: str) -> None:
    export(**WIDE)
    metadata = bucket.client.head_object(Bucket=bucket.name, Key="out.jsonl")["Metadata"] | {"ip1-since": since}
    bucket.client.put_object(Bucket=bucket.name, Key="out.jsonl", Body=b"x", Metadata=metadata)
    with pytest.raises(ValueError, match="contains messages"):
        export(**WIDE)
    export()


def test_an_object_without_messages_is_replaced_by_any_export(export: Export, bucket: Bucket) -> None:
    assert export(participant=EMPTY)["messages"] == 0
    assert export(participant=SEVEN, **NARROW, on_empty="write")["messages"] >= 0


def test_a_complete_export_without_messages_is_guarded_by_on_empty(export: Export, bucket: Bucket) -> None:
    bucket.put("out.jsonl", b"an archive")
    for replace in (True, "always"):
        with pytest.raises(IP1NoMessagesError):
            export(participant=EMPTY, replace=replace)
    assert bucket.get("out.jsonl") == b"an archive"


@pytest.mark.parametrize("replace", ["never", "True", "ALWAYS", 1, 0, None, "", b"always"])
def test_another_value_of_replace_is_an_error(operator: Callable[..., Any], replace: Any) -> None:
    with pytest.raises(ValueError, match="^replace: "):
        operator(replace=replace)
    with pytest.raises(ValueError, match="^replace: "):
        export_conversations(SEVEN, "s3://lake/out.jsonl", replace=replace)
