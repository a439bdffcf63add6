# SPDX-License-Identifier: Apache-2.0
"""Random histories of runs: cron, asset and manual ones, cleared, repeated, killed, and two at once."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import partial

from tests.checkpoints.account import BEGINNING, DAY, PARTICIPANTS, Account, Message, random_account
from tests.checkpoints.world import CHECKPOINT, Driver, Run, World, kill

DAYS = 60.0
LOOKBACK = 3 * DAY


def run_times(r: random.Random, account: Account, busy: list[tuple[float, float]]) -> list[float]:
    """
    Return the times of the runs.

    Some are days apart, some come often in a busy time, and some in the moments in which iP.1 does not show everything.
    """
    quiet, time, end = r.choice([1.0, 2.0, 4.0]) * DAY, BEGINNING, BEGINNING + DAYS * DAY
    times = []
    while (time := time + quiet * r.uniform(0.3, 1.7)) < end:
        times.append(time)
    for start, stop in busy:
        times += [start + (stop - start) * r.uniform(0, 1.3) for _ in range(r.randint(2, 5))]
    shown = [(batch.created, batch.visible) for batch in account.batches]
    shown += [(message.created, message.visible) for message in account.messages]
    hidden = [(start, stop) for start, stop in shown if stop > start]
    changes = [(change.at - 20, change.at + 20) for message in account.messages for change in message.changes[1:]]
    for moments in (hidden, changes):
        for start, stop in r.sample(moments, min(len(moments), 4)):
            times.append(r.uniform(start, stop))
            if r.random() < 0.5:
                times.append(stop + r.uniform(0, 900))
    return sorted(one for one in times if one < end)


def random_history(seed: int, driver: Driver, *, of_account: bool) -> World:
    """
    Live through a history.

    :param seed: decides everything.
    :param driver: runs an export.
    :param of_account: whether the account is exported, or some conversations.
    """
    r = random.Random(seed)
    account, busy = random_account(r, DAYS)
    world = World(account, driver, r, now=BEGINNING)
    world.server.has_links = r.random() < 0.8
    listed = 2
    past: list[Run] = []
    page_size = r.choice([None, None, 7, 25])
    options = {"on_empty": r.choice(["protect", "write", "skip"]), **({"page_size": page_size} if page_size else {})}

    def participants() -> tuple[str, ...] | None:
        return None if of_account else tuple(PARTICIPANTS[:listed])

    def is_covered(message: Message) -> bool:
        # A conversation shows no delivery windows, so what was scheduled far ahead is given up: a stated limit.
        return of_account or (
            message.participant in PARTICIPANTS[:listed]
            and message.changes[-1].at - message.created <= LOOKBACK - DAY / 2
        )

    world.is_covered = is_covered
    for number, time in enumerate(run_times(r, account, busy)):
        world.now = max(world.now, time)
        world.request_seconds = r.choice([0.1] * 9 + [10.0])
        run = Run(f"r{number}", participants(), options=options)
        chance = r.random()
        if chance < 0.07 and past:
            run = past[r.randrange(max(len(past) - 8, 0), len(past))].again  # cleared
        elif chance < 0.14 and not of_account:
            # Two mapped tasks that share the checkpoint, one within the other.
            first = replace(run, participants=tuple(PARTICIPANTS[:1]), map_index=0)
            second = replace(run, participants=tuple(PARTICIPANTS[1:listed]), map_index=1)
            world.run(first, after=r.randrange(12), then=partial(world.run, second))
            past += [first, second]
            continue
        elif chance < 0.2:
            other = Run(f"r{number}b", participants(), options=options)
            world.run(run, after=r.randrange(30), then=partial(world.run, other))
            past += [run, other]
            continue
        elif chance < 0.22:
            world.s3.objects.pop(CHECKPOINT, None)
        elif chance < 0.25 and not of_account:
            world.server.missing = {f"/v2/conversations/{r.choice(PARTICIPANTS[:listed])}"}
        is_killed = r.random() < 0.15
        world.run(run, after=r.randrange(40) if is_killed else None, then=kill)
        world.server.missing = set()
        if is_killed and r.random() < 0.8 or r.random() < 0.1:
            # Airflow's next try. The worker may have died after its last write.
            world.now += r.uniform(1, 600)
            run = run.again
            world.run(run)
        past.append(run)
        if r.random() < 0.02:
            listed = min(listed + 1, len(PARTICIPANTS))
    for number, pause in enumerate((1.1, 3.2, 3.2, 3.0)):
        world.now += pause * DAY
        world.run(Run(f"last{number}", participants(), options=options))
    return world
