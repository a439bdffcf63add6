# SPDX-License-Identifier: Apache-2.0
"""We test every version that we claim to support, and a release cannot have a wrong version."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from dev import PROJECT, release
from dev.docs.embed import PAGES

WORKFLOWS = sorted((PROJECT / ".github" / "workflows").glob("*.yml"))
MAKEFILE = (PROJECT / "Makefile").read_text()
PACKAGE = '__version__ = "1.2.3"\n'
CHANGELOG = "# Changelog\n\n## 1.2.3 (2026-12-01)\n\n### Features\n\n## 1.2.2 (2026-11-01)\n"


def test_consistent_versions() -> None:
    assert release.disagreement("v1.2.3", PACKAGE, CHANGELOG) is None


@pytest.mark.parametrize(
    ("tag", "changelog", "complaint"),
    [
        ("v1.2.4", CHANGELOG, "the package's version is 1.2.3"),
        ("1.2.3", CHANGELOG, "The tag is 1.2.3"),
        ("v1.2.3rc1", CHANGELOG, "The tag is v1.2.3rc1"),
        ("v1.2.3", CHANGELOG.replace("2026-12-01", "unreleased"), r'"1.2.3 \(unreleased\)"'),
        ("v1.2.3", CHANGELOG.replace("1.2.3", "1x2.3"), "The first section"),
        ("v1.2.3", "# Changelog\n", "The first section"),
    ],
)
def test_inconsistent_versions(tag: str, changelog: str, complaint: str) -> None:
    assert re.search(complaint, release.disagreement(tag, PACKAGE, changelog) or "")


def test_notes_are_the_newest_section() -> None:
    assert release.notes(CHANGELOG) == "### Features\n"


def test_the_version_comes_from_the_package() -> None:
    from airflow_provider_ip1 import __version__

    wrong = release.disagreement("v0", (PROJECT / "airflow_provider_ip1" / "__init__.py").read_text(), CHANGELOG)
    assert wrong == f"The tag is v0, and the package's version is {__version__}."


def test_what_users_copy_installs_this_version() -> None:
    from airflow_provider_ip1 import __version__

    texts = [path.read_text() for path in (*PAGES, PROJECT / "docker-compose.yaml") if path.name != "CHANGELOG.md"]
    named = re.findall(r"airflow-provider-ip1(?:\[[\w,]+\])?(?:==|:)([\d.]+\d)", "\n".join(texts))
    assert len(named) > 5 and {*named} == {__version__}


def steps(workflow: Path) -> list[dict[str, Any]]:
    return [step for job in yaml.safe_load(workflow.read_text())["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_checkouts_keep_no_token(workflow: Path) -> None:
    for step in steps(workflow):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_with_their_version(workflow: Path) -> None:
    uses = re.findall(r"uses: (.*)", workflow.read_text())
    assert [line for line in uses if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)] == []


def test_one_action_has_one_pin() -> None:
    pins = {pin for workflow in WORKFLOWS for pin in re.findall(r"uses: (\S+)", workflow.read_text())}
    actions = [pin.partition("@")[0] for pin in pins]
    assert sorted(actions) == sorted(set(actions))


def test_every_claimed_python_and_airflow_has_a_session_and_every_session_a_job() -> None:
    nox = pytest.importorskip("nox", reason="only the newest environment has the tools for releases")
    assert nox
    from dev import noxfile

    sessions = {
        f"tests(airflow-{airflow}-python-{python})"
        for airflow, (_, pythons) in noxfile.MATRIX.items()
        for python in pythons
    }
    jobs = yaml.safe_load((PROJECT / ".github" / "workflows" / "test.yml").read_text())["jobs"]
    run = {entry["session"] for entry in jobs["matrix"]["strategy"]["matrix"]["include"]}
    by_ci_run = {"tests(airflow-2.11.0-python-3.11)", "tests(airflow-3.3-python-3.11)"}
    assert run == (sessions - by_ci_run) | {"lowest", "newest-3.14", "loading"}

    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    claimed = {text.rpartition(" ")[2] for text in project["classifiers"] if "Python :: 3." in text}
    assert claimed == {python for _, pythons in noxfile.MATRIX.values() for python in pythons}


def test_make_install_accepts_the_claimed_pythons_and_no_others() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    claimed = sorted(int(text.rpartition(".")[2]) for text in project["classifiers"] if "Python :: 3." in text)
    (lowest, highest) = re.findall(r"\(3, (\d+)\) <= sys.version_info\[:2\] <= \(3, (\d+)\)", MAKEFILE)[0]
    assert claimed == [*range(int(lowest), int(highest) + 1)]
    for page in ("README.md", "CONTRIBUTING.md", "docs/index.md", "docs/tutorial.md"):
        named = re.findall(r"Python 3\.(\d+) to 3\.(\d+)", (PROJECT / page).read_text())
        assert set(named) == {(lowest, highest)}, page


REQUIREMENTS = sorted((PROJECT / "dev" / "requirements").glob("*.txt"))


@pytest.mark.parametrize("path", REQUIREMENTS, ids=lambda path: path.stem)
def test_every_pin_has_hashes_and_no_address(path: Path) -> None:
    text = path.read_text()
    assert "://" not in text
    pins = re.findall(r"(?m)^\S+==\S+.*(?:\n    --hash=.*)*", text)
    assert pins
    assert [pin for pin in pins if not re.search(r"(?m)^    --hash=sha256:[0-9a-f]{64}( \\)?$", pin)] == []
    # Anything else, such as an option or a requirement without a version, would be installed without a check.
    others = [line for line in text.splitlines() if not line.startswith(("#", "    #", "    --hash="))]
    assert len(others) == len(pins)


def test_whatever_installs_pinned_versions_requires_their_hashes() -> None:
    for name in ("Makefile", "dev/noxfile.py", "dev/setup_uv.py"):
        commands = re.findall(r"(?mi)^.*(?:install|sync|\*pip)\b.*requirement.*$", (PROJECT / name).read_text())
        assert commands, name
        assert [command for command in commands if "require-hashes" not in command] == [], name
