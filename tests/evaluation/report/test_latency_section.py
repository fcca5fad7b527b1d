"""The WER-latency plot, read back as XML, and the page with it."""

from xml.etree import ElementTree

import pytest

from asrkd.commands.report import ReportRequest, report
from asrkd.core import files
from asrkd.evaluation.report.figures.latencies import LatencyPoint, latency_figure
from asrkd.evaluation.report.figures.svg import Style
from asrkd.scoring.score_corpus import ReferenceUtterance, Rules, score_utterances
from asrkd.scoring.score_files import write_score
from asrkd.scoring.word_times import Emission

SVG = "{http://www.w3.org/2000/svg}"


def point(name: str, rate: float, delay_s: float, **more) -> LatencyPoint:
    return LatencyPoint(Style(name, "c-0", 0), rate, delay_s, **more)


def marks(figure: str) -> dict[str, tuple[float, float]]:
    """Center of each mark by its tooltip."""
    circles = ElementTree.fromstring(figure).iter(f"{SVG}circle")
    return {mark[0].text or "": (float(mark.attrib["cx"]), float(mark.attrib["cy"])) for mark in circles}


def test_later_is_further_right_and_worse_is_further_up():
    points = [point("a", 0.1, 0.2), point("b", 0.2, 0.1), point("c", 0.15, -0.05)]
    at = marks(latency_figure(points, "plot", "delay"))
    a, b, c = (at[name] for name in ("a: 10.00 % at 200 ms", "b: 20.00 % at 100 ms", "c: 15.00 % at -50 ms"))
    assert c[0] < b[0] < a[0] and b[1] < c[1] < a[1]
    assert a[0] - b[0] == pytest.approx((b[0] - c[0]) * 100 / 150, abs=0.1)


def test_intervals_are_bars_that_end_at_the_edges_of_the_plot():
    points = [
        point("a", 0.1, 0.2, rate_interval=(0.05, 9.0), delay_interval=(0.19, 0.21)),
        point("b", 0.2, 0.1),
    ]
    drawn = latency_figure(points, "plot", "delay")
    bars = [
        each.attrib
        for each in ElementTree.fromstring(drawn).iter(f"{SVG}line")
        if "whisker" in each.get("class")
    ]
    across, up = sorted(bars, key=lambda bar: bar["x1"] == bar["x2"])
    x, y = marks(drawn)["a: 10.00 % at 200 ms"]
    assert float(across["x1"]) < x < float(across["x2"]) and float(across["y1"]) == y
    assert float(up["y2"]) < y <= float(up["y1"]) and min(float(up["y1"]), float(up["y2"])) >= 16.0


def test_one_system_alone_or_equal_ones_can_be_drawn():
    assert len(marks(latency_figure([point("a", 0.0, 0.0)], "plot", "delay"))) == 1
    assert len(marks(latency_figure([point("a", 0.3, 0.1), point("b", 0.3, 0.1)], "plot", "delay"))) == 2


def test_names_of_users_are_escaped():
    assert "<b>" not in latency_figure([point("<b>", 0.1, 0.1)], "<b>", "<b>")


def timed(folder, delay_s: float, *, streams: bool) -> None:
    files.write_json(folder / "config.json", {"experiment": {"seed": 1, "phases": []}})
    files.write_jsonl(folder / "metrics.jsonl", [{"kind": "train", "step": 1, "loss": 1.0}])
    utterances = [
        ReferenceUtterance(f"u{n}", "one two", f"u{n}", f"s{n}", 2.0, ((0.0, 0.5), (0.5, 1.0)))
        for n in range(3)
    ]
    times = ((0.3, 0.5 + delay_s), (0.9, 1.0 + delay_s))
    emission = Emission(times, ((0.64, 0.64), (1.28, 1.28)) if streams else None)
    texts, emissions = ({u.id: value for u in utterances} for value in ("one two", emission))
    scored = score_utterances(utterances, texts | {"u0": "one too"}, Rules(), emissions=emissions)
    write_score(folder / "score-test", {"set": "test", "params": 1, "search": None}, scored)


def test_the_page_plots_systems_with_times_of_words(tmp_path):
    timed(tmp_path / "baseline", 0.12, streams=False)
    timed(tmp_path / "student", 0.06, streams=True)
    report(ReportRequest([tmp_path / "baseline", tmp_path / "student"], tmp_path / "report.html"))
    source = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "baseline: 16.67 % at 120 ms" in source and "student: 16.67 % at 60 ms" in source
    # Chunks end 140 ms after the word "one", and 280 ms after "two", which is correct in two of three.
    assert f"student: 16.67 % at {round((3 * 140 + 2 * 280) / 5)} ms" in source
    assert "Table of latency" in source and "\u221260" in source


def test_without_times_the_page_has_no_word_of_latency(scored):
    report(ReportRequest(scored.models, scored.exp / "report.html"))
    source = (scored.exp / "report.html").read_text(encoding="utf-8")
    assert "atency" not in source
