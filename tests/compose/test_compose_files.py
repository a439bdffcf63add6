# SPDX-License-Identifier: Apache-2.0
"""Checks of the compose files that need no container engine."""

from __future__ import annotations

import copy
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from airflow_provider_ip1 import __version__
from dev.compose import make_env

ROOT = Path(__file__).resolve().parents[2]
FILES = ("docker-compose.yaml", "dev/compose/docker-compose.celery.yaml")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OWN_IMAGE = f"{PROJECT['name']}:{__version__}"
# Services that exit. Others wait for that.
JOBS = {"init"}
VARIABLE = re.compile(r"(?<!\$)\$\{(?P<name>\w+)(?P<rest>[^}]*)\}")


def merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Merge two definitions of a service like Compose, as far as these files need it: merge maps, replace the rest."""
    result = copy.deepcopy(below)
    for key, value in above.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return result


def load(name: str) -> dict[str, Any]:
    loaded = yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


def services(*names: str) -> dict[str, dict[str, Any]]:
    result: dict[str, dict[str, Any]] = {}
    for name in names:
        for service, settings in load(name)["services"].items():
            parent = settings.pop("extends", None)
            below = load(parent["file"])["services"][parent["service"]] if parent else result.get(service, {})
            result[service] = merged(below, settings)
    return result


LOCAL = services(FILES[0])
CELERY = services(*FILES)
EVERY_SERVICE = [
    pytest.param(name, settings, id=f"{mode}-{name}")
    for mode, stack in (("local", LOCAL), ("celery", CELERY))
    for name, settings in stack.items()
]


def default_of(text: str) -> str:
    """Return the default in ``${NAME:-default}``."""
    match = re.fullmatch(r"\$\{\w+:-([^}]*)\}", text)
    assert match, text
    return match[1]


def test_celery_adds_a_broker_and_workers_and_uses_them_everywhere() -> None:
    assert set(CELERY) - set(LOCAL) == {"valkey", "worker"}
    airflow = [settings for settings in CELERY.values() if "AIRFLOW__CORE__EXECUTOR" in settings.get("environment", {})]
    assert len(airflow) == 6
    for settings in airflow:
        assert settings["environment"]["AIRFLOW__CORE__EXECUTOR"] == "CeleryExecutor"
        assert settings["environment"]["AIRFLOW__CELERY__BROKER_URL"].endswith("@valkey:6379/0")


@pytest.mark.parametrize(("name", "settings"), EVERY_SERVICE)
def test_image_is_this_version_or_has_an_exact_tag(name: str, settings: dict[str, Any]) -> None:
    image = settings["image"]
    assert image == OWN_IMAGE or re.fullmatch(r"[a-z/]+:\d+\.\d+(\.\d+)?", image), image


def test_the_image_is_built_once_and_never_pulled() -> None:
    assert [name for name, settings in CELERY.items() if "build" in settings] == ["init"]
    for name, settings in CELERY.items():
        if settings["image"] == OWN_IMAGE and name != "init":
            assert settings["pull_policy"] == "never", name


def test_base_image_agrees_with_pyproject() -> None:
    dockerfile = (ROOT / LOCAL["init"]["build"]["dockerfile"]).read_text(encoding="utf-8")
    (base,) = re.findall(r"(?m)^ARG AIRFLOW_IMAGE=(\S+)$", dockerfile)
    assert default_of(LOCAL["init"]["build"]["args"]["AIRFLOW_IMAGE"]) == base
    match = re.fullmatch(r"apache/airflow:(\d+\.\d+\.\d+)-python(\d+\.\d+)", base)
    assert match, base
    airflow, python = match.groups()
    (required,) = (
        requirement for requirement in map(Requirement, PROJECT["dependencies"]) if requirement.name == "apache-airflow"
    )
    assert Version(airflow) in required.specifier
    assert Version(python) in SpecifierSet(PROJECT["requires-python"])
    assert f"Programming Language :: Python :: {python}" in PROJECT["classifiers"]


def test_constraints_of_dockerfile_and_compose_file_agree() -> None:
    dockerfile = (ROOT / LOCAL["init"]["build"]["dockerfile"]).read_text(encoding="utf-8")
    (constraints,) = re.findall(r"(?m)^ARG AIRFLOW_CONSTRAINTS=(\S+)$", dockerfile)
    assert default_of(LOCAL["init"]["build"]["args"]["AIRFLOW_CONSTRAINTS"]) == constraints


@pytest.mark.parametrize(("name", "settings"), EVERY_SERVICE)
def test_ports_are_on_loopback_and_can_be_changed(name: str, settings: dict[str, Any]) -> None:
    for port in settings.get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\$\{[A-Z0-9]+_PORT:-\d+\}:\d+", port), port


@pytest.mark.parametrize(("name", "settings"), EVERY_SERVICE)
def test_services_are_checked_and_restarted_and_others_wait_for_jobs(name: str, settings: dict[str, Any]) -> None:
    if name in JOBS:
        assert settings["restart"] == "no"
        waiting = [other for other in LOCAL.values() if name in other.get("depends_on", {})]
        assert waiting
        assert {other["depends_on"][name]["condition"] for other in waiting} == {"service_completed_successfully"}
    else:
        assert settings["restart"] == "unless-stopped"
        assert {"test", "interval", "timeout", "retries", "start_period"} <= set(settings["healthcheck"])


@pytest.mark.parametrize(("name", "settings"), EVERY_SERVICE)
def test_every_dependency_waits_for_a_state_and_not_just_for_a_start(name: str, settings: dict[str, Any]) -> None:
    for other, dependency in settings.get("depends_on", {}).items():
        expected = "service_completed_successfully" if other in JOBS else "service_healthy"
        assert dependency["condition"] == expected, other


@pytest.mark.parametrize(("name", "settings"), EVERY_SERVICE)
def test_containers_do_not_run_as_root(name: str, settings: dict[str, Any]) -> None:
    if settings["image"] == OWN_IMAGE:
        assert settings["user"] == "${AIRFLOW_UID:-50000}:0"


@pytest.mark.parametrize(("name", "settings"), EVERY_SERVICE)
def test_containers_have_no_privilege_that_their_image_does_not_start_with(name: str, settings: dict[str, Any]) -> None:
    assert settings["cap_drop"] == ["ALL"]
    assert settings["security_opt"] == ["no-new-privileges:true"]
    # What a program needs that starts as root and becomes the owner of its data.
    becomes_its_user = {"CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"}
    assert set(settings.get("cap_add", [])) == (set() if settings["image"] == OWN_IMAGE else becomes_its_user)


def test_the_sandbox_shares_no_network_with_the_store_and_the_database() -> None:
    networks = {name: set(settings.get("networks", ["default"])) for name, settings in CELERY.items()}
    assert networks["sandbox"].isdisjoint(networks["seaweedfs"] | networks["postgres"] | networks["valkey"])
    for name in ("scheduler", "triggerer", "worker"):
        assert all(networks[name] & networks[other] for other in ("sandbox", "seaweedfs", "postgres"))


def test_only_s3_of_the_store_listens_outside_its_container() -> None:
    command = LOCAL["seaweedfs"]["command"]
    assert [option for option in command if "bind" in option] == ["-ip.bind=127.0.0.1", "-s3.ip.bind=0.0.0.0"]


@pytest.mark.parametrize(("name", "settings"), EVERY_SERVICE)
def test_no_secret_is_an_argument_of_a_process(name: str, settings: dict[str, Any]) -> None:
    arguments = str([settings.get("command"), settings.get("healthcheck", {}).get("test")])
    # $$ is a variable of the container, which its shell reads.
    expanded = re.findall(r"(?<!\$)\$\{(\w+)", arguments)
    assert set(expanded).isdisjoint(make_env.SECRETS)


@pytest.mark.parametrize(("name", "settings"), EVERY_SERVICE)
def test_container_logs_have_a_limit(name: str, settings: dict[str, Any]) -> None:
    assert set(settings["logging"]["options"]) == {"max-size", "max-file"}


def test_data_is_in_named_volumes() -> None:
    named = {
        volume.split(":")[0]
        for settings in CELERY.values()
        for volume in settings.get("volumes", [])
        if not volume.startswith(".")
    }
    assert named == set(load(FILES[0])["volumes"])
    for settings in CELERY.values():
        for volume in settings.get("volumes", []):
            assert not volume.startswith(".") or volume.endswith(":ro"), volume


@pytest.mark.parametrize(("name", "settings"), EVERY_SERVICE)
def test_the_files_contain_no_secret(name: str, settings: dict[str, Any]) -> None:
    for key, value in settings.get("environment", {}).items():
        if re.search(r"(SECRET|PASSWORD|FERNET|ACCESS)(_KEY(_ID)?)?$", key):
            assert re.fullmatch(r"\$\{\w+:\?run make up first\}", value), key
        for url_password in re.findall(r"://[^:/@]*:([^@]*)@", value):
            assert url_password.startswith("${"), key
        for word in re.findall(r'"(?:login|password)": "([^"]*)"', value):
            assert word.startswith("${"), key


def test_the_pool_keeps_the_rate_of_all_tasks_below_the_limit() -> None:
    environment = LOCAL["scheduler"]["environment"]
    (pool, slots) = re.findall(r'airflow pools set (\w+) "([^"]+)"', LOCAL["init"]["command"][-1])[0]
    assert environment["IP1_POOL"] == pool
    (per_task,) = re.findall(r'"requests_per_second": (\$\{[^}]*\})', environment["AIRFLOW_CONN_IP1_DEFAULT"])
    # iP.1 documents 30 requests per second for its newer API, and nothing for this one.
    assert int(default_of(slots)) * float(default_of(per_task)) < 30


def test_the_sandbox_has_the_conversations_that_the_example_exports() -> None:
    command = LOCAL["sandbox"]["command"]
    given = command[command.index("--conversations") + 1]
    assert given == LOCAL["scheduler"]["environment"]["IP1_CONVERSATIONS"] == "200"


def test_the_example_lists_every_variable_and_every_secret_is_generated() -> None:
    example = make_env.EXAMPLE.read_text(encoding="utf-8")
    offered = set(re.findall(r"(?m)^#?([A-Z][A-Z0-9_]+)=", example))
    used = {
        match["name"]: match["rest"]
        for name in FILES
        for match in VARIABLE.finditer((ROOT / name).read_text(encoding="utf-8"))
    }
    assert set(used) == offered
    assert {name for name, rest in used.items() if rest.startswith(":?")} == set(make_env.SECRETS)


def test_the_example_shows_the_defaults() -> None:
    example = make_env.EXAMPLE.read_text(encoding="utf-8")
    # These show the values for the real API instead.
    others = {"IP1_BASE_URL", "IP1_API_KEY", "IP1_ALLOW_HTTP"}
    offered = {key: value for key, value in re.findall(r"(?m)^#([A-Z][A-Z0-9_]+)=(.*)$", example) if key not in others}
    used = {
        match["name"]: match["rest"].removeprefix(":-")
        for name in FILES
        for match in VARIABLE.finditer((ROOT / name).read_text(encoding="utf-8"))
        if match["rest"].startswith(":-") and match["name"] not in others
    }
    assert offered == used
