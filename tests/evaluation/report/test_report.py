"""The stage `report`: what stands in the page, that it needs nothing else, and what it refuses."""

import html
import json
import re
import shutil
import sys
from html.parser import HTMLParser

import pytest

from asrkd.cli.main import run
from asrkd.commands.compare import CompareRequest, compare
from asrkd.commands.report import ReportRequest, report
from asrkd.core import files
from asrkd.core.errors import AsrkdError
from asrkd.evaluation.compare.systems import Roles
from asrkd.scoring.score_corpus import ReferenceUtterance, Rules, score_utterances
from asrkd.scoring.score_files import write_score
from asrkd.scoring.score_folder import references_sha256
from tests.evaluation.report.conftest import HOSTILE, TEXTS, write_scored


class Page(HTMLParser):
    """Elements, attributes and the text in scripts of a page."""

    def __init__(self, source):
        super().__init__()
        self.tags, self.scripts, self.text, self._script = [], {}, "", None
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self._script = dict(attrs).get("id", "code")
            self.scripts[self._script] = ""

    def handle_endtag(self, tag):
        self._script = None if tag == "script" else self._script

    def handle_data(self, data):
        if self._script:
            self.scripts[self._script] += data
        else:
            self.text += data


def make(scored, out="report.html", **more):
    path = scored.exp / out
    report(ReportRequest(scored.models, path, **more))
    return path.read_text(encoding="utf-8")


def test_the_page_says_the_error_rates_of_all_systems(scored):
    text = re.sub(r"\s+", " ", Page(make(scored)).text)
    words = sum(len(texts[0].split()) for texts in TEXTS.values())
    for rate in (3 / words, 5 / words, 8 / words):  # teacher, baseline, student; errors counted by hand
        assert f"{100 * rate:.2f} %" in text


def test_the_page_refers_to_nothing_outside_itself(scored):
    page = Page(make(scored))
    for tag, attributes in page.tags:
        assert tag not in ("iframe", "object", "embed", "base")
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            assert (attributes.get(name) or "#").startswith(("#", "data:")), (tag, attributes)
    style = re.search(r"<style>(.*?)</style>", make(scored), re.DOTALL)
    assert not re.search(r"url\(|@import|https?:", style[1])
    assert not re.search(r"fetch\(|XMLHttp|import\(|https?:", page.scripts["code"])


def test_words_that_are_markup_stay_words(scored):
    page = Page(make(scored))
    assert len([tag for tag, _ in page.tags if tag == "script"]) == 3
    assert not [tag for tag, _ in page.tags if tag == "img"]
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    data = json.loads(page.scripts["utterance-data"])
    hostile = next(row for row in data["utterances"] if row["id"] == "hostile")
    assert hostile["reference"] == f"say {HOSTILE} now".split()


def test_ids_that_are_markup_stay_ids(scored):
    evil = scored.exp / "<b>&student"
    shutil.copytree(scored.exp / "student", evil)
    report(ReportRequest([*scored.models, evil], scored.exp / "report.html"))
    source = (scored.exp / "report.html").read_text(encoding="utf-8")
    assert "<b>" not in source
    assert html.escape("<b>&student") in source


def test_the_script_gets_all_errors_with_the_students_classes(scored):
    data = json.loads(Page(make(scored)).scripts["utterance-data"])
    by_id = {row["id"]: row["errors"] for row in data["utterances"]}
    assert [system["role"] for system in data["systems"]] == ["teacher", "baseline", "student"]
    assert by_id["all-right"] == [[], [], []]
    assert by_id["inherited"] == [[[1, 0, "five"]], [], [[1, 0, "five", "inherited"]]]
    assert by_id["inherited-too"][2] == [[0, 0, "five", "new"], [1, 0, "five", "inherited"]]
    assert by_id["shared"][2] == [[1, 0, "knight", "shared"]]
    assert by_id["new"][2] == [[1, 0, "a", "new"], [3, 1, "please", "new"]]
    assert by_id["silence"] == [[], [[0, 1, "uh"]], []]


def test_the_same_inputs_give_the_same_bytes(scored):
    assert make(scored, "a.html") == make(scored, "b.html")


def test_systems_and_their_seeds_are_told_apart(scored):
    again = scored.exp / "seed-2" / "student"
    write_scored(again, {utt_id: texts[3] for utt_id, texts in TEXTS.items()}, seed=2)
    report(ReportRequest([*scored.models, again], scored.exp / "report.html"))
    page = Page((scored.exp / "report.html").read_text(encoding="utf-8"))
    assert "student (seed 2)" in page.text
    assert len(json.loads(page.scripts["utterance-data"])["systems"]) == 3
    assert "The first seed of each system is shown" in page.text
    assert "for systems with several seeds by the t distribution" in page.text
    assert "by the t distribution" not in Page(make(scored)).text


