# SPDX-License-Identifier: Apache-2.0
"""IP1Notifier against the sandbox, called as Airflow calls notifiers."""

from __future__ import annotations

import asyncio
import copy
import logging
import time
import traceback
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_ip1.api.segments import count_segments
from airflow_provider_ip1.compat import BaseNotifier, mask_secret
from airflow_provider_ip1.exceptions import IP1AuthError, IP1SendUnknownError
from airflow_provider_ip1.notifications.ip1 import IP1Notifier, send_ip1_notification
from airflow_provider_ip1.sandbox.server import SandboxServer
from tests.operators.sent_batches import NUMBER, OTHER, TEXT, posts

Serve = Callable[..., SandboxServer]
Notify = Callable[[IP1Notifier, dict[str, Any]], None]

# Airflow 2.11 and 3.0 have neither async_notify nor notifiers that raise.
HAS_ASYNC = hasattr(BaseNotifier, "__await__")
needs_raising_notifiers = pytest.mark.skipif(not HAS_ASYNC, reason="Before Airflow 3.1, a notifier logs its errors")


def call(notifier: IP1Notifier, context: dict[str, Any]) -> None:
    # Airflow 2.11 expects a DAG in every context.
    notifier({"dag": None} | context)


def wait_for(notifier: IP1Notifier, context: dict[str, Any]) -> None:
    notifier.context = context

    async def wait() -> None:
        await notifier

    asyncio.run(wait())


@pytest.fixture(
    params=[call, pytest.param(wait_for, marks=pytest.mark.skipif(not HAS_ASYNC, reason="needs Airflow 3.1"))]
)
def notify(request: pytest.FixtureRequest) -> Notify:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def server(serve: Serve) -> SandboxServer:
    return serve(recipients=f"{NUMBER},{OTHER}")


def texts(server: SandboxServer, number: str = NUMBER) -> list[str]:
    """What the number has received, apart from the sandbox's own messages."""
    messages = server.conversation(number)
    return [message["body"] for message in messages if message["sender"] in ("iP1", "Other", OTHER)]


def test_sends_to_the_recipients_of_the_connection(server: SandboxServer, notify: Notify) -> None:
    before = len(texts(server)), len(texts(server, OTHER))
    notify(IP1Notifier(body="DAG {{ dag_id }} has failed"), {"dag_id": "nightly"})
    assert texts(server)[before[0] :] == texts(server, OTHER)[before[1] :] == ["DAG nightly has failed"]
    assert posts(server) == 1


def test_each_call_renders_the_arguments_again(server: SandboxServer, notify: Notify) -> None:
    before = len(texts(server))
    notifier = IP1Notifier(body="{{ n }}", recipients="{{ number }}", sender="{{ who }}")
    notify(notifier, {"n": "one", "number": NUMBER, "who": "iP1"})
    notify(notifier, {"n": "two", "number": NUMBER, "who": "Other"})
    assert texts(server)[before:] == ["one", "two"]
    assert (notifier.body, notifier.recipients, notifier.sender) == ("{{ n }}", "{{ number }}", "{{ who }}")


def test_each_call_sends(server: SandboxServer, notify: Notify) -> None:
    notifier = IP1Notifier(body="again")
    for _ in range(2):
        notify(notifier, {})
    assert posts(server) == 2


@pytest.mark.parametrize("max_segments", [1, 3])
@pytest.mark.parametrize("character", ["x", "ж", "😀", "{% raw %}{{% endraw %}"])
def test_shortens_long_texts(server: SandboxServer, character: str, max_segments: int) -> None:
    before = len(texts(server))
    IP1Notifier(body=character * 2500, max_segments=max_segments)({"dag": None})
    (text,) = texts(server)[before:]
    assert text.endswith("..." if character in "x{% raw %}{{% endraw %}" else "…")
    assert count_segments(text) == max_segments


def test_a_text_that_fits_is_sent_as_it_is(server: SandboxServer) -> None:
    before = len(texts(server))
    IP1Notifier(body="x" * 459)({"dag": None})
    assert texts(server)[before:] == ["x" * 459]


def test_the_template_fields_hide_nothing_of_the_context() -> None:
    assert not {"reason", "dag", "params", "exception", "ti", "dag_run"} & set(IP1Notifier.template_fields)


