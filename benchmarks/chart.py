# SPDX-License-Identifier: Apache-2.0
"""The chart: for each case, how fast each contender is relative to the hand-tuned ceiling."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.cases import CEILING, OPERATOR, SPEED_CASES
from benchmarks.results import CaseResult, Results

_COLORS = {OPERATOR: "#0b6e4f", CEILING: "#d9d9d9"}
_OTHERS = "#8d99ae"
_COLUMNS = 3


def draw(results: Results, path: Path) -> None:
    """Draw the chart as SVG. Cases that show the cost of a start or lack contenders are left out."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "ip1"
    from matplotlib import pyplot

    cases = [
        results.cases[case.name]
        for case in SPEED_CASES
        if case.name in results.cases and case.name != "start" and len(case.contenders) > 2
    ]
    if not cases:
        return
    rows = -(-len(cases) // _COLUMNS)
    figure, axes = pyplot.subplots(
        rows, _COLUMNS, figsize=(11, 0.7 + 2.1 * rows), squeeze=False, layout="constrained", facecolor="white"
    )
    for place, axis in enumerate(axes.flat):
        if place < len(cases):
            _draw_case(axis, cases[place])
        else:
            axis.axis("off")
    figure.suptitle("Speed relative to a hand-tuned client that checks nothing (= 100 %)", x=0.01, ha="left")
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def _draw_case(axis: Any, case: CaseResult) -> None:
    fastest = case.median(CEILING)
    shares = {contender: 100 * fastest / case.median(contender) for contender in case.runs}
    bars = axis.barh([*shares], [*shares.values()], color=[_COLORS.get(name, _OTHERS) for name in shares])
    labels = [f"{share:.0f} %   {case.messages / case.median(name):,.0f}/s" for name, share in shares.items()]
    axis.bar_label(bars, labels, padding=3, fontsize=8)
    axis.set_title(case.title, loc="left", fontsize=10)
    axis.set_xlim(0, 1.65 * max(shares.values()))
    axis.invert_yaxis()
    axis.set_xticks([])
    axis.tick_params(axis="y", length=0, labelsize=8)
    for side in ("top", "right", "bottom"):
        axis.spines[side].set_visible(False)