def test_without_teacher_or_baseline_inheritance_is_left_out(scored):
    report(ReportRequest([scored.exp / "student"], scored.exp / "report.html"))
    page = Page((scored.exp / "report.html").read_text(encoding="utf-8"))
    assert "Inheritance" not in page.text
    assert "Utterances" in page.text


def test_without_cuts_the_page_says_what_is_left_out(scored):
    scored.cuts.unlink()
    text = re.sub(r"\s+", " ", Page(make(scored)).text)
    assert "None with audio: the cuts were not found" in text
    assert "Left out, by signal-to-noise ratio" in text


def test_the_number_of_utterances_and_clips_is_that_asked_for(scored):
    page = Page(make(scored, num_clips=2, num_utterances=4))
    assert len(json.loads(page.scripts["clip-data"])) == 2
    assert len(json.loads(page.scripts["utterance-data"])["utterances"]) == 4
    assert "4 of 8" in re.sub(r"\s+", " ", page.text)


def test_cuts_of_something_else_are_refused(scored, corpus):
    with pytest.raises(AsrkdError, match="not the cuts of .*; use the --cuts of asrkd score"):
        make(scored, cuts=corpus / "cuts_dev.jsonl.gz")


def test_an_unscored_model_is_named_with_its_command(scored):
    shutil.rmtree(scored.exp / "baseline/score-test")
    with pytest.raises(AsrkdError, match="baseline/score-test.*asrkd score"):
        make(scored)
    assert not (scored.exp / "report.html").exists()


def test_scores_of_other_references_are_refused(scored):
    other = scored.exp / "other"
    shutil.copytree(scored.exp / "student", other)
    rows = [row for _, row in files.read_jsonl(other / "score-test/utterances.jsonl")]
    rows[0] = rows[0] | {"reference": "X" + rows[0]["reference"]}
    files.write_jsonl(other / "score-test/utterances.jsonl", rows)
    digest = references_sha256((row["id"], row["reference"]) for row in rows)
    changed = files.read_json(other / "score-test/score.json") | {"references_sha256": digest}
    files.write_json(other / "score-test/score.json", changed)
    with pytest.raises(AsrkdError, match=f"references {digest[:12]}"):
        report(ReportRequest([*scored.models, other], scored.exp / "report.html"))


def test_a_system_named_twice_is_refused(scored):
    with pytest.raises(AsrkdError, match="duplicate system 'student' with seed 1"):
        report(ReportRequest([*scored.models, scored.exp / "student"], scored.exp / "report.html"))


def test_what_compare_wrote_is_shown_with_its_costs(scored):
    compare(CompareRequest(scored.models), scored.exp / "compare.json")
    written = files.read_json(scored.exp / "compare.json")
    costs = {
        "multiply_adds_per_second": 12.3e6, "uncounted": [], "real_time_factor": 0.0042,
        "peak_memory_bytes": 321000000, "idle_memory_bytes": 200000000,
    }  # fmt: skip
    written["systems"][2]["costs"] = costs
    written["costs_protocol"] = {
        "cuts": "x", "num_cuts": 3, "audio_seconds": 4.0, "repeats": 5, "threads": 1, "batch_size": 1,
        "device": "CPU",
    }  # fmt: skip
    files.write_json(scored.exp / "compare.json", written)
    text = Page(make(scored, comparison=scored.exp / "compare.json")).text
    assert "12.3 million" in text and "0.0042" in text and "321 MB" in text
    assert "12.3 million" not in Page(make(scored)).text


def test_the_figure_of_differences_is_in_points(scored):
    page = make(scored)
    (figure,) = re.findall(r"<svg[^>]*Differences of.*?</svg>", page, re.DOTALL)
    assert "in points, with their 95 % intervals" in figure
    assert re.search(r"<title>student: [+-]\d+\.\d\d points, between .* points</title>", figure)
    assert " %<" not in figure


def test_an_unbounded_interval_leaves_room_for_the_others(scored):
    """As of two speakers: the figure ends at 100 %, and the table says that the end lies beyond."""
    compare(CompareRequest(scored.models), scored.exp / "compare.json")
    written = files.read_json(scored.exp / "compare.json")
    written["systems"][0]["interval"] |= {"low": 0.0001, "high": 2.3e8}
    files.write_json(scored.exp / "compare.json", written)
    text = Page(make(scored, comparison=scored.exp / "compare.json")).text
    assert "0.0 … > 1000" in text and "between 0.0 and > 1000 %" in text
    rates = text[text.index("Word error rate") : text.index("Difference from")]
    assert "100 %" in rates and "150 %" not in rates


