# SPDX-License-Identifier: Apache-2.0
"""Short histories, each with one thing that an increment can miss."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from tests.checkpoints.account import BEGINNING as T, DAY, HOUR, PARTICIPANTS, Account, Change
from tests.checkpoints.world import Driver, Run, World, kill

PAGE = {"page_size": 7}


class Story:
    """
    A history that a test tells step by step.

    :param driver: runs an export.
    :param of_account: whether the account is exported, or two conversations.
    """

    def __init__(self, driver: Driver, *, of_account: bool) -> None:
        self.account = Account()
        self.world = World(self.account, driver, random.Random(1), now=T)
        self.participants = None if of_account else tuple(PARTICIPANTS[:2])

    def send_settled(self, start: float, count: int) -> None:
        """Add messages that are delivered after ten seconds, one a second."""
        for number in range(count):
            self.account.send(start + number)

    def run_at(
        self, time: float, name: str, *, after: int | None = None, then: Callable[[], object] | None = None
    ) -> Run:
        self.world.now = max(self.world.now, time)
        run = Run(name, self.participants, options=PAGE)
        self.world.run(run, after=after, then=then)
        return run


def an_old_message_changes_last(story: Story) -> None:
    """The oldest unsettled message changes later than twenty newer ones were settled."""
    story.account.send(T, Change(T + 3 * HOUR, 201))
    story.send_settled(T + 60, 40)
    story.run_at(T + HOUR, "first")
    story.run_at(T + 4 * HOUR, "second")


def a_status_is_older_than_the_run_before(story: Story) -> None:
    """A report reaches iP.1 an hour late, with the time at which it was made."""
    story.account.send(T, Change(T + 2 * HOUR, 201, created=T + HOUR))
    story.send_settled(T + 60, 40)
    story.run_at(T + 1.9 * HOUR, "first")
    story.run_at(T + 4 * HOUR, "second")


def a_status_is_newer_than_modified(story: Story) -> None:
    """A message appears late, and only the time of its status is newer than the run before."""
    batch = story.account.send(T, Change(T + DAY, 201), participants=PARTICIPANTS[:1] * 2)
    late = batch.messages[1]
    late.visible = T + 2 * HOUR
    late.changes = [late.changes[0], Change(T + 2 * HOUR, 201, moves_modified=False)]
    story.run_at(T + HOUR, "first")
    story.run_at(T + 3 * HOUR, "second")
    story.run_at(T + 2 * DAY, "third")


def a_batch_appears_below_a_known_one(story: Story) -> None:
    """A batch is listed 40 seconds after it was created, when a newer one is known."""
    story.send_settled(T - DAY, 220)
    story.account.send(T, visible=T + 40)
    story.account.send(T + 10)
    story.run_at(T + 30, "first")
    story.run_at(T + HOUR, "second")


def a_message_appears_in_a_known_batch(story: Story) -> None:
    """A batch gets its second message after everything in it was delivered."""
    batch = story.account.send(T, participants=PARTICIPANTS[:1] * 2)
    batch.messages[1].visible = T + 100
    story.send_settled(T + 1, 1)
    story.run_at(T + 50, "first")
    story.run_at(T + 5 * 60, "second")


def a_failed_message_is_delivered(story: Story) -> None:
    """A message that has failed is delivered an hour later."""
    story.account.send(T, Change(T + 10, 511), Change(T + HOUR, 201))
    story.send_settled(T + 60, 40)
    story.run_at(T + 1800, "first")
    story.run_at(T + 26 * HOUR, "second")


def a_list_is_missing_once(story: Story) -> None:
    """iP.1 returns a 404 for a list with known rows."""
    story.send_settled(T, 30)
    story.run_at(T + HOUR, "first")
    story.account.send(T + 1.5 * HOUR)
    story.world.server.missing = {"/v2/batches", *(f"/v2/conversations/{one}" for one in PARTICIPANTS)}
    story.run_at(T + 2 * HOUR, "second")
    story.world.server.missing = set()
    run = story.run_at(T + 3 * HOUR, "third")
    assert len(story.world.s3.objects[run.key].body.splitlines()) < 10, "everything was exported again"


def a_worker_dies_after_its_last_write(story: Story) -> None:
    """A worker writes its object and the checkpoint, and dies. Its next try replaces the object."""
    story.send_settled(T, 30)
    run = story.run_at(T + HOUR, "first")
    story.account.send(T + 1.5 * HOUR)
    story.world.now = T + 2 * HOUR
    story.world.run(run.again)


def two_tasks_share_a_checkpoint(story: Story) -> None:
    """Of two mapped tasks with one checkpoint, each runs within the other at some step."""
    story.account.send(T, participants=PARTICIPANTS[:2] * 10)
    runs = [Run("mapped", (participant,), at, options=PAGE) for at, participant in enumerate(PARTICIPANTS[:2])]
    for step in range(20):
        now = story.world.now = T + HOUR * (step + 1)
        first, second = (Run(f"mapped{step}", run.participants, run.map_index, options=PAGE) for run in runs)
        story.account.send(now - 600, participants=PARTICIPANTS[:2])
        story.world.run(first, after=step, then=partial(story.world.run, second))
        if second.key not in story.world.s3.objects:
            story.world.run(second)
    for run in (first, second):
        assert len(story.world.s3.objects[run.key].body.splitlines()) < 10, "a state was lost"


def every_known_batch_is_deleted(story: Story) -> None:
    """Everything that the checkpoint knows disappears."""
    story.send_settled(T, 250)
    story.run_at(T + HOUR, "first")
    for batch in story.account.batches[20:]:
        batch.deleted = T + 2 * HOUR
    story.account.send(T + 1.5 * HOUR)
    story.run_at(T + 3 * HOUR, "second")


def a_worker_dies_at_each_step(story: Story) -> None:
    """A run is killed after each step, again and again, until it succeeds."""
    story.send_settled(T, 10)
    for hour in range(1, 4):
        story.account.send(T + hour * HOUR - 60, Change(T + (hour + 1) * HOUR - 30, 201))
        run = Run(f"hour{hour}", story.participants, options=PAGE)
        story.world.now = T + hour * HOUR
        for step in range(40):
            story.world.run(run, after=step, then=kill)
            run = run.again
    story.run_at(T + 5 * HOUR, "last")


class Trap(NamedTuple):
    """
    A history, and what is noticed by it.

    :param tell: tells the story.
    :param clause: a clause without which the story of an account has a gap.
    :param of_account: false if there is no such story of an account; true if there is none of conversations.
    """

    tell: Callable[[Story], None]
    clause: str | None = None
    of_account: bool | None = None


TRAPS = [
    Trap(an_old_message_changes_last, "due"),
    Trap(a_status_is_older_than_the_run_before, "unsettled"),
    Trap(a_status_is_newer_than_modified, "position"),
    Trap(a_batch_appears_below_a_known_one, "known"),
    Trap(a_message_appears_in_a_known_batch, "young"),
    Trap(a_failed_message_is_delivered, "corrected"),
    Trap(a_list_is_missing_once),
    Trap(a_worker_dies_after_its_last_write, "start"),
    Trap(two_tasks_share_a_checkpoint, of_account=False),
    Trap(every_known_batch_is_deleted),
    Trap(a_worker_dies_at_each_step),
]
