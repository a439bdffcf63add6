# SPDX-License-Identifier: Apache-2.0
"""The known traps of increments."""

from __future__ import annotations

import pytest

from tests.checkpoints.core_driver import export_with_core
from tests.checkpoints.mutations import MUTATIONS
from tests.checkpoints.operator_driver import export_with_operator
from tests.checkpoints.traps import TRAPS, Story, Trap
from tests.checkpoints.world import Driver

STORIES = [
    pytest.param(trap, of_account, id=f"{trap.tell.__name__}-{'account' if of_account else 'conversations'}")
    for trap in TRAPS
    for of_account in (True, False)
    if trap.of_account in (None, of_account)
]


@pytest.mark.parametrize("driver", [export_with_core, export_with_operator])
@pytest.mark.parametrize(("trap", "of_account"), STORIES)
def test_nothing_is_missed(trap: Trap, of_account: bool, driver: Driver) -> None:
    story = Story(driver, of_account=of_account)
    trap.tell(story)
    assert story.world.gaps == []


@pytest.mark.parametrize("trap", [trap for trap in TRAPS if trap.clause], ids=lambda trap: trap.tell.__name__)
def test_the_trap_shows_what_its_clause_is_for(trap: Trap, monkeypatch: pytest.MonkeyPatch) -> None:
    MUTATIONS[trap.clause or ""](monkeypatch)
    story = Story(export_with_core, of_account=True)
    with pytest.raises(AssertionError):
        trap.tell(story)
        assert story.world.gaps == []
