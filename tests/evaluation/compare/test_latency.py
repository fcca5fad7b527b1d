"""Delays of scores made by hand, computed by hand."""

import json
from dataclasses import asdict
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from asrkd.commands.compare import CompareRequest, compare
from asrkd.evaluation.compare.comparison import read_comparison
from asrkd.evaluation.compare.delays import milliseconds
from asrkd.evaluation.compare.evidence import Resampling
from asrkd.evaluation.compare.latency import correct_words
from asrkd.evaluation.compare.systems import Roles
from asrkd.evaluation.compare.table import render
from asrkd.scoring.score_corpus import ReferenceUtterance, Rules, score_utterances
from asrkd.scoring.score_files import write_score
from asrkd.scoring.word_times import Emission, Times

UTTERANCES = [
    ReferenceUtterance("u1", "A B C", "u1", "ann", 2.0, ((0.1, 0.5), (0.5, 1.0), (1.2, 1.6))),
    ReferenceUtterance("u2", "D E", "u2", "bob", 1.5, ((0.0, 0.4), (0.4, 0.8))),
    ReferenceUtterance("u3", "F", "u3", "bob", 1.0),  # nobody knows when
]
T_OF_TWO_BLOCKS = 12.7062  # Student's t, 97.5 %, one degree of freedom


