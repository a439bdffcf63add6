# SPDX-License-Identifier: Apache-2.0
"""``make record`` against the sandbox in place of the real API, with data that must not survive."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import vcr
import yaml

from airflow_provider_ip1.hooks.ip1 import IP1Hook
from airflow_provider_ip1.sandbox.server import SandboxServer
from dev.live import cassettes, record, record_sandbox
from dev.live.exchange import exchanges_of
from dev.live.scrub import Scrubber, ScrubError

KEY = "c9b1-very-secret-key-4f7a"
PARTICIPANT = "46313900650"
BODIES = ["Hemlig kod åäö 😀 till Anna", 'Citat " och \\ och\nny rad', "PIN"]
REFERENCE = "invoice-of-anna-andersson"


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxServer]:
    clock = record_sandbox.Clock()
    with SandboxServer(messages=10, conversations=200, key=KEY, compress=True, clock=clock) as running:
        for place, body in enumerate(BODIES):
            running.send([PARTICIPANT], body, sender="Anna & Co" if place else "AnnasCafe", reference=REFERENCE)
        clock.now += 3600
        yield running


@pytest.fixture(scope="module")
def originals(server: SandboxServer) -> dict[str, set[str]]:
    """Return everything personal in the conversation, by field."""
    found: dict[str, set[str]] = {}
    for message in server.conversation(PARTICIPANT):
        for name in ("id", "batchId", "owner", "sender", "recipient", "body", "reference", "modified"):
            if message.get(name):
                found.setdefault(name, set()).add(message[name])
        found.setdefault("created", set()).update(status["created"] for status in message["statuses"])
    assert {*BODIES} <= found["body"] and REFERENCE in found["reference"] and PARTICIPANT in found["recipient"]
    return found


@pytest.fixture(scope="module")
def recorded(server: SandboxServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that ``make record`` writes if its question is answered with yes."""
    folder = tmp_path_factory.mktemp("live")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IP1_API_KEY", KEY)
        patch.setenv("IP1_PARTICIPANT", f"+{PARTICIPANT}")
        patch.setenv("IP1_BASE_URL", f"{server.url}/")
        patch.setattr(record, "RATE", 0)
        assert record.main(["--yes", "--to", str(folder)]) == 0
    return folder


