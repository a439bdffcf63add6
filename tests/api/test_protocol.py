# SPDX-License-Identifier: Apache-2.0
"""
One request to iP.1: what is sent, what an answer means, when it is asked again.

The answers are made up here; what they mean is documented by iP.1 for 200, 400 and 404, and by RFC 9110 for the rest.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_ip1 import exceptions
from airflow_provider_ip1.api import protocol
from airflow_provider_ip1.api.messages import Message
from airflow_provider_ip1.api.page_body import RawPage
from airflow_provider_ip1.api.protocol import (
    BACKOFF_CAP,
    MAX_REDIRECTS,
    MAX_RETRY_AFTER,
    Answer,
    Exchange,
    Failure,
    Request,
    RetryPolicy,
    batch_messages_request,
    check_id,
    conversation_request,
    message_request,
    normalize_participant,
    read_rows,
    retry_after_seconds,
    summary_request,
)
from airflow_provider_ip1.exceptions import (
    IP1AuthError,
    IP1ConnectionError,
    IP1Error,
    IP1NotFoundError,
    IP1ParticipantError,
    IP1RateLimitError,
    IP1ResponseError,
    IP1ServerError,
)

NUMBER = "46701740605"
MASKED = "46***05"
NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
BASE = "https://api.example"
SECRET_BODY = b'[{"id":"a","body":"the secret text"}]'


def exchange(
    request: Request | None = None, *, base_url: str = BASE, policy: RetryPolicy | None = None, is_list: bool = True
) -> Exchange[RawPage]:
    return Exchange(
        request or conversation_request(NUMBER).page(0, 50, "ASC"),
        base_url=base_url,
        conn_id="ip1_test",
        read=read_rows,
        missing=RawPage if is_list else None,
        policy=policy or RetryPolicy(max_attempts=3, uniform=lambda low, high: high),
    )


def answer(status: int, body: bytes = b"", **headers: str) -> Answer:
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


# -- participants and paths


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("46701740605", NUMBER),
        ("+46701740605", NUMBER),
        ("+46 70-174 06 05", NUMBER),
        ("(+46) 70/174.06.05", NUMBER),
        ("+46 (70) 174 06 05", NUMBER),
        (" 46701740605\n", NUMBER),
        ("46\u00a070\u00a01740605", NUMBER),
        ("46\u201170\u20131740605", NUMBER),
        ("\u202a+46701740605\u202c", NUMBER),
        ("\uff0b\uff14\uff1670\u200b1740605", NUMBER),
        ("Grannen", "Grannen"),
        ("  Grannen ", "Grannen"),
        ("Min skola", "Min skola"),
        ("Taxi 020", "Taxi 020"),
        ("A/B", "A/B"),
        ("50%", "50%"),
        ("Åsa", "Åsa"),
        ("a..b", "a..b"),
        ("...", "..."),
    ],
)
def test_participants(written: str, sent: str) -> None:
    assert normalize_participant(written) == sent
    assert normalize_participant(sent) == sent


@pytest.mark.parametrize(
    "refused", ["", "   ", "\u2003", ".", "..", " .. ", "a\x00b", "a\nb", "\x7f", "a\x85b", "\ud800", "a\u2028b"]
)
def test_participants_that_are_refused_before_any_request(refused: str) -> None:
    with pytest.raises(IP1ParticipantError, match="The participant (is|has)"):
        normalize_participant(refused)


@pytest.mark.parametrize("value", [None, 46701740605, b"46701740605", ["46701740605"]])
def test_a_participant_that_is_no_text(value: object) -> None:
    with pytest.raises(IP1ParticipantError, match="must be a string") as caught:
        normalize_participant(value)  # type: ignore[arg-type]
    assert NUMBER not in str(caught.value)


@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=30))
@example("Min skola")
@example("A/B?c=d#e%2F;f")
@example("å")
def test_a_participant_is_exactly_one_path_segment(text: str) -> None:
    try:
        participant = normalize_participant(text)
    except IP1ParticipantError:
        return
    for request in (conversation_request(participant), conversation_request(participant, "mt")):
        url = urlsplit(request.page(0, 10, "DESC").url(BASE + "/prefix"))
        assert (url.scheme, url.netloc) == ("https", "api.example")
        assert url.query == "start=0&limit=10&order=DESC" and not url.fragment
        assert url.path.isascii() and " " not in url.path and "+" not in url.path
        segments = url.path.split("/")
        assert segments[:4] == ["", "prefix", "v2", "conversations"]
        assert unquote(segments[4]) == participant and segments[4] not in ("", ".", "..")
        assert segments[5:] == (["mt"] if request.path.endswith("/mt") else [])


def test_paths() -> None:
    assert conversation_request(NUMBER).url(BASE) == f"{BASE}/v2/conversations/{NUMBER}"
    assert conversation_request("Min skola", "mo").path == "/v2/conversations/Min%20skola/mo"
    assert summary_request("A/B").path == "/v2/conversations/A%2FB/summary"
    assert batch_messages_request("b/1").path == "/v2/batches/b%2F1/messages"
    assert message_request("b1", "m?").path == "/v2/batches/b1/messages/m%3F"


def test_labels_and_reprs_show_no_number() -> None:
    for request in (conversation_request(NUMBER, "mt").page(5, 10, "ASC"), summary_request(NUMBER)):
        assert MASKED in request.label
        assert NUMBER not in repr(request) and NUMBER not in request.label
    assert "secret" not in repr(answer(200, SECRET_BODY))


@pytest.mark.parametrize("value", ["", " ", ".", "..", "a\nb", None, 7])
def test_ids_that_are_refused(value: object) -> None:
    with pytest.raises(ValueError, match="^message_id "):
        check_id(value, "message_id")  # type: ignore[arg-type]


def test_an_id_is_taken_as_it_is() -> None:
    assert check_id(" 5bcf4324aa ", "batch_id") == "5bcf4324aa"


# -- what answers mean


def test_a_page() -> None:
    asked = exchange()
    assert asked.url == f"{BASE}/v2/conversations/{NUMBER}?start=0&limit=50&order=ASC"
    rows = b'[{"id":"a"}, {"id":"b"}]'
    assert asked.received(answer(200, rows, link='<?start=1&limit=9>; rel="last"'), NOW) is None
    assert list(asked.result.ids) == ["a", "b"]
    assert [bytes(raw) for raw in asked.result.raws] == [b'{"id":"a"}', b'{"id":"b"}']
    assert asked.result.links["last"].start == 1


def test_not_found_is_no_messages_for_a_list_and_an_error_for_a_thing() -> None:
    asked = exchange()
    assert asked.received(answer(404), NOW) is None
    assert asked.result.ids == ()
    with pytest.raises(IP1NotFoundError, match="does not know /v2/batches/b/messages/m"):
        exchange(message_request("b", "m"), is_list=False).received(answer(404), NOW)


@pytest.mark.parametrize(
    ("status", "kind", "advice"),
    [
        (400, IP1ParticipantError, "country code"),
        (401, IP1AuthError, "password"),
        (403, IP1AuthError, "address"),
        (405, IP1ResponseError, "host"),
        (410, IP1ResponseError, "host"),
        (422, IP1ResponseError, "host"),
        (204, IP1ResponseError, "host"),
        (300, IP1ResponseError, "host"),
        (304, IP1ResponseError, "host"),
        (501, IP1ServerError, "later"),
        (505, IP1ServerError, "later"),
    ],
)
def test_final_at_once(status: int, kind: type[IP1Error], advice: str) -> None:
    asked = exchange()
    with pytest.raises(kind, match=advice) as caught:
        asked.received(answer(status, SECRET_BODY, retry_after="1"), NOW)
    assert type(caught.value) is kind
    assert asked.attempts == 1


def test_a_bad_request_about_no_participant() -> None:
    with pytest.raises(IP1ResponseError, match="status 400"):
        exchange(message_request("b", "m")).received(answer(400), NOW)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_asked_again_until_the_last_attempt(status: int) -> None:
    asked = exchange(policy=RetryPolicy(max_attempts=4, uniform=lambda low, high: high))
    assert [asked.received(answer(status), NOW) for _ in range(3)] == [1.0, 2.0, 4.0]
    with pytest.raises(IP1RateLimitError if status == 429 else IP1ServerError, match="after 4 attempts"):
        asked.received(answer(status), NOW)


@pytest.mark.parametrize(
    "outcome",
    [
        pytest.param(Failure("ConnectTimeout"), id="network"),
        pytest.param(answer(200, b""), id="empty"),
        pytest.param(answer(200, b"<html>the secret text</html>"), id="html"),
        pytest.param(answer(200, SECRET_BODY[:-5]), id="cut"),
        pytest.param(answer(200, b'[{"id":"\xff"}]'), id="not-utf-8"),
    ],
)
def test_passing_troubles_are_asked_again(outcome: Answer | Failure) -> None:
    asked = exchange()
    assert asked.received(outcome, NOW) == 1.0
    assert asked.received(outcome, NOW) == 2.0
    with pytest.raises(IP1ServerError if isinstance(outcome, Failure) else IP1ResponseError) as caught:
        asked.received(outcome, NOW)
    assert "secret" not in str(caught.value)
    asked = exchange()
    asked.received(outcome, NOW)
    assert asked.received(answer(200, SECRET_BODY), NOW) is None
    assert list(asked.result.ids) == ["a"]


@pytest.mark.parametrize(
    "body", [b"{}", b"7", b'["a"]', b'[{"id":7}]', b'[{"id":""}]', b'[{"body":"the secret text"}]']
)
def test_json_of_another_shape_is_final(body: bytes) -> None:
    asked = exchange()
    with pytest.raises(IP1ResponseError) as caught:
        asked.received(answer(200, body), NOW)
    assert asked.attempts == 1
    assert "secret" not in str(caught.value)


def test_failures_that_no_repetition_mends() -> None:
    with pytest.raises(IP1ConnectionError, match="not trusted.*verify.*'ip1_test'"):
        exchange().received(Failure("the certificate is not trusted", kind="settings"), NOW)
    with pytest.raises(IP1ResponseError, match="page_size"):
        exchange().received(Failure("the answer is too large", kind="answer"), NOW)


def test_attempts_are_bounded_whatever_the_mixture() -> None:
    asked = exchange(policy=RetryPolicy(max_attempts=5, uniform=lambda low, high: low))
    outcomes = [answer(429, retry_after="0"), Failure("reset"), answer(200, b"["), answer(503), answer(408)]
    for outcome in outcomes[:-1]:
        assert asked.received(outcome, NOW) == 0.0
    with pytest.raises(IP1ServerError):
        asked.received(outcomes[-1], NOW)


# -- pauses


@given(st.integers(1, 20), st.integers(0, 2**32))
def test_full_jitter(attempt: int, seed: int) -> None:
    import random

    drawn: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        drawn.append((low, high))
        return random.Random(seed).uniform(low, high)

    pause = RetryPolicy(uniform=uniform).backoff(attempt)
    assert drawn == [(0.0, min(BACKOFF_CAP, 2.0 ** (attempt - 1)))]
    assert 0 <= pause <= BACKOFF_CAP


def test_the_real_policy_draws_at_random() -> None:
    assert len({RetryPolicy().backoff(4) for _ in range(20)}) > 1


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "3"}, 3),
        ({"retry-after": " 120 "}, 120),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "999999999"}, 999999999),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "3, 3"}, None),
        ({"retry-after": "٣"}, None),
        ({"retry-after": "1" * 4000}, None),
        ({"retry-after": ""}, None),
        ({}, None),
        ({"retry-after": "Sun, 01 Mar 2026 12:00:07 GMT"}, 7),
        ({"retry-after": "Sunday, 01-Mar-26 12:00:07 GMT"}, 7),
        ({"retry-after": "Sun Mar  1 12:00:07 2026"}, 7),
        ({"retry-after": "Sun, 01 Mar 2026 13:00:07 +0100"}, 7),
        ({"retry-after": "Sun, 01 Mar 2026 11:00:00 GMT"}, 0),
        ({"retry-after": "Sun, 01 Mar 2026 25:00:00 GMT"}, None),
        ({"retry-after": "Mon, 01 Mar 2027 00:00:00 -2359"}, 365 * 86400 - 43200 + 86340),
        # The server's clock is an hour behind: its own Date says what it means.
        ({"retry-after": "Sun, 01 Mar 2026 11:00:07 GMT", "date": "Sun, 01 Mar 2026 11:00:00 GMT"}, 7),
        ({"retry-after": "Sun, 01 Mar 2026 15:00:07 GMT", "date": "Sun, 01 Mar 2026 15:00:00 GMT"}, 7),
        ({"retry-after": "Sun, 01 Mar 2026 12:00:07 GMT", "date": "yesterday"}, 7),
    ],
)  # fmt: skip
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_seconds(headers, NOW) == seconds


@given(st.dictionaries(st.sampled_from(["retry-after", "date"]), st.text()))
def test_retry_after_never_raises(headers: dict[str, str]) -> None:
    seconds = retry_after_seconds(headers, NOW)
    assert seconds is None or seconds >= 0


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9999, 12, 31)), st.integers(0, 10**6))
def test_retry_after_as_any_date(then: datetime, seconds: int) -> None:
    then = then.replace(microsecond=0, tzinfo=UTC)
    try:
        moment = then + timedelta(seconds=seconds)
    except OverflowError:
        return
    headers = {"retry-after": format_datetime(moment, usegmt=True), "date": format_datetime(then, usegmt=True)}
    assert retry_after_seconds(headers, NOW) == seconds


def test_the_server_says_how_long_to_wait() -> None:
    asked = exchange()
    assert asked.received(answer(429, retry_after="3"), NOW) == 3.0
    assert asked.received(answer(503, retry_after="Sun, 01 Mar 2026 12:00:20 GMT"), NOW) == 20.0


def test_a_wait_of_zero_seconds_is_no_hot_loop() -> None:
    assert exchange().received(answer(429, retry_after="0"), NOW) == 1.0
    assert exchange().received(answer(429, retry_after="Sun, 01 Mar 2020 12:00:20 GMT"), NOW) == 1.0


@pytest.mark.parametrize(("status", "kind"), [(429, IP1RateLimitError), (503, IP1ServerError)])
def test_a_wait_too_long_for_a_worker_is_left_to_airflow(status: int, kind: type[IP1Error]) -> None:
    asked = exchange()
    assert asked.received(answer(status, retry_after=f"{MAX_RETRY_AFTER:.0f}"), NOW) == MAX_RETRY_AFTER
    with pytest.raises(kind, match="wait 86400 s") as caught:
        asked.received(answer(status, retry_after="86400"), NOW)
    assert caught.value.retry_after == 86400  # type: ignore[attr-defined]


def test_a_rate_limit_without_a_wish() -> None:
    with pytest.raises(IP1RateLimitError, match="requests_per_second") as caught:
        exchange(policy=RetryPolicy(max_attempts=1)).received(answer(429), NOW)
    assert caught.value.retry_after is None


# -- redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("/v2/elsewhere?start=0", f"{BASE}/v2/elsewhere?start=0"),
        ("https://api.example/x", f"{BASE}/x"),
        ("https://API.example:443/x?y=1", f"{BASE}/x?y=1"),
        ("//api.example/x#top", f"{BASE}/x"),
        ("https://someone:else@api.example/x", f"{BASE}/x"),
        ("https://api.example", f"{BASE}/"),
        ("other", f"{BASE}/v2/conversations/other"),
        ("?start=7", f"{BASE}/v2/conversations/{NUMBER}?start=7"),
        ("/a b/å%20?q=å b", f"{BASE}/a%20b/%C3%A5%20?q=%C3%A5%20b"),
        ("/\udcff", f"{BASE}/%3F"),
    ],
)
def test_a_redirect_within_the_origin_is_followed(status: int, location: str, url: str) -> None:
    asked = exchange()
    assert asked.received(answer(status, location=location), NOW) == 0.0
    assert asked.url == url
    assert asked.attempts == 0


@pytest.mark.parametrize(
    "location",
    [
        "https://elsewhere.example/v2/x",
        "//elsewhere.example/",
        "http://api.example/",
        "http://api.example:443/",
        "https://api.example:8443/",
        "https://api.example.elsewhere.example/",
        "https://api.example@elsewhere.example/",
        "ftp://api.example/",
        "javascript:alert(1)",
        "https://[",
        "https://api.example:port/",
        "https://api.example:99999/",
        "",
    ],
)
def test_a_redirect_off_the_origin_is_refused(location: str) -> None:
    asked = exchange()
    with pytest.raises(IP1ConnectionError, match="API key was not sent.*'ip1_test'") as caught:
        asked.received(answer(302, location=location), NOW)
    assert asked.url.startswith(f"{BASE}/v2/conversations/")
    assert NUMBER not in str(caught.value) and "elsewhere" not in str(caught.value)


def test_a_redirect_without_location() -> None:
    with pytest.raises(IP1ConnectionError):
        exchange().received(answer(302), NOW)


@given(
    st.text()
    | st.lists(
        st.sampled_from([*"/\\@:?#[]% \te", "https:", "http:", "api.example"]),
        max_size=12,
    ).map("".join)
)
@example("https://elsewhere.example\\@api.example/")
@example("https://elsewhere.example\\@api.example:443/x?y")
@example("/\\elsewhere.example/")
def test_no_location_leads_any_http_library_astray(location: str) -> None:
    """urllib, urllib3 and yarl must all see the connection's host, scheme and port in what is sent next."""
    from urllib3.util import parse_url
    from yarl import URL

    asked = exchange()
    try:
        asked.received(answer(302, location=location), NOW)
    except IP1ConnectionError:
        return
    assert asked.url.startswith(f"{BASE}/") and asked.url.isascii() and " " not in asked.url
    seen_by_urllib3, seen_by_yarl = parse_url(asked.url), URL(asked.url, encoded=True)
    assert (seen_by_urllib3.scheme, seen_by_urllib3.host, seen_by_urllib3.port) == ("https", "api.example", None)
    assert (seen_by_yarl.scheme, seen_by_yarl.host, seen_by_yarl.port) == ("https", "api.example", 443)
    assert seen_by_urllib3.auth is None and seen_by_yarl.user is None


