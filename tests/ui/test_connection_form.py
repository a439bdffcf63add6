# SPDX-License-Identifier: Apache-2.0
"""
What a user of Airflow's web interface meets, in a real browser: the connection form, a run, its result, its link.

Behind it are a real Airflow, the sandbox and a real S3 server. The tests go on where the one before left off.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_ip1.get_provider_info import get_provider_info
from dev import PROJECT, stack

pytestmark = pytest.mark.slow

DAG = "ip1_wait_for_delivery"
KEY = "deliveries/69000000c000000000000001.jsonl.gz"
PAGE_SIZE = 500
BUCKET = "ip1-demo"
# Milliseconds. On a busy machine, Airflow's first pages take long to load.
PATIENCE = 120_000
RUN_SECONDS = 600
CHROMIUM_OPTIONS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium() -> str:
    """Return the path of the installed browser, so that Playwright needs no download."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    pytest.skip("Chromium is not installed: run `make test-ui`, or install the package chromium")


@dataclass(frozen=True)
class Servers:
    """The servers that the tests use."""

    airflow: stack.AirflowServer
    sandbox_url: str
    s3: stack.S3Server


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    """Airflow without a connection to iP.1, which the tests create in the form."""
    if int(version("apache-airflow").split(".")[0]) < 3:
        pytest.skip("Airflow 2 has a different web interface")
    pytest.importorskip("playwright", reason="Playwright is not installed: run `make test-ui`")
    chromium()
    with ExitStack() as started:
        directory = Path(
            started.enter_context(tempfile.TemporaryDirectory(prefix="ip1-ui-", ignore_cleanup_errors=True))
        )
        home = directory / "home"
        home.mkdir()
        env = stack.airflow_environment(home) | {
            "IP1_S3_BUCKET": BUCKET,
            # DAGs run only when the tests trigger them.
            "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
        }
        url = started.enter_context(stack.sandbox(directory, "--delivery-seconds", "5", env=env))
        s3 = started.enter_context(stack.s3_server(directory, buckets=[BUCKET], env=env))
        env["AIRFLOW_CONN_AWS_DEFAULT"] = stack.aws_connection(s3)
        yield Servers(started.enter_context(stack.airflow_standalone(directory, env)), url, s3)


