# SPDX-License-Identifier: Apache-2.0
"""
Record the real iP.1 API, replace all personal data, show the result, and write it once you agree.

It sends only GET requests. Environment: IP1_API_KEY, IP1_PARTICIPANT (a number or name with 4 to 500 messages) and,
optionally, IP1_BASE_URL. It never writes personal data to a file.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from airflow_provider_ip1.api.requests import normalize_participant
from dev.live import cassettes, recorder
from dev.live.cassettes import Call, Cassette, Interaction
from dev.live.exchange import exchanges_of
from dev.live.expectations import differing
from dev.live.scrub import Scrubber, ScrubError
from dev.live.survey import INVALID_PARTICIPANT, UNKNOWN_PARTICIPANT, CannotCheck, from_environment

MIN_MESSAGES, MAX_MESSAGES = 4, 500
#: Requests per second, so that a recording does not load the API.
RATE = 5
_FIT = f"{MIN_MESSAGES} to {MAX_MESSAGES} messages"
_SENTENCES: Mapping[str, str] = {
    "conversation_pages": "A conversation in several pages, oldest first.",
    "conversation_pages_newest_first": "A conversation in several pages, newest first.",
    "conversation_sent": "The sent messages of a conversation (/mt).",
    "conversation_received": "The received messages of a conversation (/mo).",
    "conversation_single_page": "A conversation in a single page.",
    "conversation_empty": "A conversation without messages.",
    "summary": "The summary of a conversation.",
    "summary_empty": "The summary of a conversation without messages.",
    "batch_messages": "The messages of a batch.",
    "message_history": "One message with its full status history.",
    "participant_invalid": "An invalid participant.",
    "key_missing": "No API key.",
    "key_wrong": "A wrong API key.",
}


def calls(participant: str, count: int, batch_and_message: tuple[str, str] | None) -> dict[str, Call]:
    """
    Return the calls to record, by cassette name.

    :param participant: the normalized participant.
    :param count: the number of messages in the conversation, which decides the page size.
    :param batch_and_message: the two ids of a message; ``None`` if no message has both.
    """
    whole = {"participant": participant}
    # Three pages, or slightly more because they overlap.
    pages = {"page_size": max(2, math.ceil(count / 3)), "max_attempts": 2}
    single = pages | {"page_size": count + 50}
    planned = {
        "conversation_pages": Call("iter_messages", whole, pages),
        "conversation_pages_newest_first": Call("iter_messages", whole | {"order": "DESC"}, pages),
        "conversation_sent": Call("iter_messages", whole | {"direction": "mt"}, pages),
        "conversation_received": Call("iter_messages", whole | {"direction": "mo"}, pages),
        "conversation_single_page": Call("iter_messages", whole, single),
        "conversation_empty": Call("iter_messages", {"participant": UNKNOWN_PARTICIPANT}, pages),
        "summary": Call("get_summary", whole, pages),
        "summary_empty": Call("get_summary", {"participant": UNKNOWN_PARTICIPANT}, pages),
        "participant_invalid": Call("iter_messages", {"participant": INVALID_PARTICIPANT}, pages),
        "key_missing": Call("iter_messages", whole, pages, key="missing"),
        "key_wrong": Call("iter_messages", whole, pages, key="wrong"),
    }
    if batch_and_message is not None:
        batch_id, message_id = batch_and_message
        planned["batch_messages"] = Call("iter_batch_messages", {"batch_id": batch_id}, single)
        planned["message_history"] = Call("get_message", {"batch_id": batch_id, "message_id": message_id}, pages)
    return planned


def record(base_url: str, key: str, participant: str, today: str) -> dict[str, Cassette]:
    """
    Make all calls, and scrub their exchanges together.

    :param base_url: the server's base URL.
    :param key: the right API key.
    :param participant: the participant whose conversation to record.
    :param today: the date for the notes.
    :return: scrubbed cassettes by name.
    :raises CannotCheck: if the conversation is unsuitable.
    :raises ScrubError: if some personal data could not be replaced.
    """
    participant = normalize_participant(participant)
    count, batch_and_message = _survey(base_url, key, participant)
    recorded: dict[str, tuple[Call, str, list[Interaction]]] = {}
    for name, call in calls(participant, count, batch_and_message).items():
        interactions, outcome, _ = recorder.record(call, base_url, key, requests_per_second=RATE)
        recorded[name] = call, outcome, interactions
    everything = [each for _, _, interactions in recorded.values() for each in interactions]
    scrubber = Scrubber(everything, base_url=base_url, key=key, ours=(UNKNOWN_PARTICIPANT, INVALID_PARTICIPANT))
    finished = {}
    for name, (call, outcome, interactions) in recorded.items():
        cassette = Cassette(
            "live",
            _SENTENCES[name],
            f"iP.1's API, recorded {today}, scrubbed",
            scrubber.scrub_call(call),
            outcome,
            [scrubber.scrub(each) for each in interactions],
        )
        finished[name] = replace(cassette, differs=differing(exchanges_of(cassette)))
    return finished


def _survey(base_url: str, key: str, participant: str) -> tuple[int, tuple[str, str] | None]:
    """Return the number of messages, and the two ids of one of them."""
    settings = {"page_size": 200, "max_attempts": 2}
    summary, whole = (
        Call(method, {"participant": participant}, settings) for method in ("get_summary", "iter_messages")
    )
    _, outcome, results = recorder.record(summary, base_url, key, requests_per_second=RATE)
    if outcome != "ok":
        raise CannotCheck(f"The summary ended in {outcome}. Check IP1_API_KEY, IP1_PARTICIPANT and the network.")
    counted = results[0].total_messages
    if counted is not None and counted > MAX_MESSAGES:
        raise CannotCheck(f"There are {counted} messages. Choose an IP1_PARTICIPANT with {_FIT}.")
    _, outcome, messages = recorder.record(whole, base_url, key, requests_per_second=RATE)
    if outcome != "ok" or not MIN_MESSAGES <= len(messages) <= MAX_MESSAGES:
        raise CannotCheck(
            f"Reading ended in {outcome} with {len(messages)} messages. Choose an IP1_PARTICIPANT with {_FIT}."
        )
    # Prefer a sent message, because it has a longer history than a received one.
    for message in sorted(messages, key=lambda each: each.direction != "mt"):
        if message.batch_id:
            return len(messages), (message.batch_id, message.id)
    return len(messages), None


def show(finished: Mapping[str, Cassette], folder: Path, staged: Path) -> None:
    """Print a summary of the cassettes, and write them to a temporary folder for review."""
    for name, cassette in finished.items():
        target = folder / f"{name}.yaml"
        text = cassette.to_yaml()
        state = "new" if not target.exists() else "same" if target.read_text(encoding="utf-8") == text else "changed"
        print(f"\n{target.name} ({state}, {len(text):,} characters): {cassette.outcome}")
        print(f"  differs from the expectations: {', '.join(cassette.differs) or 'nothing'}")
        for each in cassette.interactions:
            print(f"  GET {urlsplit(each.url)._replace(scheme='', netloc='').geturl()} -> {each.status}")
        first = cassette.interactions[0]
        for header, values in first.headers.items():
            print(f"  {header}: {', '.join(values)}")
        print(f"  {first.body.decode()[:400]}")
        (staged / target.name).write_text(text, encoding="utf-8")
    print(f"\nReview the complete files in {staged}")


def _agreed(question: str) -> bool:
    try:
        return input(question).strip().lower() in ("y", "yes")
    except EOFError:
        return False


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--yes", action="store_true", help="write the files without asking")
    parser.add_argument(
        "--to", type=Path, default=cassettes.FOLDER / "live", help="folder for the cassettes (default: %(default)s)"
    )
    options = parser.parse_args(arguments)
    try:
        base_url, key, participant = from_environment()
        finished = record(base_url.rstrip("/"), key, participant, f"{datetime.now(UTC):%Y-%m-%d}")
    except (CannotCheck, ScrubError) as error:
        print(error, file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="ip1-recordings-") as staged:
        show(finished, options.to, Path(staged))
        if not options.yes and not _agreed("Write these files? [y/N] "):
            print("Nothing was written.")
            return 1
    for name, cassette in finished.items():
        cassette.save(options.to / f"{name}.yaml")
    print(f"{len(finished)} cassettes in {options.to}. Run the tests before you commit them: make test")
    return 0


if __name__ == "__main__":
    sys.exit(main())
