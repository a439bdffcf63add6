# SPDX-License-Identifier: Apache-2.0
"""
Record calls of the hook: the real iP.1 API by default, our own servers with --offline.

The recording of the real API consists of GET requests. All personal data is replaced in memory, before anything is
written. Environment: IP1_API_KEY, IP1_PARTICIPANT (a number or name with 4 to 500 messages) and, optionally,
IP1_BASE_URL. Read the files before you move them to tests/recordings/cassettes/live.

With --offline, it writes the recordings of the sandbox and of iP.1's documentation again, which needs no key.
"""

from __future__ import annotations

import argparse
import atexit
import json
import logging
import math
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import vcr
import yaml
from vcr.persisters.filesystem import CassetteNotFoundError
from vcr.serialize import serialize
from vcr.serializers import yamlserializer

from airflow_provider_ip1.api.requests import normalize_participant
from airflow_provider_ip1.exceptions import IP1Error
from airflow_provider_ip1.sandbox import participants
from airflow_provider_ip1.sandbox.send_request import SendRequest
from airflow_provider_ip1.sandbox.server import SandboxServer
from airflow_provider_ip1.sandbox.store import DEMO_BATCHES
from dev import PROJECT, stack
from dev.live import cassettes
from dev.live.cassettes import Call, Cassette
from dev.live.documentation import examples
from dev.live.scrub import Scrubber, ScrubError, Unscrubbed
from dev.live.survey import INVALID_PARTICIPANT, RATE, UNKNOWN_PARTICIPANT, Api, CannotCheck, from_environment

#: All other headers are unrelated to the API, differ from run to run, or reveal the time of the recording.
KEPT_HEADERS = ("content-type", "link", "location", "retry-after", "www-authenticate")
MIN_MESSAGES, MAX_MESSAGES = 4, 500
_CONNECTION = "AIRFLOW_CONN_IP1_RECORDING"
_STARTED = 1_795_000_000
_AN_HOUR = 3600


class _Memory:
    """Keeps what vcrpy records in memory."""

    interactions: Sequence[Mapping[str, Any]] = ()

    @staticmethod
    def load_cassette(*_where: object, **_how: object) -> Any:
        raise CassetteNotFoundError

    def save_cassette(self, _path: object, recorded: Any, **_how: object) -> None:
        self.interactions = yaml.safe_load(serialize(recorded, yamlserializer))["interactions"]


def _prepare_airflow() -> None:
    """Give this program a temporary AIRFLOW_HOME, unless it has already imported Airflow."""
    if "airflow" not in sys.modules:
        home = Path(tempfile.mkdtemp(prefix="ip1-record-"))
        atexit.register(shutil.rmtree, home, ignore_errors=True)
        os.environ.update(stack.airflow_environment(home))


def record(
    call: Call,
    base_url: str,
    key: str,
    scrub: Scrubber | Unscrubbed,
    *,
    requests_per_second: float = 0,
    may_send: bool = False,
) -> tuple[str, Sequence[Mapping[str, Any]]]:
    """
    Make a call and record its exchanges.

    :param call: the call.
    :param base_url: the server's base URL.
    :param key: the right API key.
    :param scrub: replaces personal data before vcrpy keeps an exchange.
    :param requests_per_second: the highest rate; 0 (default) means no limit.
    :param may_send: whether requests other than GET are allowed; default False.
    :return: ``ok`` or the class of the error, and the exchanges as vcrpy stores them.
    """
    _prepare_airflow()
    from airflow_provider_ip1.hooks.ip1 import IP1Hook

    def keep_request(request: Any) -> Any:
        if request.method != "GET" and not may_send:
            raise RuntimeError(f"A recording only sends GET, not {request.method}.")
        request.uri, request.headers = scrub.url(request.uri), {}
        return request

    def keep_response(response: Any) -> Any:
        kept = {name: values for name, values in sorted(response["headers"].items()) if is_kept(name)}
        response["headers"] = {name: [scrub.header(value) for value in values] for name, values in kept.items()}
        response["body"] = {"string": scrub.body(response["body"]["string"])}
        return response

    # vcrpy logs complete responses.
    logging.getLogger("vcr").setLevel(logging.CRITICAL)
    memory = _Memory()
    recorder = vcr.VCR(
        record_mode="all",
        decode_compressed_response=True,
        before_record_request=keep_request,
        before_record_response=keep_response,
    )
    recorder.register_persister(memory)
    outcome = "ok"
    sent_key = key if call.key == "right" else "not-the-right-key"
    os.environ[_CONNECTION] = json.dumps({"conn_type": "ip1", "host": base_url, "password": sent_key})
    hook = IP1Hook("ip1_recording", **call.hook_arguments | {"requests_per_second": requests_per_second})
    try:
        with hook, recorder.use_cassette("memory"):
            # vcrpy decompresses a body, but leaves its Content-Encoding, so that the client could not read it.
            hook.get_conn().headers["Accept-Encoding"] = "identity"
            call.run(hook)
    except IP1Error as error:
        outcome = type(error).__name__
    finally:
        del os.environ[_CONNECTION]
    return outcome, memory.interactions


