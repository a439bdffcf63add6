# SPDX-License-Identifier: Apache-2.0
"""What an export guarantees in every store: complete or not at all, and never in the place of something unknown."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_ip1.exceptions import IP1NoMessagesError
from airflow_provider_ip1.sandbox.participants import EMPTY, MAIN, SEVEN
from airflow_provider_ip1.transfers.replacing import ObjectChangedError
from tests.transfers.lakes import LARGE, SIZES, SMALL, Lake, run_context
from tests.transfers.sandbox_conversations import connected_sandbox
from tests.transfers.store_proxy import StoreProxy, StoreRequest


def count(lake: Lake) -> int:
    return len((lake.get("out.jsonl") or b"").splitlines())


def before_write(lake: Lake, act: Callable[[], Any]) -> Callable[[StoreRequest], None]:
    """Act once, immediately before the request that would make the object visible."""
    is_done = False

    def before(request: StoreRequest) -> None:
        nonlocal is_done
        if request.call in lake.visible_by and not is_done:
            is_done = True
            act()

    return before


# -- other writers


@SIZES
def test_an_object_that_appears_during_the_export_is_kept(
    lake: Lake, large_sandbox: None, lake_proxy: StoreProxy, export: dict[str, Any]
) -> None:
    lake_proxy.before = before_write(lake, lambda: lake.put("out.jsonl", b"newer"))
    with pytest.raises(ObjectChangedError, match="changed during the export"):
        lake.operator(**export).execute({})
    assert lake.get("out.jsonl") == b"newer"
    lake.check_clean()


@SIZES
def test_without_replace_an_object_that_appears_during_the_export_is_kept(
    lake: Lake, large_sandbox: None, lake_proxy: StoreProxy, export: dict[str, Any]
) -> None:
    lake_proxy.before = before_write(lake, lambda: lake.put("out.jsonl", b"newer"))
    with pytest.raises(ValueError, match=f"^{lake.argument}: .*replace is False"):
        lake.operator(**export, replace=False).execute({})
    assert lake.get("out.jsonl") == b"newer"
    lake.check_clean()


@SIZES
def test_a_worker_that_resumes_after_its_retry_finished_does_not_replace_the_object(
    lake: Lake, large_sandbox: None, lake_proxy: StoreProxy, export: dict[str, Any]
) -> None:
    lake.put("out.jsonl", b"from yesterday")
    retry = lake.operator(participant=SEVEN, replace="always")
    # Airflow 2 lets only the main thread call execute() itself.
    execute = inspect.unwrap(type(retry).execute)
    lake_proxy.before = before_write(lake, lambda: execute(retry, run_context(try_number=2)))
    with pytest.raises(ObjectChangedError):
        lake.operator(**export).execute(run_context(try_number=1))
    assert lake.metadata()["ip1-try"] == "2"
    assert count(lake) == 7


@SIZES
def test_an_object_that_is_replaced_while_parts_are_sent_is_kept(
    lake: Lake, large_sandbox: None, lake_proxy: StoreProxy, export: dict[str, Any]
) -> None:
    lake.put("out.jsonl", b"from yesterday")
    is_done = False

    def before(request: StoreRequest) -> None:
        nonlocal is_done
        if request.call in (lake.part, *lake.visible_by) and not is_done:
            is_done = True
            lake.put("out.jsonl", b"newer")

    lake_proxy.before = before
    with pytest.raises(ObjectChangedError):
        lake.operator(**export).execute({})
    assert lake.get("out.jsonl") == b"newer"


def test_an_object_that_is_deleted_during_the_export_stays_deleted(
    lake: Lake, ip1_connection: str, lake_proxy: StoreProxy
) -> None:
    lake.put("out.jsonl", b"from yesterday")
    lake_proxy.before = before_write(lake, lake.delete)
    with pytest.raises(ObjectChangedError):
        lake.operator(**SMALL).execute({})
    assert lake.get("out.jsonl") is None


# -- the store fails


LOST = {"error": (500, "InternalError"), "closed": (0, ""), "empty": (200, ""), "late error": (200, "InternalError")}


@SIZES
@pytest.mark.parametrize("is_new", [True, False])
@pytest.mark.parametrize("instead", LOST.values(), ids=LOST)
def test_a_write_whose_response_is_lost_succeeds(
    lake: Lake,
    large_sandbox: None,
    lake_proxy: StoreProxy,
    export: dict[str, Any],
    is_new: bool,
    instead: tuple[int, str],
) -> None:
    """The write is repeated, and the repetition would conflict with the first one."""
    if not is_new:
        lake.put("out.jsonl", b"from yesterday")
    lake.use(lake_proxy, attempts=3)
    lake_proxy.loses_responses_of, lake_proxy.instead = {*lake.visible_by, lake.part}, instead
    result = lake.operator(**export).execute({})
    assert lake_proxy.loses_responses_of.isdisjoint(lake_proxy.calls())
    assert count(lake) == result["messages"]


@pytest.mark.parametrize("status", [500, 503])
@SIZES
@pytest.mark.parametrize("at", range(5))
def test_an_error_of_the_store_keeps_the_object_unless_it_passes(
    lake: Lake, large_sandbox: None, lake_proxy: StoreProxy, export: dict[str, Any], at: int, status: int
) -> None:
    if at >= len(lake.calls):
        pytest.skip("this store has fewer kinds of requests")
    call = lake.calls[at]
    lake.put("out.jsonl", b"from yesterday")
    lake_proxy.answer = lambda request: (status, "InternalError") if request.call == call else None
    is_sent = True
    try:
        result = lake.operator(**export).execute({})
    except Exception as error:
        assert "InternalError" in str(error) or "50" in str(error)
        assert lake.get("out.jsonl") == b"from yesterday"
        lake.check_clean()
    else:
        is_sent = call in lake_proxy.calls()
        assert not is_sent
        assert count(lake) == result["messages"]
        lake.put("out.jsonl", b"from yesterday")
    lake.use(lake_proxy, attempts=3)
    lake_proxy.requests.clear()
    lake_proxy.answer = lambda request: (
        (status, "InternalError") if request.call == call and lake_proxy.calls().count(call) < 3 else None
    )
    result = lake.operator(**export, replace="always").execute({})
    assert (lake_proxy.calls().count(call) >= 3) is is_sent
    assert count(lake) == result["messages"]


@pytest.mark.parametrize("error", [(400, "InvalidRequest"), (403, "AccessDenied"), (500, "InternalError")])
def test_a_write_that_fails_once_does_not_replace_a_newer_object(
    lake: Lake, ip1_connection: str, lake_proxy: StoreProxy, error: tuple[int, str]
) -> None:
    """However often the write is repeated."""
    lake.put("out.jsonl", b"from yesterday")
    lake.use(lake_proxy, attempts=4)

    def answer(request: StoreRequest) -> tuple[int, str] | None:
        writes = [call for call in lake_proxy.calls() if call in lake.visible_by]
        if request.call not in lake.visible_by or len(writes) > 1:
            return None
        lake.put("out.jsonl", b"newer")
        return error

    lake_proxy.answer = answer
    with pytest.raises(ObjectChangedError):
        lake.operator(**SMALL).execute({})
    assert lake.get("out.jsonl") == b"newer"


# -- what the credentials do not show, and empty results


def test_credentials_that_may_only_write_replace_the_object_with_a_warning(
    lake: Lake, ip1_connection: str, lake_proxy: StoreProxy, caplog: pytest.LogCaptureFixture
) -> None:
    lake.put("out.jsonl", b"from yesterday")
    lake_proxy.answer = lambda request: lake.not_allowed if request.call == "HEAD" else None
    assert lake.operator(**SMALL).execute({})["messages"] == 7
    assert count(lake) == 7
    assert lake.store("out.jsonl").reading_rights in caplog.text


def test_credentials_that_may_only_write_do_not_replace_an_object_with_a_window(
    lake: Lake, ip1_connection: str, lake_proxy: StoreProxy
) -> None:
    """They do not show the window of the object."""
    lake_proxy.answer = lambda request: lake.not_allowed if request.call == "HEAD" else None
    assert lake.operator(**SMALL, since="2000-01-01", status_lookback=None).execute({})["messages"] == 7
    stored = lake.get("out.jsonl")
    with pytest.raises(ValueError, match=f"^{lake.argument}: .*credentials do not show"):
        lake.operator(**SMALL, since="2026-10-01", on_empty="write").execute({})
    assert lake.get("out.jsonl") == stored
    lake.operator(**SMALL, since="2026-10-01", on_empty="write", replace="always").execute({})


def test_protect_keeps_an_object_that_it_cannot_see(lake: Lake, ip1_connection: str, lake_proxy: StoreProxy) -> None:
    lake_proxy.answer = lambda request: lake.not_allowed if request.call == "HEAD" else None
    export = lake.operator(participant=EMPTY)
    lake.put("out.jsonl", b"from yesterday")
    with pytest.raises(IP1NoMessagesError, match="on_empty"):
        export.execute({})
    assert lake.get("out.jsonl") == b"from yesterday"
    lake.delete()
    assert export.execute({})["messages"] == 0
    assert lake.get("out.jsonl") == b""


@pytest.mark.parametrize("export", [SMALL, LARGE], ids=["one part", "several parts"])
def test_protect_keeps_an_object_that_contains_messages(
    lake: Lake, large_sandbox: None, export: dict[str, Any]
) -> None:
    empty = lake.operator(**export, since="2030-01-01", replace="always")
    assert empty.execute({})["messages"] == 0, "there is no object yet"
    assert empty.execute({})["messages"] == 0, "the object is empty"
    lake.operator(**export).execute({})
    stored = lake.get("out.jsonl")
    with pytest.raises(IP1NoMessagesError, match="on_empty"):
        empty.execute({})
    assert lake.get("out.jsonl") == stored
    lake.operator(**export, since="2030-01-01", replace="always", on_empty="write").execute({})
    assert lake.metadata()["ip1-messages"] == "0"


def test_a_missing_container_is_reported_before_anything_is_read(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    (argument,) = lake.place
    with connected_sandbox(monkeypatch, messages=10) as sandbox:
        with pytest.raises(ValueError, match=f"^{argument}: .*'no-such-place-here'"):
            lake.operator(**{argument: "no-such-place-here"}).execute({})
        assert sandbox.requests == []


# -- checkpoints


def test_a_run_exports_what_is_new_and_a_cleared_run_the_same_again(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connected_sandbox(monkeypatch, messages=50) as sandbox:

        def run(run_id: str, key: str, try_number: int = 1) -> Any:
            export = lake.operator(**{lake.argument: key}, checkpoint="state/sms.json")
            return export.execute(run_context(try_number, run_id))["messages"]

        assert run("1", "1.jsonl") == 50
        assert lake.store("1.jsonl").beside("state/sms.json", "checkpoint").read()[1].startswith(b"{")
        sandbox.receive(MAIN, "Hej")
        first = run("2", "2.jsonl")
        assert 1 <= first < 50
        written = lake.get("2.jsonl")
        assert run("2", "2.jsonl", try_number=2) == first
        assert lake.get("2.jsonl") == written
        with pytest.raises(ValueError, match=f"^{lake.argument}: .*a key per run"):
            run("3", "2.jsonl")
        assert lake.get("2.jsonl") == written
    assert [key for key in lake.keys() if not key.startswith("state/")] == ["1.jsonl", "2.jsonl"]


def test_a_checkpoint_that_another_run_wrote_is_read_again(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, lake_proxy: StoreProxy
) -> None:
    """The other run of a shared checkpoint adds the state of its own conversation, in the moment before ours does."""
    with connected_sandbox(monkeypatch, messages=50):
        other = lake.operator(participant=SEVEN, **{lake.argument: "seven.jsonl"}, checkpoint="state.json")
        ours = lake.operator(**{lake.argument: "main.jsonl"}, checkpoint="state.json")
        execute = inspect.unwrap(type(other).execute)
        writes = 0

        def before(request: StoreRequest) -> None:
            nonlocal writes
            writes += request.call in lake.visible_by
            if writes == 3:  # The starting state, the object, the checkpoint.
                writes = 100
                execute(other, run_context(run_id="other"))

        lake_proxy.before = before
        assert ours.execute(run_context(run_id="ours"))["messages"] == 50
    assert writes > 100
    _, state = lake.store("x").beside("state.json", "checkpoint").read()
    assert (MAIN.encode() in state, SEVEN.encode() in state) == (True, True)
