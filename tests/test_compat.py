# SPDX-License-Identifier: Apache-2.0
"""Only compat.py knows versions of Airflow, and finds everything in the installed one."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import airflow_provider_ip1
from airflow_provider_ip1 import compat

PACKAGE = Path(airflow_provider_ip1.__file__).parent
COMPAT = PACKAGE / "compat.py"
# The providers of the stores have their hooks in the same place in every version.
ALLOWED = ("airflow.providers.amazon.aws.hooks.s3", "airflow.providers.microsoft.azure.hooks.wasb")


def airflow_imports(code: str) -> Iterator[str]:
    """Yield each module of Airflow that the code imports, wherever the import is, also if only type checkers see it."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [str(node.module)]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            names = [arg.value for arg in node.args[:1] if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
        else:
            continue
        yield from (name for name in names if name == "airflow" or name.startswith("airflow."))


def names_for_type_checkers() -> set[str]:
    (block,) = [
        node
        for node in ast.parse(COMPAT.read_text()).body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    imports = [
        node for node in block.body if isinstance(node, ast.ImportFrom) and str(node.module).startswith("airflow.")
    ]
    return {alias.asname or alias.name for node in imports for alias in node.names}


def test_only_compat_imports_airflow() -> None:
    imports = {
        str(path.relative_to(PACKAGE)): found
        for path in sorted(PACKAGE.rglob("*.py"))
        if path != COMPAT
        and (found := [name for name in airflow_imports(path.read_text()) if not name.startswith(ALLOWED)])
    }
    assert imports == {}


@pytest.mark.parametrize(
    "code",
    [
        "import airflow.sdk",
        "from airflow import DAG",
        "def load():\n    from airflow.models.xcom import XCom",
        "if TYPE_CHECKING:\n    from airflow.providers.common.compat.sdk import Context",
        "importlib.import_module('airflow.sdk')",
    ],
)
def test_the_search_finds_every_way_to_import_airflow(code: str) -> None:
    assert [*airflow_imports(code)]


@pytest.mark.parametrize("name", sorted(names_for_type_checkers()))
def test_each_name_exists_in_this_airflow(name: str) -> None:
    if name == "OperatorLineage":
        pytest.importorskip("airflow.providers.openlineage")
    assert getattr(compat, name) is getattr(compat, name)


def test_type_checkers_know_the_same_names() -> None:
    assert set(compat._HOMES) == {name for name in names_for_type_checkers() if not name.startswith("Airflow")}
    with pytest.raises(ImportError):
        exec("from airflow_provider_ip1.compat import DagBag")  # noqa: S102


def test_a_missing_dependency_of_airflow_is_not_taken_for_an_older_airflow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "newer_home.py").write_text("import a_dependency_that_is_missing")
    (tmp_path / "older_home.py").write_text("OldName = 7")
    assert compat.find("Name", "no_such_package.home", "older_home", "older_home:OldName") == 7
    with pytest.raises(ModuleNotFoundError, match="a_dependency_that_is_missing"):
        compat.find("Name", "newer_home", "older_home:OldName")
    with pytest.raises(ImportError, match="no Name in older_home or no_such_package"):
        compat.find("Name", "older_home", "no_such_package")


def test_importing_compat_loads_nothing() -> None:
    code = "import sys, airflow_provider_ip1.compat; sys.exit(any(name.startswith('airflow.') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("word", ["asset", "dataset"])
def test_an_output_is_reported_under_the_name_that_airflow_uses(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[Any] = []
    collector = SimpleNamespace(**{f"add_output_{word}": lambda **arguments: reported.append(arguments)})
    monkeypatch.setattr(compat, "get_hook_lineage_collector", lambda: collector)
    hook: Any = object()
    compat.add_output_asset(hook, "s3", bucket="lake", key="a")
    assert reported == [{"context": hook, "scheme": "s3", f"{word}_kwargs": {"bucket": "lake", "key": "a"}}]
