# SPDX-License-Identifier: Apache-2.0
"""
Cassettes: recorded HTTP exchanges with iP.1 in vcrpy's format, each with a note about its origin.

The note is an additional key of the YAML file, which vcrpy ignores. It also contains the hook call that sent the
requests, so that a test can repeat the call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml

from dev import PROJECT

if TYPE_CHECKING:
    # Imports Airflow, which needs a home first.
    from airflow_provider_ip1.hooks.ip1 import IP1Hook

FOLDER = PROJECT / "tests" / "recordings" / "cassettes"
#: The start of every recorded URL, whichever server sent the response: the default host of an iP.1 connection.
BASE_URL = "https://api.ip1sms.com"
#: All other headers are unrelated to the API, differ from run to run, or reveal the time of the recording.
KEPT_HEADERS = ("Content-Type", "Link", "Location", "Retry-After", "WWW-Authenticate")
RATE_LIMIT_HEADERS = ("ratelimit", "x-ratelimit", "x-rate-limit")

Source = Literal["live", "sandbox", "documentation"]
Key = Literal["right", "wrong", "missing"]


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
        """The arguments of a hook that replays the call without a rate limit."""
        return {"concurrency": 1, "requests_per_second": 0, **self.hook}

    def run(self, hook: IP1Hook) -> list[Any]:
        """Make the call and return its results: messages or batches, or one message, batch or summary."""
        result = getattr(hook, self.method)(**self.arguments)
        return list(result) if self.method.startswith("iter_") else [result]


@dataclass(frozen=True)
class Interaction:
    """
    One request and its response, with a decompressed body.

    :param method: the request's method.
    :param request_body: the request's body, in UTF-8; ``None`` if it has none.
    """

    url: str
    status: int
    reason: str
    headers: Mapping[str, Sequence[str]]
    body: bytes = field(repr=False)
    method: str = "GET"
    request_body: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Cassette:
    """
    The exchanges of one call.

    :param source: where the responses come from.
    :param about: what they show, in a sentence.
    :param origin: the sandbox's settings, iP.1's page, or the date of the recording.
    :param call: the call that sent the requests.
    :param outcome: ``ok``, or the class of the error that the call raises.
    :param interactions: the exchanges.
    :param differs: the names of the expectations (``dev.live.expectations``) that the responses do not meet.
    """

    source: Source
    about: str
    origin: str
    call: Call
    outcome: str
    interactions: Sequence[Interaction]
    differs: Sequence[str] = ()

    def to_yaml(self) -> str:
        """Return the file's text, which is always the same for the same cassette."""
        note = {
            "source": self.source,
            "about": self.about,
            "origin": self.origin,
            "call": {name: dict(each) if isinstance(each, Mapping) else each for name, each in vars(self.call).items()},
            "outcome": self.outcome,
            "differs": list(self.differs),
        }
        interactions = [
            {
                "request": {
                    "method": each.method,
                    "uri": each.url,
                    "body": None if each.request_body is None else each.request_body.decode(),
                    "headers": {},
                },
                "response": {
                    "status": {"code": each.status, "message": each.reason},
                    "headers": {name: list(values) for name, values in sorted(each.headers.items())},
                    "body": {"string": each.body.decode()},
                },
            }
            for each in self.interactions
        ]
        document = {"note": note, "version": 1, "interactions": interactions}
        return yaml.safe_dump(document, allow_unicode=True, sort_keys=False, width=1_000_000)

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.to_yaml(), encoding="utf-8")


def load(path: Path) -> Cassette:
    """Read a cassette and its note."""
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    note = document["note"]
    return Cassette(
        **(note | {"call": Call(**note["call"])}),
        interactions=[
            Interaction(
                each["request"]["uri"],
                each["response"]["status"]["code"],
                each["response"]["status"]["message"],
                each["response"]["headers"],
                each["response"]["body"]["string"].encode(),
                each["request"]["method"],
                each["request"]["body"] and each["request"]["body"].encode(),
            )
            for each in document["interactions"]
        ],
    )


def paths(source: Source | None = None) -> list[Path]:
    """Return the paths of all cassettes, sorted."""
    return sorted((FOLDER / source if source else FOLDER).rglob("*.yaml"))


def is_kept(header: str) -> bool:
    """Return whether a cassette keeps the response header of this name."""
    lowered = header.lower()
    return lowered in map(str.lower, KEPT_HEADERS) or lowered.startswith(RATE_LIMIT_HEADERS)
