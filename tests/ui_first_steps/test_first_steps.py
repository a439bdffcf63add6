# SPDX-License-Identifier: Apache-2.0
"""What a newcomer tries first: the test of the connection, and every example with the defaults of its form."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from dev import EXAMPLE_DAGS, stack
from tests.ui.airflow_web import PATIENCE, Api

pytestmark = pytest.mark.slow

# All but the one that needs Azure.
EXAMPLES = sorted(path.stem for path in EXAMPLE_DAGS.glob("*.py") if not path.stem.endswith("_to_wasb"))
APPROVAL = "ip1_approval"


@pytest.fixture(scope="module")
def runs() -> dict[str, str]:
    """The runs that the tests of the forms have started: DAG -> run."""
    return {}


def test_the_connection_works(page: Any, airflow: stack.AirflowServer) -> None:
    page.goto(f"{airflow.url}/connections")
    row = page.get_by_role("row").filter(has_text="ip1_default")
    with page.expect_response(lambda response: response.url.endswith("/connections/test")) as tested:
        row.get_by_role("button", name="Test Connection").click()
    result = tested.value.json()
    assert result["status"], result
    # without a warning
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+ accepted the API key\.", result["message"])


def test_the_description_of_the_provider_links_to_ip1(page: Any, airflow: stack.AirflowServer) -> None:
    page.goto(f"{airflow.url}/providers?limit=100")
    row = page.get_by_role("row").filter(has_text="airflow-provider-ip1")
    row.wait_for()
    links = [link.get_attribute("href") for link in row.get_by_role("link").all()]
    assert links == ["https://ip1-community.github.io/airflow-provider-ip1/", "https://www.ip1sms.com/"]


def click(page: Any, button: Any, method: str, path: str) -> Any:
    """
    Click a button and return the response to its request. On a busy machine, it may be a 5xx of Airflow's SQLite.

    :param page: the page.
    :param button: the button, which sends a request.
    :param method: the method of the request.
    :param path: the end of its address.
    """
    with page.expect_response(
        lambda response: response.request.method == method and response.url.partition("?")[0].endswith(path)
    ) as sent:
        button.click()
    assert sent.value.ok or sent.value.status >= 500, sent.value.text()
    return sent.value


@pytest.mark.parametrize("dag", EXAMPLES)
def test_the_form_can_be_triggered_with_its_defaults(
    page: Any, airflow: stack.AirflowServer, api: Api, runs: dict[str, str], dag: str
) -> None:
    from playwright.sync_api import expect

    page.goto(f"{airflow.url}/dags/{dag}")
    page.get_by_role("button", name="Trigger").first.click()
    button = page.get_by_role("dialog").get_by_role("button", name="Trigger", exact=True)
    expect(button).to_be_enabled(timeout=PATIENCE)
    response = click(page, button, "POST", f"/dags/{dag}/dagRuns")
    runs[dag] = response.json()["dag_run_id"] if response.ok else api.trigger(dag)
    # The form unpauses the DAG with another request, which may still be on its way, or refused.
    api.unpause(dag)


def test_a_person_approves(page: Any, airflow: stack.AirflowServer, api: Api, runs: dict[str, str]) -> None:
    api.wait_for_state(APPROVAL, runs[APPROVAL], "approve", until="awaiting_input")
    page.goto(f"{airflow.url}/dags/{APPROVAL}/runs/{runs[APPROVAL]}/tasks/approve/required_actions")
    if not click(page, page.get_by_role("button", name="Approve"), "PATCH", "/hitlDetails").ok:
        task = f"dags/{APPROVAL}/dagRuns/{runs[APPROVAL]}/taskInstances/approve/-1"
        api.patch(f"{task}/hitlDetails", chosen_options=["Approve"], params_input={})


@pytest.mark.parametrize("dag", EXAMPLES)
def test_the_run_ends_well(api: Api, runs: dict[str, str], dag: str) -> None:
    assert api.wait_for_run(dag, runs[dag]) == "success"


def test_the_question_is_answered(api: Api, runs: dict[str, str]) -> None:
    run = f"dags/ip1_ask_and_branch/dagRuns/{runs['ip1_ask_and_branch']}/taskInstances"
    states = {task["task_id"]: task["state"] for task in api.get(run)["task_instances"]}
    assert (states["keep_appointment"], states["cancel_appointment"]) == ("success", "skipped")


def test_the_export_of_the_account_is_short_and_not_empty(api: Api, runs: dict[str, str]) -> None:
    task = f"dags/ip1_account_to_s3/dagRuns/{runs['ip1_account_to_s3']}/taskInstances/export_account"
    result = api.get(f"{task}/xcomEntries/return_value")["value"]
    result = json.loads(result) if isinstance(result, str) else result
    assert 0 < result["messages"] < 1000
