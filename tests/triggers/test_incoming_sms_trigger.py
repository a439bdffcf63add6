# SPDX-License-Identifier: Apache-2.0
"""IncomingSmsTrigger against the sandbox, with as much of the triggerer as it uses."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

import pytest

from airflow_provider_ip1.api.watching.incoming import arrival_event
from airflow_provider_ip1.exceptions import IP1ParticipantError
from airflow_provider_ip1.hooks import poll as poll_module
from airflow_provider_ip1.sandbox.participants import MAIN
from airflow_provider_ip1.sandbox.server import SandboxServer
from airflow_provider_ip1.triggers import incoming_sms as event_trigger_module
from airflow_provider_ip1.triggers.incoming_sms import IncomingSmsTrigger
from tests.sensor_modes import Clock

TEXT = "Hej, ring mig!"
PATH = "airflow_provider_ip1.triggers.incoming_sms.IncomingSmsTrigger"


class AssetState:
    """As much of the asset state of Airflow 3.3 as the trigger uses. Values pass through JSON."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.failures = 0
        self.error: Exception = RuntimeError("the API server does not respond")
        self.is_read_only = False

    async def aget(self, key: str) -> Any:
        self._fail()
        return self.values.get(key)

    async def aset(self, key: str, value: Any) -> None:
        self._fail(writes=True)
        self.values[key] = json.loads(json.dumps(value))

    def _fail(self, *, writes: bool = False) -> None:
        if self.failures or (writes and self.is_read_only):
            self.failures = max(0, self.failures - 1)
            raise self.error


