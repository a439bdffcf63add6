# SPDX-License-Identifier: Apache-2.0
"""The clauses of the contract, each removed from the core by itself. The simulation must notice each of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_ip1.api.checkpoint import increment, known_rows
from airflow_provider_ip1.api.checkpoint.state import State
from tests.checkpoints import core_driver


def without_position(patch: pytest.MonkeyPatch) -> None:
    """Export no row because of its time."""

    def is_wanted(self: Any, row: increment.Row) -> bool:
        known = self.state.unsettled.get(row.id)
        return self.is_first or (known is not None and known.status != row.status)

    patch.setattr(increment._Increment, "_is_wanted", is_wanted)


def without_known(patch: pytest.MonkeyPatch) -> None:
    """Take a row as new only if it stands above the first known one."""
    take = known_rows.KnownRows.take

    def only_above(self: Any, rows: Any, is_late: bool) -> Any:
        new = take(self, rows, is_late)
        first = next((at for at, row in enumerate(rows) if row.id in self._known), len(rows))
        above = {row.id for row in rows[:first]} if not getattr(self, "_met", False) else set()
        self._met = getattr(self, "_met", False) or first < len(rows)
        return [row for row in new if row.id in above]

    patch.setattr(known_rows.KnownRows, "take", only_above)


def without_unsettled(patch: pytest.MonkeyPatch) -> None:
    """Do not look at the status that is remembered."""

    def is_wanted(self: Any, row: increment.Row) -> bool:
        position = self.state.position
        return position is None or row.time is None or row.time >= position

    patch.setattr(increment._Increment, "_is_wanted", is_wanted)


def without_due(patch: pytest.MonkeyPatch) -> None:
    """Do not look for the messages that are remembered."""
    patch.setattr(increment._Increment, "_is_due", lambda self, one: False)


def without_corrected(patch: pytest.MonkeyPatch) -> None:
    """Never look at a failed message again."""
    is_due = increment._Increment._is_due

    def never(self: Any, one: Any) -> bool:
        return not increment._is_correctable(one.status) and is_due(self, one)

    patch.setattr(increment._Increment, "_is_due", never)


def without_young(patch: pytest.MonkeyPatch) -> None:
    """Do not read a batch again because it is young."""

    def state(self: Any, **fields: Any) -> State:
        return State(position=self._now - increment.OVERLAP, unsettled=self._unsettled, **(fields | {"young": []}))

    patch.setattr(increment._Increment, "_state", state)


def without_start(patch: pytest.MonkeyPatch) -> None:
    """Let a repeated run start from the checkpoint as it is now."""
    get = core_driver.CoreExport._get

    def only_checkpoint(self: Any, key: str) -> Any:
        return None if ".runs/" in key else get(self, key)

    patch.setattr(core_driver.CoreExport, "_get", only_checkpoint)


def without_overlap(patch: pytest.MonkeyPatch) -> None:
    """Do not go back five minutes."""
    patch.setattr(increment, "OVERLAP", increment.OVERLAP * 0)


MUTATIONS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    name.removeprefix("without_"): mutation for name, mutation in globals().items() if name.startswith("without_")
}
