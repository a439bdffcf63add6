# SPDX-License-Identifier: Apache-2.0
"""
Draw the diagrams in ``docs/diagrams`` as SVG into ``docs/images``, for light and for dark pages.

Each line of a diagram's text is one of these; lengths are in units of ten pixels::

    size 56x20
    box NAME X,Y WIDTHxHEIGHT [KIND]: first line | second line
    note X,Y: text that starts there | second line
    title X,Y: the same, whose first line is bold
    NAME -> NAME: label

The first line of a box is bold if others follow. An arrow is straight: boxes that it connects must overlap in one
direction. ``<->`` has two heads. No text is measured, so the SVG is the same on every machine. Every diagram is at
most 56 units wide, so that it can be read on a phone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from dev import PROJECT

SOURCES = PROJECT / "docs" / "diagrams"
IMAGES = PROJECT / "docs" / "images"
UNIT = 10
Theme = dict[str, tuple[str, str, str]]
LINE_HEIGHT = 18
# Kind -> fill, outline, text. "" draws arrows and notes.
LIGHT = {
    "": ("none", "#57606a", "#24292f"),
    "plain": ("#f3f5f7", "#b6bec8", "#1b1f24"),
    "area": ("none", "#b6bec8", "#57606a"),
    "question": ("#e8f0fc", "#3f6fb5", "#12284c"),
    "bar": ("#aab4c0", "#aab4c0", "#1b1f24"),
    "main": ("#0b6e4f", "#0b6e4f", "#ffffff"),
    "good": ("#dff3e8", "#0b6e4f", "#0a3d2c"),
    "bad": ("#fdebe9", "#b3382c", "#6b1b13"),
}
DARK = {
    "": ("none", "#a8b1bb", "#d5dae0"),
    "plain": ("#262b31", "#59626c", "#e6e9ed"),
    "area": ("none", "#59626c", "#a8b1bb"),
    "question": ("#1b2b44", "#6d9be0", "#dbe8fb"),
    "bar": ("#59626c", "#59626c", "#e6e9ed"),
    "main": ("#17875f", "#17875f", "#ffffff"),
    "good": ("#12382a", "#3fae84", "#d6f5e6"),
    "bad": ("#43201c", "#dd7166", "#fbdcd8"),
}
THEMES = {"": LIGHT, "-dark": DARK}

SIZE = re.compile(r"size (\d+)x(\d+)")
BOX = re.compile(r"box (\w+) ([\d.]+),([\d.]+) ([\d.]+)x([\d.]+)(?: \[(\w+)\])?(?:: *(.*))?")
NOTE = re.compile(r"(note|title) ([\d.]+),([\d.]+): *(.*)")
ARROW = re.compile(r"(\w+) (<?)-> (\w+)(?:: *(.*))?")


@dataclass(frozen=True)
class Box:
    """A box, in pixels."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    lines: list[str]


def _lines(text: str | None) -> list[str]:
    return [line.strip() for line in (text or "").split("|")] if text else []


def _text(x: float, y: float, text: str, color: str, *, anchor: str = "middle", bold: bool = False) -> str:
    weight = ' font-weight="600"' if bold else ""
    return f'<text x="{x:g}" y="{y:g}" fill="{color}" text-anchor="{anchor}"{weight}>{escape(text)}</text>'


def _draw_box(box: Box, theme: Theme) -> Iterator[str]:
    fill, outline, color = theme[box.kind]
    place = f'x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" height="{box.height:g}"'
    yield f'<rect {place} rx="6" fill="{fill}" stroke="{outline}" stroke-width="1.5"/>'
    middle = box.x + box.width / 2
    # A text's place is its baseline, which is about five pixels below the middle of its letters.
    first = box.y + box.height / 2 + 5 - LINE_HEIGHT * (len(box.lines) - 1) / 2
    if box.kind == "area":
        first = box.y + 20
    for number, line in enumerate(box.lines):
        bold = number == 0 and len(box.lines) > 1
        yield _text(middle, first + LINE_HEIGHT * number, line, color, bold=bold)


