# SPDX-License-Identifier: Apache-2.0
"""dev.compose.make_env writes secrets that only their owner can read, and overwrites nothing."""

from __future__ import annotations

import re
import stat
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from dev.compose import make_env


def values(path: Path) -> dict[str, str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if re.match(r"[A-Z]", line))


def test_every_secret_is_safe_in_urls_json_and_shells(tmp_path: Path) -> None:
    env = tmp_path / "env"
    assert make_env.write_env(env)
    found = values(env)
    for name in make_env.SECRETS:
        assert re.fullmatch(r"[A-Za-z0-9_-]{16,}=?", found[name]), name
    Fernet(found["FERNET_KEY"])


def test_two_runs_share_no_secret(tmp_path: Path) -> None:
    make_env.write_env(tmp_path / "one")
    make_env.write_env(tmp_path / "two")
    one, two = values(tmp_path / "one"), values(tmp_path / "two")
    assert {name for name in make_env.SECRETS if one[name] == two[name]} == set()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no file modes")
def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    env = tmp_path / "env"
    make_env.write_env(env)
    assert stat.S_IMODE(env.stat().st_mode) == 0o600


def test_an_existing_file_is_not_changed(tmp_path: Path) -> None:
    env = tmp_path / "env"
    env.write_text("MINE=1\n", encoding="utf-8")
    assert not make_env.write_env(env)
    assert env.read_text(encoding="utf-8") == "MINE=1\n"


def test_an_example_without_a_line_for_a_secret_is_an_error() -> None:
    with pytest.raises(ValueError, match="FERNET_KEY"):
        make_env.fill_in("JWT_SECRET=\n")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no user ids")
@pytest.mark.parametrize(("uid", "line"), [(1234, "AIRFLOW_UID=1234"), (0, "#AIRFLOW_UID=50000")])
def test_airflow_runs_as_this_user_but_never_as_root(monkeypatch: pytest.MonkeyPatch, uid: int, line: str) -> None:
    monkeypatch.setattr("os.getuid", lambda: uid)
    example = make_env.EXAMPLE.read_text(encoding="utf-8")
    assert line in make_env.fill_in(example).splitlines()


@pytest.fixture
def private_dags(tmp_path: Path) -> Path:
    """A folder with a DAG, as umask 077 leaves them."""
    (tmp_path / "dags" / "sql").mkdir(parents=True, mode=0o700)
    for path in (tmp_path / "dags" / "one.py", tmp_path / "dags" / "sql" / "two.sql"):
        path.touch(mode=0o600)
    (tmp_path / "dags").chmod(0o700)
    return tmp_path / "dags"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no file modes")
@pytest.mark.parametrize(("uid", "expected"), [(0, {0o755, 0o644}), (1234, {0o700, 0o600})])
def test_root_shares_the_dags_with_the_user_of_the_containers(
    monkeypatch: pytest.MonkeyPatch, private_dags: Path, uid: int, expected: set[int]
) -> None:
    monkeypatch.setattr("os.getuid", lambda: uid)
    make_env.share_dags(private_dags)
    assert {stat.S_IMODE(path.stat().st_mode) for path in (private_dags, *private_dags.rglob("*"))} == expected