def texts(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for name, each in value.items():
            yield str(name)
            yield from texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts(each)
    elif isinstance(value, str):
        yield value


def everything(folder: Path) -> tuple[str, set[str]]:
    """Return all text in the files (as it is, and decoded from YAML and JSON), and all values in them."""
    parts, values = [], set()
    for path in folder.iterdir():
        parts.append(path.read_text(encoding="utf-8"))
        for text in texts(yaml.safe_load(parts[-1])):
            values.add(text)
            if text.startswith(("[", "{")):
                values.update(texts(json.loads(text)))
    return "\n".join([*parts, *values]), values


def test_nothing_personal_survives(recorded: Path, originals: dict[str, set[str]]) -> None:
    whole, values = everything(recorded)
    assert KEY not in whole
    for name, found in originals.items():
        for text in found:
            assert text not in values, name
            if len(text) > 5:
                assert text not in whole, name
                assert json.dumps(text)[1:-1] not in whole, name


def test_everything_is_recorded_and_only_with_get(recorded: Path, server: SandboxServer) -> None:
    assert {path.stem for path in recorded.iterdir()} == set(record._SENTENCES)
    assert {request.method for request in server.requests} == {"GET"}


def test_note_tells_the_origin(recorded: Path) -> None:
    for path in recorded.iterdir():
        cassette = cassettes.load(path)
        assert cassette.source == "live"
        assert re.fullmatch(r"iP\.1's API, recorded 20[0-9]{2}-[0-9]{2}-[0-9]{2}, scrubbed", cassette.origin)
        assert all(each.url.startswith(f"{cassettes.BASE_URL}/v2/") for each in cassette.interactions)


def test_scrubbed_pages_still_match(recorded: Path, server: SandboxServer) -> None:
    """A message is the same in all recordings, in the same order, and no expectation fails."""
    total = len(server.conversation(PARTICIPANT))
    loaded = {path.stem: cassettes.load(path) for path in recorded.iterdir()}
    exchanges = {name: exchanges_of(cassette) for name, cassette in loaded.items()}
    pages, single = exchanges["conversation_pages"], exchanges["conversation_single_page"]
    assert len(pages) >= 3
    seen: dict[str, dict[str, object]] = {}
    for exchange in pages:
        for row in exchange.messages:
            assert seen.setdefault(row["id"], row) == row
    assert list(seen.values()) == single[0].messages
    assert len(seen) == total
    assert sorted(seen) == list(seen), "ids keep their order"
    newest_first = [row["id"] for each in exchanges["conversation_pages_newest_first"] for row in each.messages]
    assert list(dict.fromkeys(newest_first)) == list(seen)[::-1]
    halves = [row["id"] for name in ("sent", "received") for row in exchanges[f"conversation_{name}"][0].messages]
    assert set(halves) <= set(seen)
    assert exchanges["message_history"][0].json["id"] in seen
    for name, cassette in loaded.items():
        assert cassette.differs == [], name


def test_impersonal_values_are_kept(recorded: Path, server: SandboxServer) -> None:
    kept = ("direction", "segments", "type", "datacoding", "priority", "price", "currency")
    (first, *_) = cassettes.load(recorded / "conversation_single_page.yaml").interactions
    before, after = server.conversation(PARTICIPANT), json.loads(first.body)
    assert [{name: row.get(name) for name in kept} for row in after] == [
        {name: row.get(name) for name in kept} for row in before
    ]
    for old, new in zip(before, after, strict=True):
        assert old.keys() == new.keys()
        assert len(old["body"]) == len(new["body"])
        assert old["body"].isascii() == new["body"].isascii()
        assert [each["code"] for each in old["statuses"]] == [each["code"] for each in new["statuses"]]
        assert re.sub("[0-9]", "9", old["modified"]) == re.sub("[0-9]", "9", new["modified"])


def test_replay_returns_the_conversation(recorded: Path, server: SandboxServer, ip1_conn_id: str) -> None:
    """As ``test_replay`` does once the files are in their place."""
    cassette = cassettes.load(recorded / "conversation_pages.yaml")
    with vcr.VCR(record_mode="none").use_cassette(str(recorded / "conversation_pages.yaml")) as replay:
        given = cassette.call.run(IP1Hook(ip1_conn_id, **cassette.call.hook_arguments))
    assert replay.all_played
    assert len(given) == len(server.conversation(PARTICIPANT))


def test_it_asks_before_writing(
    server: SandboxServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    originals: dict[str, set[str]],
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="vcr")
    monkeypatch.setenv("IP1_API_KEY", KEY)
    monkeypatch.setenv("IP1_PARTICIPANT", PARTICIPANT)
    monkeypatch.setenv("IP1_BASE_URL", server.url)
    monkeypatch.setattr(record, "RATE", 0)
    monkeypatch.setattr("builtins.input", lambda _question: "n")
    assert record.main(["--to", str(tmp_path)]) == 1
    assert list(tmp_path.iterdir()) == []
    shown = capsys.readouterr().out
    assert "conversation_pages.yaml (new" in shown
    assert "GET /v2/conversations/46701740605?start=0" in shown
    # The sandbox runs in this process too, and aiohttp logs its requests at this level.
    logged = "\n".join(entry.getMessage() for entry in caplog.records if not entry.name.startswith("aiohttp"))
    for text in {KEY, PARTICIPANT, *originals["body"]} - {"PIN"}:
        assert text not in shown
        assert text not in logged


@pytest.mark.parametrize(
    ("environment", "problem"),
    [
        ({"IP1_API_KEY": ""}, "Set IP1_API_KEY"),
        ({"IP1_PARTICIPANT": ""}, "Set IP1_PARTICIPANT"),
        ({"IP1_API_KEY": "wrong"}, "IP1AuthError"),
        ({"IP1_PARTICIPANT": "46701740608"}, "with 0 messages"),
        ({"IP1_BASE_URL": "http://api.example"}, "IP1ConnectionError"),
    ],
)
def test_failure_is_reported(
    environment: dict[str, str],
    problem: str,
    server: SandboxServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    defaults = {"IP1_API_KEY": KEY, "IP1_PARTICIPANT": PARTICIPANT, "IP1_BASE_URL": server.url}
    for name, value in (defaults | environment).items():
        monkeypatch.setenv(name, value)
    assert record.main(["--yes", "--to", str(tmp_path / "live")]) == 2
    assert problem in capsys.readouterr().err
    assert not (tmp_path / "live").exists()


# The scrubber alone


def exchange(
    document: object, url: str = "https://api.ip1sms.com/v2/conversations/46313900650"
) -> cassettes.Interaction:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return cassettes.Interaction(url, 200, "OK", {"Content-Type": ["application/json"]}, body)


def scrub(*exchanges: cassettes.Interaction) -> list[cassettes.Interaction]:
    scrubber = Scrubber(exchanges, base_url="https://api.ip1sms.com", key=KEY)
    return [scrubber.scrub(each) for each in exchanges]


def test_unknown_fields_lose_their_values() -> None:
    row = {
        "id": "5bcf4324ee47dee41a9dbb13",
        "contact": {"name": "Anna", "phone": 46313900650, "vip": True},
        "46313900650": 1,
    }
    (scrubbed,) = scrub(exchange([row]))
    (after,) = json.loads(scrubbed.body)
    assert after.keys() == {"id", "contact", "field"}
    assert after["contact"]["phone"] == 0 and after["contact"]["vip"] is True
    assert "Anna" not in scrubbed.body.decode()


def test_spellings_of_one_number_stay_together_and_keep_their_form() -> None:
    rows = b"""[{"id":"a1","sender":"+46313900650","recipient":"0046313900650","price":0.350},
                {"id":"a2","sender":"Anna","recipient":"ANNA","price":1e1}]"""
    (scrubbed,) = scrub(exchange(rows))
    first, second = json.loads(scrubbed.body)
    assert first["sender"][1:] == first["recipient"][2:] == scrubbed.url.rpartition("/")[2]
    assert second["sender"] == second["recipient"]
    assert b'"price":0.350' in scrubbed.body


def test_errors_keep_their_words_but_lose_known_names_and_numbers() -> None:
    known = exchange([{"id": "5bcf4324ee47dee41a9dbb13", "sender": "AnnasCafe", "recipient": "46313900650"}])
    text = {"title": "Not found", "detail": "AnnasCafe, 46313900650 and 070-174 06 05", "traceId": f"00-{'a1' * 16}-01"}
    error = cassettes.Interaction(known.url, 404, "Not Found", {}, json.dumps(text).encode())
    after = json.loads(scrub(known, error)[1].body)
    assert after["title"] == "Not found"
    assert not re.search("Anna|46313900650|174 06|a1a1", json.dumps(after))


def test_unneeded_headers_are_dropped_and_links_scrubbed() -> None:
    link = '<https://api.ip1sms.com/v2/conversations/46313900650?start=1&limit=2&order=ASC&account=anna>; rel="next"'
    headers = {"Link": [link], "Set-Cookie": ["session=anna"], "Date": ["today"]}
    original = cassettes.Interaction(exchange([]).url, 200, "OK", headers, b"[]")
    (scrubbed,) = scrub(original)
    assert scrubbed.headers.keys() == {"Link"}
    assert scrubbed.headers["Link"] == [
        '<https://api.ip1sms.com/v2/conversations/46701740605?start=1&limit=2&order=ASC&account=x>; rel="next"'
    ]


def test_key_in_a_response_stops_the_recording() -> None:
    error = cassettes.Interaction(exchange([]).url, 401, "Unauthorized", {}, f"Key {KEY} is unknown".encode())
    with pytest.raises(ScrubError, match="API key") as raised:
        scrub(error)
    assert KEY not in str(raised.value)


def test_more_numbers_than_replacements_is_an_error() -> None:
    rows = [{"id": f"a{place}", "recipient": f"46406280{place:03d}"} for place in range(400, 500)]
    with pytest.raises(ScrubError, match="more than 95 phone numbers"):
        scrub(exchange(rows))
