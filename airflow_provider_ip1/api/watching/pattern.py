# SPDX-License-Identifier: Apache-2.0
"""
Searching the texts of messages for a regular expression, in bounded time.

Python's ``re`` cannot be interrupted and holds the GIL, so a few dozen characters can stop a process for hours
("catastrophic backtracking"), and with it every trigger of a triggerer. The sender of an SMS chooses these characters.
The package ``regex`` has a time limit. It reads the patterns of ``re`` and more, and the rest is rejected: a user who
relies on the documentation of ``re`` would otherwise get matches that ``re`` does not find.
"""

from __future__ import annotations

import re
from typing import Final

from airflow_provider_ip1.exceptions import IP1Error

#: Seconds that the search of one text may take. Ordinary patterns take microseconds.
TIME_LIMIT: Final = 0.05

# What both accept, but read differently: a brace that repeats nothing, which begins an approximate match in regex, and
# a POSIX class. Escaped characters and the names of characters are skipped, and so is the rest of a set.
_TOKEN: Final = re.compile(
    r"""
    \\N\{[^}]*\} | \\.                                # a named or another escaped character
    | (?P<set> \[\^?\]? (?: \\. | [^\]\\] )* \]?)
    | \{ (?: \d+ (?:,\d*)? | ,\d+ ) \}                  # a repetition
    | (?P<brace> \{[^}]*\}? )
    | .
    """,
    re.VERBOSE | re.DOTALL,
)
_POSIX_CLASS: Final = re.compile(r"\[:\^?\w+:\]")


class Pattern:
    """
    A regular expression.

    :param text: in the syntax of Python's ``re``. Start it with ``(?i)`` to ignore case.
    :raises ValueError: it is not a regular expression, or Python's ``re`` would read it differently.
    """

    def __init__(self, text: str) -> None:
        import regex

        if not isinstance(text, str):
            raise ValueError(f"pattern must be a string, not a value of type {type(text).__name__}")
        try:
            re.compile(text)
            for token in _TOKEN.finditer(text):
                if (brace := token["brace"]) is not None:
                    raise ValueError(f"{brace!r} repeats nothing. Write \\{{ for a brace in the text.")
                if token["set"] is not None and _POSIX_CLASS.search(token["set"], 1):
                    raise ValueError(f"{token['set']!r} has a POSIX class, which Python's re does not know.")
            self._compiled = regex.compile(text, regex.VERSION0)
        except (ValueError, re.error, regex.error, OverflowError, RecursionError) as error:
            raise ValueError(f"pattern is not a regular expression in the syntax of Python's re: {error}") from None

    def groups_in(self, text: str) -> tuple[str, ...] | None:
        """
        Search a text.

        :param text: the text.
        :return: the names of the groups that matched, in the order of the pattern; ``None`` if the text does not match.
        :raises IP1Error: the search took longer than :data:`TIME_LIMIT`.
        """
        try:
            match = self._compiled.search(text, timeout=TIME_LIMIT)
        except TimeoutError:
            raise IP1Error(
                f"The search for the pattern was ended after {TIME_LIMIT} s. It backtracks too much on a text of "
                f"{len(text)} characters. Avoid repetitions inside repetitions, such as (a+)+ or (a|ab)*."
            ) from None
        if match is None:
            return None
        return tuple(name for name, value in match.groupdict().items() if value is not None)
