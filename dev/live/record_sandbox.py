# SPDX-License-Identifier: Apache-2.0
"""
Write the cassettes of the sandbox and of iP.1's documentation. The files are the same every time.

This needs neither a network nor a key. ``dev.live.record`` records the real API.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_provider_ip1.sandbox import participants
from airflow_provider_ip1.sandbox.send_request import SendRequest
from airflow_provider_ip1.sandbox.server import SandboxServer
from airflow_provider_ip1.sandbox.store import DEMO_BATCHES
from dev.live import cassettes, recorder
from dev.live import documented_responses as documented
from dev.live.cassettes import Call, Cassette
from dev.live.exchange import exchanges_of
from dev.live.expectations import differing

MESSAGES = 23
PAGE = {"page_size": 10}
ONCE = {"max_attempts": 1}
CONVERSATION = {"participant": participants.MAIN}
SMALL = {"participant": participants.SEVEN}
MIXED = DEMO_BATCHES["mixed"][0]
_STARTED = 1_795_000_000
_AN_HOUR = 3600


class Clock:
    """A clock for the sandbox that stands still, so that its responses are always the same."""

    def __init__(self) -> None:
        self.now = _STARTED

    def __call__(self) -> float:
        return self.now


@contextmanager
def still_sandbox(**options: Any) -> Iterator[SandboxServer]:
    """Run a sandbox in which all messages are delivered and no time passes."""
    clock = Clock()
    with SandboxServer(clock=clock, **options) as server:
        clock.now += _AN_HOUR
        yield server


@dataclass(frozen=True)
class Scenario:
    """
    One cassette to record from the sandbox.

    :param about: what it shows, in a sentence.
    :param call: the call to record.
    :param faults: the sandbox's faults, see ``python -m airflow_provider_ip1.sandbox --help``.
    :param options: other options of the sandbox.
    :param sent: batches that were sent before the call.
    """

    about: str
    call: Call
    faults: Sequence[str] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    sent: Sequence[SendRequest] = ()

    def record(self) -> Cassette:
        options = {"messages": MESSAGES, **self.options}
        with still_sandbox(faults=self.faults, **options) as server:
            for order in self.sent:
                server.sandbox.store.send(order)
            recorded, outcome, _ = recorder.record(self.call, server.url, server.key, may_send=True)
            interactions = recorder.tidy(recorded, server.url)
        settings = ", ".join(f"{name}={value}" for name, value in options.items())
        faults = ", ".join(self.faults) or "none"
        return _finished("sandbox", self.about, f"{settings}; faults: {faults}", self.call, outcome, interactions)


@dataclass(frozen=True)
class Example:
    """One cassette to record from an example in iP.1's documentation."""

    about: str
    page: str
    call: Call
    server: documented.DocumentedServer

    def record(self) -> Cassette:
        with self.server.running() as base_url:
            recorded, outcome, _ = recorder.record(self.call, base_url, "any-key")
            interactions = recorder.tidy(recorded, base_url)
        return _finished("documentation", self.about, self.page, self.call, outcome, interactions)


def _finished(
    source: cassettes.Source,
    about: str,
    origin: str,
    call: Call,
    outcome: str,
    interactions: Sequence[cassettes.Interaction],
) -> Cassette:
    cassette = Cassette(source, about, origin, call, outcome, interactions)
    return Cassette(source, about, origin, call, outcome, interactions, differing(exchanges_of(cassette)))


def _pages(about: str, *faults: str, **arguments: Any) -> Scenario:
    return Scenario(about, Call("iter_messages", CONVERSATION | arguments, PAGE), faults)


def _error(about: str, fault: str, *, hook: Mapping[str, Any] = ONCE) -> Scenario:
    return Scenario(about, Call("iter_messages", SMALL, hook), [fault])


def _sent(about: str, *faults: str, **arguments: Any) -> Scenario:
    order = {
        "recipients": [participants.SEVEN, participants.EMPTY],
        "body": "Välkommen på torsdag kl. 10.30.",
        "sender": "Skolan7B",
        "reference": "recording",
    }
    return Scenario(about, Call("send_batch", order | arguments), faults)


