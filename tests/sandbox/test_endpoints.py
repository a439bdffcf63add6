# SPDX-License-Identifier: Apache-2.0
"""The sandbox responds as iP.1's documentation says, endpoint by endpoint."""

from __future__ import annotations

from collections import Counter
from urllib.parse import parse_qs, urlsplit

import jsonschema
import pytest
import requests

from airflow_provider_ip1.sandbox import server as server_module
from airflow_provider_ip1.sandbox.conversation import Direction
from airflow_provider_ip1.sandbox.participants import EMPTY, GENERATED, LIVE, MAIN, NAME, NAME_WITH_SPACE, SEVEN, SINGLE
from airflow_provider_ip1.sandbox.request_log import mask_path
from airflow_provider_ip1.sandbox.server import SandboxServer, create_app
from airflow_provider_ip1.sandbox.store import DEMO_BATCHES
from tests.sandbox.plain_client import CONVERSATION, SCHEMA, Client, Clock

FIELDS = set(SCHEMA["items"]["properties"])
DELIVERED = DEMO_BATCHES["delivered"][0]
DELIVERED_MESSAGE = "69000000d000001000000000"


def links(response: requests.Response) -> dict[str, dict[str, int | str]]:
    found = {}
    for rel, link in response.links.items():
        query = {name: values[0] for name, values in parse_qs(urlsplit(link["url"]).query).items()}
        found[rel] = {"start": int(query["start"]), "limit": int(query["limit"]), "order": query["order"]}
    return found


def test_paging_defaults_to_the_first_50_oldest_first(client: Client) -> None:
    response = client.get(CONVERSATION)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json; charset=utf-8"
    assert response.json() == client.server.conversation()[:50]
    assert links(response)["next"] == {"start": 50, "limit": 50, "order": "ASC"}


@pytest.mark.parametrize("order", ["ASC", "DESC", "desc"])
@pytest.mark.parametrize("direction", [None, "mt", "mo"])
def test_pages_add_up_to_the_conversation(client: Client, order: str, direction: Direction | None) -> None:
    path = CONVERSATION + (f"/{direction}" if direction else "")
    rows = b"".join(
        client.get(path, start=start, limit=70, order=order).content[1:-1] + b"," for start in range(0, 333, 70)
    )
    expected = client.server.conversation_bytes(direction=direction)
    if order != "ASC":
        expected.reverse()
    assert rows.rstrip(b",") == b",".join(expected)


def test_directions_split_the_conversation(client: Client) -> None:
    outgoing = client.get(f"{CONVERSATION}/mt", limit=1000).json()
    incoming = client.get(f"{CONVERSATION}/mo", limit=1000).json()
    assert {message["recipient"] for message in outgoing} == {MAIN}
    assert {message["sender"] for message in incoming} == {MAIN}
    ids = {message["id"] for message in outgoing} | {message["id"] for message in incoming}
    assert len(outgoing) + len(incoming) == len(ids) == 333


def test_link_lists_the_existing_pages(client: Client) -> None:
    first, middle, last = (client.get(CONVERSATION, start=start, limit=100) for start in (0, 100, 300))
    page = {"limit": 100, "order": "ASC"}
    assert links(first) == {rel: {"start": at, **page} for rel, at in {"first": 0, "next": 100, "last": 300}.items()}
    assert links(middle) == {
        rel: {"start": at, **page} for rel, at in {"first": 0, "prev": 0, "next": 200, "last": 300}.items()
    }
    assert links(last) == {rel: {"start": at, **page} for rel, at in {"first": 0, "prev": 200, "last": 300}.items()}
    full = client.get(CONVERSATION, start=233, limit=100)
    assert len(full.json()) == 100
    assert "next" not in full.links


def test_links_are_absolute_and_lead_to_the_page(client: Client) -> None:
    path = f"/v2/conversations/{NAME_WITH_SPACE.replace(' ', '%20')}"
    url = client.get(path, limit=2, order="DESC").links["next"]["url"]
    assert url == f"{client.server.url}{path}?start=2&limit=2&order=DESC"
    assert client.session.get(url, timeout=30).json() == client.server.conversation(NAME_WITH_SPACE)[:1]


