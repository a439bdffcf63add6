# SPDX-License-Identifier: Apache-2.0
"""
Runs in Airflow's web interface: a deferred wait, an export with its result and its link, a failed export, an asset.

The tests go on where the one before left off.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from dev import stack
from tests.triggers.real_airflow import wait_until
from tests.ui.airflow_web import BUCKET, DELIVERY, Api, Servers

pytestmark = pytest.mark.slow

KEY = "deliveries/69000000c000000000000001.jsonl.gz"
LAKE = f"s3://{BUCKET}/lake"


@dataclass(frozen=True)
class Run:
    """
    A run that was started in the web interface.

    :param id: its id.
    :param url: its page.
    """

    id: str
    url: str


@pytest.fixture(scope="module", autouse=True)
def connection(servers: Servers, api: Api) -> None:
    """The connection to the sandbox, usually the one that the test of the form has saved."""
    if not api.connection_exists("ip1_default"):
        sandbox = {"host": servers.sandbox.url, "password": stack.SANDBOX_KEY}
        api.post("connections", connection_id="ip1_default", conn_type="ip1", **sandbox)


@pytest.fixture(scope="module")
def run(page: Any, servers: Servers) -> Run:
    """A run of the example that waits for a delivery and then exports, triggered in the interface."""
    page.goto(f"{servers.airflow.url}/dags/{DELIVERY}")
    page.get_by_role("button", name="Trigger").first.click()
    dialog = page.get_by_role("dialog")
    runs = f"/dags/{DELIVERY}/dagRuns"
    with page.expect_response(
        lambda response: response.request.method == "POST" and response.url.endswith(runs)
    ) as sent:
        dialog.get_by_role("button", name="Trigger", exact=True).click()
    run_id = sent.value.json()["dag_run_id"]
    return Run(run_id, f"{servers.airflow.url}/dags/{DELIVERY}/runs/{run_id}")


def badge(page: Any, state: str) -> Any:
    """Return the state next to the task's name."""
    return page.get_by_text(state, exact=True).first


def test_wait_is_deferred_until_the_message_is_delivered(
    page: Any, run: Run, servers: Servers, api: Api, screenshot: Callable[..., None]
) -> None:
    api.wait_for_state(DELIVERY, run.id, "wait_for_delivery", until="deferred")
    page.goto(f"{run.url}/tasks/wait_for_delivery")
    badge(page, "Deferred").wait_for()
    page.get_by_text("Waiting").first.wait_for()
    screenshot("deferred")
    assert api.get(f"dags/{DELIVERY}/dagRuns/{run.id}/taskInstances/wait_for_delivery")["state"] == "deferred"

    servers.clock.let_the_hour_pass()
    api.wait_for_state(DELIVERY, run.id, "wait_for_delivery", until="success")
    page.reload()
    badge(page, "Success").wait_for()


def test_run_is_shown_with_both_tasks(page: Any, run: Run, api: Api, screenshot: Callable[..., None]) -> None:
    api.wait_for_state(DELIVERY, run.id, "export_conversation", until="success")
    page.goto(run.url)
    for task in ("wait_for_delivery", "export_conversation"):
        assert "Success" in page.get_by_role("row").filter(has_text=task).last.inner_text()
    page.get_by_role("button", name="Show Graph").click()
    page.locator(".react-flow__node").filter(has_text="export_conversation").wait_for()
    screenshot("dag")
    page.get_by_role("button", name="Show Grid").click()


def test_result_of_the_finished_export_is_shown(
    page: Any, run: Run, servers: Servers, screenshot: Callable[..., None]
) -> None:
    page.goto(f"{run.url}/tasks/export_conversation/xcom")
    page.get_by_role("row").filter(has_text="return_value").wait_for()
    page.get_by_role("button", name="Expand all").click()
    shown = page.get_by_role("row").filter(has_text="return_value")
    shown.get_by_text("last_modified").first.wait_for()
    screenshot("xcom")
    # The viewer adds its own line breaks and indentation, and draws the lines one after the other.
    (text,) = wait_until(
        lambda: re.findall(r"\{.*\}", re.sub(r"\s", "", shown.inner_text())), "the viewer shows the whole result"
    )
    result = json.loads(text)
    exported = gzip.decompress(servers.s3.client().get_object(Bucket=BUCKET, Key=KEY)["Body"].read())
    assert result["uri"] == f"s3://{BUCKET}/{KEY}"
    assert result["messages"] == len(exported.splitlines()) > 1


def test_an_object_that_is_not_in_aws_has_no_button(page: Any, run: Run, api: Api) -> None:
    page.goto(f"{run.url}/tasks/export_conversation/details")
    page.get_by_text("Task ID").first.wait_for()
    task = f"dags/{DELIVERY}/dagRuns/{run.id}/taskInstances/export_conversation"
    assert api.get(f"{task}/links")["extra_links"] == {"S3 object": None}
    assert page.get_by_role("link", name="S3 object").count() == 0


def test_failed_export_shows_its_error_and_no_other(page: Any, servers: Servers, api: Api) -> None:
    dag = "export_to_missing_bucket"
    run_id = api.trigger(dag)
    api.wait_for_state(dag, run_id, "export", until="failed")
    task = f"{servers.airflow.url}/dags/{dag}/runs/{run_id}/tasks/export"
    page.goto(task)
    badge(page, "Failed").wait_for()
    page.get_by_text("bucket 'no-such-bucket' does not exist").first.wait_for()
    # Airflow looks for the link of every task. An operator that leaves the search to XCom adds an error to the log.
    assert "XCom not found" not in page.content()
    # Airflow writes this error to the log of its own processes, not to the task's.
    assert "XCom not found" not in servers.airflow.process.log_path.read_text()
    log = api.get(f"dags/{dag}/dagRuns/{run_id}/taskInstances/export/logs/1?full_content=true")
    errors = [line["event"] for line in log["content"] if line.get("level") == "error"]
    assert errors == ["Task failed with exception"]

    page.goto(f"{task}/details")
    page.get_by_text("Task ID").first.wait_for()
    assert page.get_by_role("link", name="S3 object").count() == 0


def test_export_to_an_asset_creates_an_event(page: Any, servers: Servers, api: Api) -> None:
    dag = "export_to_asset"
    run_id = api.trigger(dag)
    api.wait_for_state(dag, run_id, "export", until="success")
    page.goto(f"{servers.airflow.url}/dags/{dag}/runs/{run_id}/tasks/export/asset_events")
    page.get_by_text("1 Asset Event").wait_for()
    page.get_by_role("link", name=LAKE).click()
    page.get_by_role("heading", name=LAKE).wait_for()
    page.get_by_role("link", name=dag).first.wait_for()
    (event,) = api.get("assets/events")["asset_events"]
    assert (event["uri"], event["source_task_id"]) == (LAKE, "export")
    result = api.get(f"dags/{dag}/dagRuns/{run_id}/taskInstances/export/xcomEntries/return_value")["value"]
    assert event["extra"] == (json.loads(result) if isinstance(result, str) else result)
    assert event["extra"]["messages"] == 7
