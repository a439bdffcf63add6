# SPDX-License-Identifier: Apache-2.0
"""Exports with a checkpoint: nothing is missed, whichever runs there are, and no run replaces another one's object."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_ip1.compat import AirflowFailException, AirflowSkipException
from airflow_provider_ip1.exceptions import IP1ConnectionError, IP1NoMessagesError, IP1ResponseError
from airflow_provider_ip1.hooks.ip1 import IP1Hook
from airflow_provider_ip1.sandbox.participants import MAIN, NAME, SEVEN
from airflow_provider_ip1.sandbox.server import SandboxServer
from airflow_provider_ip1.transfers.checkpoint import Checkpoint
from airflow_provider_ip1.transfers.conversation_to_s3 import ConversationToS3Operator
from airflow_provider_ip1.transfers.export_conversations import export_conversations
from airflow_provider_ip1.transfers.messages_to_s3 import MessagesToS3Operator
from airflow_provider_ip1.transfers.to_s3 import S3Options
from dev import stack
from tests.airflow_names import allow_execute_in_this_thread
from tests.transfers.bucket_contents import Bucket
from tests.transfers.s3_proxy import S3Proxy, S3Request, s3_proxy

# Before this day, because the position follows the clock that is behind: the sandbox's.
START = datetime.now(UTC).replace(microsecond=0) - timedelta(days=40)
CHECKPOINT = "state/checkpoint.json"


class Lake:
    """A sandbox whose clock the test moves, a bucket, and runs of exports."""

    def __init__(self, server: SandboxServer, now: list[float], bucket: Bucket) -> None:
        self.server = server
        self.bucket = bucket
        self._now = now
        self.runs = 0

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self._now[0], UTC)

    def pass_time(self, **time: float) -> None:
        self._now[0] += timedelta(**time).total_seconds()

    def conversations(self, participant: Any = MAIN, run_id: str | None = None, **changes: Any) -> list[str]:
        """Run an export of conversations. Returns the ids in the object, in their order."""
        return self._run(ConversationToS3Operator, run_id, changes | {"participant": participant})

    def account(self, run_id: str | None = None, **changes: Any) -> list[str]:
        """Run an export of the account. Returns the ids in the object, in their order."""
        return self._run(MessagesToS3Operator, run_id, changes)

    def _run(self, operator: Any, run_id: str | None, changes: dict[str, Any]) -> list[str]:
        self.runs += run_id is None
        self.run_id = run_id or f"run{self.runs}"
        context = run_context(self.run_id, **changes.pop("ti", {}))
        arguments: dict[str, Any] = {"s3_bucket": self.bucket.name, "s3_key": f"{self.run_id}.jsonl"}
        arguments |= {"task_id": "export", "checkpoint": CHECKPOINT} | changes
        self.server.requests.clear()
        self.result = operator(**arguments).execute(context)
        return self.ids(arguments["s3_key"])

    def ids(self, key: str) -> list[str]:
        return [message["id"] for message in self.messages(key)]

    def messages(self, key: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.bucket.get(key) or b"").splitlines()]

    @property
    def checkpoint(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.bucket.get(CHECKPOINT) or b"{}")
        return document

    @property
    def requests_so_far(self) -> int:
        """How many requests the sandbox has had."""
        return self.server.sandbox._received.total()

    @property
    def paths(self) -> list[str]:
        """The paths of the last run's requests."""
        return [request.path for request in self.server.requests]

    def union(self) -> dict[str, int]:
        """Message id -> latest status of all objects, merged as the docs tell."""
        latest: dict[str, tuple[Any, ...]] = {}
        objects = self.bucket.client.list_objects_v2(Bucket=self.bucket.name)["Contents"]
        for order, entry in enumerate(sorted(objects, key=lambda one: one["LastModified"])):
            if entry["Key"].startswith("state/"):
                continue
            for message in self.messages(entry["Key"]):
                status = message["statuses"][-1]
                version = (max(message["modified"], status["created"]), order, status["code"])
                latest[message["id"]] = max(latest.get(message["id"], ()), version)
        return {key: version[-1] for key, version in latest.items()}

    def truth(self, *participants: str) -> dict[str, int]:
        """Message id -> status, as iP.1 has it now."""
        names = participants or tuple(self.server.sandbox.store.conversations)
        return {
            message["id"]: message["statuses"][-1]["code"]
            for name in names
            for message in self.server.conversation(name)
        }


