# SPDX-License-Identifier: Apache-2.0
"""What the status of a message means for a wait."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from airflow_provider_ip1.api.phone import mask_number
from airflow_provider_ip1.api.status import CATEGORIES, TERMINAL_CATEGORIES, Category, status_category
from airflow_provider_ip1.api.watching.watch import Verdict

StatusArgument: TypeAlias = int | Category | Iterable[int | Category]
"""
A status code, the name of a category, or a list of both. Codes may also be text, because templates render text. The
type leaves that out, so that type checkers find misspelled categories.
"""


@dataclass(frozen=True, slots=True)
class StatusRule:
    """
    The statuses that a task waits for, and the statuses that end the wait as a failure.

    A code takes precedence over its category.

    :param expected: codes and categories.
    :param failed: codes and categories.
    """

    expected: frozenset[int | Category]
    failed: frozenset[int | Category]

    @classmethod
    def from_arguments(cls, expected: StatusArgument, failed: StatusArgument | None = None) -> StatusRule:
        """
        Make a rule from the arguments of a sensor or trigger.

        :param expected: a code, a category or a list of both; at least one.
        :param failed: the same. ``None`` (default) stands for every terminal category that is not expected. With an
            empty list no status is a failure: the wait ends by success or timeout.
        :return: the rule.
        :raises ValueError: a value is neither a code nor a category, or is in both arguments. The error names the
            argument and the value.
        """
        expected_statuses = _statuses(expected, "expected")
        if not expected_statuses:
            raise ValueError("expected is empty: give at least one status code or category")
        if failed is None:
            return cls(expected_statuses, frozenset(TERMINAL_CATEGORIES) - expected_statuses)
        failed_statuses = _statuses(failed, "failed")
        if both := expected_statuses & failed_statuses:
            raise ValueError(f"{_listed(both)} is in expected and in failed: keep it in one of them")
        return cls(expected_statuses, failed_statuses)

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
        """:return: ``expected`` and ``failed`` as JSON values, for :meth:`from_arguments`."""
        return sorted(self.expected, key=str), sorted(self.failed, key=str)

    @property
    def expected_text(self) -> str:
        """The expected statuses, for logs."""
        return _listed(self.expected, " or ")


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


def _listed(statuses: Iterable[int | str], separator: str = ", ") -> str:
    return separator.join(map(str, sorted(statuses, key=str)))
