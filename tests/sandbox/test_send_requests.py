# SPDX-License-Identifier: Apache-2.0
"""Which requests to send the sandbox accepts, and how it handles those that are large or broken."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from airflow_provider_ip1.sandbox.participants import SEVEN
from airflow_provider_ip1.sandbox.send_request import MAX_RECIPIENTS
from tests.sandbox.plain_client import ORDER, Client, errors_of, send


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("sender", value) for value in ("no+name", "ab", "TwelveLetter", "1" * 16, "Min skola", None, 1)),
        *(("recipients", value) for value in ([], {}, {"default": {}}, ["Name"], ["+46701740605"], ["1" * 16], "4", [1],
                                              {SEVEN: "text"}, {SEVEN: {"name": 1}})),
        *(("body", value) for value in (" ", "", "x" * 2001, None, 1)),
        ("type", "mms"), ("datacoding", "binary"), ("priority", 3), ("priority", True), ("reference", 1),
        ("tags", "a"), ("tags", [1]), ("deliveryReportUrl", "ftp://x"),
        *(("deliveryWindows", value) for value in ("now", [1], [{}], [{"opens": "soon"}], [{"opens": 1}],
          [{"opens": "2027-02-01T00:00:00Z", "closes": "2027-01-31T00:00:00Z"}],
          [{"opens": "2027-02-01T00:00:00Z", "closes": "2027-02-01T00:00:00Z"}],
          [{"opens": "2020-01-01T00:00:00Z"}], [{"opens": "9999-12-31T00:00:00Z"}],
          [{"opens": "0001-01-01T00:00:00+14:00"}])),
    ],
)  # fmt: skip
def test_invalid_field_is_400_with_its_name(account: Client, field: str, value: object) -> None:
    assert errors_of(account.post({**ORDER, field: value})) == [field]
    assert len(account.server.conversation(SEVEN)) == 7


def test_text_must_fit_after_templating(account: Client) -> None:
    too_long = {"body": "{x}" * 30, "recipients": {SEVEN: {"x": "y" * 100}}}
    assert errors_of(account.post({**ORDER, **too_long})) == ["body"]
    assert errors_of(account.post({**ORDER, "body": "{x}", "recipients": {SEVEN: {"x": " "}}})) == ["body"]


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", "application/json"),
        (b"[]", "application/json"),
        (b'{"sender": ', "application/json"),
        (b'{"sender": NaN}', "application/json"),
        (b'{"body": "\xff"}', "application/json"),
        (b'{"body": "\\ud800"}', "application/json"),
        (b'{"x": 1e999}', "application/json"),
        (b'{"x": ' + b"9" * 6000 + b"}", "application/json"),
        (b"[" * 400_000, "application/json"),
        (b'{"x":' * 100_000, "application/json"),
        (json.dumps(ORDER).encode(), "application/json; charset=nope"),
    ],
)
def test_unreadable_request_is_400(account: Client, body: bytes, content_type: str) -> None:
    response = account.request("POST", "/v2/batches", data=body, headers={"Content-Type": content_type})
    assert response.status_code == 400
    assert len(account.server.conversation(SEVEN)) == 7


def test_body_without_its_announced_encoding_is_400(account: Client) -> None:
    assert account.post(ORDER, headers={"Content-Encoding": "gzip"}).status_code == 400


def test_another_charset_is_read(account: Client) -> None:
    body = json.dumps({**ORDER, "body": "Välkommen"}, ensure_ascii=False).encode("latin-1")
    headers = {"Content-Type": "application/json; charset=iso-8859-1"}
    assert account.request("POST", "/v2/batches", data=body, headers=headers).json()["body"] == "Välkommen"


def test_request_of_more_than_a_mebibyte_is_413(account: Client) -> None:
    assert account.post({**ORDER, "tags": ["x" * 2**20]}).status_code == 413


def test_too_many_recipients_are_400(account: Client) -> None:
    assert errors_of(account.post({**ORDER, "recipients": numbers(16_000)})) == ["recipients"]


def numbers(count: int) -> list[str]:
    """Numbers that nobody has: they are too short for a country code and a subscriber."""
    return [f"{number:06}" for number in range(count)]


def test_largest_batch_is_accepted(account: Client) -> None:
    batch = send(account, recipients=numbers(MAX_RECIPIENTS))
    assert batch["messageSummary"] == {"101": {"messages": MAX_RECIPIENTS, "sms": MAX_RECIPIENTS}}
    assert len(account.get(f"/v2/batches/{batch['id']}/messages", limit=10_000).json()) == MAX_RECIPIENTS


@pytest.mark.parametrize("name", ["send", "batch_ids"])
def test_slow_work_does_not_block_other_requests(account: Client, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """What takes long with many recipients or batches runs beside the event loop."""
    store, is_free, results = account.server.sandbox.store, threading.Event(), []
    work = getattr(store, name)

    def wait_and_work(*arguments: Any) -> Any:
        with store._lock:
            assert is_free.wait(30)
            return work(*arguments)

    def request() -> None:
        response = account.post(ORDER) if name == "send" else account.get("/v2/batches")
        results.append(response.status_code)

    monkeypatch.setattr(store, name, wait_and_work)
    thread = threading.Thread(target=request)
    thread.start()
    while account.server.in_flight == 0:
        pass
    assert Client(account.server).get("/v2/me/senders").status_code == 200
    is_free.set()
    thread.join(30)
    assert results == [201 if name == "send" else 200]