def run_context(run_id: str, **ti: Any) -> dict[str, Any]:
    names = {"dag_id": "lake", "task_id": "export", "map_index": -1, "try_number": 1}
    return {"ti": SimpleNamespace(**names | ti, xcom_push=lambda key, value: None), "run_id": run_id}


@pytest.fixture
def lake(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lake]:
    now = [START.timestamp()]
    with SandboxServer(
        messages=300, history_end=START - timedelta(days=5), clock=lambda: now[0], delivery_seconds=1200
    ) as server:
        # One request at a time: the tests count each run's requests, and one that was sent ahead may arrive after it.
        options = {"requests_per_second": 0, "max_attempts": 1, "concurrency": 1, "redact_key": "a secret key"}
        connection = stack.ip1_connection(server.url, **options)
        monkeypatch.setenv("AIRFLOW_CONN_IP1_DEFAULT", connection)
        lake = Lake(server, now, bucket)
        # The demo batches of the sandbox are delivered by then.
        lake.pass_time(hours=2)
        yield lake


def is_position(lake: Lake, text: str) -> bool:
    """Whether this is the position after a run that just began. The Date of a response has whole seconds."""
    return timedelta(minutes=5) <= lake.now - datetime.fromisoformat(text) < timedelta(minutes=6)


# -- what runs export


def test_each_run_exports_what_is_new_or_changed(lake: Lake) -> None:
    first = lake.conversations([MAIN, SEVEN])
    assert set(first) == set(lake.truth(MAIN, SEVEN))
    assert lake.result["since"] is None
    position = min(state["position"] for state in lake.checkpoint["states"].values())
    assert is_position(lake, position)
    lake.pass_time(hours=1)
    lake.server.send([MAIN], "Hej!")
    lake.server.receive(SEVEN, "Ja")
    assert len(lake.conversations([MAIN, SEVEN])) == 2
    assert datetime.fromisoformat(lake.result["since"]) == datetime.fromisoformat(position)
    assert len(lake.paths) == 2
    lake.pass_time(hours=1)
    # The one has another status, and the other arrived when the last run began, within the five minutes of overlap.
    assert len(lake.conversations([MAIN, SEVEN])) == 2
    lake.pass_time(hours=1)
    assert lake.conversations([MAIN, SEVEN]) == []
    assert lake.union() == lake.truth(MAIN, SEVEN)


def test_each_run_of_the_account_exports_what_is_new_or_changed(lake: Lake) -> None:
    assert set(lake.account()) == set(lake.truth())
    for _ in range(3):
        lake.pass_time(hours=1)
        lake.server.send([MAIN, SEVEN], "Hej!")
        lake.server.receive(NAME, "Ja")
        lake.account()
        assert lake.union() == lake.truth()
    # Two new batches, the two before, which were young, and the demo batch that is never delivered. And the list.
    assert sum("messages" in path for path in lake.paths) == lake.result["batches"] == 5
    assert lake.paths.count("/v2/batches") <= 3
    lake.pass_time(hours=1)
    lake.account()
    lake.pass_time(hours=1)
    assert lake.account() == []
    assert [path for path in lake.paths if "messages" in path] == ["/v2/batches/69000000c000000000000005/messages"]
    assert lake.union() == lake.truth()


def test_a_direction_has_a_checkpoint_of_its_own(lake: Lake) -> None:
    for direction in ("mt", "MO"):
        lake.account(direction=direction, checkpoint=f"state/{direction}.json")
    lake.pass_time(hours=1)
    lake.server.send([MAIN], "Hej!")
    lake.server.receive(NAME, "Ja")
    for direction in ("mt", "MO"):
        lake.account(direction=direction, checkpoint=f"state/{direction}.json")
        assert len(lake.ids(f"{lake.run_id}.jsonl")) == 1
    assert lake.union() == lake.truth()
    with pytest.raises(
        ValueError, match=r"checkpoint: s3://.*/state/mt.json belongs to .* another direction \(mt, not mo\)"
    ):
        lake.account(direction="mo", checkpoint="state/mt.json")


