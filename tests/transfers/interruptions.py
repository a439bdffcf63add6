# SPDX-License-Identifier: Apache-2.0
"""An exception that arrives anywhere in the task's thread, as Airflow's timeouts raise them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


class TimeIsUp(BaseException):
    """Like AirflowTaskTimeout, this is not an Exception."""


def interrupted_at(place: int, run: Callable[[], Any], is_ours: Callable[[str], bool]) -> None:
    """
    Run, and raise :class:`TimeIsUp` at a place in our own code, where Python also runs signal handlers.

    :param place: how many lines and returns of our own code come before.
    :param run: what to run.
    :param is_ours: whether a file, by its name, is our own code.
    """
    left, is_over = place, False

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal left, is_over
        if is_over or not is_ours(frame.f_code.co_filename):
            return None
        if event in ("line", "return"):
            left -= 1
            is_over = left < 0
            if is_over:
                raise TimeIsUp
        return trace

    sys.settrace(trace)
    try:
        run()
    finally:
        sys.settrace(None)
