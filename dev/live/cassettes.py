# SPDX-License-Identifier: Apache-2.0
"""
Cassettes: recorded HTTP exchanges with iP.1 in vcrpy's format, with a note that says where each comes from.

The note is a further key of the YAML file, which vcrpy passes over. It also holds the call of the hook that made the
requests, so that a test can make the same call again.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import vcr
import yaml
from vcr.persisters.filesystem import CassetteNotFoundError

from airflow_provider_ip1.exceptions import IP1Error
from dev import PROJECT, stack

if TYPE_CHECKING:
    # Imports Airflow, which needs a home first.
    from airflow_provider_ip1.hooks.ip1 import IP1Hook

FOLDER = PROJECT / "tests" / "recordings" / "cassettes"
#: What every recorded URL begins with, whatever server was asked: the default of an iP.1 connection.
BASE_URL = "https://api.ip1sms.com"
#: The other headers say nothing about the API, differ from run to run, or tell when it was recorded.
KEPT_HEADERS = ("Content-Type", "Link", "Location", "Retry-After", "WWW-Authenticate")
RATE_LIMIT_HEADERS = ("ratelimit", "x-ratelimit", "x-rate-limit")

Source = Literal["live", "sandbox", "documentation"]
Key = Literal["right", "wrong", "missing"]


@dataclass(frozen=True)
class Call:
    """
    A call of a hook.

    :param method: of ``IP1Hook`` and ``IP1AsyncHook``.
    :param arguments: of the method, by name.
    :param hook: arguments of the hook, by name; one request at a time unless they say otherwise.
    :param key: whether the API key is sent, and the right one.
    """

    method: str
    arguments: Mapping[str, Any]
    hook: Mapping[str, Any] = field(default_factory=dict)
    key: Key = "right"

    @property
    def hook_arguments(self) -> dict[str, Any]:
        """For a hook that replays: as fast as it can."""
        return {"concurrency": 1, "requests_per_second": 0, **self.hook}

    def run(self, hook: IP1Hook) -> list[Any]:
        """Everything the call gives: messages, or one message or summary."""
        result = getattr(hook, self.method)(**self.arguments)
        return list(result) if self.method.startswith("iter_") else [result]


@dataclass(frozen=True)
class Interaction:
    """One GET request and its answer, the body decompressed."""

    url: str
    status: int
    reason: str
    headers: Mapping[str, Sequence[str]]
    body: bytes = field(repr=False)


@dataclass(frozen=True)
class Cassette:
    """
    :param source: where the answers come from.
    :param about: what is shown, in a sentence.
    :param origin: how they came about: the sandbox's settings, iP.1's page, or the date.
    :param call: what asked for them.
    :param outcome: ``ok``, or the class of the error that the call ends with.
    :param differs: expectations that the answers do not meet, see ``dev.live.expectations``.
    """

    source: Source
    about: str
    origin: str
    call: Call
    outcome: str
    interactions: Sequence[Interaction]
    differs: Sequence[str] = ()

    def to_yaml(self) -> str:
        """The file's text: the same cassette always gives the same."""
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
                "request": {"method": "GET", "uri": each.url, "body": None, "headers": {}},
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
    """Read a cassette with its note."""
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
            )
            for each in document["interactions"]
        ],
    )


def paths(source: Source | None = None) -> list[Path]:
    """The cassettes that there are, sorted."""
    return sorted((FOLDER / source if source else FOLDER).rglob("*.yaml"))


class _Memory:
    """Where vcrpy puts what it records: nowhere but here, so that nothing unscrubbed reaches the disk."""

    def __init__(self) -> None:
        self.interactions: list[Interaction] = []

    @staticmethod
    def load_cassette(*_where: object, **_how: object) -> Any:
        raise CassetteNotFoundError

    def save_cassette(self, _path: object, recorded: Mapping[str, Any], **_how: object) -> None:
        for request, response in zip(recorded["requests"], recorded["responses"], strict=True):
            self.interactions.append(
                Interaction(
                    request.uri,
                    response["status"]["code"],
                    response["status"]["message"],
                    response["headers"],
                    response["body"]["string"],
                )
            )


def _only_get(request: Any) -> Any:
    if request.method != "GET":
        raise RuntimeError(f"Recording only reads, and must not send {request.method}.")
    return request


def prepare_airflow() -> None:
    """Give this program an Airflow home that vanishes with it. Does nothing where Airflow is imported already."""
    if "airflow" in sys.modules:
        return
    home = Path(tempfile.mkdtemp(prefix="ip1-record-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    os.environ.update(stack.airflow_environment(home))


@contextmanager
def connection(base_url: str, key: str) -> Iterator[str]:
    """The id of an Airflow connection that only this process knows, as long as the block lasts."""
    name = "AIRFLOW_CONN_IP1_RECORDING"
    os.environ[name] = json.dumps({"conn_type": "ip1", "host": base_url, "password": key})
    try:
        yield "ip1_recording"
    finally:
        del os.environ[name]


def record(
    call: Call, base_url: str, key: str, *, requests_per_second: float = 0
) -> tuple[list[Interaction], str, list[Any]]:
    """
    Make a call against a server and keep what went over the wire, in memory and unscrubbed.

    :param call: what to do; its ``key`` says what is sent.
    :param base_url: of the server.
    :param key: the right API key.
    :param requests_per_second: most requests per second, 0 (default) for no limit.
    :return: the exchanges, ``ok`` or the error's class, and what the call gave.
    """
    prepare_airflow()
    from airflow_provider_ip1.hooks.ip1 import IP1Hook

    # vcrpy logs whole answers.
    logging.getLogger("vcr").setLevel(logging.CRITICAL)
    memory = _Memory()
    recorder = vcr.VCR(record_mode="all", decode_compressed_response=True, before_record_request=_only_get)
    recorder.register_persister(memory)
    outcome, given = "ok", []
    sent_key = "not-the-right-key" if call.key == "wrong" else key
    with connection(base_url, sent_key) as conn_id, recorder.use_cassette("memory"):
        hook = IP1Hook(conn_id, **call.hook_arguments | {"requests_per_second": requests_per_second})
        if call.key == "missing":
            hook.get_conn().auth = _without_key
        try:
            given = call.run(hook)
        except IP1Error as error:
            outcome = type(error).__name__
        finally:
            hook.close()
    return memory.interactions, outcome, given


def _without_key(request: Any) -> Any:
    return request


def tidy(interactions: Iterable[Interaction], base_url: str) -> list[Interaction]:
    """Leave out the headers that are not kept, and name iP.1 where the local server was named."""
    return [
        Interaction(
            each.url.replace(base_url, BASE_URL),
            each.status,
            each.reason,
            {
                name: [value.replace(base_url, BASE_URL) for value in values]
                for name, values in each.headers.items()
                if is_kept(name)
            },
            each.body.replace(base_url.encode(), BASE_URL.encode()),
        )
        for each in interactions
    ]


def is_kept(header: str) -> bool:
    """Whether a response header of this name goes into a cassette."""
    lowered = header.lower()
    return lowered in map(str.lower, KEPT_HEADERS) or lowered.startswith(RATE_LIMIT_HEADERS)