def test_the_first_run_exports_from_since_and_so_does_a_new_participant(lake: Lake) -> None:
    lake.pass_time(days=10)
    lake.server.send([MAIN], "Hej!")
    since = (lake.now - timedelta(days=1)).isoformat()
    assert len(lake.conversations(MAIN, since=since)) == 1
    assert lake.result["since"] == since
    assert len(lake.conversations([MAIN, SEVEN], since=since)) == 1
    assert sorted(lake.checkpoint["states"]) == [MAIN, SEVEN]
    # A participant that is no longer in the list keeps its state.
    before = lake.checkpoint["states"][MAIN]
    lake.pass_time(hours=1)
    lake.conversations(SEVEN, since=since)
    assert lake.checkpoint["states"][MAIN] == before
    lake.pass_time(hours=1)
    # Its start is past, so it is what the checkpoint holds that counts.
    assert len(lake.conversations([MAIN, NAME], since="2020-01-01")) == 1 + len(lake.truth(NAME))


def test_the_first_run_of_the_account_exports_from_since(lake: Lake) -> None:
    lake.pass_time(days=10)
    lake.server.send([MAIN], "Hej!")
    since = (lake.now - timedelta(days=1)).isoformat()
    assert len(lake.account(since=since)) == 1
    assert len(lake.paths) < 50
    lake.pass_time(hours=1)
    assert len(lake.account(since=since)) == 1


