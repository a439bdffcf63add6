# SPDX-License-Identifier: Apache-2.0
"""
One call to iP.1: what a response means, and when the request is sent again.

The responses are made up here. iP.1 documents the meaning of 200, 400 and 404, RFC 9110 that of the others.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import example, given, strategies as st

from airflow_provider_ip1 import exceptions
from airflow_provider_ip1.api.call import (
    BACKOFF_CAP,
    MAX_REDIRECTS,
    MAX_RETRY_AFTER,
    RETRIED_STATUSES,
    Call,
    Response,
    RetryPolicy,
    TransportFailure,
    retry_after_seconds,
)
from airflow_provider_ip1.api.decoding import decode_message
from airflow_provider_ip1.api.json_text import UnreadableBody
from airflow_provider_ip1.api.page_body import RawPage, split_page
from airflow_provider_ip1.api.requests import Request, conversation_request, message_request, send_request
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


def new_call(
    request: Request | None = None,
    *,
    base_url: str = BASE,
    policy: RetryPolicy | None = None,
    empty_on_404: bool = True,
) -> Call[RawPage]:
    return Call(
        request or conversation_request(NUMBER).page(0, 50, "ASC"),
        base_url=base_url,
        conn_id="ip1_test",
        read=lambda response: split_page(response.body),
        missing=RawPage if empty_on_404 else None,
        policy=policy or RetryPolicy(max_attempts=3, uniform=lambda low, high: high),
    )


def response(status: int, body: bytes = b"", **headers: str) -> Response:
    return Response(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


# -- what answers mean


def test_a_page() -> None:
    call = new_call()
    assert call.url == f"{BASE}/v2/conversations/{NUMBER}?start=0&limit=50&order=ASC"
    rows = b'[{"id":"a"}, {"id":"b"}]'
    assert call.receive(response(200, rows), NOW) is None
    assert list(call.result.ids) == ["a", "b"]
    assert [bytes(raw) for raw in call.result.raws] == [b'{"id":"a"}', b'{"id":"b"}']
    assert list(call.result.modified) == [None, None]


def test_not_found_is_no_messages_for_a_list_and_an_error_for_a_thing() -> None:
    call = new_call()
    assert call.receive(response(404), NOW) is None
    assert call.result.ids == ()
    call = new_call(message_request("b", "m"), empty_on_404=False)
    assert call.receive(response(404), NOW) is None and call.is_not_found
    with pytest.raises(IP1NotFoundError, match="does not know /v2/batches/b/messages/m"):
        _ = call.result


@pytest.mark.parametrize("body", [b"", b"  \r\n", b"null", b'"no messages"', b'{"title": "Not Found"}'])
def test_a_404_of_iP1_has_no_body_or_json(body: bytes) -> None:
    call = new_call()
    assert call.receive(response(404, body), NOW) is None
    assert call.is_not_found and call.result.ids == ()


@pytest.mark.parametrize("body", [b"default backend - 404", b"<html>404</html>", b"{", b"\xff"])
def test_any_other_404_is_retried_and_then_an_error(body: bytes) -> None:
    call = new_call()
    assert [call.receive(response(404, body), NOW) for _ in range(2)] == [1.0, 2.0]
    with pytest.raises(IP1ResponseError, match="does not come from iP.1's API") as caught:
        call.receive(response(404, body), NOW)
    assert type(caught.value) is IP1ResponseError and not call.is_not_found


# -- requests that must not take effect twice


def sending() -> Call[bytes]:
    return Call(
        send_request(b"{}"),
        base_url=BASE,
        conn_id="ip1_test",
        read=lambda got: got.body,
        policy=RetryPolicy(max_attempts=3, uniform=lambda low, high: high),
    )


@pytest.mark.parametrize("outcome", [TransportFailure("refused", was_sent=False), Response(429, {}, b"")])
def test_a_request_that_took_no_effect_is_repeated(outcome: Response | TransportFailure) -> None:
    call = sending()
    assert call.receive(outcome, NOW) == 1.0
    assert call.receive(outcome, NOW) == 2.0
    with pytest.raises(IP1Error):
        call.receive(outcome, NOW)
    assert not call.may_have_taken_effect


@pytest.mark.parametrize(
    "outcome",
    [
        TransportFailure("reset"),
        TransportFailure("too large", kind="response"),
        *(Response(status, {}, b"") for status in (100, 300, 408, 500, 502, 503, 504, 599)),
        Response(404, {}, b"default backend - 404"),
    ],
)
def test_a_request_that_may_have_taken_effect_is_never_repeated(outcome: Response | TransportFailure) -> None:
    call = sending()
    with pytest.raises(IP1Error):
        call.receive(outcome, NOW)
    assert call.attempts == 1 and call.may_have_taken_effect


def test_an_unreadable_response_is_not_a_reason_to_repeat_a_request() -> None:
    def unreadable(_: Response) -> bytes:
        raise UnreadableBody("cut")

    call = Call(send_request(b"{}"), base_url=BASE, conn_id="c", read=unreadable, policy=RetryPolicy())
    with pytest.raises(IP1ResponseError):
        call.receive(Response(201, {}, b"{"), NOW)
    assert call.attempts == 1 and call.may_have_taken_effect


@pytest.mark.parametrize("body", [b"", b"{}"])
def test_a_404_of_a_proxy_may_follow_a_request_that_it_has_passed_on(body: bytes) -> None:
    call = sending()
    assert call.receive(Response(404, {}, body), NOW) is None
    assert call.is_not_found and call.may_have_taken_effect


@pytest.mark.parametrize(
    ("outcome", "was_accepted"),
    [
        (Response(201, {}, b"{"), True),
        (TransportFailure("cut", status=201), True),
        (TransportFailure("cut", status=500), False),
        (TransportFailure("cut"), False),
        (Response(500, {}, b""), False),
    ],
)
def test_a_2xx_is_remembered(outcome: Response | TransportFailure, was_accepted: bool) -> None:
    call = sending()
    with suppress(IP1Error):
        call.receive(outcome, NOW)
    assert call.was_accepted is was_accepted


@pytest.mark.parametrize("status", [400, 401, 403, 409, 413, 415, 422, 451])
def test_a_rejected_request_took_no_effect(status: int) -> None:
    call = sending()
    with pytest.raises(IP1Error):
        call.receive(Response(status, {}, b""), NOW)
    assert call.attempts == 1 and not call.may_have_taken_effect


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_a_success_of_sending(status: int) -> None:
    call = sending()
    assert call.receive(Response(status, {}, b"x"), NOW) is None
    assert call.result == b"x"


@pytest.mark.parametrize("status", [100, 199, 300])
def test_no_other_status_is_a_success_of_sending(status: int) -> None:
    with pytest.raises(IP1ResponseError):
        sending().receive(Response(status, {}, b"x"), NOW)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_sending_follows_no_redirect(status: int) -> None:
    call = sending()
    assert not call.may_have_taken_effect
    with pytest.raises(IP1ConnectionError, match=rf"redirects .* \({status}\)"):
        call.receive(Response(status, {"location": f"{BASE}/elsewhere"}, b""), NOW)
    assert call.may_have_taken_effect


def test_a_redirect_of_a_read_took_no_effect() -> None:
    call = new_call()
    call.receive(response(302, location=f"{BASE}/elsewhere"), NOW)
    assert not call.may_have_taken_effect


@pytest.mark.parametrize("status", [400, 422])
def test_a_rejected_batch_says_what_to_check(status: int) -> None:
    with pytest.raises(IP1Error, match=rf"refused the batch \({status}\)\. Nothing was sent\. Check that the sender"):
        sending().receive(Response(status, {}, b""), NOW)
    with pytest.raises(IP1Error) as caught:
        sending().receive(Response(423, {}, b""), NOW)
    assert "refused the batch" not in str(caught.value)


@pytest.mark.parametrize(
    ("outcome", "problem"),
    [
        (Response(429, {}, b""), "429, too many requests"),
        (Response(503, {}, b""), "status 503"),
        (Response(200, {}, b"{"), "a body that cannot be read"),
        (TransportFailure("the connection was refused"), "the connection was refused"),
        (TransportFailure("the body is too large", kind="response"), "the body is too large"),
    ],
)
@pytest.mark.parametrize("max_attempts", [1, 2])
def test_an_error_states_the_last_problem_and_the_attempts(
    outcome: Response | TransportFailure, problem: str, max_attempts: int
) -> None:
    call = new_call(policy=RetryPolicy(max_attempts=max_attempts))
    with pytest.raises(IP1Error) as caught:
        for _ in range(max_attempts):
            call.receive(outcome, NOW)
    assert problem in str(caught.value)
    assert f"{call.attempts} attempt{'s' * (call.attempts > 1)}" in str(caught.value)


@pytest.mark.parametrize(
    ("status", "kind", "advice"),
    [
        (400, IP1ParticipantError, "country code"),
        (401, IP1AuthError, "password"),
        (403, IP1AuthError, "https://api.example is iP.1"),
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
    call = new_call()
    with pytest.raises(kind, match=advice) as caught:
        call.receive(response(status, SECRET_BODY, retry_after="1"), NOW)
    assert type(caught.value) is kind
    assert call.attempts == 1


def test_a_bad_request_about_no_participant() -> None:
    with pytest.raises(IP1ResponseError, match="status 400"):
        new_call(message_request("b", "m")).receive(response(400), NOW)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_asked_again_until_the_last_attempt(status: int) -> None:
    call = new_call(policy=RetryPolicy(max_attempts=4, uniform=lambda low, high: high))
    assert [call.receive(response(status), NOW) for _ in range(3)] == [1.0, 2.0, 4.0]
    with pytest.raises(IP1RateLimitError if status == 429 else IP1ServerError, match="after 4 attempts"):
        call.receive(response(status), NOW)


@pytest.mark.parametrize(
    "outcome",
    [
        pytest.param(TransportFailure("ConnectTimeout"), id="network"),
        pytest.param(response(200, b""), id="empty"),
        pytest.param(response(200, b"<html>the secret text</html>"), id="html"),
        pytest.param(response(200, SECRET_BODY[:-5]), id="cut"),
        pytest.param(response(200, b'[{"id":"\xff"}]'), id="not-utf-8"),
    ],
)
def test_passing_troubles_are_asked_again(outcome: Response | TransportFailure) -> None:
    call = new_call()
    assert call.receive(outcome, NOW) == 1.0
    assert call.receive(outcome, NOW) == 2.0
    with pytest.raises(IP1ServerError if isinstance(outcome, TransportFailure) else IP1ResponseError) as caught:
        call.receive(outcome, NOW)
    assert "secret" not in str(caught.value)
    call = new_call()
    call.receive(outcome, NOW)
    assert call.receive(response(200, SECRET_BODY), NOW) is None
    assert list(call.result.ids) == ["a"]


@pytest.mark.parametrize(
    "body", [b"{}", b"7", b'["a"]', b'[{"id":7}]', b'[{"id":""}]', b'[{"body":"the secret text"}]']
)
def test_json_of_another_shape_is_final(body: bytes) -> None:
    call = new_call()
    with pytest.raises(IP1ResponseError) as caught:
        call.receive(response(200, body), NOW)
    assert call.attempts == 1
    assert "secret" not in str(caught.value)


def test_failures_that_no_repetition_mends() -> None:
    with pytest.raises(IP1ConnectionError, match="not trusted.*verify.*'ip1_test'"):
        new_call().receive(TransportFailure("the certificate is not trusted", kind="settings"), NOW)
    with pytest.raises(IP1ResponseError, match="page_size"):
        new_call().receive(TransportFailure("the answer is too large", kind="response"), NOW)


def test_attempts_are_bounded_whatever_the_mixture() -> None:
    call = new_call(policy=RetryPolicy(max_attempts=5, uniform=lambda low, high: low))
    outcomes = [
        response(429, retry_after="0"),
        TransportFailure("reset"),
        response(200, b"["),
        response(503),
        response(408),
    ]
    for outcome in outcomes[:-1]:
        assert call.receive(outcome, NOW) == 0.0
    with pytest.raises(IP1ServerError):
        call.receive(outcomes[-1], NOW)


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
    call = new_call()
    assert call.receive(response(429, retry_after="3"), NOW) == 3.0
    assert call.receive(response(503, retry_after="Sun, 01 Mar 2026 12:00:20 GMT"), NOW) == 20.0


def test_a_wait_of_zero_seconds_is_no_hot_loop() -> None:
    assert new_call().receive(response(429, retry_after="0"), NOW) == 1.0
    assert new_call().receive(response(429, retry_after="Sun, 01 Mar 2020 12:00:20 GMT"), NOW) == 1.0


@pytest.mark.parametrize(("status", "kind"), [(429, IP1RateLimitError), (503, IP1ServerError)])
def test_a_wait_too_long_for_a_worker_is_left_to_airflow(status: int, kind: type[IP1Error]) -> None:
    call = new_call()
    assert call.receive(response(status, retry_after=f"{MAX_RETRY_AFTER:.0f}"), NOW) == MAX_RETRY_AFTER
    with pytest.raises(kind, match="wait 86400 s") as caught:
        call.receive(response(status, retry_after="86400"), NOW)
    assert caught.value.retry_after == 86400  # type: ignore[attr-defined]


def test_a_rate_limit_without_a_wish() -> None:
    with pytest.raises(IP1RateLimitError, match="requests_per_second") as caught:
        new_call(policy=RetryPolicy(max_attempts=1)).receive(response(429), NOW)
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
    call = new_call()
    assert call.receive(response(status, location=location), NOW) == 0.0
    assert call.url == url
    assert call.attempts == 0


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
    call = new_call()
    with pytest.raises(IP1ConnectionError, match="API key was not sent.*'ip1_test'") as caught:
        call.receive(response(302, location=location), NOW)
    assert call.url.startswith(f"{BASE}/v2/conversations/")
    assert NUMBER not in str(caught.value) and "elsewhere" not in str(caught.value)


def test_a_redirect_without_location() -> None:
    with pytest.raises(IP1ConnectionError):
        new_call().receive(response(302), NOW)


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

    call = new_call()
    try:
        call.receive(response(302, location=location), NOW)
    except IP1ConnectionError:
        return
    assert call.url.startswith(f"{BASE}/") and call.url.isascii() and " " not in call.url
    seen_by_urllib3, seen_by_yarl = parse_url(call.url), URL(call.url, encoded=True)
    assert (seen_by_urllib3.scheme, seen_by_urllib3.host, seen_by_urllib3.port) == ("https", "api.example", None)
    assert (seen_by_yarl.scheme, seen_by_yarl.host, seen_by_yarl.port) == ("https", "api.example", 443)
    assert seen_by_urllib3.auth is None and seen_by_yarl.user is None


def test_redirects_are_bounded_and_no_attempts() -> None:
    call = new_call()
    for step in range(MAX_REDIRECTS):
        assert call.receive(response(302, location=f"/{step}"), NOW) == 0.0
    with pytest.raises(IP1ResponseError, match="5 redirects"):
        call.receive(response(302, location="/again"), NOW)
    call = new_call()
    call.receive(response(302, location="/moved"), NOW)
    assert call.receive(response(503), NOW) == 1.0
    assert call.url == f"{BASE}/moved"


def test_a_base_url_with_port_and_prefix_stays_the_origin() -> None:
    call = new_call(base_url="https://[::1]:8443/gateway")
    assert call.receive(response(302, location="https://[::1]:8443/x"), NOW) == 0.0
    assert call.url == "https://[::1]:8443/x"
    with pytest.raises(IP1ConnectionError):
        call.receive(response(302, location="https://[::1]/x"), NOW)


# -- error texts


def all_errors() -> list[IP1Error]:
    outcomes: list[Response | TransportFailure] = [
        *(response(status, SECRET_BODY, retry_after="3600") for status in range(201, 600) if status != 404),
        response(302, SECRET_BODY, location=f"https://elsewhere.example/{NUMBER}"),
        response(200, b"<html>the secret text"),
        response(200, b'{"body":"the secret text"}'),
        response(200, b'[{"id":"a"},{"body":"the secret text","sender":"46701740606"}]'),
        TransportFailure("ReadTimeout"),
        TransportFailure("the server's certificate is not trusted", kind="settings"),
        TransportFailure("the answer is too large", kind="response"),
    ]
    makers: list[Callable[[], Call[RawPage]]] = [
        lambda: new_call(policy=RetryPolicy(max_attempts=1)),
        lambda: new_call(message_request("b", "m"), policy=RetryPolicy(max_attempts=1), empty_on_404=False),
    ]
    errors = []
    for make in makers:
        for outcome in [*outcomes, response(404, SECRET_BODY)]:
            try:
                call = make()
                call.receive(outcome, NOW)
                _ = call.result
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
    call = Call(
        message_request("b", "m"),
        base_url=BASE,
        conn_id="ip1_test",
        read=lambda got: decode_message(got.body),
        policy=RetryPolicy(max_attempts=2),
    )
    assert call.receive(response(200, b'{"id":"m"'), NOW) is not None
    assert call.receive(response(200, b'{"id":"m"}'), NOW) is None
    assert call.result.id == "m"
    assert RETRIED_STATUSES.isdisjoint({400, 401, 403, 404})


def test_a_403_of_iP1_itself_is_about_addresses() -> None:
    with pytest.raises(IP1AuthError, match="addresses of the Airflow workers"):
        new_call(base_url="https://api.ip1sms.com").receive(response(403), NOW)
