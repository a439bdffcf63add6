# SPDX-License-Identifier: Apache-2.0
"""What the status of a message means for a wait."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from airflow_provider_ip1.api.phone import mask_number
from airflow_provider_ip1.api.status import CATEGORIES, TERMINAL_CATEGORIES, Category, status_category
from airflow_provider_ip1.api.watching.watch import Verdict

StatusArgument: TypeAlias = int | Category | Iterable[int | Category]
"""
A status code, the name of a category, or a list of both. Codes may also be text, because templates render text. The
type leaves that out, so that type checkers find misspelled categories.
"""


class StatusRule:
    """
    The statuses that a task waits for, and the statuses that end the wait as a failure.

    A code takes precedence over its category.

    :param expected: a code, a category or a list of both; at least one.
    :param failed: the same. ``None`` (default) stands for every terminal category that is not expected. With an empty
        list no status is a failure: the wait ends by success or timeout.
    :raises ValueError: a value is neither a code nor a category, or is in both arguments. The error names the argument
        and the value.
    """

    def __init__(self, expected: StatusArgument, failed: StatusArgument | None = None) -> None:
        self.expected = _statuses(expected, "expected")
        if not self.expected:
            raise ValueError("expected is empty: give at least one status code or category")
        others = frozenset(TERMINAL_CATEGORIES) - self.expected
        self.failed = others if failed is None else _statuses(failed, "failed")
        if both := ", ".join(sorted(map(str, self.expected & self.failed))):
            raise ValueError(f"{both} is in expected and in failed: keep it in one of them")

    def verdict_for(self, code: int | None) -> Verdict:
        """
        Return what the latest status of a message means.

        :param code: the status code; ``None`` for a message that has no status yet.
        :return: ``"success"``, ``"failure"`` or ``"waiting"``.
        """
        if code is None:
            return "waiting"
        for status in (code, status_category(code)):
            if status in self.expected:
                return "success"
            if status in self.failed:
                return "failure"
        return "waiting"

    def as_lists(self) -> tuple[list[int | Category], list[int | Category]]:
        """:return: ``expected`` and ``failed`` as JSON values, which make the same rule."""
        return sorted(self.expected, key=str), sorted(self.failed, key=str)


def _statuses(argument: StatusArgument, name: str) -> frozenset[int | Category]:
    if isinstance(argument, (int, str)):
        argument = [argument]
    if not isinstance(argument, (list, tuple, set, frozenset)):
        raise ValueError(f"{name} must be a status code, a category or a list of them, not {type(argument).__name__}")
    return frozenset(_status(value, name) for value in argument)


def _status(value: int | str, name: str) -> int | Category:
    status = value.strip().lower() if isinstance(value, str) else value
    for category in CATEGORIES:
        if status == category:
            return category
    if isinstance(status, str) and status.isascii() and status.isdigit():
        status = int(status)
    if isinstance(status, int) and not isinstance(status, bool) and 100 <= status <= 999:
        return status
    text = f"{name} has {value!r}, which is neither a status code of three digits (such as 201) nor one of the "
    raise ValueError(mask_number(f"{text}categories {', '.join(CATEGORIES)}"))