def test_a_lost_response_does_not_send_twice(serve: Serve, notify: Notify) -> None:
    server = serve("500@1:accepted=yes,method=POST", recipients=NUMBER)
    before = len(texts(server))
    notify(IP1Notifier(body="once"), {})
    assert texts(server)[before:] == ["once"]
    assert posts(server) == 1


@needs_raising_notifiers
@pytest.mark.parametrize(
    ("fault", "error"), [("401@1:method=POST", IP1AuthError), ("500@1:method=POST", IP1SendUnknownError)]
)
def test_raises(serve: Serve, notify: Notify, fault: str, error: type[Exception]) -> None:
    serve(fault, recipients=NUMBER)
    with pytest.raises(error):
        notify(IP1Notifier(body=TEXT), {})


@needs_raising_notifiers
@pytest.mark.parametrize("value", ["{{ none }}", "{{ nothing | default(none) }}", "{% raw %}{{ x }}{% endraw %}"])
@pytest.mark.parametrize("argument", ["body", "recipients", "sender", "ip1_conn_id"])
def test_rejects_what_a_template_makes_of_a_missing_value(
    server: SandboxServer, notify: Notify, argument: str, value: str, caplog: pytest.LogCaptureFixture
) -> None:
    notifier = IP1Notifier(**{"body": TEXT, argument: value})
    if argument == "body" and "raw" in value:
        notify(notifier, {})  # braces can be meant
        assert texts(server)[-1] == "{{ x }}"
        return
    with pytest.raises(ValueError, match=f"^{argument} (is the text|contains)"):
        notify(notifier, {})
    assert server.requests == []


@pytest.mark.parametrize("value", ["", "{{ '' }}", "{{ name }}", None])
def test_a_blank_value_takes_its_default(server: SandboxServer, notify: Notify, value: str | None) -> None:
    notify(IP1Notifier(body="default", recipients=value, sender=value), {"name": " "})
    assert (texts(server)[-1], texts(server, OTHER)[-1]) == ("default", "default")
    assert posts(server) == 1


@needs_raising_notifiers
@pytest.mark.parametrize("value", ["", "{{ '' }}", None])
def test_a_blank_text_is_an_error(server: SandboxServer, notify: Notify, value: str | None) -> None:
    with pytest.raises(ValueError, match="^body is blank"):
        notify(IP1Notifier(body=value), {})  # type: ignore[arg-type]
    assert posts(server) == 0