def is_kept(header: str) -> bool:
    """Return whether a recording keeps the response header of this name."""
    return header.lower() in KEPT_HEADERS or "ratelimit" in header.lower().replace("-", "")


def calls(participant: str, page_size: int, batch_id: str, message_id: str) -> dict[str, tuple[str, Call]]:
    """
    Return the calls that read a conversation, and what each shows, by the cassette's name.

    :param participant: the normalized participant.
    :param page_size: messages per request, at most a third of the conversation.
    :param batch_id: a batch of the account.
    :param message_id: a message of the batch.
    """
    # The page sizes of a batch and of received messages are those of the sensors, which replay them, too.
    whole, pages = {"participant": participant}, {"page_size": page_size, "max_attempts": 2}
    return {
        "conversation_pages": ("A conversation in several pages.", Call("iter_messages", whole, pages)),
        "conversation_newest_first": (
            "A conversation in several pages, newest first.",
            Call("iter_messages", whole | {"order": "DESC"}, pages),
        ),
        "conversation_received": (
            "The received messages of a conversation (/mo), newest first.",
            Call("iter_messages", whole | {"direction": "mo", "order": "DESC"}, {"page_size": 50}),
        ),
        "conversation_empty": (
            "A conversation without messages: 404.",
            Call("iter_messages", {"participant": UNKNOWN_PARTICIPANT}),
        ),
        "participant_invalid": (
            "An invalid participant: 400.",
            Call("iter_messages", {"participant": INVALID_PARTICIPANT}),
        ),
        "key_wrong": ("A wrong API key: 401.", Call("iter_messages", whole, key="wrong")),
        "summary": ("The summary of a conversation.", Call("get_summary", whole)),
        "batch": ("A batch with its summaries.", Call("get_batch", {"batch_id": batch_id})),
        "batch_messages": (
            "The messages of a batch.",
            Call("iter_batch_messages", {"batch_id": batch_id}, {"page_size": 1000}),
        ),
        "message_history": (
            "One message with its full status history.",
            Call("get_message", {"batch_id": batch_id, "message_id": message_id}),
        ),
    }


# Our own servers


class Clock:
    """A clock for the sandbox that stands still, so that its responses are always the same."""

    now = _STARTED

    def __call__(self) -> float:
        return self.now


def offline() -> Iterator[tuple[str, Cassette]]:
    """Record the sandbox and iP.1's documentation. Return the cassettes by name; they are the same every time."""
    clock = Clock()
    with SandboxServer(messages=23, clock=clock) as server:
        clock.now += _AN_HOUR
        next_week = (clock.now + 168 * _AN_HOUR) * 1000, (clock.now + 192 * _AN_HOUR) * 1000
        future = SendRequest("Skolan7B", "Hej!", {participants.SEVEN: "Hej!"}, delivery_windows=(next_week,))
        mixed = DEMO_BATCHES["mixed"][0]
        sandbox = calls(participants.MAIN, 10, mixed, "69000000d000006000000002")
        sandbox["batches"] = (
            "The batches of the account in several pages, newest first.",
            Call("iter_batches", {}, {"page_size": 20}),
        )
        sandbox["batches_newest"] = (
            "The newest batches of the account, as a poll for an SMS from anyone requests them.",
            Call("iter_batches", {}, {"page_size": 200}),
        )
        sandbox["batch_canceled"] = (
            "A future batch that is canceled: 204.",
            Call("cancel_batch", {"batch_id": server.sandbox.store.send(future).id}),
        )
        recipients = [participants.SEVEN, participants.EMPTY]
        order = {"recipients": recipients, "body": "Välkommen på torsdag kl. 10.30.", "sender": "Skolan7B"}
        sandbox["batch_sent"] = (
            "A batch that was sent: 201.",
            Call("send_batch", order | {"reference": "recording", "tags": ["school"], "priority": 2}),
        )
        for name, (about, call) in sandbox.items():
            recorded = record(call, server.url, server.key, Unscrubbed(server.url), may_send=True)
            yield f"sandbox/{name}", Cassette("sandbox", about, "23 messages, no faults", call, *recorded)
    for name, example in examples().items():
        with example.running() as base_url:
            recorded = record(example.call, base_url, "any-key", Unscrubbed(base_url))
        yield f"documentation/{name}", Cassette("documentation", example.about, example.page, example.call, *recorded)


