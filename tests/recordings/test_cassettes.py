# SPDX-License-Identifier: Apache-2.0
"""The notes in the cassettes are true, and recording them again writes the same files."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from airflow_provider_ip1.hooks.methods import HookMethods
from dev.live import cassettes, expectations, record
from dev.live.survey import BASE_URL

SOURCES = ("live", "sandbox", "documentation")
each_path = pytest.mark.parametrize(
    "path", [pytest.param(path, id=f"{path.parent.name}/{path.stem}") for path in cassettes.paths()]
)


@each_path
def test_note_is_true(path: Path) -> None:
    cassette = cassettes.load(path)
    assert cassette.source in SOURCES
    assert path.parent == cassettes.FOLDER / cassette.source
    assert cassette.about.endswith(".")
    if cassette.source == "documentation":
        assert cassette.origin.startswith("https://")
    if cassette.source == "live":
        assert re.search(r"recorded 20[0-9]{2}-[0-9]{2}-[0-9]{2}", cassette.origin)
    assert cassette.interactions
    for each in cassette.exchanges:
        assert each.url.startswith(f"{BASE_URL}/v2/")
        assert all(record.is_kept(name) for name in each.headers)


@each_path
def test_file_survives_reading_and_writing(path: Path) -> None:
    assert cassettes.load(path).to_yaml() == path.read_text(encoding="utf-8")


def test_readme_lists_every_cassette() -> None:
    readme = (cassettes.FOLDER.parent / "README.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| `([a-z]+/[a-z0-9_]+)` \| (.*) \|$", readme, re.MULTILINE))
    recorded = {f"{path.parent.name}/{path.stem}": cassettes.load(path) for path in cassettes.paths()}
    about = {name: cassette.about for name, cassette in recorded.items() if cassette.source != "live"}
    assert {name: text.partition(" | ")[0].strip() for name, text in listed.items()} == about
    for name, cassette in recorded.items():
        assert cassette.source != "documentation" or cassette.origin in listed[name]


def test_each_method_of_the_hook_is_recorded() -> None:
    recorded = {cassettes.load(path).call.method for path in cassettes.paths()}
    methods = {name for name in vars(HookMethods) if name.startswith(("iter_", "get_", "send_batch", "cancel_"))}
    # iP.1 shows single rows of these lists, but no response with a list. tests/hooks reads them from the sandbox.
    methods -= {"iter_senders", "iter_blacklist"}
    # They send the same requests as the others.
    assert recorded == methods - {"iter_pages", "iter_pages_of", "iter_batch_pages", "iter_participants"}


def test_only_the_sandbox_is_recorded_with_more_than_get() -> None:
    for path in cassettes.paths():
        cassette = cassettes.load(path)
        for each in cassette.interactions:
            assert cassette.source == "sandbox" or each["request"]["method"] == "GET"
            assert (each["request"]["body"] is not None) == (each["request"]["method"] == "POST")


def test_each_field_of_the_schema_is_recorded() -> None:
    found = set()
    for path in cassettes.paths():
        for exchange in cassettes.load(path).exchanges:
            found |= {name for message in exchange.messages for name in message}
    assert found == set(expectations.SCHEMA["items"]["properties"])


def test_recording_again_writes_the_same_files(tmp_path: Path) -> None:
    made = record.save(record.offline(), tmp_path)
    there = [*cassettes.paths("sandbox"), *cassettes.paths("documentation")]
    assert {path.relative_to(tmp_path): path.read_text(encoding="utf-8") for path in made} == {
        path.relative_to(cassettes.FOLDER): path.read_text(encoding="utf-8") for path in there
    }


def test_any_text_survives_in_a_cassette(tmp_path: Path) -> None:
    """YAML must preserve line separators, emoji, quotes and a byte order mark."""
    body = json.dumps(["\u2028 \x85 \U0001f600 ' \" # : - \ufeff \t", "\x7f"], ensure_ascii=False)
    call = cassettes.Call("get_summary", {"participant": "46701740605"})
    response = {"status": {"code": 200, "message": "OK"}, "headers": {}, "body": {"string": body}}
    interaction = {"request": {"method": "GET", "uri": f"{BASE_URL}/v2/x"}, "response": response}
    cassette = cassettes.Cassette("sandbox", "About.", "origin", call, "ok", [interaction])
    (path,) = record.save(iter([("x", cassette)]), tmp_path)
    assert cassettes.load(path).exchanges[0].body == body.encode()