def _draw_arrow(start: Box, end: Box, heads: str, label: list[str], theme: Theme) -> Iterator[str]:
    left, right = max(start.x, end.x), min(start.x + start.width, end.x + end.width)
    top, bottom = max(start.y, end.y), min(start.y + start.height, end.y + end.height)
    _, outline, color = theme[""]
    if top < bottom:
        y = (top + bottom) / 2
        x1, x2 = (start.x + start.width, end.x - 3) if start.x < end.x else (start.x, end.x + end.width + 3)
        line = f'x1="{x1 + (3 if heads else 0):g}" y1="{y:g}" x2="{x2:g}" y2="{y:g}"'
        texts = [((x1 + x2) / 2, y - 7 - LINE_HEIGHT * (len(label) - 1 - at), "middle") for at in range(len(label))]
    elif left < right:
        x = (left + right) / 2
        y1, y2 = (start.y + start.height, end.y - 3) if start.y < end.y else (start.y, end.y + end.height + 3)
        line = f'x1="{x:g}" y1="{y1 + (3 if heads else 0):g}" x2="{x:g}" y2="{y2:g}"'
        first = (y1 + y2) / 2 + 5 - LINE_HEIGHT * (len(label) - 1) / 2
        texts = [(x + 8, first + LINE_HEIGHT * at, "start") for at in range(len(label))]
    else:
        raise ValueError(f"no straight arrow leads from {start.lines} to {end.lines}")
    both = ' marker-start="url(#head)"' if heads else ""
    yield f'<line {line} stroke="{outline}" stroke-width="1.5" marker-end="url(#head)"{both}/>'
    for (x, y, anchor), text in zip(texts, label, strict=True):
        yield _text(x, y, text, color, anchor=anchor)


def draw(source: str, theme: Theme) -> str:
    """
    Return a diagram as SVG.

    :param source: its text, as the head of this module explains.
    :param theme: kind of box -> fill, outline and color of its text.
    """
    boxes: dict[str, Box] = {}
    shapes: list[str] = []
    width = height = 0
    for line in filter(None, map(str.strip, source.splitlines())):
        if line.startswith("#"):
            continue
        if found := SIZE.fullmatch(line):
            width, height = (UNIT * int(length) for length in found.groups())
        elif found := BOX.fullmatch(line):
            name, *numbers, kind, text = found.groups()
            x, y, across, down = (UNIT * float(number) for number in numbers)
            boxes[name] = Box(x, y, across, down, kind or "plain", _lines(text))
            shapes += _draw_box(boxes[name], theme)
        elif found := NOTE.fullmatch(line):
            x, y = (UNIT * float(number) for number in found.groups()[1:3])
            for number, text in enumerate(_lines(found[4])):
                bold = number == 0 and found[1] == "title"
                shapes.append(_text(x, y + LINE_HEIGHT * number, text, theme[""][2], anchor="start", bold=bold))
        elif found := ARROW.fullmatch(line):
            start, heads, end, text = found.groups()
            shapes += _draw_arrow(boxes[start], boxes[end], heads, _lines(text), theme)
        else:
            raise ValueError(f"a diagram has no such line: {line}")
    color = theme[""][1]
    head = (
        '<marker id="head" viewBox="0 0 10 10" refX="8" refY="5" markerWidth="7" markerHeight="7" '
        f'orient="auto-start-reverse"><path d="M0 0L10 5L0 10z" fill="{color}"/></marker>'
    )
    font = 'font-family="system-ui, -apple-system, Segoe UI, Roboto, Helvetica, Arial, sans-serif" font-size="14"'
    # The outlines of boxes at the border are half outside of them.
    window = f'width="{width + 4}" height="{height + 4}" viewBox="-2 -2 {width + 4} {height + 4}"'
    body = "\n".join(shapes)
    return f'<svg xmlns="http://www.w3.org/2000/svg" {window} {font}>\n<defs>{head}</defs>\n{body}\n</svg>\n'


def pictures() -> dict[Path, str]:
    """Return the content of each picture that this module draws."""
    from dev.docs.performance import chart

    sources = {path.stem: path.read_text(encoding="utf-8") for path in sorted(SOURCES.glob("*.txt"))}
    sources["performance"] = chart()
    return {
        IMAGES / f"{name}{ending}.svg": draw(source, theme)
        for name, source in sources.items()
        for ending, theme in THEMES.items()
    }


def write() -> None:
    for path, content in pictures().items():
        if not path.exists() or path.read_text(encoding="utf-8") != content:
            path.write_text(content, encoding="utf-8")
            print(f"updated {path.relative_to(PROJECT)}")
