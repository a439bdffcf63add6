# SPDX-License-Identifier: Apache-2.0
"""The connection form in a browser. The tests go on where the one before left off."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_ip1.get_provider_info import get_provider_info
from dev import stack
from tests.ui.airflow_web import PATIENCE, Api, Servers

pytestmark = pytest.mark.slow

PAGE_SIZE = 500
SENDER = "Skolan"
RECIPIENTS = "46701740605, 46701740606"


@pytest.fixture(scope="module")
def form(page: Any, servers: Servers, api: Api) -> Any:
    """The form for a new connection of type ip1."""
    if api.connection_exists("ip1_default"):
        api.delete("connections/ip1_default")
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
    assert form.get_by_text("API key *", exact=True).is_visible()
    assert form.get_by_label("API key").get_attribute("placeholder") == "required; create it in iP.1's portal"
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
    page: Any, form: Any, servers: Servers, api: Api, screenshot: Callable[..., None]
) -> None:
    from playwright.sync_api import expect

    page_size = form.get_by_role("spinbutton", name="Page size", exact=True)
    page_size.fill("99999")
    page_size.blur()
    # Airflow corrects a number outside the range.
    expect(page_size).to_have_value("10000", timeout=PATIENCE)
    page_size.fill(str(PAGE_SIZE))
    page_size.blur()
    form.locator("input[name=element_sender]").fill(SENDER)
    form.locator("input[name=element_recipients]").fill(RECIPIENTS)
    # The editor for JSON loads last.
    form.locator("#element_proxies .view-lines").wait_for()
    screenshot("connection-extras", form)
    form.get_by_role("button", name="Standard Fields").click()
    form.get_by_label("Base URL").fill(servers.sandbox.url)
    form.get_by_label("API key").fill(stack.SANDBOX_KEY)
    screenshot("connection-form", form)
    form.get_by_role("button", name="Save").click()
    form.wait_for(state="hidden")

    page.reload()
    row = page.get_by_role("row").filter(has_text="ip1_default")
    assert servers.sandbox.url in row.inner_text()
    page.get_by_role("button", name="Edit Connection").click()
    again = page.get_by_role("dialog")
    key = again.get_by_label("API key")
    key.wait_for()
    assert key.input_value() == "***"
    assert stack.SANDBOX_KEY not in page.content()
    again.get_by_role("button", name="Extra Fields", exact=True).click()
    assert again.get_by_role("spinbutton", name="Page size", exact=True).input_value() == str(PAGE_SIZE)
    assert again.locator("input[name=element_sender]").input_value() == SENDER
    assert again.locator("input[name=element_recipients]").input_value() == RECIPIENTS
    again.get_by_role("button", name="Close").click()


def test_saved_connection_contains_no_defaults_of_today(form: Any, api: Api) -> None:
    """The form stores the defaults that it fills in, and later defaults would not apply."""
    stored = json.loads(api.get("connections/ip1_default")["extra"])
    assert {name: value for name, value in stored.items() if value is not None} == {
        "page_size": PAGE_SIZE,
        "sender": SENDER,
        "recipients": RECIPIENTS,
        # Airflow shows a boolean without a default as false.
        "verify": True,
        "allow_http": False,
    }
