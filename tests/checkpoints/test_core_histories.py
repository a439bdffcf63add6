# SPDX-License-Identifier: Apache-2.0
"""
Random histories: the union of all objects equals the truth, whatever the runs and the account do.

``IP1_CHECKPOINT_HISTORIES`` sets the number of histories with the pure core. ``make test-checkpoints`` runs 20,000.
"""

from __future__ import annotations

import os

import pytest

from tests.checkpoints.core_driver import export_with_core
from tests.checkpoints.histories import random_history
from tests.checkpoints.mutations import MUTATIONS

HISTORIES = int(os.environ.get("IP1_CHECKPOINT_HISTORIES", "200"))
#: Parts that workers of the tests can share.
PARTS = 10 if HISTORIES > 1000 else 1
SOURCES = pytest.mark.parametrize("of_account", [True, False], ids=["account", "conversations"])


@pytest.mark.no_cover
@SOURCES
@pytest.mark.parametrize("part", range(PARTS))
def test_no_history_has_a_gap(part: int, of_account: bool) -> None:
    for seed in range(part, HISTORIES // 2, PARTS):
        world = random_history(seed, export_with_core, of_account=of_account)
        assert world.gaps == [], f"history {seed}"
        assert len(world.objects) > 5, "the history shows nothing"


@pytest.mark.no_cover
@pytest.mark.parametrize("name", MUTATIONS)
def test_the_histories_notice_each_clause_that_is_left_out(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    MUTATIONS[name](monkeypatch)
    assert any(_has_gap(seed) for seed in range(40))


def _has_gap(seed: int) -> bool:
    """Return whether a history of the account fails. There, every clause shows."""
    try:
        return bool(random_history(seed, export_with_core, of_account=True).gaps)
    except AssertionError:
        return True