@pytest.mark.parametrize("direction", [None, "mt", "mo"])
@pytest.mark.parametrize(
    "participant",
    [
        MAIN,
        SEVEN,
        SINGLE,
        LIVE,
        NAME,
        GENERATED[0],
    ],
)
def test_messages_match_the_documented_schema(client: Client, participant: str, direction: Direction | None) -> None:
    messages = client.server.conversation(participant, direction)
    jsonschema.validate(messages, SCHEMA)
    for message in messages:
        # iP.1's example of an incoming message has no price, currency or reference.
        missing = {"price", "currency", "reference"} if message["sender"] == participant else set()
        assert FIELDS - set(message) == missing
        assert len(message["statuses"]) == 1
        assert set(message["statuses"][0]) == {"code", "duration", "created"}


@pytest.mark.parametrize(
    ("participant", "count"),
    [(SEVEN, 7), (SINGLE, 1), (NAME, 12), (NAME_WITH_SPACE, 3)],
)
def test_small_conversations(client: Client, participant: str, count: int) -> None:
    assert len(client.get(f"/v2/conversations/{participant}").json()) == count


@pytest.mark.parametrize("path", ["", "/mt", "/mo", "/summary"])
def test_no_messages_is_404(client: Client, path: str) -> None:
    response = client.get(f"/v2/conversations/{EMPTY}{path}")
    assert (response.status_code, response.json()["status"]) == (404, 404)
    assert response.headers["Content-Type"] == "application/problem+json"


def test_direction_without_messages_is_404(client: Client) -> None:
    assert client.get(f"/v2/conversations/{NAME}/mt").status_code == 404


def test_past_the_end_is_an_empty_list(client: Client) -> None:
    response = client.get(CONVERSATION, start=333)
    assert (response.status_code, response.content) == (200, b"[]")
    assert "next" not in response.links


@pytest.mark.parametrize("path", ["", "/mt", "/mo", "/summary"])
@pytest.mark.parametrize("participant", ["+46", "1" * 16, "TwelveLetter", "a-b", "%C3%A5", "%20a", "a%2Fb"])
def test_invalid_participant_is_400(client: Client, participant: str, path: str) -> None:
    response = client.get(f"/v2/conversations/{participant}{path}")
    assert response.status_code == 400
    assert response.json()["errors"] == {"participant": ["The participant was invalid."]}


@pytest.mark.parametrize(
    ("name", "value"),
    [("start", "-1"), ("start", "x"), ("start", ""), ("limit", "0"), ("limit", "1.5"), ("order", "up")],
)
def test_invalid_paging_is_400_with_the_parameter(client: Client, name: str, value: str) -> None:
    response = client.get(CONVERSATION, **{name: value})
    assert response.status_code == 400
    assert list(response.json()["errors"]) == [name]


@pytest.mark.parametrize(
    "header", [None, "Bearer wrong", "Bearer", "Basic c2FuZGJveC1rZXk6", "sandbox-key", b"Bearer \xff"]
)
@pytest.mark.parametrize(
    "path", [CONVERSATION, f"{CONVERSATION}/summary", f"/v2/batches/{DELIVERED}/messages", "/v2/nothing"]
)
def test_missing_or_wrong_key_is_401(client: Client, header: str | bytes | None, path: str) -> None:
    headers = {"Authorization": header} if header else {}
    response = requests.get(client.server.url + path, headers=headers, timeout=30)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"


def test_key_can_change() -> None:
    with SandboxServer(messages=1, key="one") as server:
        client = Client(server)
        assert client.get(CONVERSATION).status_code == 200
        server.key = "two"
        assert client.get(CONVERSATION).status_code == 401


