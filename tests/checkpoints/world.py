# SPDX-License-Identifier: Apache-2.0
"""A simulated world: an account, the store with its objects, runs that may be killed or interleaved, and the truth."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from typing import Any, NamedTuple, Protocol

from airflow_provider_ip1.api.call import Response
from airflow_provider_ip1.api.checkpoint.state import decode_document
from airflow_provider_ip1.api.settings import Settings
from tests.checkpoints.account import Account, Message
from tests.checkpoints.memory_s3 import MemoryS3, Stored
from tests.checkpoints.model_ip1 import BASE_URL, ModelHook, ModelServer

CHECKPOINT = "checkpoints/sms.json"


class Killed(BaseException):
    """The worker is gone."""


@dataclass(frozen=True)
class Run:
    """
    A task instance.

    :param id: of the DAG run.
    :param participants: whose conversations it exports; ``None`` for the account.
    :param map_index: of a mapped task.
    :param try_number: from 1.
    :param options: further arguments of the export.
    """

    id: str
    participants: tuple[str, ...] | None
    map_index: int = -1
    try_number: int = 1
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return f"objects/{self.id}.{self.map_index}.jsonl"

    @property
    def again(self) -> Run:
        """Its next try."""
        return replace(self, try_number=self.try_number + 1)


class Driver(Protocol):
    """Runs an export. The provider's code is behind it."""

    def __call__(self, world: World, run: Run) -> Any: ...


class World:
    """
    The world.

    :param account: what iP.1 knows.
    :param driver: runs an export.
    :param r: decides how long requests take.
    """

    def __init__(self, account: Account, driver: Driver, r: random.Random, *, now: float) -> None:
        self.account = account
        self.now = now
        self.server = ModelServer(account, lambda: self.now)
        self.s3 = MemoryS3(self.step)
        self.request_seconds = 0.2
        self.is_covered: Callable[[Message], bool] = lambda message: True
        """Whether the contract promises that a message is exported."""
        self.settings = Settings("ip1_default", BASE_URL, "key", requests_per_second=0, redact_key="secret")
        self._driver = driver
        self._r = r
        self._left: int | None = None
        self._then: Callable[[], Any] | None = None

    def utc_now(self) -> datetime:
        """Return the worker's time."""
        return datetime.fromtimestamp(self.now, UTC)

    def step(self) -> None:
        """Something reaches a server or comes back from it. It may be the moment to be killed, or for another run."""
        self.now += self._r.uniform(0, self.request_seconds)
        if self._left is None:
            return
        self._left -= 1
        if self._left < 0 and self._then is not None:
            then, self._left, self._then = self._then, None, None
            then()

    def hook(self) -> ModelHook:
        def respond(url: str) -> Response:
            self.step()
            response = self.server.respond(url)
            self.step()
            return response

        def wait(seconds: float) -> None:
            self.now += seconds

        return ModelHook(respond, wait, self.settings)

    def run(self, run: Run, *, after: int | None = None, then: Callable[[], Any] | None = None) -> Any:
        """
        Run an export.

        :param run: the run.
        :param after: number of steps after which ``then`` is called.
        :param then: another run, or :func:`kill`.
        :return: what the driver returned; ``None`` if the run was killed.
        """
        outer = self._left, self._then
        self._left, self._then = after, then
        before = {key: stored for key, stored in self.s3.objects.items() if key.startswith("objects/")}
        try:
            return self._driver(self, run)
        except Killed:
            return None
        finally:
            self._left, self._then = outer
            self._check_objects(before)

    def _check_objects(self, before: Mapping[str, Stored]) -> None:
        """
        A run replaces only its own object. What the new one lacks is in another object, or has disappeared.

        A remembered message that the earlier try met by chance may be missing until a later run looks at it again.
        """
        for key, stored in before.items():
            now = self.s3.objects.get(key)
            assert now is not None, f"{key} is gone"
            if now.number == stored.number:
                continue
            assert now.metadata.get("ip1-run") == stored.metadata.get("ip1-run"), f"{key} was another run's"
            lost = {**rows_of(stored.body)}
            for message_id, row in rows_of(now.body).items():
                if message_id in lost and row.time >= lost[message_id].time:
                    del lost[message_id]
            merged, remembered = (self.union(), self._remembered) if lost else ({}, set())
            for message_id, row in lost.items():
                is_there = message_id in merged and merged[message_id].time >= row.time
                message = self._messages[message_id]
                assert is_there or message_id in remembered or not self.can_be_seen(message), (
                    f"{message.id} was lost when a run was repeated"
                )

    @property
    def _remembered(self) -> set[str]:
        """The ids of the messages that the checkpoint says to look at again."""
        stored = self.s3.objects.get(CHECKPOINT)
        states = decode_document(stored.body, CHECKPOINT).states if stored else {}
        return {message_id for state in states.values() for message_id in state.unsettled}

    @cached_property
    def _messages(self) -> dict[str, Message]:
        return {message.id: message for message in self.account.messages}

    def can_be_seen(self, message: Message) -> bool:
        """Return whether the union must contain a message: it is covered, and its batch was not deleted."""
        return self.is_covered(message) and self.account.batch_of(message).is_listed(self.now)

    @property
    def objects(self) -> list[Stored]:
        """The exports, those written first first."""
        found = [stored for key, stored in self.s3.objects.items() if key.startswith("objects/")]
        return sorted(found, key=lambda stored: stored.number)

    def union(self) -> dict[str, Exported]:
        """Merge the rows of all objects by id: the latest wins, then the one of the later object."""
        merged: dict[str, Exported] = {}
        for stored in self.objects:
            for message_id, row in rows_of(stored.body).items():
                if message_id not in merged or row.time >= merged[message_id].time:
                    merged[message_id] = row
        return merged

    @property
    def gaps(self) -> list[str]:
        """What the union lacks, or contains with an old status."""
        merged, found = self.union(), []
        for message in filter(self.can_be_seen, self.account.messages):
            row, expected = merged.get(message.id), message.changes[message.state(self.now)].code
            if row is None or row.code != expected:
                has = "nothing" if row is None else f"status {row.code} at {row.time}"
                found.append(f"{message.id} of {message.participant[-2:]}: {has} instead of {message.changes}")
        return found


def kill() -> None:
    raise Killed


class Exported(NamedTuple):
    """What matters of a row of an object."""

    code: int
    time: datetime


@lru_cache(maxsize=1024)
def rows_of(body: bytes) -> Mapping[str, Exported]:
    """Read an object: id -> row. Of a message that it contains twice, the later row counts."""
    rows: dict[str, Exported] = {}
    for fields in map(json.loads, body.splitlines()):
        times = [fields["modified"], *(status["created"] for status in fields["statuses"])]
        row = Exported(fields["statuses"][0]["code"], max(map(datetime.fromisoformat, times)))
        if fields["id"] not in rows or row.time >= rows[fields["id"]].time:
            rows[fields["id"]] = row
    return rows
