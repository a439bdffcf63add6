# SPDX-License-Identifier: Apache-2.0
"""The provider metadata is valid, complete and importable, and loading it has no side effects."""

from __future__ import annotations

import importlib
import importlib.resources
import json
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

import airflow_provider_ip1
from airflow_provider_ip1.api.extras import EXTRAS
from airflow_provider_ip1.get_provider_info import get_provider_info
from dev import stack
from tests.airflow_runs import AIRFLOW

if TYPE_CHECKING:
    from airflow_provider_ip1.sandbox.server import SandboxServer

DISTRIBUTION = "airflow-provider-ip1"


def schema(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(importlib.resources.files("airflow").joinpath(name).read_text())
    return loaded


def test_fits_the_schema_of_the_running_airflow() -> None:
    jsonschema.validate(get_provider_info(), schema("provider_info.schema.json"))


def test_fits_the_strict_schema_of_the_official_providers() -> None:
    strict = schema("provider.yaml.schema.json")
    if "conn-fields" not in json.dumps(strict):
        pytest.skip("this Airflow's schema is older than connection forms without Python")
    kept_by_release_managers = {"state": "ready", "source-date-epoch": 0}
    jsonschema.validate(get_provider_info() | kept_by_release_managers, strict)


def test_it_contains_the_name_of_its_distribution() -> None:
    (entry_point,) = distribution(DISTRIBUTION).entry_points.select(group="apache_airflow_provider")
    assert entry_point.value == "airflow_provider_ip1.get_provider_info:get_provider_info"
    assert entry_point.load()()["package-name"] == DISTRIBUTION == distribution(DISTRIBUTION).metadata["Name"]


def test_the_address_in_its_description_is_a_link() -> None:
    """As the page of providers renders it."""
    assert links_of(get_provider_info()["description"]) == ["https://www.ip1sms.com/"]
    # A comma would belong to the address in Airflow 3, and to the text in Airflow 2.
    with_comma = links_of("Send SMS by `iP.1 <https://www.ip1sms.com/>`__, and wait.")
    assert with_comma == ["https://www.ip1sms.com/" + ("," if AIRFLOW.major > 2 else "")]


def links_of(description: str) -> list[str]:
    """The addresses to which a description leads on Airflow's page of providers."""
    if AIRFLOW.major < 3:
        from airflow.www.views import ProviderView  # type: ignore[import-not-found]

        html = str(ProviderView()._clean_description(description))
        return re.findall(r'href="([^"]*)"', html)
    page = pytest.importorskip("airflow.api_fastapi.core_api.services.public.providers", reason="not in Airflow 3.0")
    # The page finds addresses in the text by this expression. Its characters include punctuation marks.
    text = page._remove_rst_syntax(description)
    return re.findall(r"https?://[\w.-]+(?:\.?:[\w.-]+)*(?:[#/?][\w!#$%&'()*+,./:;=?@\[\]~-]*)?", text)


def names_of_our_code(value: Any) -> Iterator[str]:
    if isinstance(value, str) and re.fullmatch(r"airflow_provider_ip1(\.\w+)+", value):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from names_of_our_code(item)
    elif isinstance(value, list):
        for item in value:
            yield from names_of_our_code(item)


@pytest.mark.parametrize("name", sorted(set(names_of_our_code(get_provider_info()))))
def test_every_listed_module_and_class_can_be_imported(name: str) -> None:
    module, _, attribute = name.rpartition(".")
    if attribute.islower():
        importlib.import_module(name)
    else:
        assert isinstance(getattr(importlib.import_module(module), attribute), type)


def test_it_lists_every_class_that_airflow_or_a_dag_author_looks_up() -> None:
    from airflow.triggers.base import BaseTrigger

    from airflow_provider_ip1.compat import BaseHook, BaseOperator, BaseOperatorLink

    modules = [
        importlib.import_module(module.name)
        for module in pkgutil.walk_packages(airflow_provider_ip1.__path__, "airflow_provider_ip1.")
        if not module.name.endswith("__main__")
    ]
    ours = {
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, type) and value.__module__.startswith("airflow_provider_ip1.")
    }
    # Airflow lists links by class, and everything else by module.
    ours = {value for value in ours if not value.__name__.startswith(("Base", "_"))}
    expected = {value.__module__ for value in ours if issubclass(value, (BaseHook, BaseOperator, BaseTrigger))}
    expected |= {f"{value.__module__}.{value.__name__}" for value in ours if issubclass(value, BaseOperatorLink)}
    assert "airflow_provider_ip1.hooks.ip1" in expected
    assert expected - set(names_of_our_code(get_provider_info())) == set()


def test_form_defaults_lie_in_their_own_ranges() -> None:
    (connection_type,) = get_provider_info()["connection-types"]
    for name, field in connection_type["conn-fields"].items():
        jsonschema.Draft202012Validator.check_schema(field["schema"])
        jsonschema.validate(field["schema"].get("default"), field["schema"])
        assert "null" in field["schema"]["type"], f"{name} could not be left empty"


