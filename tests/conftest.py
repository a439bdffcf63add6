# SPDX-License-Identifier: Apache-2.0
"""Fixtures for all tests: Airflow in its own home, the iP.1 sandbox, a real S3 server, and recordings."""

from __future__ import annotations

import logging
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from dev import PROJECT, stack
from dev.live import cassettes
from tests.progress import Progress

# Airflow reads its settings when it is first imported, and test modules import it at the top.
if "airflow" in sys.modules:
    raise RuntimeError("Airflow was imported before tests/conftest.py could give it a home of its own")
AIRFLOW_HOME = Path(tempfile.mkdtemp(prefix="ip1-tests-"))
_environment = stack.airflow_environment(AIRFLOW_HOME)
os.environ.clear()
os.environ.update(_environment)
# Where make azurite installs it.
os.environ["PATH"] += f"{os.pathsep}{PROJECT / '.tools' / 'azurite' / 'node_modules' / '.bin'}"

# The plugin that this project installs would be loaded before the coverage of its code is measured, see pyproject.toml.
pytest_plugins = ["airflow_provider_ip1.testing.plugin"]

# A change is tested with the same examples each time, however slow the machine is. The nightly run, which sets one of
# these variables, looks for new ones.
settings.register_profile(
    "reproducible",
    deadline=None,
    derandomize=not {"IP1_READS", "IP1_CURSOR_RUNS", "SEND_ONCE_RUNS"} & os.environ.keys(),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("reproducible")

if TYPE_CHECKING:
    from airflow_provider_ip1.sandbox.server import SandboxServer
    from airflow_provider_ip1.testing.s3_store import S3Store


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    is_parallel = config.getoption("numprocesses", None) and not hasattr(config, "workerinput")
    if is_parallel and config.get_verbosity() < 0:
        config.pluginmanager.register(Progress(config.pluginmanager.getplugin("terminalreporter")))


#: Folders and files of tests that run, in many variations, lines that other tests also run.
VARIATIONS = {
    PROJECT / "tests" / path
    for path in (
        "checkpoints",
        "expectations",
        "recordings",
        "api/paging/test_account_reads.py",
        "api/test_phone_masks.py",
        "api/watching/test_cursor.py",
        "formats/test_redacted_notations.py",
        "hooks/test_account.py",
        "hooks/test_faults.py",
        "hooks/test_network.py",
        "notifications/test_storm.py",
        "sensors/test_incoming_sms_from_anyone.py",
        "sensors/test_logs.py",
        "sensors/test_message_status_sensor.py",
        "transfers/test_guarantees.py",
        "transfers/test_guarded_write.py",
        "transfers/test_interrupted_exports.py",
        "triggers/test_account_trigger.py",
        "triggers/test_waits_of_0_2_0.py",
    )
}


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """
    Run slow files first, then those with S3, so that parallel workers finish at about the same time.

    Coverage makes tests take twice as long, because Python then reports each line, also of libraries. So it is not
    measured for tests with examples from hypothesis and other variations: simpler tests have to reach their lines.
    """
    for item in items:
        is_variation = not VARIATIONS.isdisjoint([item.path, *item.path.parents])
        if is_variation or item.get_closest_marker("hypothesis"):
            item.add_marker("no_cover")
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (item.path not in slow, "transfers" not in item.path.parts))


def pytest_unconfigure() -> None:
    shutil.rmtree(AIRFLOW_HOME, ignore_errors=True)


@pytest.fixture(scope="session")
def airflow_db() -> Path:
    """Create a metadata database in the session's AIRFLOW_HOME, for tests that run DAGs. Return AIRFLOW_HOME."""
    from tests.airflow_runs import run_airflow

    code, log = run_airflow("db", "migrate")
    assert code == 0, log
    return AIRFLOW_HOME


@pytest.fixture
def ip1_sandbox_options() -> dict[str, Any]:
    """The sandbox's defaults."""
    return {}


@pytest.fixture
def sandbox(ip1_sandbox: SandboxServer) -> SandboxServer:
    return ip1_sandbox


@pytest.fixture(scope="session")
def s3_server(ip1_s3_server: stack.S3Server, clients_of_s3_are_made_quickly: None) -> stack.S3Server:
    return ip1_s3_server


@pytest.fixture
def s3_bucket(ip1_s3: S3Store, clients_of_s3_are_made_quickly: None) -> str:
    """The name of an empty bucket that only this test uses."""
    return ip1_s3.create_bucket().name


@pytest.fixture
def aws_connection(ip1_s3: S3Store) -> str:
    """The id of the Airflow connection to the S3 server."""
    return "aws_default"


@pytest.fixture(autouse=True)
def the_same_pauses_each_time() -> None:
    """Pauses between requests, and when polls begin, are random."""
    random.seed(0)


@pytest.fixture(scope="session")
def clients_of_s3_are_made_quickly() -> Iterator[None]:
    """
    Skip what most of the time of a test with S3 goes to.

    boto3 parses the description of S3, 2 MB of JSON, for each session. Airflow searches the call stack twice, with the
    source code of each frame, for the name of the operator in the user agent.
    """
    from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook
    from botocore.loaders import Loader

    models: dict[Any, Any] = {}
    real = Loader.__init__

    def with_shared_models(self: Any, *args: Any, **kwargs: Any) -> None:
        real(self, *args, **kwargs)
        self._cache = models

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Loader, "__init__", with_shared_models)
        patch.setattr(AwsGenericHook, "_get_caller", lambda self, name="execute": "Test")
        yield


@pytest.fixture(autouse=True)
def no_key_is_paused_for_long(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """
    After a 429, all requests with the key would wait up to a minute of real time. tests/client tests that.

    The clock of the tests of sensors and triggers does not know these pauses.
    """
    if "client" not in request.path.parts:
        has_own_clock = not {"sensors", "triggers"}.isdisjoint(request.path.parts)
        monkeypatch.setattr("airflow_provider_ip1.api.call.MAX_KEY_PAUSE", 0.01 if has_own_clock else 3.0)


# vcrpy logs complete responses.
logging.getLogger("vcr").setLevel(logging.WARNING)


@pytest.fixture(scope="module")
def vcr_cassette_dir() -> str:
    return str(cassettes.FOLDER)


@pytest.fixture(scope="module")
def vcr_config() -> dict[str, Any]:
    match_on = ["method", "scheme", "host", "port", "path", "query", "raw_body"]
    return {"record_mode": "none", "match_on": match_on}


@pytest.fixture
def default_cassette_name(cassette_name: str) -> str:
    """The parameter ``cassette_name`` of the test, such as ``sandbox/summary``."""
    return cassette_name


@pytest.fixture
def cassette(default_cassette_name: str) -> cassettes.Cassette:
    return cassettes.load(cassettes.FOLDER / f"{default_cassette_name}.yaml")