def test_other_paths_and_methods(client: Client) -> None:
    assert client.get("/v2/messages").status_code == 404
    response = client.request("DELETE", CONVERSATION)
    assert response.status_code == 405
    assert response.headers["Allow"] == "GET"


def test_health_check_needs_no_key_and_is_not_counted() -> None:
    with SandboxServer(messages=1) as server:
        assert requests.get(f"{server.url}/healthz", timeout=30).json() == {"status": "ok"}
        assert server.requests == []


@pytest.mark.parametrize("participant", [MAIN, NAME, LIVE])
def test_summary_counts_the_lists(participant: str, clock: Clock) -> None:
    # On a clock that stands still: messages on their way change their status between two requests.
    with SandboxServer(messages=120, clock=clock) as server:
        client = Client(server)
        summary = client.get(f"/v2/conversations/{participant}/summary").json()
        assert summary["participant"] == participant
        everything = server.conversation(participant)
        assert summary["totalMessageCount"] == len(everything)
        assert summary["totalSmsCount"] == sum(message["segments"] for message in everything)
        for field, direction in (("mobileTerminatedMessages", "mt"), ("mobileOriginatedMessages", "mo")):
            messages = server.conversation(participant, direction)
            codes = Counter(str(message["statuses"][0]["code"]) for message in messages)
            assert {code: counts["messages"] for code, counts in summary[field].items()} == codes
            assert sum(counts["sms"] for counts in summary[field].values()) == sum(m["segments"] for m in messages)


def test_summary_follows_the_conversation() -> None:
    with SandboxServer(messages=10) as server:
        client = Client(server)
        assert client.get(f"{CONVERSATION}/summary").json()["totalMessageCount"] == 10
        server.insert(count=3)
        assert client.get(f"{CONVERSATION}/summary").json()["totalMessageCount"] == 13


def test_batch_contains_its_message(client: Client) -> None:
    for message in client.server.conversation()[::50]:
        path = f"/v2/batches/{message['batchId']}/messages"
        assert client.get(path).json() == [message]
        whole = client.get(f"{path}/{message['id']}").json()
        assert whole["statuses"][-1] == message["statuses"][-1]
        assert {**whole, "statuses": None} == {**message, "statuses": None}
        times = [status["created"] for status in whole["statuses"]]
        assert times == sorted(times)
        assert [status["duration"] for status in whole["statuses"]] == [0] * (len(times) - 1) + [1]
        if message["recipient"] == MAIN:
            assert [status["code"] for status in whole["statuses"]][:2] == [101, 102]
        else:
            assert len(whole["statuses"]) == 1


def test_unknown_batch_or_message_is_404(client: Client) -> None:
    message = client.server.conversation()[0]
    wrong = message["batchId"][:-1] + "f"
    assert client.get(f"/v2/batches/{wrong}/messages").status_code == 404
    assert client.get(f"/v2/batches/nothing/messages/{message['id']}").status_code == 404
    assert client.get(f"/v2/batches/{message['batchId']}/messages/{wrong}").status_code == 404


def test_large_batch_is_paged(client: Client) -> None:
    path = f"/v2/batches/{DEMO_BATCHES['large'][0]}/messages"
    first, rest = client.get(path), client.get(path, start=50, limit=200)
    assert (len(first.json()), len(rest.json())) == (50, 70)
    ids = [message["id"] for message in first.json() + rest.json()]
    assert len(set(ids)) == 120
    assert links(first)["last"]["start"] == 100
    assert [m["id"] for m in client.get(path, limit=200, order="DESC").json()] == ids[::-1]