def test_the_form_in_python_is_the_declared_form() -> None:
    """Airflow 2.11 reads the hook's methods, Airflow 3 the metadata."""
    from airflow_provider_ip1.hooks.ip1 import IP1Hook

    (declared,) = get_provider_info()["connection-types"]
    assert declared["connection-type"] == IP1Hook.conn_type
    assert declared["hook-name"] == IP1Hook.hook_name
    behaviour = IP1Hook.get_ui_field_behaviour()
    for key, in_python in {
        "hidden-fields": "hidden_fields",
        "relabeling": "relabeling",
        "placeholders": "placeholders",
    }.items():
        assert behaviour[in_python] == declared["ui-field-behaviour"][key]


def test_airflow_2_shows_the_declared_form() -> None:
    """Airflow 2 ignores methods that the hook inherits, and hooks whose fields have an unusual class."""
    pytest.importorskip("flask_appbuilder", reason="the form in Python needs it; it comes with Airflow 2 only")
    from airflow.providers_manager import ProvidersManager

    (declared,) = get_provider_info()["connection-types"]
    manager: Any = ProvidersManager()  # type: ignore[no-untyped-call]
    assert manager.field_behaviours["ip1"]["relabeling"] == declared["ui-field-behaviour"]["relabeling"]
    widgets = {
        name.removeprefix("extra__ip1__"): widget
        for name, widget in manager.connection_form_widgets.items()
        if name.startswith("extra__ip1__")
    }
    assert widgets.keys() == declared["conn-fields"].keys()
    assert [name for name, widget in widgets.items() if widget.is_sensitive] == ["redact_key"]
    # Saving reports a value that cannot be used.
    assert {name for name, widget in widgets.items() if len(widget.field.kwargs.get("validators", ())) == 2} == {
        name for name, extra in EXTRAS.items() if extra.schema["type"][0] != "boolean" and name != "redact_key"
    }
    # The form stores the defaults that it fills in.
    defaults = {name: widget.field.kwargs.get("default") for name, widget in widgets.items()}
    assert {name: default for name, default in defaults.items() if default is not None} == {
        "verify": True,
        "allow_http": False,
    }


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("page_size", "99999", "Must be a whole number from 1 to 10000."),
        ("requests_per_second", "many", "Must be a number from 0 (no limit) up."),
        ("timeout", "0", "Must be seconds above 0, or [connect, read]."),
        ("sender", "a shop", "Must be 3 to 11 letters (A-Z, a-z) and digits, or a number of at most 15 digits."),
        ("page_size", "500", None),
        ("page_size", "", None),
        ("timeout", "10, 60", None),
        ("proxies", '{"https": "http://proxy.example:3128"}', None),
    ],
)
def test_airflow_2_reports_a_wrong_value_when_it_is_saved(name: str, value: str, error: str | None) -> None:
    pytest.importorskip("flask_appbuilder", reason="the form in Python needs it; it comes with Airflow 2 only")
    from werkzeug.datastructures import MultiDict  # type: ignore[import-not-found]
    from wtforms import Form

    from airflow_provider_ip1.hooks.ip1 import IP1Hook

    form = type("ConnectionForm", (Form,), IP1Hook.get_connection_form_widgets())(MultiDict({name: value}))
    assert form.validate() == (error is None)
    assert form.errors == ({} if error is None else {name: [error]})


def run(*arguments: str, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], env=env, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_loading_it_imports_no_airflow() -> None:
    """Airflow loads it before its configuration is complete. Importing Airflow there would break every command."""
    code = """
import sys
from airflow_provider_ip1.get_provider_info import get_provider_info
get_provider_info()
print([name for name in sys.modules if name.partition(".")[0] == "airflow"])
"""
    assert run("-c", code).strip() == "[]"


@pytest.mark.slow
class TestAirflowCommands:
    """Airflow's commands, in an AIRFLOW_HOME that has never been used."""

    @pytest.fixture
    def env(self, tmp_path: Path, sandbox: SandboxServer) -> dict[str, str]:
        return stack.airflow_environment(tmp_path / "home") | {
            "AIRFLOW_CONN_IP1_DEFAULT": stack.ip1_connection(sandbox.url),
            "COLUMNS": "200",
        }

    def test_version(self, env: dict[str, str]) -> None:
        assert run("-m", "airflow", "version", env=env).split()[-1] == distribution("apache-airflow").version

    def test_provider_is_found(self, env: dict[str, str]) -> None:
        printed = run("-m", "airflow", "providers", "get", DISTRIBUTION, "--output", "json", env=env)
        # On Python 3.14, Airflow first prints warnings about itself.
        (provider,) = json.loads(printed.splitlines()[-1])
        assert provider["Provider"] == DISTRIBUTION
        assert provider["Version"] == distribution(DISTRIBUTION).version

    def test_connection_can_be_tested(self, env: dict[str, str]) -> None:
        assert "Connection success!" in run("-m", "airflow", "connections", "test", "ip1_default", env=env)

    def test_a_rejected_key_is_reported(self, env: dict[str, str]) -> None:
        env["AIRFLOW_CONN_IP1_DEFAULT"] = env["AIRFLOW_CONN_IP1_DEFAULT"].replace(stack.SANDBOX_KEY, "another-key")
        done = subprocess.run(
            [sys.executable, "-m", "airflow", "connections", "test", "ip1_default"],
            env=env,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert "Connection failed!" in done.stdout
        assert "another-key" not in done.stdout + done.stderr