class BlockingState:
    """The asset state of Airflow 3.3.0 and 3.3.1, which has no coroutines."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def get(self, key: str) -> Any:
        return self.values.get(key)

    def set(self, key: str, value: Any) -> None:
        self.values[key] = value


class SeveralAssets:
    """What Airflow gives to a trigger that serves several assets."""

    async def aget(self, key: str) -> Any:
        raise ValueError("Task has 2 concrete inlets and outlets")

    async def aset(self, key: str, value: Any) -> None:
        raise ValueError("Task has 2 concrete inlets and outlets")


@pytest.fixture
def logged(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    caplog.set_level("DEBUG")

    def logged() -> str:
        out, err = capfd.readouterr()
        return out + err + caplog.text

    return logged


def make(store: Any = None, **arguments: Any) -> IncomingSmsTrigger:
    trigger = IncomingSmsTrigger(**{"participant": MAIN, "poke_interval": 30.0, **arguments})
    trigger.asset_state_store = store
    return trigger


def watch(clock: Clock, seconds: float, store: Any = None, **arguments: Any) -> list[dict[str, Any]]:
    """Run a trigger in a new event loop for a time, then kill it. Returns the payloads of its events."""
    end = clock.now + seconds
    # Events after the last saved position belong to a triggerer that was killed.
    payloads: list[dict[str, Any]] = []

    async def run() -> None:
        trigger = make(store, **arguments)

        async def collect(events: AsyncIterator[Any]) -> None:
            async for event in events:
                payloads.append(event.payload)

        task = asyncio.ensure_future(collect(trigger.run()))
        while clock.now < end and not task.done():
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    return payloads


def counts(payloads: list[dict[str, Any]]) -> list[int]:
    return [payload["count"] for payload in payloads]


class TestEvents:
    def test_an_event_for_each_reply(self, server: SandboxServer, clock: Clock) -> None:
        for after in (100, 200, 200):
            clock.after(after, lambda: server.receive(MAIN, TEXT))
        events = watch(clock, 400)
        assert counts(events) == [1, 2]
        incoming = server.conversation(MAIN, "mo")[-3]
        assert events[0] == {
            "count": 1,
            "first_received": "2027-01-15T08:01:40+00:00",
            "last_received": "2027-01-15T08:01:40+00:00",
            "messages": [
                {
                    "message_id": incoming["id"],
                    "batch_id": incoming["batchId"],
                    "received": "2027-01-15T08:01:40+00:00",
                }
            ],
        }

    def test_the_start(self, server: SandboxServer, clock: Clock) -> None:
        past = len(server.conversation(MAIN, "mo"))
        assert watch(clock, 100) == []
        assert counts(watch(clock, 100, start="beginning")) == [past]
        since = clock.utcnow()
        clock.sleep(1)
        server.receive(MAIN, TEXT)
        assert counts(watch(clock, 100, start=since)) == [1]

    def test_one_request_per_poll(self, server: SandboxServer, clock: Clock) -> None:
        watch(clock, 300)
        reads = [request for request in server.requests if request.path.endswith("/mo")]
        assert 9 <= len(reads) <= 11

    def test_nothing_personal(self, server: SandboxServer, clock: Clock, logged: Callable[[], str]) -> None:
        store = AssetState()
        clock.after(50, lambda: server.receive(MAIN, TEXT))
        clock.after(100, lambda: server.faults.add("503"))
        events = watch(clock, 300, store)
        told = logged() + json.dumps(events) + json.dumps(store.values) + repr(make())
        assert "Poll failed" in told and "46***05" in told
        for secret in (MAIN, TEXT, server.key):
            assert secret not in told


class TestLogs:
    def test_the_plan_and_one_line_per_poll_with_news(
        self, server: SandboxServer, clock: Clock, logged: Callable[[], str]
    ) -> None:
        for after in (100, 200, 200):
            clock.after(after, lambda: server.receive(MAIN, TEXT))
        watch(clock, 1200)
        lines = re.findall(
            r"Watching for SMS from \S+ Polling every \d+ s\.|\d new messages?: SMS from 46\*\*\*05", logged()
        )
        expected = [
            "Watching for SMS from 46***05. Polling every 30 s.",
            "1 new message: SMS from 46***05",
            "2 new messages: SMS from 46***05",
        ]
        # Airflow 2 may print each line and pass it to logging.
        assert lines in (expected, expected * 2)


class TestRestart:
    @pytest.mark.parametrize("kind", [AssetState, BlockingState])
    def test_continues_where_the_last_one_ended(self, server: SandboxServer, clock: Clock, kind: Any) -> None:
        store = kind()
        watch(clock, 100, store)
        server.receive(MAIN, TEXT)
        clock.sleep(1000)
        assert counts(watch(clock, 100, store)) == [1]
        assert watch(clock, 100, store) == []

    def test_an_event_just_before_the_end_is_repeated(self, server: SandboxServer, clock: Clock) -> None:
        """Airflow may not have stored it."""
        store = AssetState()
        watch(clock, 100, store)
        server.receive(MAIN, TEXT)
        assert counts(watch(clock, 15, store, poke_interval=5.0)) == [1]
        assert counts(watch(clock, 100, store, poke_interval=5.0)) == [1]
        assert watch(clock, 100, store) == []

    def test_without_a_state_it_starts_from_now(self, server: SandboxServer, clock: Clock) -> None:
        """Airflow 3.0 to 3.2, and a trigger that serves several assets."""
        for store in (None, SeveralAssets()):
            watch(clock, 100, store)
            server.receive(MAIN, TEXT)
            assert watch(clock, 100, store) == []
            clock.after(clock.elapsed + 50, lambda: server.receive(MAIN, TEXT))
            assert counts(watch(clock, 100, store)) == [1]

    def test_several_assets_cause_a_warning(
        self, server: SandboxServer, clock: Clock, logged: Callable[[], str]
    ) -> None:
        watch(clock, 100, SeveralAssets())
        assert logged().count("This trigger serves several assets") in (1, 2)

    def test_a_changed_start_begins_there(self, server: SandboxServer, clock: Clock) -> None:
        store = AssetState()
        watch(clock, 100, store)
        assert len(watch(clock, 100, store, start="beginning")) == 1
        assert len(store.values) == 2
        assert watch(clock, 100, store, start="beginning") == []

    @pytest.mark.parametrize(
        "state",
        [
            7,
            {"known": 1},
            {"known": [], "others": [], "whole": False, "newest": "x"},
            {"known": [], "others": [], "whole": False, "newest": 1e300},
        ],
    )
    def test_an_unreadable_position_is_replaced(
        self, server: SandboxServer, clock: Clock, logged: Callable[[], str], state: Any
    ) -> None:
        store = AssetState()
        key = make()._state_key
        store.values[key] = state
        clock.after(50, lambda: server.receive(MAIN, TEXT))
        assert counts(watch(clock, 100, store)) == [1]
        assert "The saved position is unreadable" in logged()
        assert store.values[key].keys() == {"known", "others", "whole", "newest"}


class TestFaults:
    @pytest.mark.parametrize("fault", ["401", "503", "html", "reset", "429"])
    def test_a_reply_during_an_outage(self, server: SandboxServer, clock: Clock, fault: str) -> None:
        clock.after(15, lambda: server.faults.add(fault))
        clock.after(100, lambda: server.receive(MAIN, TEXT))
        clock.after(3000, server.faults.clear)
        assert counts(watch(clock, 3200)) == [1]
        assert len(server.requests) < 400

    def test_a_missing_connection(self, server: SandboxServer, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
        connection = os.environ["AIRFLOW_CONN_IP1_DEFAULT"]
        clock.after(500, lambda: monkeypatch.setenv("AIRFLOW_CONN_LATER", connection))
        clock.after(700, lambda: server.receive(MAIN, TEXT))
        assert counts(watch(clock, 900, ip1_conn_id="later")) == [1]

    def test_a_bug_in_a_poll(
        self, server: SandboxServer, clock: Clock, monkeypatch: pytest.MonkeyPatch, logged: Callable[[], str]
    ) -> None:
        real, polls = poll_module.poll_async, []

        async def poll(*arguments: Any) -> Any:
            polls.append(clock.now)
            if len(polls) in (2, 3):
                raise LookupError(MAIN)
            return await real(*arguments)

        monkeypatch.setattr(poll_module, "poll_async", poll)
        clock.after(50, lambda: server.receive(MAIN, TEXT))
        assert counts(watch(clock, 200)) == [1]
        assert "The poll failed: LookupError. See the log of the triggerer for details." in logged()

    def test_a_bug_anywhere_else(
        self, server: SandboxServer, clock: Clock, monkeypatch: pytest.MonkeyPatch, logged: Callable[[], str]
    ) -> None:
        """Airflow would restart the trigger every two seconds."""

        def event(*arguments: Any) -> Any:
            if clock.elapsed < 200:
                raise LookupError("bug")
            return arrival_event(*arguments)

        monkeypatch.setattr(event_trigger_module, "arrival_event", event)
        clock.after(50, lambda: server.receive(MAIN, TEXT))
        assert counts(watch(clock, 500, AssetState())) == [1]
        assert len(server.requests) < 20
        assert "The trigger failed with an unexpected error." in logged()

    def test_a_state_that_cannot_be_read(self, server: SandboxServer, clock: Clock) -> None:
        """Without knowing the position, the trigger would miss what arrived before."""
        store = AssetState()
        watch(clock, 100, store)
        server.receive(MAIN, TEXT)
        store.failures = 5
        assert counts(watch(clock, 500, store)) == [1]
        assert clock.elapsed > 300

    def test_a_state_whose_backend_cannot_be_loaded(
        self, server: SandboxServer, clock: Clock, logged: Callable[[], str]
    ) -> None:
        """Airflow raises a ValueError, as it does for a trigger that serves several assets."""
        store = AssetState()
        watch(clock, 100, store)
        server.receive(MAIN, TEXT)
        store.failures, store.error = 1, ValueError("Could not load worker state backend")
        assert counts(watch(clock, 500, store)) == [1]
        assert "serves several assets" not in logged()

    def test_a_state_that_cannot_be_written(self, server: SandboxServer, clock: Clock) -> None:
        store = AssetState()
        watch(clock, 100, store)
        before = json.dumps(store.values)
        server.receive(MAIN, TEXT)

        store.is_read_only = True
        assert counts(watch(clock, 300, store)) == [1]
        assert json.dumps(store.values) == before
        store.is_read_only = False
        assert counts(watch(clock, 300, store)) == [1]
        assert watch(clock, 300, store) == []


class TestArguments:
    def test_every_argument_comes_back(self) -> None:
        arguments: dict[str, Any] = {
            "participant": MAIN,
            "start": "2026-11-01T00:00:00+00:00",
            "poke_interval": 5.0,
            "ip1_conn_id": "other",
        }
        path, kwargs = IncomingSmsTrigger(**arguments).serialize()
        assert path == PATH
        assert json.loads(json.dumps(kwargs)) == kwargs == arguments
        assert IncomingSmsTrigger(**kwargs).serialize() == (path, kwargs)

    def test_the_defaults(self) -> None:
        assert IncomingSmsTrigger(participant=f"+{MAIN}").serialize() == (
            PATH,
            {"participant": MAIN, "start": "now", "poke_interval": 60.0, "ip1_conn_id": "ip1_default"},
        )

    def test_a_datetime_as_start(self) -> None:
        _, kwargs = IncomingSmsTrigger(participant=MAIN, start=datetime(2026, 11, 1, tzinfo=UTC)).serialize()
        assert kwargs["start"] == "2026-11-01T00:00:00+00:00"

    @pytest.mark.parametrize("start", ["", "later", None, 7])
    def test_an_invalid_start(self, start: Any) -> None:
        with pytest.raises(ValueError, match="start"):
            IncomingSmsTrigger(participant=MAIN, start=start)

    @pytest.mark.parametrize(
        "arguments",
        [
            {"start": "yesterday"},
            {"participant": "0701740605"},
            {"participant": "None"},
            {"poke_interval": None},
            {"ip1_conn_id": ""},
            {"interval": 5},
        ],
        ids=str,
    )
    def test_a_triggerer_survives_stored_arguments_that_are_invalid(self, arguments: Any) -> None:
        """It catches nothing but a TypeError of the constructor. Otherwise all of its triggers stop."""
        with pytest.raises(TypeError):
            IncomingSmsTrigger(**({"participant": MAIN} | arguments))

    @pytest.mark.parametrize("participant", ["0701740605", "", 7])
    def test_an_invalid_participant(self, participant: Any) -> None:
        with pytest.raises(IP1ParticipantError):
            IncomingSmsTrigger(participant=participant)

    @pytest.mark.parametrize("interval", [timedelta(minutes=1), 60, 60.0, "60", " 60.0 "], ids=repr)
    def test_the_forms_of_poke_interval(self, server: SandboxServer, clock: Clock, interval: Any) -> None:
        path, kwargs = IncomingSmsTrigger(participant=MAIN, poke_interval=interval).serialize()
        assert kwargs["poke_interval"] == 60.0
        assert IncomingSmsTrigger(**kwargs).serialize() == (path, kwargs)
        clock.after(30, lambda: server.receive(MAIN, TEXT))
        assert counts(watch(clock, 100, poke_interval=interval)) == [1]
        assert len([request for request in server.requests if request.path.endswith("/mo")]) <= 3

    @pytest.mark.parametrize(
        "interval",
        [None, -1, timedelta(seconds=-1), "", "often", "nan", float("nan"), float("inf"), True, [60]],
        ids=repr,
    )
    def test_an_invalid_poke_interval(self, interval: Any) -> None:
        with pytest.raises(ValueError, match="poke_interval must be a timedelta or a number of seconds"):
            IncomingSmsTrigger(participant=MAIN, poke_interval=interval)

    @pytest.mark.parametrize("ip1_conn_id", ["", " ", None, 7], ids=repr)
    def test_an_invalid_connection_id(self, ip1_conn_id: Any) -> None:
        with pytest.raises(ValueError, match="ip1_conn_id must be"):
            IncomingSmsTrigger(participant=MAIN, ip1_conn_id=ip1_conn_id)

    @pytest.mark.parametrize(
        "arguments",
        [
            {"poke_interval": 0},
            {"poke_interval": 1e308},
            {"poke_interval": timedelta.max},
            {"start": datetime.min},
            {"start": datetime.max.replace(tzinfo=UTC)},
            {"start": "0001-01-01"},
            {"ip1_conn_id": "no such connection"},
        ],
        ids=str,
    )
    def test_it_runs_with_every_argument_that_it_accepts(
        self, server: SandboxServer, clock: Clock, logged: Callable[[], str], arguments: dict[str, Any]
    ) -> None:
        watch(clock, 100, **arguments)
        assert "unexpected error" not in logged()

    def test_an_asset_watcher_accepts_it(self) -> None:
        sdk = pytest.importorskip("airflow.sdk", reason="assets with watchers came with Airflow 3")
        watcher = sdk.AssetWatcher(name="replies", trigger=IncomingSmsTrigger(participant=MAIN))
        asset = sdk.Asset("sms://replies", watchers=[watcher])
        try:
            encode_trigger = import_module("airflow.serialization.encoders").encode_trigger
        except ImportError:  # before Airflow 3.2
            encode_trigger = import_module("airflow.serialization.serialized_objects")._encode_trigger

        assert encode_trigger(asset.watchers[0].trigger)["kwargs"]["start"] == "now"