@pytest.mark.parametrize(
    ("name", "final"), [("delivered", 201), ("expired", 202), ("rejected", 403), ("failed", 511), ("stuck", 112)]
)
def test_batch_passes_through_its_statuses_with_the_clock(name: str, final: int, clock: Clock) -> None:
    with SandboxServer(messages=1, delivery_seconds=20, clock=clock) as server:
        client = Client(server)
        path = f"/v2/batches/{DEMO_BATCHES[name][0]}/messages"
        seen = []
        for _ in range(12):
            [listed] = client.get(path).json()
            whole = client.get(f"{path}/{listed['id']}").json()
            assert listed["statuses"] == whole["statuses"][-1:]
            assert listed["modified"] == listed["statuses"][0]["created"]
            seen.append(listed["statuses"][0]["code"])
            clock.now += 2
        assert seen == sorted(seen)
        assert list(dict.fromkeys(seen)) == list(dict.fromkeys([101, 102, 110, 112, final]))
        assert [status["code"] for status in whole["statuses"]] == list(dict.fromkeys(seen))
        assert whole["statuses"][-1]["duration"] == int(final != 112)
        assert whole["reference"] == f"demo-{name}"
        assert server.conversation(LIVE)[0]["batchId"] == DELIVERED


def test_first_demo_message_has_the_documented_id(client: Client) -> None:
    assert client.get(f"/v2/batches/{DELIVERED}/messages/{DELIVERED_MESSAGE}").json()["id"] == DELIVERED_MESSAGE


def test_gzip_needs_both_sides() -> None:
    with SandboxServer(messages=100, compress=True) as server:
        client = Client(server)
        packed = client.get(CONVERSATION)
        assert packed.headers["Content-Encoding"] == "gzip"
        assert packed.json() == server.conversation()[:50]
        client.session.headers["Accept-Encoding"] = "identity"
        plain = client.get(CONVERSATION)
        assert "Content-Encoding" not in plain.headers
        assert plain.content == packed.content


def test_requests_are_recorded_without_the_key() -> None:
    with SandboxServer(messages=1) as server:
        Client(server).get(CONVERSATION, limit=7)
        requests.get(server.url + "/v2/nothing", timeout=30)
        first, second = server.requests
        assert (first.number, first.method, first.path, first.query, first.status, first.had_key) == (
            1,
            "GET",
            CONVERSATION,
            {"limit": "7"},
            200,
            True,
        )
        assert (second.number, second.status, second.had_key) == (2, 401, False)
        assert server.key not in repr(server.requests)


async def test_app_runs_in_the_callers_event_loop() -> None:
    import aiohttp
    from aiohttp.test_utils import TestClient, TestServer

    app = await create_app(messages=3, key="other")
    async with TestClient(TestServer(app)) as local:
        response = await local.get(CONVERSATION, headers={"Authorization": "Bearer other"})
        assert isinstance(response, aiohttp.ClientResponse)
        assert len(await response.json()) == 3


def test_failure_to_start_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    async def start_site(*_arguments: object) -> None:
        raise OSError("no port")

    monkeypatch.setattr(server_module, "start_site", start_site)
    with pytest.raises(RuntimeError, match="could not start"):
        SandboxServer(messages=1)


def test_close_stops_the_server_and_can_be_repeated() -> None:
    server = SandboxServer(messages=1)
    server.close()
    server.close()
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{server.url}/healthz", timeout=5)


@pytest.mark.parametrize(
    ("path", "masked"),
    [
        (f"/v2/conversations/{MAIN}/mt", "/v2/conversations/46***05/mt"),
        (f"/v2/conversations/{MAIN}", "/v2/conversations/46***05"),
        ("/v2/conversations/Grannen/summary", "/v2/conversations/***/summary"),
        (f"/v2/conversations/x/{MAIN}", "(other path)"),
        (f"/v2/conversations/{MAIN}/x", "(other path)"),
        (f"/v2/blacklist/{MAIN}/", "/v2/blacklist/46***05/"),
        ("/v2/me/senders/Skolan", "/v2/me/senders/***"),
        ("/v2/batches/", "/v2/batches/"),
        ("/api/me/account", "/api/me/account"),
        (f"/v2/batches/{DELIVERED}/messages", f"/v2/batches/{DELIVERED}/messages"),
        (f"/v2/batches/{MAIN}/messages", "(other path)"),
    ],
)
def test_path_is_masked_in_the_log(path: str, masked: str) -> None:
    assert mask_path(path) == masked