def test_redirects_are_bounded_and_no_attempts() -> None:
    asked = exchange()
    for step in range(MAX_REDIRECTS):
        assert asked.received(answer(302, location=f"/{step}"), NOW) == 0.0
    with pytest.raises(IP1ResponseError, match="5 redirects"):
        asked.received(answer(302, location="/again"), NOW)
    asked = exchange()
    asked.received(answer(302, location="/moved"), NOW)
    assert asked.received(answer(503), NOW) == 1.0
    assert asked.url == f"{BASE}/moved"


def test_a_base_url_with_port_and_prefix_stays_the_origin() -> None:
    asked = exchange(base_url="https://[::1]:8443/gateway")
    assert asked.received(answer(302, location="https://[::1]:8443/x"), NOW) == 0.0
    assert asked.url == "https://[::1]:8443/x"
    with pytest.raises(IP1ConnectionError):
        asked.received(answer(302, location="https://[::1]/x"), NOW)


# -- error texts


def all_errors() -> list[IP1Error]:
    outcomes: list[Answer | Failure] = [
        *(answer(status, SECRET_BODY, retry_after="3600") for status in range(201, 600) if status != 404),
        answer(302, SECRET_BODY, location=f"https://elsewhere.example/{NUMBER}"),
        answer(200, b"<html>the secret text"),
        answer(200, b'{"body":"the secret text"}'),
        answer(200, b'[{"id":"a"},{"body":"the secret text","sender":"46701740606"}]'),
        Failure("ReadTimeout"),
        Failure("the server's certificate is not trusted", kind="settings"),
        Failure("the answer is too large", kind="answer"),
    ]
    makers: list[Callable[[], Exchange[RawPage]]] = [
        lambda: exchange(policy=RetryPolicy(max_attempts=1)),
        lambda: exchange(message_request("b", "m"), policy=RetryPolicy(max_attempts=1), is_list=False),
    ]
    errors = []
    for make in makers:
        for outcome in [*outcomes, answer(404, SECRET_BODY)]:
            try:
                make().received(outcome, NOW)
            except IP1Error as error:
                errors.append(error)
    return errors


