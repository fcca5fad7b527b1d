"""Markup of figures: escaped, round ticks, places that follow the scale."""

from xml.etree import ElementTree

import pytest

from asrkd.evaluation.report.figures import svg
from asrkd.evaluation.report.figures.bars import Bar, BarAxes, BarSegment, bar_figure, stacked_figure
from asrkd.evaluation.report.figures.dots import Dot, DotRow, dot_figure
from asrkd.evaluation.report.figures.lines import LineAxes, Series, line_figure

STYLE = svg.Style("a <b> & 'c'", "c-0", 2)
SVG = "{http://www.w3.org/2000/svg}"


def read(figure):
    """The drawing, which must be well-formed, and lie within its view box from the left to the right."""
    root = ElementTree.fromstring(str(figure))
    width, height = map(float, root.get("viewBox").split()[2:])
    for node in root.iter():
        for name, most in (("x", width), ("x1", width), ("x2", width), ("cx", width), ("y", height)):
            if node.get(name) is not None:
                assert -0.01 <= float(node.get(name)) <= most + 0.01, (node.tag, node.attrib)
    return root


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0, 0.47, [0, 0.1, 0.2, 0.3, 0.4]),
        (0, 4000, [0, 1000, 2000, 3000, 4000]),
        (-3, 7, [-2, 0, 2, 4, 6]),
        (5, 5, [5]),
    ],
)
def test_ticks_are_round_and_within_the_scale(low, high, expected):
    assert svg.ticks(low, high) == pytest.approx(expected)


def test_ticks_of_ratios_are_one_two_and_five():
    assert svg.log_ticks(0.02, 6) == [0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5]
    assert svg.log_ticks(1e-4, 100) == [1e-4, 1e-3, 0.01, 0.1, 1, 10, 100]


def test_a_scale_puts_equal_ratios_equally_far_apart():
    scale = svg.Scale(1, 100, 0, 10, is_log=True)
    assert [scale(value) for value in (1, 10, 100, 1000)] == pytest.approx([0, 5, 10, 10])
    assert svg.Scale(0, 4, 8, 0)(1) == 6


def test_text_and_attributes_are_escaped():
    made = svg.element("text", "<script>&", title='"><b')
    assert str(made) == '<text title="&#34;&gt;&lt;b">&lt;script&gt;&amp;</text>'


def test_a_line_figure_has_labeled_curves_for_all_systems():
    series = [Series(STYLE, [(0, 5.0), (100, 0.5)]), Series(svg.Style("late", "c-1", 3), [(50, 2.0)])]
    root = read(line_figure(series, LineAxes("Loss", "step", is_log=True)))
    assert len(root.findall(f"{SVG}polyline")) == 2
    assert root.get("aria-label") == "Loss. At the end: a <b> & 'c' 0.5, late 2."


def test_a_line_figure_without_points_is_nothing():
    assert not line_figure([Series(STYLE, []), Series(STYLE, [(1, 0.0)])], LineAxes("x", "y", is_log=True))


def test_a_dot_figure_has_a_row_a_group_and_cuts_long_names():
    dots = [Dot(STYLE, 0.2, "title", (0.1, 0.3))]
    root = read(dot_figure([DotRow("short", "7", dots), DotRow("a name " * 9, "8", dots)], "Rates", "words"))
    shown = [node.text for node in root.iter(f"{SVG}text")]
    assert "short" in shown and any(text.endswith("…") and len(text) < 30 for text in shown)
    assert "20 %" in shown


def test_differences_are_in_points_and_not_in_percent():
    dots = [Dot(STYLE, -0.02, "title", (-0.05, 0.01))]
    root = read(dot_figure([DotRow("student", "", dots)], "Differences", unit="points"))
    shown = [node.text or "" for node in root.iter(f"{SVG}text")]
    assert "points" in shown and "\u22122" in shown
    assert not any("%" in text for text in shown)


def test_bars_are_as_high_as_their_values():
    root = read(bar_figure([Bar("a", 1.0, "t"), Bar("b", 4.0, "t")], BarAxes("Label", "x", high=4.0)))
    heights = [float(node.get("height")) for node in root.iter(f"{SVG}rect")]
    assert heights[1] == pytest.approx(4 * heights[0], rel=0.01)


def test_stacked_bars_are_proportional_and_zero_is_not_drawn():
    pieces = [
        BarSegment("kept", 30, "kept"),
        BarSegment("new", 0, "new"),
        BarSegment("corrected", 70, "corrected"),
    ]
    root = read(stacked_figure([("one", pieces)], "Errors"))
    widths = [float(node.get("width")) for node in root.iter(f"{SVG}rect")]
    assert len(widths) == 2
    assert widths[1] / widths[0] == pytest.approx(7 / 3, rel=0.02)