def test_the_position_follows_the_clock_that_is_behind(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [datetime.now(UTC).timestamp() + 3600]
    with SandboxServer(messages=5, clock=lambda: now[0]) as server:
        monkeypatch.setenv("AIRFLOW_CONN_IP1_DEFAULT", stack.ip1_connection(server.url, requests_per_second=0))
        lake = Lake(server, now, bucket)
        began = datetime.now(UTC)
        lake.conversations()
        position = datetime.fromisoformat(lake.checkpoint["states"][MAIN]["position"])
        assert began - timedelta(minutes=5) <= position <= datetime.now(UTC) - timedelta(minutes=5)


def test_an_empty_window_advances_the_checkpoint_whatever_on_empty_says(lake: Lake) -> None:
    lake.conversations()
    for on_empty, error in (("skip", AirflowSkipException), ("fail", IP1NoMessagesError)):
        lake.pass_time(hours=1)
        with pytest.raises(error):
            lake.conversations(on_empty=on_empty)
        assert is_position(lake, lake.checkpoint["states"][MAIN]["position"])
    assert lake.conversations(on_empty="protect") == []
    assert lake.bucket.get(f"{lake.run_id}.jsonl") == b""


@pytest.mark.parametrize("fault", ["404", "empty-list"])
def test_an_empty_list_changes_nothing_if_messages_are_known(
    lake: Lake, fault: str, capfd: pytest.CaptureFixture[str]
) -> None:
    lake.conversations()
    before = lake.checkpoint
    lake.pass_time(hours=1)
    lake.server.send([MAIN], "Hej!")
    # After a 404, the next request makes sure that the server is iP.1's.
    lake.server.faults.add(f"{fault}@{lake.requests_so_far + 1}")
    assert lake.conversations() == []
    assert lake.checkpoint == before
    assert "iP.1 listed nothing for 1 conversation, although the checkpoint knows some of it" in capfd.readouterr().out
    assert len(lake.conversations()) == 1


def test_everything_is_exported_again_if_no_known_message_is_listed(
    lake: Lake, capfd: pytest.CaptureFixture[str]
) -> None:
    lake.conversations()
    lake.server.delete(count=20, at="tail")
    assert set(lake.conversations()) == set(lake.truth(MAIN))
    assert "no message that the checkpoint knows for 1 conversation. Everything there was" in capfd.readouterr().out


def test_the_log_says_how_many_messages_were_given_up(lake: Lake, capfd: pytest.CaptureFixture[str]) -> None:
    lake.server.sandbox.store._delivery_ms = 100 * 24 * 3_600_000
    lake.server.send([MAIN], "Hej!")
    for _ in range(3):
        lake.conversations(status_lookback=timedelta(days=1))
        lake.pass_time(days=1)
    assert "Stopped waiting for a final status of 1 message: none came within status_lookback" in capfd.readouterr().out


# -- cleared, repeated and concurrent runs


def test_a_cleared_run_covers_at_least_what_it_covered(lake: Lake) -> None:
    lake.conversations()
    for _ in range(3):
        lake.pass_time(hours=1)
        lake.server.send([MAIN], "Hej!")
        lake.conversations()
    before = {run: lake.ids(f"run{run}.jsonl") for run in (1, 2, 3, 4)}
    assert [len(ids) for ids in before.values()][1:] == [1, 2, 2]
    for run in (2, 1, 4):
        lake.pass_time(minutes=10)
        assert set(lake.conversations(run_id=f"run{run}")) >= set(before[run])
    assert lake.ids("run3.jsonl") == before[3]
    lake.pass_time(hours=1)
    lake.conversations()
    assert lake.union() == lake.truth(MAIN)


@pytest.mark.parametrize("is_account", [True, False])
def test_a_run_that_dies_after_its_object_leaves_no_gap(
    lake: Lake, is_account: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = lake.account if is_account else lake.conversations
    export()
    lake.pass_time(hours=1)
    lake.server.send([MAIN], "Hej!")
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "advance", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            export()
    died = lake.ids("run2.jsonl")
    assert len(died) == 1
    lake.pass_time(hours=1)
    assert died[0] in export()
    # The retry comes after the next run.
    assert died[0] in export(run_id="run2", ti={"try_number": 2})
    lake.pass_time(hours=1)
    export()
    assert lake.union() == (lake.truth() if is_account else lake.truth(MAIN))


@pytest.mark.parametrize("replace", [True, "always"])
def test_no_run_replaces_the_object_of_another(lake: Lake, replace: Any) -> None:
    lake.conversations(s3_key="constant.jsonl")
    stored = lake.bucket.get("constant.jsonl")
    keys = lake.bucket.keys()
    lake.server.send([MAIN], "Hej!")
    # The second attempt as well: the first one must not have stored a state of its run.
    for try_number in (1, 2):
        with pytest.raises(ValueError, match=r"^s3_key: s3://.*/constant.jsonl exists.* key per run.*run_id"):
            lake.conversations(run_id="other", s3_key="constant.jsonl", replace=replace, ti={"try_number": try_number})
    assert lake.bucket.get("constant.jsonl") == stored
    assert lake.bucket.keys() == keys


@pytest.mark.parametrize("try_number", [1, 2])
def test_no_mapped_task_replaces_the_object_of_another(lake: Lake, try_number: int) -> None:
    lake.conversations(MAIN, run_id="mapped", ti={"map_index": 0}, s3_key="constant.jsonl")
    stored = lake.bucket.get("constant.jsonl")
    with pytest.raises(ValueError, match=r"^s3_key: s3://.*/constant.jsonl "):
        lake.conversations(
            SEVEN, run_id="mapped", ti={"map_index": 1, "try_number": try_number}, s3_key="constant.jsonl"
        )
    assert lake.bucket.get("constant.jsonl") == stored


def test_an_object_that_another_run_wrote_after_the_first_try_is_kept(lake: Lake) -> None:
    with pytest.raises(ValueError):
        lake.conversations(
            run_id="mine", participant="46701740606", s3_key="out.jsonl", file_format="csv", compression="gzip"
        )
    lake.server.faults.add("500@1-")
    with pytest.raises(Exception, match="500"):
        lake.conversations(run_id="mine", s3_key="out.jsonl")
    lake.server.faults.clear()
    MessagesToS3Operator(task_id="other", s3_bucket=lake.bucket.name, s3_key="out.jsonl").execute(run_context("other"))
    stored = lake.bucket.get("out.jsonl")
    with pytest.raises(ValueError, match="may have been written by another run"):
        lake.conversations(run_id="mine", s3_key="out.jsonl", ti={"try_number": 2})
    assert lake.bucket.get("out.jsonl") == stored


def test_an_object_that_cannot_be_looked_up_is_kept(
    lake: Lake, s3_server: stack.S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be another run's. S3 answers HEAD with 403 if the credentials may not look."""
    with s3_proxy(s3_server) as proxy:
        proxy.answer = lambda request: (403, "") if request.call == "HEAD" else None
        monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", proxy_connection(proxy, stack.aws_connection(s3_server)))
        with pytest.raises(ValueError, match="may have been written by another run"):
            lake.conversations(run_id="mine", s3_key="out.jsonl")
    assert "out.jsonl" not in lake.bucket.keys()


def test_a_run_whose_state_expired_does_not_replace_its_object(lake: Lake) -> None:
    lake.conversations()
    lake.pass_time(hours=1)
    (state,) = [key for key in lake.bucket.keys() if ".runs/" in key]
    lake.bucket.client.delete_object(Bucket=lake.bucket.name, Key=state)
    with pytest.raises(ValueError, match="there is no state from which this run began"):
        lake.conversations(run_id="run1")
    assert set(lake.ids("run1.jsonl")) == set(lake.truth(MAIN))


def test_mapped_tasks_share_a_checkpoint(
    lake: Lake, s3_server: stack.S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second task ends while the first one is about to write the checkpoint."""
    lake.conversations([MAIN, SEVEN])
    before = lake.checkpoint["states"]
    lake.pass_time(hours=1)
    ids = {name: lake.server.send([name], "Hej!") for name in (MAIN, SEVEN)}
    connection = stack.aws_connection(s3_server)
    with s3_proxy(s3_server) as proxy:
        puts: list[S3Request] = []

        def before_request(request: S3Request) -> None:
            puts.extend([request] if request.call == "PutObject" else [])
            # Its state, its object, and then the checkpoint.
            if len(puts) == 3 and request.call == "PutObject":
                puts.append(request)
                allow_execute_in_this_thread()
                with monkeypatch.context() as direct:
                    direct.setenv("AIRFLOW_CONN_AWS_DEFAULT", connection)
                    lake.conversations(SEVEN, run_id="mapped", ti={"map_index": 1}, s3_key="mapped-1.jsonl")

        proxy.before = before_request
        monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", proxy_connection(proxy, connection))
        lake.conversations(MAIN, run_id="mapped", ti={"map_index": 0}, s3_key="mapped-0.jsonl")
        assert len(puts) > 4
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", connection)
    after = lake.checkpoint["states"]
    assert all(after[name]["position"] > before[name]["position"] for name in ids)
    lake.pass_time(hours=1)
    lake.conversations([MAIN, SEVEN])
    assert lake.union() == lake.truth(MAIN, SEVEN)


def proxy_connection(proxy: S3Proxy, connection: str) -> str:
    document = json.loads(connection)
    document["extra"] = {**document["extra"], "endpoint_url": proxy.url}
    return json.dumps(document)


def test_a_deleted_checkpoint_starts_again_from_since(lake: Lake) -> None:
    lake.conversations()
    lake.bucket.client.delete_object(Bucket=lake.bucket.name, Key=CHECKPOINT)
    lake.pass_time(hours=1)
    lake.server.send([MAIN], "Hej!")
    assert set(lake.conversations()) == set(lake.truth(MAIN))


# -- the function


def test_the_function_writes_only_new_objects(lake: Lake) -> None:
    target = {"s3_bucket": lake.bucket.name, "checkpoint": CHECKPOINT}
    result = export_conversations(MAIN, "a.jsonl", **target)  # type: ignore[arg-type]
    assert result["messages"] == len(lake.truth(MAIN))
    assert lake.bucket.keys() == ["a.jsonl", CHECKPOINT]
    lake.pass_time(hours=1)
    lake.server.send([MAIN], "Hej!")
    with pytest.raises(ValueError, match="outside a run of a DAG"):
        export_conversations(MAIN, "a.jsonl", **target)  # type: ignore[arg-type]
    with IP1Hook() as hook:
        assert export_conversations(MAIN, "b.jsonl", **target, hook=hook)["messages"] == 1  # type: ignore[arg-type]
    assert lake.union() == lake.truth(MAIN)


# -- batches that show no messages


def test_a_single_404_for_the_messages_of_a_batch_is_asked_again(lake: Lake) -> None:
    """With a checkpoint and without."""
    for arguments in ({"checkpoint": None}, {}):
        lake.server.faults.clear()
        lake.server.faults.add(f"404@{lake.requests_so_far + 20}:body=empty")
        exported = lake.account(**arguments)
        assert len(exported) == len(set(exported))
        assert set(exported) == set(lake.truth())


@pytest.mark.parametrize("arguments", [{"checkpoint": None}, {}], ids=["all", "checkpoint"])
def test_an_empty_batch_whose_summary_counts_messages_is_an_error(
    lake: Lake, arguments: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = lake.server.sandbox.store.find_batch(lake.server.send([MAIN], "Hej!"))
    monkeypatch.setattr(type(batch), "__len__", lambda self: len(self.sent) if self is not batch else 0)
    with pytest.raises(
        IP1ResponseError, match=f"no messages for batch '{batch.id}' .404., but its summary counts some"
    ):
        lake.account(**arguments)
    assert [key for key in lake.bucket.keys() if key.endswith(".jsonl")] == []


def test_a_batch_that_has_no_messages_yet_is_exported_completely_when_it_has(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.account()
    store = lake.server.sandbox.store
    batch = store.find_batch(lake.server.send([MAIN], "Hej!"))
    kind = type(batch)
    with monkeypatch.context() as patch:
        patch.setattr(kind, "__len__", lambda self: len(self.sent) if self is not batch else 0)
        shown = kind.to_dict
        patch.setattr(
            kind,
            "to_dict",
            lambda self, now_ms, *, with_summaries: shown(
                self, now_ms, with_summaries=with_summaries and self is not batch
            ),
        )
        lake.pass_time(minutes=30)
        assert lake.account() == []
    lake.pass_time(hours=2)
    assert lake.account() == [batch.sent[0].id]


def test_a_batch_that_was_deleted_is_forgotten(lake: Lake) -> None:
    lake.account()
    batch_id = lake.server.send([MAIN], "Hej!")
    lake.account()
    assert [one["batch"] for one in lake.checkpoint["states"]["account"]["unsettled"].values()].count(batch_id) == 1
    del lake.server.sandbox.store._sent[batch_id]
    lake.pass_time(hours=1)
    lake.account()
    assert batch_id not in json.dumps(lake.checkpoint["states"]["account"]["unsettled"])


# -- arguments


@pytest.mark.parametrize("value", ["", "  ", "None", None, "{{ ds }}"])
def test_a_checkpoint_that_renders_to_nothing_is_an_error(lake: Lake, value: Any) -> None:
    operator = MessagesToS3Operator(
        task_id="export", s3_bucket=lake.bucket.name, s3_key="out.jsonl", checkpoint="{{ x }}"
    )
    assert "checkpoint" in operator.template_fields
    operator.checkpoint = value
    with pytest.raises(AirflowFailException, match="checkpoint"):
        operator.execute(run_context("run"))
    assert lake.server.requests == []
    assert lake.bucket.keys() == []


@pytest.mark.parametrize("other", [{"until": "2026-01-01"}, {"replace": False}, {"verify_total": True}])
def test_arguments_that_a_checkpoint_excludes(other: dict[str, Any]) -> None:
    with pytest.raises(
        ValueError, match="^checkpoint: cannot be combined with until, replace=False or verify_total=True"
    ):
        MessagesToS3Operator(task_id="export", s3_key="s3://lake/out.jsonl", checkpoint="state.json", **other)
    S3Options(s3_key="s3://lake/out.jsonl", **other)


@pytest.mark.parametrize(
    ("checkpoint", "message"),
    [
        ("run1.jsonl", "is the object that the export writes"),
        ("state/", "ends with a slash"),
        ("https://example.com/state.json", "is a URL, but not of the form s3://bucket/key"),
        (f"state/{MAIN}.json", "contains the participant's phone number"),
        (f"state/+{MAIN[:2]} {MAIN[2:]}.json", "contains the participant's phone number"),
    ],
)
def test_a_checkpoint_that_cannot_be_used(lake: Lake, checkpoint: str, message: str) -> None:
    with pytest.raises(AirflowFailException, match=f"^checkpoint: .*{message}") as caught:
        lake.conversations(checkpoint=checkpoint, run_id="run1")
    assert MAIN not in str(caught.value)
    assert lake.bucket.keys() == []


def test_a_checkpoint_may_have_a_url(lake: Lake) -> None:
    lake.conversations(checkpoint=f"s3://{lake.bucket.name}/{CHECKPOINT}")
    lake.pass_time(hours=1)
    assert lake.conversations() == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"id": "a message"}\n', "is not a checkpoint.*Use another key"),
        (b'{"ip1_checkpoint": 2}', "was written by a newer version.*Update the provider"),
    ],
)
def test_an_object_that_is_not_a_checkpoint_is_left_alone(lake: Lake, body: bytes, message: str) -> None:
    lake.bucket.put(CHECKPOINT, body)
    with pytest.raises(ValueError, match=f"^checkpoint: s3://.*/{CHECKPOINT} {message}"):
        lake.conversations()
    assert (lake.bucket.get(CHECKPOINT), lake.bucket.keys()) == (body, [CHECKPOINT])


def test_a_checkpoint_belongs_to_one_source_and_base_url(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.conversations()
    with pytest.raises(ValueError, match="belongs to an export with another source .*delete the object and set since"):
        lake.account()
    with SandboxServer(messages=5) as other:
        monkeypatch.setenv("AIRFLOW_CONN_IP1_DEFAULT", stack.ip1_connection(other.url))
        with pytest.raises(ValueError, match="belongs to an export with another base URL"):
            lake.conversations()


def test_the_checkpoint_is_stored_as_the_object_but_can_be_read_at_once(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And it is not an output of the task."""
    outputs: list[str] = []
    monkeypatch.setattr(
        "airflow_provider_ip1.transfers.stores.s3.add_output_asset", lambda *args, key, **kwargs: outputs.append(key)
    )
    lake.conversations(extra_args={"StorageClass": "STANDARD_IA", "ContentType": "application/json"})
    heads = {key: lake.bucket.client.head_object(Bucket=lake.bucket.name, Key=key) for key in lake.bucket.keys()}
    assert heads["run1.jsonl"].get("StorageClass") == "STANDARD_IA"
    assert heads[CHECKPOINT].get("StorageClass") is None
    assert heads[CHECKPOINT]["ContentType"] == "application/json"
    assert outputs == ["run1.jsonl"]


# -- personal data


@pytest.mark.parametrize("field", ["participant", "sender", "recipient"])
def test_a_checkpoint_hides_the_participants_that_the_export_hides(
    lake: Lake, field: str, capfd: pytest.CaptureFixture[str]
) -> None:
    for expected in (len(lake.truth(MAIN)), 0):
        assert len(lake.conversations([MAIN], redact={field: "mask"})) == expected
        lake.pass_time(hours=1)
    for key in lake.bucket.keys():
        assert MAIN not in key
        if key.startswith("state/"):
            assert MAIN[-6:] not in (lake.bucket.get(key) or b"").decode()
    assert MAIN not in capfd.readouterr().out
    assert len(lake.checkpoint["redact_key"]) == 16
    with pytest.raises(ValueError, match="another redact_key, or another choice of hiding participants"):
        lake.conversations([MAIN])


def test_another_redact_key_is_an_error(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.conversations(redact={"participant": "mask"})
    for key, error in (("another secret key", ValueError), ("", IP1ConnectionError)):
        extra = {"redact_key": key} if key else {}
        monkeypatch.setenv("AIRFLOW_CONN_IP1_DEFAULT", stack.ip1_connection(lake.server.url, **extra))
        with pytest.raises(error, match="redact_key"):
            lake.conversations(redact={"participant": "mask"})
    # The account has no participants to hide.
    lake.account(redact={"participant": "mask"}, checkpoint="state/account.json")


def test_a_checkpoint_shows_the_participants_that_the_export_shows(lake: Lake) -> None:
    lake.conversations(redact={"body": "drop"})
    assert list(lake.checkpoint["states"]) == [MAIN]
    assert lake.checkpoint["redact_key"] is None
