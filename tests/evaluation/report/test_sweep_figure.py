"""The figure of a sweep, read back as XML."""

from xml.etree import ElementTree

import pytest

from asrkd.evaluation.report.figures.sweeps import Panel, Point, sweep_figure

SVG = "{http://www.w3.org/2000/svg}"
POINTS = [
    Point(0, 0.40, "a", "whole"),
    Point(0, 0.20, "b", "whole"),
    Point(1, 0.10, "c", "chosen"),
    Point(1, 0.05, "d", "dropped"),
    Point(2, 0.30, "e", "whole"),
]


def circles(figure: str) -> dict[str, tuple[float, float]]:
    """Center of each mark by its tooltip."""
    marks = ElementTree.fromstring(figure).iter(f"{SVG}circle")
    return {mark[0].text or "": (float(mark.attrib["cx"]), float(mark.attrib["cy"])) for mark in marks}


@pytest.mark.parametrize("is_percent", [True, False])
def test_lower_is_further_down_and_values_stand_side_by_side(is_percent):
    figure = sweep_figure([Panel("lr", ["1", "2", "4"], POINTS)], "dev WER", is_percent=is_percent)
    at = circles(figure)
    assert sorted(at, key=lambda name: at[name][1]) == ["a", "e", "b", "c", "d"]
    assert at["a"][0] == at["b"][0] < at["c"][0] == at["d"][0] < at["e"][0]


def test_the_line_joins_the_best_whole_setting_of_each_value():
    figure = sweep_figure([Panel("lr", ["1", "2", "4"], POINTS)], "dev WER", is_percent=True)
    (line,) = ElementTree.fromstring(figure).iter(f"{SVG}polyline")
    corners = [tuple(map(float, corner.split(","))) for corner in line.attrib["points"].split()]
    at = circles(figure)
    assert corners == [pytest.approx(at[name], abs=0.1) for name in ("b", "c", "e")]


def test_text_of_users_is_escaped_and_long_values_are_shortened():
    value = "<b>" + "x" * 40
    figure = sweep_figure([Panel(value, [value, "1"], POINTS[:1])] * 4, "dev WER", is_percent=True)
    labels = [element.text or "" for element in ElementTree.fromstring(figure).iter(f"{SVG}text")]
    assert labels.count(value) == 4  # titles of the panels
    assert "<b>x" not in figure


def test_one_setting_alone_can_be_drawn():
    figure = sweep_figure([Panel("lr", ["1"], [Point(0, 0.0, "a", "chosen")])], "dev WER", is_percent=True)
    assert len(circles(figure)) == 1
