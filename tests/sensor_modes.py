# SPDX-License-Identifier: Apache-2.0
"""Runs our sensors in each of their modes, on a clock that jumps instead of waiting."""

from __future__ import annotations

import asyncio
import heapq
import importlib
import itertools
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_ip1.compat import AirflowSkipException, BaseSensorOperator
from airflow_provider_ip1.hooks import poll as poll_module
from airflow_provider_ip1.sandbox.server import SandboxServer
from airflow_provider_ip1.sensors import base as sensor_module
from airflow_provider_ip1.sensors.base import BasePollingSensor
from airflow_provider_ip1.sensors.message_status import MessageStatusSensor
from airflow_provider_ip1.triggers import base as trigger_module, incoming_sms as event_trigger_module
from airflow_provider_ip1.triggers.base import BasePollingTrigger
from airflow_provider_ip1.triggers.message_status import MessageStatusTrigger
from dev import stack
from tests.airflow_names import AirflowRescheduleException, TaskDeferred

Make = Callable[..., BasePollingSensor[Any]]
MODES = ("poke", "reschedule", "deferrable")


def connect(server: SandboxServer, monkeypatch: pytest.MonkeyPatch, **extra: Any) -> None:
    """Point the default connection at the sandbox, with its current key and one attempt per request."""
    connection = stack.ip1_connection(server.url, max_attempts=1, requests_per_second=0, **extra)
    monkeypatch.setenv("AIRFLOW_CONN_IP1_DEFAULT", connection.replace(stack.SANDBOX_KEY, server.key))


class Clock:
    """A clock that only sleeping moves forward. It runs planned actions when it passes their time."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        self.start = self.now
        self._plans: list[tuple[float, int, Callable[[], object]]] = []
        self._order = itertools.count()

    def time(self) -> float:
        return self.now

    @property
    def elapsed(self) -> float:
        return self.now - self.start

    def after(self, seconds: float, do: Callable[[], object]) -> None:
        """Plan an action for a number of seconds after the start."""
        heapq.heappush(self._plans, (self.start + seconds, next(self._order), do))

    def sleep(self, seconds: float) -> None:
        # Like a real clock, it moves on a little however short the sleep is.
        end = self.now + seconds + 0.001
        while self._plans and self._plans[0][0] <= end:
            moment, _, do = heapq.heappop(self._plans)
            self.now = max(self.now, moment)
            do()
        self.now = end

    async def sleep_async(self, seconds: float) -> None:
        self.sleep(seconds)
        await asyncio.sleep(0)

    def utcnow(self) -> datetime:
        return datetime.fromtimestamp(self.now, UTC)

    def rule(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Replace the real clock in sensors, triggers, their turns and Airflow's base class."""
        base_module = sys.modules[BaseSensorOperator.__module__]
        own_time = SimpleNamespace(time=self.time, monotonic=self.time, sleep=self.sleep)
        for module in (sensor_module, trigger_module, event_trigger_module, poll_module, base_module):
            monkeypatch.setattr(module, "time", own_time)
        own_asyncio = SimpleNamespace(sleep=self.sleep_async, to_thread=asyncio.to_thread)
        for module in (event_trigger_module, poll_module):
            monkeypatch.setattr(module, "asyncio", own_asyncio)
        monkeypatch.setattr(base_module, "timezone", SimpleNamespace(utcnow=self.utcnow))


@contextmanager
def sandbox_on(clock: Clock, monkeypatch: pytest.MonkeyPatch, **options: Any) -> Iterator[SandboxServer]:
    """Start a sandbox whose time is the clock's, and point the default connection at it."""
    with SandboxServer(clock=clock.time, **options) as server:
        connect(server, monkeypatch)
        yield server


@dataclass
class TaskInstance:
    """As much of a task instance as a rescheduled sensor uses."""

    clock: Clock
    first_start: datetime | None = None
    start_date: datetime = field(init=False)
    max_tries: int = 0
    dag_id: str = "dag"
    task_id: str = "wait"
    run_id: str = "run"
    map_index: int = -1

    def __post_init__(self) -> None:
        self.start_date = self.clock.utcnow()

    def begin(self) -> None:
        """Let the first poke be now."""
        self.first_start = self.start_date = self.clock.utcnow()

    def get_first_reschedule_date(self, context: Any) -> datetime | None:
        return self.first_start


