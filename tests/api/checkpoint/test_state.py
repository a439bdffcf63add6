# SPDX-License-Identifier: Apache-2.0
"""The JSON of a checkpoint: readable by people, and refused if this provider did not write it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_ip1.api.checkpoint.state import Document, Remembered, State, decode_document

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
URI = "s3://lake/state.json"
DOCUMENT = Document(
    base_url="https://api.ip1sms.com",
    source="v2/batches",
    direction="mt",
    redact_key=None,
    states={
        "account": State(NOW, ["b"], {"b": NOW}, ["b"], {"m": Remembered(112, NOW, NOW, "b", NOW, 1)}),
        "other": State(),
    },
)


def test_a_checkpoint_is_read_as_it_was_written() -> None:
    assert decode_document(DOCUMENT.encode(), URI) == DOCUMENT


def test_people_can_read_it() -> None:
    text = DOCUMENT.encode().decode()
    assert json.loads(text)["states"]["account"]["position"] == "2026-11-30T12:00:00Z"
    assert len(text.splitlines()) > 20


def changed(**fields: Any) -> bytes:
    return json.dumps(json.loads(DOCUMENT.encode()) | fields).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'{"id": "a message"}',
        b"\xff\xfe",
        changed(ip1_checkpoint=0),
        changed(ip1_checkpoint="1"),
        changed(states=None),
        changed(states={"account": {"position": "2026-11-30T12:00:00"}}),
        changed(states={"account": {"known": [1]}}),
        DOCUMENT.encode()[:-20],
    ],
)
def test_another_object_is_refused(body: bytes) -> None:
    with pytest.raises(
        ValueError, match="^checkpoint: s3://.* is not a checkpoint .* Use another key .* delete the object"
    ) as caught:
        decode_document(body, URI)
    assert caught.value.__context__ is None


def test_a_newer_version_is_refused() -> None:
    with pytest.raises(ValueError, match=r"newer version .*format 2\)\. Update the provider"):
        decode_document(changed(ip1_checkpoint=2, states=[]), URI)
