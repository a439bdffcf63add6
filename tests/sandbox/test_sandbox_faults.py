# SPDX-License-Identifier: Apache-2.0
"""Each fault does what the help says, when it says, and nothing else."""

from __future__ import annotations

import asyncio
import re
import time
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import pytest
import requests

from airflow_provider_ip1.sandbox.participants import EMPTY, NAME, SEVEN
from airflow_provider_ip1.sandbox.server import SandboxServer
from tests.sandbox.plain_client import CONVERSATION, get, ids_of

# Faults of single requests


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 429, 499, 500, 502, 503, 504])
def test_status_is_the_response(server: SandboxServer, status: int) -> None:
    server.faults.add(f"{status}@1")
    response = get(server)
    assert response.status_code == response.json()["status"] == status
    assert "Retry-After" not in response.headers


@pytest.mark.parametrize(
    ("body", "pattern"),
    [("problem", r'\{"type":.*503\}'), ("gateway", r'\{"statusCode": 503, "message".*\}'), ("html", "<html>.*"),
     ("text", "[A-Z][a-z ]+\\."), ("empty", "")],
)  # fmt: skip
def test_error_can_have_any_body(server: SandboxServer, body: str, pattern: str) -> None:
    server.faults.add(f"503:body={body}")
    assert re.fullmatch(pattern, get(server).text)


def test_retry_after_in_seconds_and_as_a_date(server: SandboxServer) -> None:
    server.faults.add("429@1:retry-after=3", "503@2:retry-after-date=60,body=empty")
    assert get(server).headers["Retry-After"] == "3"
    moment = parsedate_to_datetime(get(server).headers["Retry-After"]).timestamp()
    assert moment - time.time() == pytest.approx(60, abs=30)


def test_redirect_has_the_given_location(server: SandboxServer) -> None:
    server.faults.add("redirect@1:to=http://elsewhere.example:81/x", "redirect@2:to=/y,status=307")
    first, second = get(server), get(server)
    assert (first.status_code, first.headers["Location"]) == (302, "http://elsewhere.example:81/x")
    assert (second.status_code, second.headers["Location"]) == (307, "/y")


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("reset@2", "reset by peer"),
        ("close@2", "without response"),
        ("truncate@2", "IncompleteRead"),
        ("truncate@2:chunked=yes", "ended prematurely"),
    ],
)
def test_connection_is_closed(server: SandboxServer, fault: str, error: str) -> None:
    server.faults.add(fault)
    assert get(server).status_code == 200
    with pytest.raises(requests.exceptions.RequestException, match=error):
        get(server)
    assert get(server).status_code == 200
    assert [record.status for record in server.requests] == [200, 0, 200]


@pytest.mark.parametrize("chunked", ["", ":chunked=yes"])
async def test_aiohttp_sees_a_truncated_body_too(server: SandboxServer, chunked: str) -> None:
    server.faults.add(f"truncate{chunked}")
    headers = {"Authorization": f"Bearer {server.key}"}
    async with aiohttp.ClientSession(headers=headers) as session, session.get(server.url + CONVERSATION) as response:
        assert response.status == 200
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()


@pytest.mark.parametrize("fault", ["badjson", "html", "empty"])
def test_complete_response_is_not_json(server: SandboxServer, fault: str) -> None:
    server.faults.add(f"{fault}@1")
    response = get(server)
    assert response.status_code == 200
    assert int(response.headers["Content-Length"]) == len(response.content)
    with pytest.raises(requests.exceptions.JSONDecodeError):
        response.json()
    assert response.headers["Content-Type"].startswith("text/html") == (fault == "html")
    assert len(get(server).json()) == 50


def test_slow_response_is_late_but_complete(server: SandboxServer) -> None:
    server.faults.add("slow@1:seconds=0.4")
    assert len(get(server).json()) == 50
    [record] = server.requests
    assert record.answered_at - record.received_at >= 0.4