def test_replaces_halves_of_characters(
    server: SandboxServer, notify: Notify, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    notify(IP1Notifier(body="caf{{ name }}"), {"name": "\udce9 \ud83d\ude00"})
    assert texts(server)[-1] == "caf\ufffd \U0001f600"
    notifier = IP1Notifier(body="{who}", recipients={NUMBER: {"who": "{{ name }}"}})
    notify(notifier, {"name": "\udce9 \ud83d\ude00"})
    assert texts(server)[-1] == "\ufffd \U0001f600"
    output = "".join(capfd.readouterr()) + caplog.text
    assert "caf" not in output and "\U0001f600" not in output


@needs_raising_notifiers
def test_needs_recipients(serve: Serve, notify: Notify) -> None:
    server = serve()
    with pytest.raises(ValueError, match="recipients is missing. Set the extra 'recipients' of the connection"):
        notify(IP1Notifier(body=TEXT), {})
    assert server.requests == []


@pytest.mark.parametrize("body", [TEXT, "{{ nothing.here }}", "{{ broken", " "])
def test_can_log_errors_instead(
    serve: Serve,
    notify: Notify,
    body: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    serve("401:method=POST", recipients=NUMBER)
    notify(IP1Notifier(body=body, on_error="log"), {})
    assert "The SMS notification failed" in caplog.text + "".join(capfd.readouterr())


@pytest.mark.parametrize(
    "fault", ["sent-as=object", "400@1:method=POST", "401@1:method=POST", "500@1:method=POST", "reset@1:method=POST"]
)
@pytest.mark.parametrize("on_error", ["raise", "log"])
def test_neither_text_nor_numbers_leak(
    serve: Serve,
    notify: Notify,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    fault: str,
    on_error: Any,
) -> None:
    server = serve(fault, recipients=[NUMBER], sender=OTHER)
    shown = []
    with caplog.at_level(logging.DEBUG):
        try:
            notify(IP1Notifier(body=TEXT, on_error=on_error), {})
        except Exception as error:
            shown += ["".join(traceback.format_exception(error)), repr(error)]
    shown += capfd.readouterr()
    for record in caplog.records:
        shown += [
            record.getMessage(),
            repr(record.args),
            "".join(traceback.format_exception(*record.exc_info or [None])),
        ]
    assert posts(server) == 1
    for secret in (NUMBER, OTHER, TEXT, server.key):
        assert all(secret not in text for text in shown)


@pytest.mark.parametrize("argument", [{"max_segments": 0}, {"on_error": "ignore"}])
def test_rejects_values_out_of_range(argument: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(argument))):
        IP1Notifier(body=TEXT, **argument)


def test_masks_secrets_as_logs_do(server: SandboxServer, notify: Notify) -> None:
    mask_secret("correct horse battery staple")
    # Nothing but the secret, because other tests may have masked a single letter.
    notify(IP1Notifier(body="{{ exception }}"), {"exception": OSError("correct horse battery staple")})
    assert texts(server)[-1] == "***"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("{{ exception }}", "no route to 46***99 on 2026-11-30"),
        ("{{ exception.args[0] | replace('no', 'No') }}", "No route to 46***99 on 2026-11-30"),
        ("Call +46 8 465 004 30: {{ exception }}", "Call +46 8 465 004 30: no route to 46***99 on 2026-11-30"),
        ("+46701740699 is right: {{ exception }}", "+46701740699 is right: no route to 46***99 on 2026-11-30"),
        # The text does not contain the exception.
        ("Order {{ order }} failed", "Order 12345678 failed"),
    ],
)
def test_masks_the_numbers_of_an_exception(server: SandboxServer, notify: Notify, body: str, text: str) -> None:
    error = LookupError("no route to 46701740699 on 2026-11-30")
    notify(IP1Notifier(body=body), {"exception": error, "order": "12345678"})
    assert texts(server)[-1] == text


def test_an_exception_without_numbers_masks_nothing(server: SandboxServer, notify: Notify) -> None:
    notify(IP1Notifier(body="Order {{ order }}: {{ exception }}"), {"exception": KeyError("x"), "order": "12345678"})
    assert texts(server)[-1] == "Order 12345678: 'x'"


def test_a_serialized_dag_renders_too(server: SandboxServer, notify: Notify) -> None:
    """``dag.test()`` of Airflow 3.3 passes one, which has no environment for templates."""
    dag = SimpleNamespace(dag_id="nightly", render_template_as_native_obj=False)
    notify(IP1Notifier(body="{{ dag.dag_id }} failed"), {"dag": dag})
    assert texts(server)[-1] == "nightly failed"


def test_a_server_that_never_answers_does_not_keep_the_other_callbacks(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve("slow:seconds=300", recipients=NUMBER)
    monkeypatch.setattr(IP1Notifier, "max_seconds", 0.5)
    began = time.monotonic()
    for notifier in (IP1Notifier(body="x"), IP1Notifier(body="x", limit="run")):
        for way in (call, wait_for) if HAS_ASYNC else (call,):
            try:
                way(notifier, {"run_id": "run", "dag_run": {"dag_id": "nightly"}})
                assert not HAS_ASYNC  # older notifiers log their errors
            except IP1SendUnknownError as error:
                assert "no response within" in str(error)
    assert time.monotonic() - began < 300


@needs_raising_notifiers
def test_takes_the_context_as_a_deadline_passes_it(server: SandboxServer) -> None:
    before = len(texts(server))
    notifier = IP1Notifier(body="late: {{ dag_run.dag_id }}", context={"dag_run": {"dag_id": "nightly"}})

    async def wait() -> None:
        await notifier

    asyncio.run(wait())
    assert texts(server)[before:] == ["late: nightly"]


def test_can_be_copied() -> None:
    notifier = send_ip1_notification(body=TEXT, recipients=[NUMBER])
    assert isinstance(notifier, IP1Notifier)
    assert copy.deepcopy(notifier).body == TEXT