def test_error_texts_advise_and_name_no_number_key_or_content() -> None:
    errors = all_errors()
    assert {type(error) for error in errors} >= {
        IP1AuthError, IP1ConnectionError, IP1NotFoundError, IP1ParticipantError, IP1RateLimitError, IP1ResponseError,
        IP1ServerError,
    }  # fmt: skip
    for error in errors:
        link: BaseException | None = error
        while link is not None:
            for text in (str(link), repr(link), repr(link.args)):
                assert NUMBER not in text and "46701740606" not in text and "secret" not in text
            link = link.__cause__ or link.__context__
        # A second sentence: what to do about it.
        assert str(error).rstrip(".").count(". ") >= 1, str(error)


def test_errors_survive_being_pickled() -> None:
    for error in all_errors():
        again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
        assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


def test_every_error_type_survives_being_pickled() -> None:
    kinds = [kind for kind in vars(exceptions).values() if isinstance(kind, type) and issubclass(kind, IP1Error)]
    assert len(kinds) >= 9
    for kind in kinds:
        again = pickle.loads(pickle.dumps(kind("What happened. What to do.")))  # noqa: S301 - our own
        assert (type(again), str(again)) == (kind, "What happened. What to do.")


def test_a_single_message_is_read() -> None:
    asked = Exchange(
        message_request("b", "m"),
        base_url=BASE,
        conn_id="ip1_test",
        read=lambda got: Message.from_json(got.body),
        policy=RetryPolicy(max_attempts=2),
    )
    assert asked.received(answer(200, b'{"id":"m"'), NOW) is not None
    assert asked.received(answer(200, b'{"id":"m"}'), NOW) is None
    assert asked.result.id == "m"
    assert protocol.RETRIED_STATUSES.isdisjoint({400, 401, 403, 404})