# The real API


def live(base_url: str, key: str, participant: str, rate: float = RATE) -> Iterator[tuple[str, Cassette]]:
    """
    Record the real API. Return scrubbed cassettes by name.

    :param base_url: the server's base URL.
    :param key: the right API key.
    :param participant: the participant whose conversation to record.
    :param rate: the highest number of requests per second.
    :raises CannotCheck: if the conversation is unsuitable.
    :raises ScrubError: if some personal data could not be replaced.
    """
    participant = normalize_participant(participant)
    planned = calls(participant, *_survey(Api(base_url, key), participant))
    scrub = Scrubber(base_url, key, ours=(UNKNOWN_PARTICIPANT, INVALID_PARTICIPANT))
    kinds = {"participant": "address", "batch_id": "id", "message_id": "id"}
    finished = {}
    for name, (about, call) in planned.items():
        recorded = record(call, base_url, key, scrub, requests_per_second=rate)
        arguments = {
            argument: scrub.text(kinds[argument], value) if argument in kinds else value
            for argument, value in call.arguments.items()
        }
        origin = f"iP.1's API, recorded {datetime.now(UTC):%Y-%m-%d}, scrubbed"
        finished[name] = Cassette("live", about, origin, replace(call, arguments=arguments), *recorded)
    scrub.check(each for cassette in finished.values() for each in cassette.interactions)
    yield from finished.items()


def _survey(api: Api, participant: str) -> tuple[int, str, str]:
    """Return a third of the number of messages, and the two ids of one of them."""
    path = f"/v2/conversations/{quote(participant, safe='')}"
    summary = api.get(f"{path}/summary")
    count = summary.json.get("totalMessageCount") if summary.status == 200 and isinstance(summary.json, dict) else None
    if not isinstance(count, int) or not MIN_MESSAGES <= count <= MAX_MESSAGES:
        raise CannotCheck(
            f"The summary has status {summary.status} and counts {count or 'no'} messages. "
            f"Check IP1_API_KEY, and choose an IP1_PARTICIPANT with {MIN_MESSAGES} to {MAX_MESSAGES} messages."
        )
    # A sent message has a longer history than a received one.
    for message in api.get(f"{path}/mt", limit=1).messages + api.get(path, limit=1).messages:
        if isinstance(message.get("batchId"), str) and isinstance(message.get("id"), str):
            return math.ceil(count / 3), message["batchId"], message["id"]
    raise CannotCheck("The first messages have no batchId. Choose another IP1_PARTICIPANT.")


def save(recorded: Iterator[tuple[str, Cassette]], folder: Path) -> list[Path]:
    """Write cassettes once all of them are complete. Return the paths of their files."""
    files = {folder / f"{name}.yaml": cassette.to_yaml() for name, cassette in recorded}
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return list(files)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--offline", action="store_true", help="record our own servers")
    parser.add_argument("--to", type=Path, help="folder to write to")
    options = parser.parse_args(arguments)
    folder = options.to or (cassettes.FOLDER if options.offline else PROJECT / "build" / "recordings")
    try:
        written = save(offline() if options.offline else live(*from_environment()), folder)
    except (CannotCheck, ScrubError) as error:
        print(error, file=sys.stderr)
        return 2
    print(*(f"{path.relative_to(folder)}  {path.stat().st_size:,} bytes" for path in written), sep="\n")
    print(f"{len(written)} recordings in {folder}. Read them before you commit them.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
