# SPDX-License-Identifier: Apache-2.0
"""
Runs an export with nothing but the pure core.

There are no requests and no formats, and a list stands still while it is read. So thousands of histories take minutes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from botocore.exceptions import ClientError

from airflow_provider_ip1.api.checkpoint.increment import AccountIncrement, ConversationIncrement, Row
from airflow_provider_ip1.api.checkpoint.state import Document, State, decode_document
from tests.checkpoints.account import Batch, Message
from tests.checkpoints.histories import LOOKBACK
from tests.checkpoints.model_ip1 import BASE_URL
from tests.checkpoints.world import CHECKPOINT, Run, World

T = TypeVar("T")
BATCHES_PER_PAGE = 200


class CoreExport:
    """
    One try of an export.

    :param world: where it runs.
    :param run: the run.
    """

    def __init__(self, world: World, run: Run) -> None:
        self._world = world
        self._name = f"{run.id}.{run.map_index}"
        self._run = run
        self._page_size: int = run.options.get("page_size", 200)
        self._now = datetime.fromtimestamp(world.now + min(world.account.clock_offset, 0.0), UTC)
        self._lines: dict[str, bytes] = {}

    def run(self) -> None:
        """Start from the run's state, read, write the object, and then the checkpoint."""
        start = f"{CHECKPOINT}.runs/{self._name}.json"
        if (stored := self._get(start)) is None:
            _, begin = self._get(CHECKPOINT) or (None, {})
            self._put(start, _document(begin), None)
        else:
            _, begin = stored
        end: dict[str, State] = {}
        exported: list[Row] = []
        for name in self._run.participants or ("account",):
            read = self._read_account if self._run.participants is None else self._read_conversation
            rows, end[name] = read(name, begin.get(name))
            exported += rows
        body = b"\n".join(self._lines[row.id] for row in exported)
        self._world.s3.put_object(Key=self._run.key, Body=body, Metadata={"ip1-run": self._name})
        is_written = False
        while not is_written:
            etag, states = self._get(CHECKPOINT) or (None, {})
            is_written = self._put(CHECKPOINT, _document(states | end), etag)

    def _get(self, key: str) -> tuple[str, dict[str, State]] | None:
        try:
            found = self._world.s3.get_object(Key=key)
        except ClientError:
            return None
        return found["ETag"], decode_document(found["Body"].read(), key).states

    def _put(self, key: str, body: bytes, replaces: str | None) -> bool:
        try:
            self._world.s3.put_object(Key=key, Body=body, IfMatch=replaces, IfNoneMatch=None if replaces else "*")
        except ClientError:
            return False
        return True

    def _read_conversation(self, participant: str, state: State | None) -> tuple[list[Row], State]:
        world = self._world
        increment = ConversationIncrement(state, self._now, timedelta(seconds=LOOKBACK))
        messages = world.account.conversation(participant, "", world.now)
        if f"/v2/conversations/{participant}" in world.server.missing:
            messages = []
        exported: list[Row] = []
        for page in _pages(messages[::-1], self._page_size):
            exported += increment.take(self._rows(page))
            world.step()
            if increment.is_done:
                break
        return exported, increment.end()

    def _read_account(self, _: str, state: State | None) -> tuple[list[Row], State]:
        world = self._world
        increment = AccountIncrement[Batch](state, self._now, timedelta(seconds=LOOKBACK))
        listed = world.account.batch_list(world.now)[::-1]
        for page in _pages(listed, BATCHES_PER_PAGE):
            increment.take_list(page)
            world.step()
            if increment.has_list:
                break
        exported: list[Row] = []
        to_read = listed if increment.is_first else [*increment.new, *map(self._batch, increment.again)]
        for batch in to_read:
            if not batch.is_listed(world.now):
                continue
            closes = datetime.fromtimestamp(batch.window[1] + world.account.clock_offset, UTC) if batch.window else None
            messages = [message for message in batch.messages if message.visible <= world.now]
            for messages_of_page in _pages(messages, self._page_size):
                exported += increment.take(batch.id, self._rows(messages_of_page), closes)
            if not messages:
                increment.take_empty(batch.id, closes)
            world.step()
        return exported, increment.end()

    def _batch(self, batch_id: str) -> Batch:
        return self._world.account.batches[int(batch_id, 16) - 1]

    def _rows(self, messages: Sequence[Message]) -> list[Row]:
        rows = []
        for message in messages:
            shown = self._world.account.show(message, self._world.now)
            self._lines[message.id] = shown.line
            rows.append(Row(message.id, shown.code, shown.time, message.is_incoming))
        return rows


def export_with_core(world: World, run: Run) -> None:
    """Run one try of an export."""
    CoreExport(world, run).run()


def _document(states: dict[str, State]) -> bytes:
    document = Document(base_url=BASE_URL, source="v2/conversations", direction=None, redact_key=None, states=states)
    return document.encode()


def _pages(rows: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))
