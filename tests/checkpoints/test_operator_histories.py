# SPDX-License-Identifier: Apache-2.0
"""
The same random histories through the real operators, down to the two sockets.

``IP1_CHECKPOINT_HISTORIES`` sets the number of histories with the pure core; a twentieth as many run here.
"""

from __future__ import annotations

import os

import pytest

from tests.checkpoints.account import BEGINNING, HOUR
from tests.checkpoints.histories import random_history
from tests.checkpoints.operator_driver import export_with_operator
from tests.checkpoints.traps import Story
from tests.checkpoints.world import Run

HISTORIES = int(os.environ.get("IP1_CHECKPOINT_HISTORIES", "200")) // 20
SOURCES = pytest.mark.parametrize("of_account", [True, False], ids=["account", "conversations"])


@pytest.mark.no_cover
@SOURCES
def test_no_history_has_a_gap(of_account: bool) -> None:
    for seed in range(HISTORIES // 2):
        world = random_history(seed, export_with_operator, of_account=of_account)
        assert world.gaps == [], f"history {seed}"


@SOURCES
def test_a_checkpoint_of_another_direction_is_an_error(of_account: bool) -> None:
    story = Story(export_with_operator, of_account=of_account)
    story.send_settled(BEGINNING, 5)
    story.run_at(BEGINNING + HOUR, "first")
    before = dict(story.world.s3.objects)
    with pytest.raises(ValueError, match="^checkpoint: .*another direction"):
        story.world.run(Run("second", story.participants, options={"direction": "mt"}))
    assert story.world.s3.objects == before


@SOURCES
def test_a_run_never_replaces_the_object_of_another(of_account: bool) -> None:
    story = Story(export_with_operator, of_account=of_account)
    story.send_settled(BEGINNING, 5)
    first = story.run_at(BEGINNING + HOUR, "first")
    before = story.world.s3.objects[first.key]
    with pytest.raises(ValueError, match="key per run"):
        story.world.run(Run("second", story.participants, options={"s3_key": first.key}))
    assert story.world.s3.objects[first.key] == before