class StateStore(dict[str, Any]):
    """As much of Airflow's task state store as the sensors use. Values pass through JSON."""

    def set(self, key: str, value: Any) -> None:
        self[key] = json.loads(json.dumps(value))


@dataclass
class Outcome:
    """How Airflow would see the end of a task: its state, its return value, and its exception."""

    state: str
    result: Any = None
    error: BaseException | None = None

    @property
    def kind(self) -> str:
        """The name of the exception's class; for a skip, of the exception that caused it; or the state."""
        error = self.error
        while isinstance(error, AirflowSkipException) and error.__cause__ is not None:
            error = error.__cause__
        return type(error).__name__ if error is not None else self.state


def run_sensor(
    mode: str,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    sensor: type[BasePollingSensor[Any]] = MessageStatusSensor,
    **arguments: Any,
) -> Outcome:
    """
    Run a sensor to its end.

    :param mode: one of ``MODES``.
    :param clock: the clock, which moves forward while the sensor waits.
    :param sensor: its class.
    :param arguments: the sensor's arguments.
    """

    def make(**more: Any) -> BasePollingSensor[Any]:
        return sensor(**{"task_id": "wait", "deferrable": False, **arguments, **more})

    clock.rule(monkeypatch)
    try:
        return Outcome("success", _MODES[mode](clock, monkeypatch, make))
    except AirflowSkipException as error:
        return Outcome("skipped", error=error)
    except Exception as error:
        return Outcome("failed", error=error)


def _context(task_instance: TaskInstance) -> Any:
    return {"ti": task_instance}


def _poke(clock: Clock, monkeypatch: pytest.MonkeyPatch, make: Make) -> Any:
    return make(mode="poke").execute(_context(TaskInstance(clock)))


def _reschedule(clock: Clock, monkeypatch: pytest.MonkeyPatch, make: Make) -> Any:
    task_instance = TaskInstance(clock)
    base_module = sys.modules[BaseSensorOperator.__module__]
    if hasattr(base_module, "_orig_start_date"):  # Airflow 2 asks the database
        monkeypatch.setattr(base_module, "_orig_start_date", lambda **_: task_instance.first_start)
    while True:
        try:
            # Each poke is another process, which knows nothing of the previous one.
            return make(mode="reschedule").execute(_context(task_instance))
        except AirflowRescheduleException as later:
            task_instance.first_start = task_instance.first_start or task_instance.start_date
            clock.sleep(max(0.0, later.reschedule_date.timestamp() - clock.now))


def _deferrable(clock: Clock, monkeypatch: pytest.MonkeyPatch, make: Make) -> Any:
    try:
        return make(deferrable=True).execute(_context(TaskInstance(clock)))
    except TaskDeferred as deferred:
        path, kwargs = deferred.trigger.serialize()
        method = deferred.method_name
    payload = run_trigger(json.loads(json.dumps(kwargs)), _class_at(path))
    sensor = make(deferrable=True)
    return sensor.resume_execution(method, {"event": payload}, _context(TaskInstance(clock)))


def _class_at(path: str) -> type[BasePollingTrigger]:
    module, _, name = path.rpartition(".")
    found: type[BasePollingTrigger] = getattr(importlib.import_module(module), name)
    return found


def run_trigger(kwargs: dict[str, Any], trigger: type[BasePollingTrigger] = MessageStatusTrigger) -> Any:
    """Run a trigger in a new event loop until it sends its event. Return the payload after a trip through JSON."""

    async def events() -> list[Any]:
        return [event.payload async for event in trigger(**kwargs).run()]

    (payload,) = asyncio.run(events())
    return json.loads(json.dumps(payload))


_MODES = {"poke": _poke, "reschedule": _reschedule, "deferrable": _deferrable}
