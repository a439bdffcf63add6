# SPDX-License-Identifier: Apache-2.0
"""A browser, and a real Airflow with its web interface, the sandbox and a real S3 server behind it."""

from __future__ import annotations

import io
import os
import shutil
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_ip1.sandbox.server import SandboxServer
from dev import EXAMPLE_DAGS, PROJECT, stack
from tests.ui.airflow_web import BUCKET, DELIVERY, Api, Clock, Servers, launched_browser, logged_in_page

EXPORTS = """
    import pendulum
    from airflow.sdk import DAG, Asset

    from airflow_provider_ip1.transfers.conversation_to_s3 import ConversationToS3Operator

    start = pendulum.datetime(2026, 1, 1, tz="UTC")
    with DAG("export_to_asset", schedule=None, start_date=start):
        ConversationToS3Operator(
            task_id="export", participant="46701740606", s3_key="s3://BUCKET/lake/customer-1042.jsonl.gz",
            outlets=[Asset("s3://BUCKET/lake")],
        )
    with DAG("export_to_missing_bucket", schedule=None, start_date=start):
        ConversationToS3Operator(
            task_id="export", participant="46701740606", s3_key="s3://no-such-bucket/customer-1042.jsonl.gz"
        )
"""


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    """A browser of Playwright."""
    with launched_browser() as browser:
        yield browser


@pytest.fixture(scope="package")
def servers(browser: Any) -> Iterator[Servers]:
    """Airflow without a connection to iP.1, and messages that take half an hour of the sandbox's clock to deliver."""
    if int(version("apache-airflow").split(".")[0]) < 3:
        pytest.skip("Airflow 2 has a different web interface")
    clock = Clock()
    with ExitStack() as started:
        directory = Path(
            started.enter_context(tempfile.TemporaryDirectory(prefix="ip1-ui-", ignore_cleanup_errors=True))
        )
        (home := directory / "home").mkdir()
        (dags := directory / "dags").mkdir()
        shutil.copy(EXAMPLE_DAGS / f"{DELIVERY}.py", dags)
        (dags / "exports.py").write_text(textwrap.dedent(EXPORTS).replace("BUCKET", BUCKET))
        env = (
            stack.airflow_environment(home)
            | stack.patient_database(home)
            | {
                "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
                "IP1_S3_BUCKET": BUCKET,
            }
        )
        sandbox = started.enter_context(SandboxServer(delivery_seconds=1800, clock=clock))
        s3 = started.enter_context(stack.s3_server(directory, buckets=[BUCKET], env=env))
        env["AIRFLOW_CONN_AWS_DEFAULT"] = stack.aws_connection(s3)
        yield Servers(started.enter_context(stack.airflow_standalone(directory, env)), sandbox, s3, clock)


@pytest.fixture(scope="package")
def page(browser: Any, servers: Servers) -> Iterator[Any]:
    """A page of a logged-in user."""
    with logged_in_page(browser, servers.airflow) as page:
        yield page


@pytest.fixture(scope="package")
def screenshot(page: Any) -> Callable[..., None]:
    """Return a function that saves a light and a dark picture for the documentation if IP1_SCREENSHOTS is set."""

    def save(name: str, of: Any = None) -> None:
        if not os.environ.get("IP1_SCREENSHOTS"):
            return
        usual = page.viewport_size
        # The window cuts off a dialog that is larger.
        page.set_viewport_size(usual if of is None else {"width": 1000, "height": 2000})
        page.mouse.move(0, 0)
        page.evaluate("document.activeElement.blur()")
        for scheme, ending in (("dark", "-dark"), ("light", "")):
            page.emulate_media(color_scheme=scheme)
            page.locator(f"html.{scheme}").wait_for(state="attached")
            page.wait_for_timeout(2000)
            _save_small((of or page).screenshot(animations="disabled"), f"{name}{ending}.png")
        page.set_viewport_size(usual)

    return save


def _save_small(png: bytes, name: str) -> None:
    """Save a picture with at most 256 colors, which makes it a third as large and looks the same."""
    from PIL import Image

    # The default method drops rare colors, such as the red of an asterisk.
    method = Image.Quantize.MAXCOVERAGE
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    few_colors = picture.quantize(256, method, kmeans=3, dither=Image.Dither.NONE)
    few_colors.save(PROJECT / "docs" / "images" / name, optimize=True)


@pytest.fixture(scope="package")
def api(page: Any, servers: Servers) -> Api:
    """Airflow's REST API."""
    return Api(page, servers.airflow.url)
