# SPDX-License-Identifier: Apache-2.0
"""The published files are complete, contain nothing else, and work in an empty environment."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path, PurePosixPath

import pytest

from airflow_provider_ip1 import __version__
from dev import PROJECT, stack

uv = pytest.importorskip("uv", reason="only the newest environment has the tools for releases")

pytestmark = pytest.mark.slow


def run(*command: str | Path, cwd: Path = PROJECT, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the sdist, and the wheel from the sdist, which proves that the sdist is complete."""
    directory = tmp_path_factory.mktemp("dist")
    run(uv.find_uv_bin(), "build", "--quiet", "--out-dir", directory)
    return directory


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (path,) = dist.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def sdist(dist: Path) -> Path:
    (path,) = dist.glob("*.tar.gz")
    return path


def committed(*folders: str) -> set[str]:
    return set(run("git", "ls-files", *folders).splitlines())


def test_names_and_version(wheel: Path, sdist: Path) -> None:
    assert wheel.name == f"airflow_provider_ip1-{__version__}-py3-none-any.whl"
    assert sdist.name == f"airflow_provider_ip1-{__version__}.tar.gz"


def test_pypi_accepts_and_renders_them(wheel: Path, sdist: Path) -> None:
    run(sys.executable, "-m", "twine", "check", "--strict", wheel, sdist)
    run(sys.executable, "-m", "check_wheel_contents", wheel)


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        return HeaderParser().parsestr(archive.read(f"airflow_provider_ip1-{__version__}.dist-info/METADATA").decode())


def test_wheel_contains_the_package_and_nothing_else(wheel: Path, metadata: Message) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    info = {name for name in names if PurePosixPath(name).parts[0] == f"airflow_provider_ip1-{__version__}.dist-info"}
    package = names - info
    assert {PurePosixPath(name).parts[0] for name in package} == {"airflow_provider_ip1"}
    assert {PurePosixPath(name).suffix for name in package} <= {".py", ".json", ".md", ".typed"}
    assert package >= committed("airflow_provider_ip1") >= {"airflow_provider_ip1/py.typed"}
    assert metadata["License-Expression"] == "Apache-2.0"
    assert "Framework :: Apache Airflow :: Provider" in metadata.get_all("Classifier", [])
    # Upper bounds and exact versions would conflict with other packages.
    assert [line for line in metadata.get_all("Requires-Dist", []) if "<" in line or "==" in line.split(";")[0]] == []


def test_links_of_the_readme_also_work_on_pypi(metadata: Message) -> None:
    readme = str(metadata.get_payload())
    assert metadata["Description-Content-Type"] == "text/markdown"
    links = re.findall(r"(!?)\[[^\]]*\]\(([^)\s]+)\)", readme)
    assert len(links) == (PROJECT / "README.md").read_text().count("](")
    assert [target for _, target in links if not target.startswith("https://")] == []
    home = "ip1-community/airflow-provider-ip1"
    of_pictures, of_pages = (
        f"https://raw.githubusercontent.com/{home}/v{__version__}/",
        f"https://github.com/{home}/blob/v{__version__}/",
    )
    to_files = [
        target.removeprefix(of_pictures if picture else of_pages).split("#")[0]
        for picture, target in links
        if picture or home in target
    ]
    pictures = re.findall(r' src(?:set)?="([^"]*)"', readme)
    assert len(pictures) == 2
    to_files += [address.removeprefix(of_pictures) for address in pictures]
    assert [path for path in to_files if not (PROJECT / path).is_file()] == []


def test_sdist_contains_what_distributors_need(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {PurePosixPath(member.name).relative_to(sdist.name.removesuffix(".tar.gz")) for member in archive}
    wanted = committed("airflow_provider_ip1", "tests", "docs", "example_dags", "dev")
    wanted |= {"CHANGELOG.md", "LICENSE", "README.md", "pyproject.toml"}
    assert {name for name in wanted if PurePosixPath(name) not in names} == set()


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An environment with the wheel and its dependencies."""
    environment = tmp_path_factory.mktemp("environment")
    run(uv.find_uv_bin(), "venv", "--quiet", "--clear", "--python", sys.executable, environment)
    python = environment / "bin" / "python"
    constraints = PROJECT / "dev" / "requirements" / "dev.txt"
    run(uv.find_uv_bin(), "pip", "install", "--quiet", "--python", python, "--constraints", constraints, wheel)
    yield python
    shutil.rmtree(environment)


USE_IT = """
import json, sys
from importlib.resources import files
from airflow.providers_manager import ProvidersManager
from airflow_provider_ip1.hooks.ip1 import IP1Hook
from airflow_provider_ip1.sensors.message_status import MessageStatusSensor
from airflow_provider_ip1.transfers.conversation_to_s3 import ConversationToS3Operator

ConversationToS3Operator(task_id="export", participant="46701740605", s3_bucket="lake", s3_key="x.jsonl")
MessageStatusSensor(task_id="wait", batch_id="b", message_id="m")
package = files("airflow_provider_ip1")
print(json.dumps({
    "installed": str(package),
    "provider": ProvidersManager().providers["airflow-provider-ip1"].version,
    "typed": package.joinpath("py.typed").is_file(),
    "schema": json.loads(package.joinpath("api", "schema", "conversation_messages.json").read_text())["type"],
    "messages": len(list(IP1Hook().iter_messages("46701740605"))),
}))
"""


def test_airflow_finds_the_installed_wheel_and_it_reads_a_conversation(python: Path, tmp_path: Path) -> None:
    with stack.sandbox(tmp_path, "--messages", "450") as url:
        env = stack.airflow_environment(tmp_path / "airflow") | {
            "AIRFLOW_CONN_IP1_DEFAULT": stack.ip1_connection(url),
            "PATH": os.pathsep.join([str(python.parent), os.environ["PATH"]]),
        }
        printed = run(python, "-c", USE_IT, cwd=tmp_path, env=env)
    used = json.loads(printed.splitlines()[-1])
    assert Path(used.pop("installed")).is_relative_to(python.parent.parent)
    assert used == {"provider": __version__, "typed": True, "schema": "array", "messages": 450}