def write(folder: Path, spoken: dict[str, tuple[str, Times]], *, chunk_s: float | None = None) -> Path:
    """A score of hypotheses with the times of their words; of a stream in chunks of so many seconds."""
    emissions = {}
    for name, (_, times) in spoken.items():
        chunks = tuple(
            (round(-(-a // chunk_s) * chunk_s, 6), round(-(-b // chunk_s) * chunk_s, 6)) for a, b in times
        ) if chunk_s else None  # fmt: skip
        emissions[name] = Emission(times, chunks)
    texts = {name: text for name, (text, _) in spoken.items()}
    scored = score_utterances(UTTERANCES, texts, Rules(), emissions=emissions)
    write_score(folder, {"set": "test", "params": None, "search": None}, scored)
    return folder


BASELINE = {
    # after the ends of A, B and C: 100, 200 and 40 ms; the first token 100 ms after the start of A
    "u1": ("A B C", ((0.2, 0.6), (0.7, 1.2), (1.4, 1.64))),
    "u2": ("E", ((0.5, 0.9),)),  # 100 ms; D is missing
    "u3": ("F", ((0.5, 0.9),)),
}
STUDENT = {
    "u1": ("A X C", ((0.2, 0.8), (0.9, 1.0), (1.6, 1.8))),  # 300 and 200 ms; the first token 100 ms
    "u2": ("Z D E", ((0.04, 0.04), (0.2, 0.5), (0.6, 1.2))),  # 100 and 400 ms; D begins after 200 ms
    "u3": ("F", ((0.5, 0.9),)),
}


def folders(tmp_path: Path) -> list[Path]:
    return [write(tmp_path / "baseline", BASELINE), write(tmp_path / "student", STUDENT, chunk_s=0.5)]


def compared(paths: list[Path], out: Path | None = None, **more):
    return compare(CompareRequest(paths, **more), out)


def test_delays_are_of_correct_words_after_their_true_ends(tmp_path):
    baseline, student = (system.latency for system in compared(folders(tmp_path)).systems)
    words = student.emission.words
    assert (words.num_words, words.mean, words.median) == (4, pytest.approx(0.25), pytest.approx(0.25))
    assert (words.p90, words.p95) == (pytest.approx(0.37), pytest.approx(0.385))  # of 100, 200, 300, 400 ms
    assert baseline.emission.words.mean == pytest.approx(0.11)
    assert baseline.emission.words.num_words == 4


def test_first_and_last_tokens_are_of_utterances_whose_first_and_last_words_are_correct(tmp_path):
    baseline, student = (system.latency.emission for system in compared(folders(tmp_path)).systems)
    assert (baseline.first.num_words, baseline.first.mean) == (1, pytest.approx(0.1))
    assert (student.first.num_words, student.first.mean) == (2, pytest.approx(0.15))
    assert (baseline.last.num_words, baseline.last.mean) == (2, pytest.approx(0.07))
    assert (student.last.num_words, student.last.mean) == (2, pytest.approx(0.3))


def test_a_stream_waits_for_the_ends_of_its_chunks(tmp_path):
    baseline, student = (system.latency for system in compared(folders(tmp_path)).systems)
    assert baseline.chunk is None
    # A at 1.0, C at 2.0, D at 0.5 and E at 1.5 seconds: 500, 400, 100 and 700 ms
    assert student.chunk.words.mean == pytest.approx(0.425)
    assert student.chunk.first.mean == pytest.approx((0.5 - 0.1 + 0.5 - 0.0) / 2)
    assert student.chunk.last.mean == pytest.approx((0.4 + 0.7) / 2)
    assert student.chunk.difference is None  # the baseline does not wait


def test_differences_are_of_words_that_are_correct_in_both(tmp_path):
    baseline, student = (system.latency.emission for system in compared(folders(tmp_path)).systems)
    assert baseline.difference is None
    assert student.difference.num_words == 3  # A, C and E
    assert student.difference.value == pytest.approx((0.2 + 0.16 + 0.3) / 3)


def test_intervals_are_of_all_draws_of_the_blocks(tmp_path):
    student = compared(folders(tmp_path), resampling=Resampling(num_replicates=40_000)).systems[1]
    for interval, mean, blocks in (
        (student.latency.emission.words.interval, 0.25, [[0.3, 0.2], [0.1, 0.4]]),
        (student.latency.emission.difference.interval, 0.22, [[0.2, 0.16], [0.3]]),
    ):
        draws = [np.mean([*a, *b]) for a, b in product(blocks, blocks)]
        reach = T_OF_TWO_BLOCKS * np.std(draws) * np.sqrt(2)
        assert interval.low == pytest.approx(mean - reach, abs=0.02 * reach + 1e-9)
        assert interval.high == pytest.approx(mean + reach, abs=0.02 * reach + 1e-9)


def test_of_one_speaker_there_is_no_interval(tmp_path):
    only = {"u2": BASELINE["u2"], "u1": ("X", ((0.1, 0.2),)), "u3": ("F", ((0.1, 0.2),))}
    (system,) = compared([write(tmp_path / "baseline", only)]).systems
    assert system.latency.emission.words.interval is None
    assert system.latency.emission.words.mean == pytest.approx(0.1)


def test_seeds_are_pooled_and_compared_one_by_one(tmp_path):
    paths = []
    for seed, late in ((1, 0.0), (2, 0.1)):
        for name, spoken, more in (("baseline", BASELINE, 0.0), ("student", BASELINE, 0.03)):
            moved = {
                key: (text, tuple((a, b + late + more) for a, b in times))
                for key, (text, times) in spoken.items()
            }
            write(tmp_path / f"{seed}/{name}/score-test", moved)
            (tmp_path / f"{seed}/{name}/config.json").write_text(json.dumps({"experiment": {"seed": seed}}))
            (tmp_path / f"{seed}/{name}/metrics.jsonl").write_text("")
            paths.append(tmp_path / f"{seed}/{name}")
    baseline, student = (system.latency.emission for system in compared(paths).systems)
    assert (baseline.words.num_words, baseline.words.mean) == (8, pytest.approx(0.11 + 0.05))
    assert (student.difference.num_words, student.difference.value) == (8, pytest.approx(0.03))
    assert student.difference.interval.low == pytest.approx(0.03)  # in all words alike


def test_the_tables_and_the_record_have_what_was_measured(tmp_path):
    out = tmp_path / "compared.json"
    comparison = compared(folders(tmp_path), out)
    text = render(comparison, styled=False)
    (delays,) = [line for line in text.splitlines() if "delay ms" in line]
    assert delays.split()[:3] == ["system", "WER", "%"]
    rows = [line.split() for line in text.splitlines() if line.startswith(" student") or "student " in line]
    assert any(row[:3] == ["student", "33.33", "250"] and "+220" in row for row in rows)
    assert "latency ms" in text and "bootstrap over speakers" in text
    assert asdict(read_comparison(out)) == asdict(comparison)


def test_scores_without_times_have_no_latency_and_their_record_no_word_of_it(tmp_path):
    untimed = {name: (text, ()) for name, (text, _) in BASELINE.items()}
    paths, out = [write(tmp_path / "baseline", untimed), write(tmp_path / "x", untimed)], tmp_path / "c.json"
    comparison = compared(paths, out)
    assert [system.latency for system in comparison.systems] == [None, None]
    text = render(comparison, styled=False)
    assert "delay" not in text and "latency" not in out.read_text()
    assert read_comparison(out).systems[0].latency is None


def test_a_system_without_times_stands_beside_one_with_them(tmp_path):
    untimed = {name: (text, ()) for name, (text, _) in BASELINE.items()}
    paths = [write(tmp_path / "attention", untimed), write(tmp_path / "student", STUDENT)]
    comparison = compared(paths, roles=Roles(baseline="attention"))
    first, second = comparison.systems
    assert first.latency is None and second.latency.emission.difference is None
    assert "250" in render(comparison, styled=False)


@pytest.mark.parametrize(
    ("edits", "pairs"),
    [("===", [(0, 0), (1, 1), (2, 2)]), ("I=SD=", [(0, 1), (3, 3)]), ("DDII", []), ("", [])],
)
def test_correct_words_are_counted_on_both_sides(edits, pairs):
    assert correct_words(edits) == pairs


def test_milliseconds_are_whole_and_bounded():
    shown = [milliseconds(seconds) for seconds in (0.1204, -0.0001, -0.04, 1e9, -1e9)]
    assert shown == ["120", "0", "-40", ">100000", "<-100000"]
    assert milliseconds(0.03, signed=True) == "+30"
