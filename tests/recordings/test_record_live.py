# SPDX-License-Identifier: Apache-2.0
"""``make record`` against the sandbox in place of the real API, with data that must not survive."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import vcr
import yaml
from hypothesis import given, strategies as st

from airflow_provider_ip1.hooks.ip1 import IP1Hook
from airflow_provider_ip1.sandbox.server import SandboxServer
from dev.live import cassettes, record
from dev.live.scrub import _KINDS, Scrubber, ScrubError
from dev.live.survey import BASE_URL

KEY = "c9b1-very-secret-key-4f7a"
PARTICIPANT = "46313900650"
BODIES = ["Hemlig kod åäö 😀 till Anna", 'Citat " och \\ och\nny rad', "PIN"]
REFERENCE = "invoice-of-anna-andersson"


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxServer]:
    clock = record.Clock()
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
    """Return the folder that ``make record`` writes."""
    folder = tmp_path_factory.mktemp("live")
    record.save(record.live(server.url, KEY, f"+{PARTICIPANT}", rate=0), folder)
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
    assert {path.stem for path in recorded.iterdir()} == set(record.calls(PARTICIPANT, 4, "batch", "message"))
    assert {request.method for request in server.requests} == {"GET"}


def test_note_tells_the_origin(recorded: Path) -> None:
    for path in recorded.iterdir():
        cassette = cassettes.load(path)
        assert cassette.source == "live"
        assert re.fullmatch(r"iP\.1's API, recorded 20[0-9]{2}-[0-9]{2}-[0-9]{2}, scrubbed", cassette.origin)
        assert all(each.url.startswith(f"{BASE_URL}/v2/") for each in cassette.exchanges)


def test_scrubbed_pages_still_match(recorded: Path, server: SandboxServer) -> None:
    """A message is the same in all recordings, in the same order, and no expectation fails."""
    loaded = {path.stem: cassettes.load(path) for path in recorded.iterdir()}
    pages = loaded["conversation_pages"].exchanges
    assert len(pages) >= 3
    seen: dict[str, dict[str, object]] = {}
    for exchange in pages:
        for row in exchange.messages:
            assert seen.setdefault(row["id"], row) == row
    assert len(seen) == len(server.conversation(PARTICIPANT))
    assert sorted(seen) == list(seen), "ids keep their order"
    newest_first = [row["id"] for each in loaded["conversation_newest_first"].exchanges for row in each.messages]
    assert list(dict.fromkeys(newest_first)) == list(seen)[::-1]
    (single,) = loaded["message_history"].exchanges
    assert single.json["id"] in seen and single.json["batchId"] == seen[single.json["id"]]["batchId"]
    for cassette in loaded.values():
        assert "differs: []" in cassette.to_yaml()


def test_impersonal_values_are_kept(recorded: Path, server: SandboxServer) -> None:
    kept = ("direction", "segments", "type", "datacoding", "priority", "price", "currency")
    before = server.conversation(PARTICIPANT)
    pages = cassettes.load(recorded / "conversation_pages.yaml").exchanges
    after = list({row["id"]: row for page in pages for row in page.messages}.values())
    for old, new in zip(before, after, strict=True):
        assert old.keys() == new.keys()
        assert [old.get(name) for name in kept] == [new.get(name) for name in kept]
        assert len(old["body"]) == len(new["body"])
        assert old["body"].isascii() == new["body"].isascii()
        assert [each["code"] for each in old["statuses"]] == [each["code"] for each in new["statuses"]]
        assert re.sub("[0-9]", "9", old["modified"]) == re.sub("[0-9]", "9", new["modified"])
        assert old["modified"][:10] != new["modified"][:10]


def test_replay_returns_the_conversation(recorded: Path, server: SandboxServer, ip1_conn_id: str) -> None:
    """As ``test_replay`` does once the files are in their place."""
    cassette = cassettes.load(recorded / "conversation_pages.yaml")
    with vcr.VCR(record_mode="none").use_cassette(str(recorded / "conversation_pages.yaml")) as replay:
        given = cassette.call.run(IP1Hook(ip1_conn_id, **cassette.call.hook_arguments))
    assert replay.all_played
    assert len(given) == len(server.conversation(PARTICIPANT))


@pytest.fixture
def environment(server: SandboxServer, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in {"KEY": KEY, "PARTICIPANT": PARTICIPANT, "URL": server.url}.items():
        monkeypatch.setenv({"KEY": "IP1_API_KEY", "URL": "IP1_BASE_URL"}.get(name, f"IP1_{name}"), value)
    return monkeypatch


def test_it_shows_and_logs_nothing_personal(
    environment: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    originals: dict[str, set[str]],
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="vcr")
    assert record.main(["--to", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "10 recordings in" in shown
    # The sandbox runs in this process too, and aiohttp logs its requests at this level.
    logged = "\n".join(entry.getMessage() for entry in caplog.records if not entry.name.startswith("aiohttp"))
    for text in {KEY, PARTICIPANT, *originals["body"]} - {"PIN"}:
        assert text not in shown
        assert text not in logged


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"IP1_API_KEY": ""}, "Set IP1_API_KEY"),
        ({"IP1_PARTICIPANT": ""}, "Set IP1_PARTICIPANT"),
        ({"IP1_API_KEY": "wrong"}, "status 401"),
        ({"IP1_PARTICIPANT": "46701740608"}, "status 404"),
        ({"IP1_BASE_URL": "http://api.example"}, "must start with https://"),
    ],
)
def test_failure_is_reported_and_nothing_is_written(
    changed: dict[str, str],
    problem: str,
    environment: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in changed.items():
        environment.setenv(name, value)
    assert record.main(["--to", str(tmp_path / "live")]) == 2
    assert problem in capsys.readouterr().err
    assert not (tmp_path / "live").exists()


def test_a_recording_of_the_real_api_cannot_send(server: SandboxServer) -> None:
    call = cassettes.Call("send_batch", {"recipients": [PARTICIPANT], "body": "Hej!", "sender": "iP1"})
    with pytest.raises(RuntimeError, match="only sends GET, not POST"):
        record.record(call, server.url, KEY, Scrubber(server.url, KEY))
    assert {request.method for request in server.requests} == {"GET"}


# The scrubber alone

URL = f"{BASE_URL}/v2/conversations/46313900650"


@pytest.fixture
def scrubber() -> Scrubber:
    return Scrubber(BASE_URL, KEY, ours=("46701740608",))


def scrub(scrubber: Scrubber, document: object) -> Any:
    return json.loads(scrubber.body(json.dumps(document).encode()))


def test_undocumented_fields_lose_their_names_and_values(scrubber: Scrubber) -> None:
    contact = {"name": "Anna", "phone": 46313900650, "vip": True, "Anna": {"46313900650": 1, "x": [1.5, "Anna"]}}
    after = scrub(scrubber, [{"id": "5bcf4324ee47dee41a9dbb13", "contact": contact, "46313900650": 1}])
    text = json.dumps(after)
    assert not re.search("Anna|46313900650|1.5|contact|phone|vip|name", text)
    assert after[0].keys() == {"id", "field1", "field6"} and "true" in text


secrets = st.sampled_from(
    ["46313900650", 46313900650, "Anna", "Anna Andersson", "+46 313 900 650", "Anna@46", 46313900650.5]
)
names = st.sampled_from([*_KINDS, "Anna", "46313900650", "traceId", "100000"])
documents = st.recursive(secrets, lambda part: st.lists(part, max_size=3) | st.dictionaries(names, part, max_size=4))


@given(documents)
def test_neither_number_nor_text_survives_in_any_field(document: object) -> None:
    after = json.dumps(scrub(Scrubber(BASE_URL, KEY), document))
    assert not re.search("4631|3900|900 650|Anna|traceId|100000", after)


def test_spellings_of_one_number_stay_together_and_keep_their_form(scrubber: Scrubber) -> None:
    rows = b"""[{"id":"a1","sender":"+46313900650","recipient":"0046313900650","price":0.350},
                {"id":"a2","sender":"Anna","recipient":"ANNA","price":1e1}]"""
    body = scrubber.body(rows)
    first, second = json.loads(body)
    assert first["sender"][1:] == first["recipient"][2:] == scrubber.url(URL).rpartition("/")[2] == "46701740605"
    assert second["sender"] == second["recipient"] == "Name01"
    assert b'"price":0.350' in body


def test_errors_keep_only_their_form(scrubber: Scrubber) -> None:
    error = {"title": "Not Found", "status": 404, "detail": "AnnasCafe, 46313900650", "traceId": f"00-{'a1' * 16}-01"}
    after = scrub(scrubber, error)
    assert (after["title"], after["status"]) == ("Not Found", 404)
    assert not re.search("Anna|46313900650|a1a1|detail", json.dumps(after))
    assert "Anna" not in json.dumps(scrub(scrubber, {"title": "Anna is not found"}))
    assert scrubber.body(b"<h1>Anna, 46313900650</h1>") == b"Neutral text in place of a"


@pytest.mark.parametrize(
    ("header", "scrubbed"),
    [
        (
            f'<{URL}?start=1&limit=2&order=ASC&account=anna>; rel="next"',
            f'<{BASE_URL}/v2/conversations/46701740605?start=1&limit=2&order=ASC&x=x>; rel="next"',
        ),
        ("</v2/conversations/Anna%20A/mo?start=46313900650>", f"<{BASE_URL}/v2/conversations/Name01/mo?x=x>"),
        ("<https://anna.example/anna/46313900650>", "<https://other.example/Neut/Neutral%20tex>"),
        ('; rel="next", ; rel="load"; title="Anna"', '; rel="next", ; rel="load"; x="x"'),
        ("application/problem+json; charset=utf-8", "application/problem+json; charset=utf-8"),
        ('Bearer realm="Anna 46313900650"', 'Bearer x="x x"'),
        ("120", "120"),
    ],
)
def test_headers_keep_their_form(scrubber: Scrubber, header: str, scrubbed: str) -> None:
    assert scrubber.header(header) == scrubbed


def test_unneeded_headers_are_not_kept() -> None:
    kept = {"Content-Type", "Link", "Location", "Retry-After", "WWW-Authenticate", "RateLimit-Limit", "X-Rate-Limit-X"}
    others = {"Set-Cookie", "Date", "Server", "X-Account", "ETag"}
    assert {name for name in kept | others if record.is_kept(name)} == kept


def interaction(body: str) -> dict[str, Any]:
    request = {"uri": URL.replace("46313900650", "46701740605")}
    return {"request": request, "response": {"headers": {}, "body": {"string": body}}}


def test_the_key_in_a_response_stops_the_recording(scrubber: Scrubber) -> None:
    with pytest.raises(ScrubError, match="API key") as raised:
        scrubber.check([interaction(f"Key {KEY} is unknown")])
    assert KEY not in str(raised.value)


@pytest.mark.parametrize("body", ["to 46313900650", '{"to":"Anna"}', '{"text":"Hej \\"Anna\\" Andersson!"}'])
def test_a_value_that_is_left_stops_the_recording(scrubber: Scrubber, body: str) -> None:
    scrub(scrubber, [{"sender": "Anna", "recipient": "46313900650", "body": 'Hej "Anna" Andersson!'}])
    with pytest.raises(ScrubError, match="is still in a response"):
        scrubber.check([interaction(body)])
    scrubber.check([interaction('{"to":"Annandag"}')])


def test_more_numbers_than_replacements_is_an_error(scrubber: Scrubber) -> None:
    with pytest.raises(ScrubError, match="more than 95 phone numbers"):
        scrub(scrubber, [{"recipient": f"46406280{place:03d}"} for place in range(400, 500)])