async def test_latency_does_not_block_other_requests(server: SandboxServer) -> None:
    server.latency = 0.2
    headers = {"Authorization": f"Bearer {server.key}"}
    async with aiohttp.ClientSession(headers=headers) as session:

        async def ask() -> int:
            async with session.get(server.url + CONVERSATION) as response:
                await response.read()
                return response.status

        assert await asyncio.gather(*(ask() for _ in range(5))) == [200] * 5
    assert server.max_in_flight > 1
    assert max(record.in_flight for record in server.requests) == server.max_in_flight
    assert server.in_flight == 0
    assert all(record.answered_at - record.received_at >= 0.2 for record in server.requests)


def test_rows_change_just_before_the_response(server: SandboxServer) -> None:
    server.faults.add("insert@2:count=3,at=head", "delete@3:count=2", "insert@4", "delete@5:count=1,at=0")
    before = ids_of(get(server, limit=400))
    inserted = ids_of(get(server, limit=400))
    assert inserted[3:] == before
    assert not set(inserted[:3]) & set(before)
    assert ids_of(get(server, limit=400)) == inserted[2:]
    appended = ids_of(get(server, limit=400))
    assert appended[:-1] == inserted[2:]
    assert ids_of(get(server, limit=400)) == appended[1:]
    assert [message["id"] for message in server.conversation()] == appended[1:]


def test_rows_change_in_the_requested_or_given_conversation(server: SandboxServer) -> None:
    server.faults.add("insert@1:count=2", f"delete@2:count=5,participant={NAME}")
    assert len(get(server, f"/v2/conversations/{SEVEN}").json()) == 9
    assert len(get(server).json()) == 50
    assert len(server.conversation(NAME)) == 7
    assert len(server.conversation()) == 300


# Faults of the whole server


def test_clamp_lowers_the_limit_silently_and_in_the_links(server: SandboxServer) -> None:
    server.faults.add("clamp=100")
    response = get(server, limit=200)
    assert ids_of(response) == [message["id"] for message in server.conversation()[:100]]
    assert "start=100&limit=100&" in response.links["next"]["url"]


def test_server_can_ignore_start_or_order(server: SandboxServer) -> None:
    expected = [message["id"] for message in server.conversation()]
    server.faults.add("ignore-start")
    assert ids_of(get(server, start=100, limit=10)) == expected[:10]
    server.faults.clear()
    server.faults.add("ignore-order")
    assert ids_of(get(server, start=100, limit=10, order="DESC")) == expected[100:110]


def test_server_can_count_from_one(server: SandboxServer) -> None:
    expected = [message["id"] for message in server.conversation()]
    server.faults.add("start=1-based")
    assert ids_of(get(server, start=1, limit=10)) == ids_of(get(server, limit=10)) == expected[:10]
    response = get(server, start=11, limit=10)
    assert ids_of(response) == expected[10:20]
    assert {rel: re.findall(r"start=(\d+)", link["url"]) for rel, link in response.links.items()} == {
        "first": ["1"], "prev": ["1"], "next": ["21"], "last": ["291"]
    }  # fmt: skip


def test_past_the_end_can_be_404(server: SandboxServer) -> None:
    server.faults.add("past-end=404")
    assert get(server, start=299).status_code == 200
    assert get(server, start=300).status_code == 404
    server.faults.add("past-end=empty")
    assert get(server, start=300).json() == []


def test_enums_can_be_strings(server: SandboxServer) -> None:
    server.faults.add("enums=strings")
    response = get(server)
    assert {message["direction"].lower() for message in response.json()} == {"mt", "mo"}
    assert response.json() == server.conversation()[:50]


def test_directions_can_be_swapped(server: SandboxServer) -> None:
    expected = [1 - message["direction"] for message in server.conversation()[:50]]
    server.faults.add("direction=swapped")
    assert [message["direction"] for message in get(server).json()] == expected


def test_status_code_can_be_unknown(server: SandboxServer) -> None:
    expected = [message["statuses"][0]["code"] for message in server.conversation()]
    server.faults.add("unknown-status@1", "unknown-status@2=299")
    for code in (777, 299):
        codes = [message["statuses"][0]["code"] for message in get(server, limit=300).json()]
        assert codes == [code if was == 201 else was for was in expected]


def link(server: SandboxServer, style: str, **query: Any) -> str:
    server.faults.clear()
    server.faults.add(f"link={style}")
    return get(server, start=100, limit=100, **query).headers.get("Link", "")