# A batch whose delivery window opens a week after the recording, and the id that it gets.
_FUTURE = SendRequest(
    "Skolan7B",
    "Välkommen!",
    {participants.SEVEN: "Välkommen!"},
    delivery_windows=(((_STARTED + 168 * _AN_HOUR) * 1000, (_STARTED + 192 * _AN_HOUR) * 1000),),
    reference="recording",
)
_FUTURE_ID = f"{_STARTED + _AN_HOUR:08x}c000000001000100"

SANDBOX: Mapping[str, Scenario] = {
    "conversation_pages": _pages("A conversation in several pages, oldest first."),
    "conversation_pages_newest_first": _pages("A conversation in several pages, newest first.", order="DESC"),
    "conversation_sent": _pages("The sent messages of a conversation (/mt).", direction="mt"),
    "conversation_received": _pages("The received messages of a conversation (/mo).", direction="mo"),
    "conversation_single_page": Scenario("A conversation in a single page.", Call("iter_messages", SMALL)),
    "conversation_of_a_name": Scenario(
        "A conversation with a sender name that contains a space.",
        Call("iter_messages", {"participant": participants.NAME_WITH_SPACE}),
    ),
    "conversation_empty": Scenario(
        "A conversation without messages: 404.", Call("iter_messages", {"participant": participants.EMPTY})
    ),
    "summary": Scenario("The summary of a conversation.", Call("get_summary", CONVERSATION)),
    "summary_empty": Scenario(
        "The summary of a conversation without messages: 404.", Call("get_summary", {"participant": participants.EMPTY})
    ),
    "batch_messages": Scenario(
        "The messages of a batch, each with its latest status.",
        Call("iter_batch_messages", {"batch_id": MIXED}),
    ),
    "batch_messages_pages": Scenario(
        "The messages of a batch in several pages.",
        Call("iter_batch_messages", {"batch_id": MIXED}, {"page_size": 2}),
    ),
    "batch_unknown": Scenario(
        "The messages of an unknown batch: 404.",
        Call("iter_batch_messages", {"batch_id": "69000000c0000000000000ff"}),
    ),
    "batch": Scenario("A batch with its summaries.", Call("get_batch", {"batch_id": MIXED})),
    "batches_pages": Scenario(
        "The batches of the account in several pages, newest first.", Call("iter_batches", {}, {"page_size": 20})
    ),
    "batch_sent": _sent("A batch that was sent: 201.", tags=["school"], priority=2),
    "batch_sent_as_a_template": _sent(
        "A batch with a value for each recipient.",
        body="Hej {name}!",
        recipients={participants.SEVEN: {"name": "Åsa"}, participants.EMPTY: {}, "default": {"name": "du"}},
    ),
    "batch_sent_without_an_id": _sent(
        "A response to a sent batch that has no body, and the batch in the list.", "sent-as=nothing:status=202"
    ),
    "batch_sent_after_too_many_requests": _sent(
        "429 with Retry-After, then a batch that was sent.", "429@1:retry-after=2,method=POST"
    ),
    "batch_sent_despite_a_server_error": _sent(
        "500 although the batch was sent, and the batch in the list.", "500@1:accepted=yes,method=POST"
    ),
    "batch_rejected": _sent("A batch that is not accepted: 400.", "400@1:method=POST"),
    "batch_canceled": Scenario(
        "A future batch that is canceled: 204.", Call("cancel_batch", {"batch_id": _FUTURE_ID}), sent=[_FUTURE]
    ),
    "batch_too_late_to_cancel": Scenario(
        "A batch that was sent and cannot be canceled: 409.", Call("cancel_batch", {"batch_id": MIXED})
    ),
    "message_history": Scenario(
        "One message with its full status history.",
        Call("get_message", {"batch_id": MIXED, "message_id": "69000000d000006000000002"}),
    ),
    "message_unknown": Scenario(
        "A message that is not in its batch: 404.",
        Call("get_message", {"batch_id": MIXED, "message_id": "69000000d0000060000000ff"}),
    ),
    "participant_invalid": Scenario(
        "An invalid participant: 400.", Call("iter_messages", {"participant": "not a <participant>"})
    ),
    "key_missing": Scenario("No API key: 401.", Call("iter_messages", SMALL, key="missing")),
    "key_wrong": Scenario("A wrong API key: 401.", Call("iter_messages", SMALL, key="wrong")),
    "address_refused": _error("A key that is not valid from this address: 403.", "403"),
    "address_refused_by_gateway": _error("The same, with the body of a gateway.", "403:body=gateway"),
    "too_many_requests": _error("Too many requests: 429 with Retry-After.", "429:retry-after=2"),
    "too_many_requests_then_fine": _error("429 with Retry-After, then a response.", "429@1:retry-after=2", hook={}),
    "server_error_502": _error("A bad gateway: 502 with an HTML page.", "502:body=html"),
    "server_error_503": _error("Unavailable: 503 with Retry-After and no body.", "503:retry-after=3,body=empty"),
    "server_error_then_fine": _error("503 twice, then a response.", "503@1-2", hook={}),
    "page_of_html": _error("200 with a web page instead of JSON.", "html"),
    "json_cut_then_fine": _error("Truncated JSON, then complete JSON.", "badjson@1", hook={}),
    "enums_as_strings": _pages("direction, type and datacoding as strings in mixed case.", "enums=strings"),
    "status_code_unknown": _pages("An undocumented status code.", "unknown-status=777"),
    "limit_clamped": _pages("A server that returns fewer messages than the limit.", "clamp=4"),
    "start_from_one": _pages("A server that counts start from 1.", "start=1-based"),
    "end_by_404": Scenario(
        "A server that returns one message per page, and 404 after the end.",
        Call("iter_messages", SMALL),
        ["clamp=1", "past-end=404"],
    ),
    "end_by_empty_list": Scenario(
        "A server that returns one message per page, and an empty list after the end.",
        Call("iter_messages", SMALL),
        ["clamp=1"],
    ),
    **{
        f"link_{style.replace('-', '_')}": _pages(f"Link header: {about}.", f"link={style}")
        for style, about in {
            "no-semicolon": "without ';' before rel, as in older documentation",
            "swallowed": "without URLs, as in copies of the documentation",
            "off-by-one": "next skips one message, like the numbers in the documentation's example",
            "none": "missing",
            "foreign": "URLs of another host, which must not be followed",
        }.items()
    },
}