def test_a_comparison_of_other_systems_is_refused(scored):
    compare(CompareRequest(scored.models[:2]), scored.exp / "compare.json")
    with pytest.raises(AsrkdError, match=r"compares other systems, roles or scores \(teacher, baseline\)"):
        make(scored, comparison=scored.exp / "compare.json")


def test_a_comparison_with_another_baseline_is_refused(scored):
    """Else one part of the page would hold systems against one baseline, another part against another."""
    compare(CompareRequest(scored.models, roles=Roles(baseline="student")), scored.exp / "compare.json")
    with pytest.raises(AsrkdError, match=r"\(teacher, baseline as student, student as baseline\)"):
        make(scored, comparison=scored.exp / "compare.json")
    make(scored, comparison=scored.exp / "compare.json", roles=Roles(baseline="student"))


def test_what_is_no_number_is_left_out(scored):
    """Silence over silence gives a ratio that is none, and a loss may overflow."""
    lines = [line for _, line in files.read_jsonl(scored.cuts)]
    lines[0]["supervisions"][0]["custom"]["snr_db"] = float("nan")
    lines[1]["supervisions"][0]["custom"]["snr_db"] = float("inf")
    files.write_lines(scored.cuts, map(json.dumps, lines))
    with (scored.models[2] / "metrics.jsonl").open("a") as log:
        log.write('{"kind": "train", "step": 30, "loss": Infinity}\n')
    rows = json.loads(Page(make(scored)).scripts["utterance-data"])["utterances"]
    assert sum("snr" in row for row in rows) == len(TEXTS) - 2


@pytest.mark.parametrize(
    ("errors", "verdict"),
    [
        ({"baseline": 9, "student": 3}, "It is significantly better than the baseline."),
        ({"baseline": 3, "student": 9}, "It is significantly worse than the baseline."),
        ({"baseline": 5, "student": 5}, "It does not differ significantly from the baseline."),
        ({"teacher": 1, "baseline": 9, "student": 5}, "It closes 50 % of the gap between them."),
    ],
)
def test_the_lead_states_whether_the_best_student_is_better(tmp_path, errors, verdict):
    """Systems with that many, or one more or less, of thirty words wrong of each of sixteen speakers."""
    said = [ReferenceUtterance(f"u{n}", " a b c" * 10, f"u{n}", f"s{n}") for n in range(16)]
    for place, (name, count) in enumerate(errors.items()):
        wrong = {n: count + (n // 2**place % 2) * 2 - 1 for n in range(16)}
        heard = {
            f"u{n}": " ".join("x" if m < wrong[n] else word for m, word in enumerate("abc" * 10))
            for n in range(16)
        }
        scored = score_utterances(said, heard, Rules())
        write_score(tmp_path / name, {"set": "test", "params": None}, scored)
    report(ReportRequest([tmp_path / name for name in errors], tmp_path / "report.html"))
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    (lead,) = re.findall(r'<p class="lead">(.*?)</p>', page, re.DOTALL)
    assert " ".join(Page(lead).text.split()).endswith(verdict)


def test_scores_without_a_model_are_shown_too(scored):
    shutil.move(scored.exp / "student/score-test", scored.exp / "finished")
    report(ReportRequest([*scored.models[:2], scored.exp / "finished"], scored.exp / "report.html"))
    page = Page((scored.exp / "report.html").read_text(encoding="utf-8"))
    assert "finished" in page.text
    assert "Without a training log (metrics.jsonl): finished" in page.text


def test_a_folder_is_no_place_for_a_page(scored):
    with pytest.raises(AsrkdError, match="is a folder, expected the name of an HTML file"):
        make(scored, "student")


def test_the_command_prints_where_the_page_is(scored, monkeypatch, capsys):
    out = scored.exp / "report.html"
    monkeypatch.setattr(sys, "argv", ["asrkd", "report", *map(str, scored.models), "--out", str(out)])
    with pytest.raises(SystemExit) as stop:
        run()
    assert stop.value.code == 0
    assert re.fullmatch(
        rf"{re.escape(str(out))}: 8 utterances, 8 with audio, 0\.\d MB\n", capsys.readouterr().out
    )


def test_a_users_mistake_is_one_line_and_exit_1(scored, monkeypatch, capsys):
    arguments = [str(scored.exp / "nobody"), "--out", str(scored.exp / "report.html")]
    monkeypatch.setattr(sys, "argv", ["asrkd", "report", *arguments])
    with pytest.raises(SystemExit) as stop:
        run()
    assert stop.value.code == 1
    said = capsys.readouterr().err
    assert said.startswith("asrkd: ") and said.count("\n") == 1 and "nobody" in said
