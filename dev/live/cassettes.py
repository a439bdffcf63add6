# SPDX-License-Identifier: Apache-2.0
"""
Cassettes: recorded HTTP exchanges in vcrpy's format, each with a note about its origin.

The note is an additional key of the YAML file, which vcrpy ignores. It also contains the hook call that sent the
requests, so that a test can repeat the call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml

from dev import PROJECT
from dev.live.exchange import Exchange, Key
from dev.live.expectations import differing

if TYPE_CHECKING:
    # Imports Airflow, which needs a home first.
    from airflow_provider_ip1.hooks.ip1 import IP1Hook

FOLDER = PROJECT / "tests" / "recordings" / "cassettes"
Source = Literal["live", "sandbox", "documentation"]


@dataclass(frozen=True)
class Call:
    """
    A call of a hook.

    :param method: a method of ``IP1Hook`` and ``IP1AsyncHook``.
    :param arguments: the method's arguments by name.
    :param hook: the hook's arguments by name; by default it sends one request at a time.
    :param key: which API key the requests have.
    """

    method: str
    arguments: Mapping[str, Any]
    hook: Mapping[str, Any] = field(default_factory=dict)
    key: Key = "right"

    @property
    def hook_arguments(self) -> dict[str, Any]:
        """The arguments of a hook that makes the call without a rate limit."""
        return {"concurrency": 1, "requests_per_second": 0, **self.hook}

    def run(self, hook: IP1Hook) -> list[Any]:
        """Make the call and return its results: messages or batches, or one message, batch or summary."""
        result = getattr(hook, self.method)(**self.arguments)
        return list(result) if self.method.startswith("iter_") else [result]


@dataclass(frozen=True)
class Cassette:
    """
    The exchanges of one call.

    :param source: where the responses come from.
    :param about: what they show, in a sentence.
    :param origin: the sandbox's settings, iP.1's page, or the date of the recording.
    :param call: the call that sent the requests.
    :param outcome: ``ok``, or the class of the error that the call raises.
    :param interactions: the exchanges as vcrpy stores them.
    """

    source: Source
    about: str
    origin: str
    call: Call
    outcome: str
    interactions: Sequence[Mapping[str, Any]]

    @property
    def exchanges(self) -> list[Exchange]:
        """The exchanges, as the expectations read them."""
        return [
            Exchange(
                each["request"]["uri"],
                each["response"]["status"]["code"],
                {name.lower(): ", ".join(values) for name, values in each["response"]["headers"].items()},
                each["response"]["body"]["string"].encode(),
                self.call.key,
                each["request"]["method"],
            )
            for each in self.interactions
        ]

    def to_yaml(self) -> str:
        """Return the file's text, which is always the same for the same cassette."""
        note = {name: getattr(self, name) for name in ("source", "about", "origin")}
        note |= {"call": asdict(self.call), "outcome": self.outcome, "differs": differing(self.exchanges)}
        document = {"note": note, "version": 1, "interactions": list(self.interactions)}
        return yaml.safe_dump(document, allow_unicode=True, sort_keys=False, width=1_000_000)


def load(path: Path) -> Cassette:
    """Read a cassette and its note."""
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    note = document["note"]
    # The expectations that the responses do not meet are in the file for its readers. They follow from the responses.
    del note["differs"]
    return Cassette(**note | {"call": Call(**note["call"])}, interactions=document["interactions"])


def paths(source: Source | None = None) -> list[Path]:
    """Return the paths of all cassettes, sorted."""
    return sorted((FOLDER / source if source else FOLDER).rglob("*.yaml"))