_LINKED = Call("iter_messages", {"participant": documented.PARTICIPANT}, {"page_size": 100})
DOCUMENTATION: Mapping[str, Example] = {
    "summary": Example(
        "The example of a summary.",
        "https://ip1sms.com/en/developer/conversations",
        Call("get_summary", {"participant": documented.PARTICIPANT}),
        documented.DocumentedServer(documented.SUMMARY),
    ),
    "message": Example(
        "The example of a message, with enumerations as strings.",
        "https://ip1sms.com/en/developer/readinsms",
        Call("get_message", {"batch_id": documented.BATCH, "message_id": documented.MESSAGE}),
        documented.DocumentedServer(documented.SINGLE),
    ),
    "incoming_message": Example(
        "The example of a received message, as the only message of a conversation.",
        "https://ip1sms.com/en/developer/receiving-incoming-sms/",
        Call("iter_messages", {"participant": documented.PARTICIPANT, "direction": "mo"}),
        documented.DocumentedServer([documented.INCOMING]),
    ),
    **{
        name: Example(
            f"The example of a Link header: {header.partition(',')[0]}, ...",
            page,
            _LINKED,
            documented.DocumentedServer(documented.short_messages(103), header),
        )
        for name, (header, page) in documented.LINKS.items()
    },
}


def write(folder: Path) -> list[Path]:
    """
    Record all cassettes.

    :param folder: where to write them, in a folder for each source.
    :return: the paths of the files.
    """
    written = []
    for source, recordings in (("sandbox", SANDBOX), ("documentation", DOCUMENTATION)):
        for name, recording in recordings.items():
            path = folder / source / f"{name}.yaml"
            recording.record().save(path)
            written.append(path)
    return written


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", type=Path, default=cassettes.FOLDER, help="folder to write to (default: %(default)s)")
    folder = parser.parse_args(arguments).to
    written = write(folder)
    for source in ("sandbox", "documentation"):
        for path in (folder / source).glob("*.yaml"):
            if path not in written:
                path.unlink()
    print(f"{len(written)} cassettes in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
