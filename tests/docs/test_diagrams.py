# SPDX-License-Identifier: Apache-2.0
"""The pictures in docs/images that are drawn from text."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from dev import PROJECT
from dev.docs import diagrams
from dev.docs.embed import PAGES

PICTURES = diagrams.pictures()


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.name)
def test_a_picture_is_up_to_date(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == PICTURES[path], "run `make docs`"


def test_every_picture_is_drawn_and_every_drawing_is_shown() -> None:
    assert set((PROJECT / "docs" / "images").glob("*.svg")) == set(PICTURES)
    shown = {name for page in PAGES for name in re.findall(r"images/([\w-]+)\.svg", page.read_text(encoding="utf-8"))}
    assert {path.stem.removesuffix("-dark") for path in PICTURES} == shown


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.name)
def test_a_picture_can_be_read_on_a_phone_and_nothing_is_outside(path: Path) -> None:
    svg = ElementTree.fromstring(PICTURES[path])  # noqa: S314
    width, height = (float(svg.attrib[side]) for side in ("width", "height"))
    assert width <= 564
    namespace = "{http://www.w3.org/2000/svg}"
    for box in svg.iter(f"{namespace}rect"):
        assert float(box.attrib["x"]) + float(box.attrib["width"]) <= width
        assert float(box.attrib["y"]) + float(box.attrib["height"]) <= height
    for text in svg.iter(f"{namespace}text"):
        assert float(text.attrib["y"]) < height


def test_themes_have_the_same_kinds() -> None:
    assert diagrams.LIGHT.keys() == diagrams.DARK.keys()


def test_text_is_escaped() -> None:
    assert "a &lt; b" in diagrams.draw("size 5x5\nnote 1,1: a < b", diagrams.LIGHT)


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("circle 1,1", "no such line: circle 1,1"),
        ("a -> c", "no straight arrow"),
    ],
)
def test_a_line_that_cannot_be_drawn_is_an_error(line: str, error: str) -> None:
    boxes = "size 20x20\nbox a 0,0 5x5: A\nbox c 10,10 5x5: C"
    with pytest.raises(ValueError, match=error):
        diagrams.draw(f"{boxes}\n{line}", diagrams.LIGHT)


def test_an_arrow_ends_at_its_box() -> None:
    svg = diagrams.draw("size 20x5\nbox a 0,0 5x5: A\nbox b 12,1 5x2: B\na -> b: label", diagrams.LIGHT)
    assert '<line x1="50" y1="20" x2="117" y2="20"' in svg
    assert 'x="85' not in svg and ">label</text>" in svg