@pytest.fixture(scope="module")
def page(servers: Servers) -> Iterator[Any]:
    """A Playwright page of a logged-in user."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_OPTIONS)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.set_default_timeout(PATIENCE)
        page.goto(servers.airflow.url)
        page.locator("input[name=username]").fill(servers.airflow.user)
        page.locator("input[name=password]").fill(servers.airflow.password)
        page.locator("button[type=submit]").click()
        page.get_by_role("link", name="Dags").first.wait_for()
        yield page
        browser.close()


@pytest.fixture(scope="module")
def screenshot(page: Any) -> Callable[..., None]:
    """Return a function that saves a picture for the documentation if IP1_SCREENSHOTS is set."""

    def save(name: str, of: Any = None) -> None:
        if os.environ.get("IP1_SCREENSHOTS"):
            usual = page.viewport_size
            # The window cuts off a dialog that is larger.
            page.set_viewport_size(usual if of is None else {"width": 1000, "height": 2000})
            page.mouse.move(0, 0)
            (of or page).screenshot(path=PROJECT / "docs" / "images" / f"{name}.png", animations="disabled")
            page.set_viewport_size(usual)

    return save


@pytest.fixture(scope="module")
def form(page: Any, servers: Servers) -> Any:
    """The form for a new connection of type ip1."""
    page.goto(f"{servers.airflow.url}/connections")
    page.get_by_role("button", name="Add Connection").click()
    form = page.get_by_role("dialog")
    form.get_by_label("Connection ID").fill("ip1_default")
    form.get_by_role("combobox").fill("iP.1")
    page.get_by_role("option", name="iP.1 SMS", exact=True).click()
    form.get_by_label("API key").wait_for()
    return form


def test_form_is_named_for_ip1(form: Any) -> None:
    labels = [label.strip(" *\n") for label in form.locator("label[data-part=label]").all_inner_texts()]
    (declared,) = get_provider_info()["connection-types"]
    first_extra = next(iter(declared["conn-fields"].values()))["label"]
    assert labels[: labels.index(first_extra)] == [
        "Connection ID",
        "Connection Type",
        "Description",
        "Base URL",
        "API key",
    ]
    assert form.get_by_label("Base URL").get_attribute("placeholder") == "https://api.ip1sms.com"
    assert form.get_by_label("API key").get_attribute("type") == "password"


def test_form_has_every_extra_with_its_type_range_and_description_but_no_stored_default(form: Any) -> None:
    form.get_by_role("button", name="Extra Fields", exact=True).click()
    (declared,) = get_provider_info()["connection-types"]
    for name, extra in declared["conn-fields"].items():
        schema = extra["schema"]
        group = form.get_by_role("group").filter(has=form.page.get_by_text(extra["label"], exact=True))
        group.first.wait_for()
        assert extra["description"] in group.first.inner_text(), name
        if schema["type"][0] in ("integer", "number"):
            field = form.get_by_role("spinbutton", name=extra["label"], exact=True)
            assert field.input_value() == "", name
            assert field.get_attribute("aria-valuemin") == str(schema["minimum"]), name
            if "maximum" in schema:
                assert field.get_attribute("aria-valuemax") == str(schema["maximum"]), name
        elif schema["type"][0] == "boolean":
            assert form.get_by_label(extra["label"], exact=True).is_checked() == schema["default"], name
        elif schema.get("format") == "password":
            assert form.locator(f"[name=element_{name}]").get_attribute("type") == "password", name
        elif schema["type"][0] == "string":
            assert form.locator(f"input[name=element_{name}]").input_value() == "", name


def test_connection_is_saved_and_its_key_masked(
    page: Any, form: Any, servers: Servers, screenshot: Callable[..., None]
) -> None:
    page_size = form.get_by_role("spinbutton", name="Page size", exact=True)
    page_size.fill(str(PAGE_SIZE))
    page_size.blur()
    screenshot("connection-extras", form)
    form.get_by_role("button", name="Standard Fields").click()
    form.get_by_label("Base URL").fill(servers.sandbox_url)
    form.get_by_label("API key").fill(stack.SANDBOX_KEY)
    screenshot("connection-form", form)
    form.get_by_role("button", name="Save").click()
    form.wait_for(state="hidden")

    page.reload()
    row = page.get_by_role("row").filter(has_text="ip1_default")
    assert servers.sandbox_url in row.inner_text()
    page.get_by_role("button", name="Edit Connection").click()
    again = page.get_by_role("dialog")
    key = again.get_by_label("API key")
    key.wait_for()
    assert key.input_value() == "***"
    assert stack.SANDBOX_KEY not in page.content()
    again.get_by_role("button", name="Extra Fields", exact=True).click()
    assert again.get_by_role("spinbutton", name="Page size", exact=True).input_value() == str(PAGE_SIZE)
    again.get_by_role("button", name="Close").click()


@pytest.fixture(scope="module")
def run_url(page: Any, servers: Servers) -> str:
    """Trigger a run in the interface, wait until it has succeeded, and return the URL of its page."""
    page.goto(f"{servers.airflow.url}/dags/{DAG}")
    page.get_by_role("button", name="Trigger").first.click()
    dialog = page.get_by_role("dialog")
    runs = f"/dags/{DAG}/dagRuns"
    with page.expect_response(
        lambda response: response.request.method == "POST" and response.url.endswith(runs)
    ) as sent:
        dialog.get_by_role("button", name="Trigger", exact=True).click()
    run = sent.value.json()["dag_run_id"]
    deadline = time.monotonic() + RUN_SECONDS
    state = ""
    while state not in ("success", "failed") and time.monotonic() < deadline:
        page.wait_for_timeout(1000)
        response = page.request.get(f"{servers.airflow.url}/api/v2/dags/{DAG}/dagRuns/{run}", timeout=PATIENCE)
        state = response.json()["state"]
    assert state == "success"
    return f"{servers.airflow.url}/dags/{DAG}/runs/{run}"


def test_run_is_shown_with_both_tasks(page: Any, run_url: str, screenshot: Callable[..., None]) -> None:
    page.goto(run_url)
    for task in ("wait_for_delivery", "export_conversation"):
        assert "Success" in page.get_by_role("row").filter(has_text=task).last.inner_text()
    page.get_by_role("button", name="Show Graph").click()
    page.locator(".react-flow__node").filter(has_text="export_conversation").wait_for()
    screenshot("dag")
    page.get_by_role("button", name="Show Grid").click()


def test_result_of_the_finished_export_is_shown(
    page: Any, run_url: str, servers: Servers, screenshot: Callable[..., None]
) -> None:
    page.goto(f"{run_url}/tasks/export_conversation/xcom")
    page.get_by_role("row").filter(has_text="return_value").wait_for()
    page.get_by_role("button", name="Expand all").click()
    shown = page.get_by_role("row").filter(has_text="return_value")
    shown.get_by_text("last_modified").first.wait_for()
    screenshot("xcom")
    # The viewer adds its own line breaks and indentation.
    (text,) = re.findall(r"\{.*\}", re.sub(r"\s", "", shown.inner_text()))
    result = json.loads(text)
    exported = gzip.decompress(servers.s3.client().get_object(Bucket=BUCKET, Key=KEY)["Body"].read())
    assert result["uri"] == f"s3://{BUCKET}/{KEY}"
    assert result["messages"] == len(exported.splitlines()) > 1


def test_link_of_the_finished_export_opens_the_object(
    page: Any, run_url: str, servers: Servers, screenshot: Callable[..., None]
) -> None:
    page.goto(f"{run_url}/tasks/export_conversation/details")
    link = page.get_by_role("link", name="S3 object")
    link.wait_for()
    screenshot("link")
    with page.expect_popup() as opened, page.context.expect_event("response") as responded:
        link.click()
    assert opened.value.url == f"{servers.s3.endpoint_url}/{BUCKET}/{KEY}"
    # The object is private, so the link needs a login, as it does in the AWS console.
    assert responded.value.status == 403
    opened.value.close()