def test_link_styles(server: SandboxServer) -> None:
    base = f"{server.url}{CONVERSATION}?start="
    tail = "&limit=100&order=ASC>"
    assert link(server, "rfc8288") == (
        f'<{base}0{tail}; rel="first", <{base}0{tail}; rel="prev", <{base}200{tail}; rel="next", '
        f'<{base}200{tail}; rel="last"'
    )
    assert f'<{base}200{tail} rel="next", <' in link(server, "no-semicolon")
    assert link(server, "swallowed") == '; rel="first", ; rel="prev", ; rel="next", ; rel="last"'
    assert link(server, "none") == ""
    assert f'<{CONVERSATION}?start=200{tail}; rel="next"' in link(server, "relative")
    assert f'<{base}200{tail}; REL="NEXT", ' in link(server, "uppercase")
    assert link(server, "self").startswith(f'<{base}100{tail}; rel="self", ')
    assert "rel" not in link(server, "garbage")
    assert f'<https://elsewhere.example{CONVERSATION}?start=200{tail}; rel="next"' in link(server, "foreign")
    assert f'<http://a.example:8{CONVERSATION}?start=200{tail}; rel="next"' in link(
        server, "foreign:to=http://a.example:8"
    )
    server.delete(count=50)
    assert f'<{base}201{tail}; rel="next"' in link(server, "off-by-one")


def test_link_can_count_with_the_requested_limit(server: SandboxServer) -> None:
    server.faults.add("clamp=50", "link=requested-limit")
    response = get(server, limit=100)
    assert len(response.json()) == 50
    assert "start=100&limit=100&" in response.links["next"]["url"]


# Foreign responses and moving rows, as the tests of readers need them


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        ("problem", "application/problem+json", '{"type":"about:blank","title":"Not Found","status":404}'),
        ("gateway", "application/json", '{"statusCode": 404, "message": "Request was refused."}'),
        ("html", "text/html", "<html><head><title>404</title></head><body>404</body></html>"),
        ("text", "text/plain", "default backend - 404"),
        ("empty", "text/plain", ""),
    ],
)
def test_404_can_come_from_somebody_else(server: SandboxServer, body: str, content_type: str, text: str) -> None:
    server.faults.add(f"404@3-:body={body}")
    assert [get(server).status_code for _ in range(4)] == [200, 200, 404, 404]
    response = get(server)
    assert response.headers["Content-Type"].partition(";")[0] == content_type
    assert response.text == text


def test_list_can_be_empty_although_there_are_messages(server: SandboxServer) -> None:
    server.faults.add("empty-list@2-3")
    assert [len(get(server).json()) for _ in range(4)] == [50, 0, 0, 50]
    server.faults.add("empty-list")
    assert "Link" not in get(server).headers
    assert get(server, "/v2/batches").json() == get(server, "/v2/me/senders").json() == []
    assert get(server, f"/v2/conversations/{EMPTY}").status_code == 404


def test_rows_can_swap_across_a_page_boundary(server: SandboxServer) -> None:
    before = [message["id"] for message in server.conversation()]
    server.faults.add("swap@2:at=9")
    first, second = ids_of(get(server, limit=10)), ids_of(get(server, start=10, limit=10))
    assert first == before[:10]
    assert second == [before[9], *before[11:20]]
    assert [message["id"] for message in server.conversation()] == [
        *before[:9], before[10], before[9], *before[11:]
    ]  # fmt: skip
    server.faults.clear()
    server.faults.add(f"swap:at=0,participant={SEVEN}", "swap:at=299", "swap:at=1000")
    before = [message["id"] for message in server.conversation(SEVEN)]
    get(server)
    assert [message["id"] for message in server.conversation(SEVEN)] == [before[1], before[0], *before[2:]]
    assert len(server.conversation()) == 300


@pytest.mark.parametrize("order", ["ASC", "DESC"])
def test_list_can_grow_faster_than_it_is_read(server: SandboxServer, order: str) -> None:
    """``insert`` makes the list endless: behind each page there is another one."""
    server.faults.add("insert:count=50,at=tail")
    for page in range(20):
        response = get(server, start=page * 50, limit=50, order=order)
        assert len(response.json()) == 50
        assert "next" in response.links
