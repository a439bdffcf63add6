# SPDX-License-Identifier: Apache-2.0
"""Checks of the compose files with `docker compose config`, which starts no container."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from dev.compose import make_env

ROOT = Path(__file__).resolve().parents[2]
LOCAL = ("-f", str(ROOT / "docker-compose.yaml"))
CELERY = (*LOCAL, "-f", str(ROOT / "dev" / "compose" / "docker-compose.celery.yaml"))


def compose(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    # Compose prefers variables of this shell to those of the file.
    environment = {key: os.environ[key] for key in ("PATH", "HOME", "DOCKER_CONFIG") if key in os.environ}
    return subprocess.run(
        ["docker", "compose", *arguments], capture_output=True, text=True, timeout=60, env=environment | variables
    )


def plugin_missing() -> str:
    if shutil.which("docker") is None:
        return "the docker command is not installed"
    if compose("version").returncode != 0:
        return "the Docker Compose plugin (docker compose) is not installed"
    return ""


MISSING = plugin_missing()
pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING or "found")


@pytest.fixture(scope="module")
def env_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("compose") / "env"
    make_env.write_env(path)
    return path


def config(env_file: Path, *files: str, **variables: str) -> dict[str, Any]:
    done = compose("--env-file", str(env_file), *files, "config", "--format", "json", **variables)
    assert done.returncode == 0, done.stderr
    loaded = json.loads(done.stdout)
    assert isinstance(loaded, dict)
    return loaded


@pytest.mark.parametrize("files", [LOCAL, CELERY], ids=["local", "celery"])
def test_compose_reads_the_files_without_a_warning(env_file: Path, files: tuple[str, ...]) -> None:
    done = compose("--env-file", str(env_file), *files, "config", "--quiet")
    assert (done.returncode, done.stderr) == (0, "")


def test_without_env_the_error_says_what_to_do(tmp_path: Path) -> None:
    empty = tmp_path / "env"
    empty.touch()
    done = compose("--env-file", str(empty), *LOCAL, "config", "--quiet")
    assert done.returncode != 0
    assert "run make up first" in done.stderr


def test_the_sandbox_is_the_default_and_gets_no_airflow_settings(env_file: Path) -> None:
    services = config(env_file, *LOCAL)["services"]
    connection = json.loads(services["scheduler"]["environment"]["AIRFLOW_CONN_IP1_DEFAULT"])
    assert connection["host"] == "http://sandbox:8099"
    assert connection["extra"]["allow_http"] is True
    assert not services["sandbox"].get("environment")


def test_three_variables_switch_to_the_real_api(env_file: Path) -> None:
    services = config(
        env_file, *CELERY, IP1_BASE_URL="https://api.ip1sms.com", IP1_API_KEY="a-real-key", IP1_ALLOW_HTTP="false"
    )["services"]
    for name in ("scheduler", "triggerer", "worker"):
        connection = json.loads(services[name]["environment"]["AIRFLOW_CONN_IP1_DEFAULT"])
        assert (connection["host"], connection["password"]) == ("https://api.ip1sms.com", "a-real-key")
        assert connection["extra"]["allow_http"] is False
    assert "a-real-key" not in json.dumps(services["sandbox"])


def test_the_store_and_airflow_use_the_same_keys_and_bucket(env_file: Path) -> None:
    services = config(env_file, *CELERY, S3_BUCKET="another")["services"]
    store = services["seaweedfs"]["environment"]
    for name in ("scheduler", "worker"):
        environment = services[name]["environment"]
        connection = json.loads(environment["AIRFLOW_CONN_AWS_DEFAULT"])
        assert (connection["login"], connection["password"]) == (
            store["AWS_ACCESS_KEY_ID"],
            store["AWS_SECRET_ACCESS_KEY"],
        )
        assert environment["IP1_S3_BUCKET"] == services["init"]["environment"]["IP1_S3_BUCKET"] == "another"


def test_ports_can_be_changed_and_stay_on_loopback(env_file: Path) -> None:
    services = config(env_file, *CELERY, AIRFLOW_PORT="18080", S3_PORT="18333", SANDBOX_PORT="18099")["services"]
    published = {
        name: [(port["host_ip"], port["published"]) for port in settings["ports"]]
        for name, settings in services.items()
        if settings.get("ports")
    }
    assert published == {
        "api-server": [("127.0.0.1", "18080")],
        "seaweedfs": [("127.0.0.1", "18333")],
        "sandbox": [("127.0.0.1", "18099")],
    }
