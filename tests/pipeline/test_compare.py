"""The stage `compare`: what is said of systems whose errors are known, and refusals."""

import json
import random
import shutil
import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from asrkd.commands import compare as stage
from asrkd.commands.compare import CompareRequest
from asrkd.commands.score import ScoreRequest, score
from asrkd.core.errors import AsrkdError
from asrkd.core.stopping import StopRequest
from asrkd.evaluation.compare.comparison import (
    Comparison,
    Difference,
    MatchedPairsTest,
    Share,
    SystemResult,
    read_comparison,
)
from asrkd.evaluation.compare.conclusions import is_significant
from asrkd.evaluation.compare.evidence import Evidence, Resampling
from asrkd.evaluation.compare.systems import Roles, read_systems
from asrkd.evaluation.compare.table import render
from asrkd.scoring.score_corpus import ReferenceUtterance, Rules, score_utterances
from asrkd.scoring.score_files import write_score
from asrkd.scoring.score_folder import read_score
from asrkd.scoring.significance.bootstrap import Interval
from asrkd.scoring.significance.contrast import ContrastTerm, contrast

NUM_SPEAKERS, PER_SPEAKER, NUM_WORDS = 12, 4, 10
UTTERANCES = [
    ReferenceUtterance(
        f"s{speaker:02d}-{number}", " ".join("abcdefghij"), f"tape{speaker}-{number // 2}", f"s{speaker:02d}"
    )
    for speaker in range(NUM_SPEAKERS)
    for number in range(PER_SPEAKER)
]


def hypotheses(num_errors: int, shift: int = 0) -> dict[str, str]:
    """Exactly so many substitutions, somewhere."""
    texts = [utterance.reference.split() for utterance in UTTERANCES]
    for error in random.Random(shift).sample(range(len(texts) * NUM_WORDS), num_errors):
        texts[error // NUM_WORDS][error % NUM_WORDS] = "x"
    return {u.id: " ".join(words) for u, words in zip(UTTERANCES, texts, strict=True)}


def write(folder: Path, texts: dict[str, str], rules: Rules | None = None, params: int | None = None) -> Path:
    scored = score_utterances(UTTERANCES, texts, rules or Rules())
    write_score(folder, {"set": "test", "params": params, "search": None}, scored)
    return folder


def make_model(folder: Path, seed: int, errors: int, *, shift: int = 0, seconds: float | None = 10.0) -> Path:
    """A model folder as `train` and `score` leave it, with what `compare` reads."""
    write(folder / "score-test", hypotheses(errors, shift), params=12345)
    (folder / "config.json").write_text(json.dumps({"experiment": {"seed": seed}}))
    (folder / "model.safetensors").write_bytes(b"x" * 678)
    records = [{"kind": "train", "step": 1}]
    records += [] if seconds is None else [{"kind": "end", "step": 2, "train_seconds": seconds}]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return folder


def compare(
    folders: Sequence[Path], score_name: str = "score-test", out: Path | None = None, **more
) -> Comparison:
    return stage.compare(CompareRequest(folders, score_name, **more), out)


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> list[Path]:
    """A teacher, a baseline, a good student and one that is as bad as the baseline."""
    folder = tmp_path_factory.mktemp("models")
    errors = {"teacher": 20, "baseline": 120, "good": 70, "same": 121}
    return [
        make_model(folder / name, 1, count, shift=place) for place, (name, count) in enumerate(errors.items())
    ]


@pytest.fixture(scope="module")
def seeds(tmp_path_factory) -> list[Path]:
    """Baseline and student from three seeds each, the teacher from one."""
    folder = tmp_path_factory.mktemp("seeds")
    made = [make_model(folder / "1/teacher", 1, 20)]
    for seed, errors in ((1, 120), (2, 131), (3, 115)):
        made.append(make_model(folder / f"{seed}/baseline", seed, errors, shift=seed, seconds=10.0 * seed))
    for seed, errors in ((1, 70), (2, 84), (3, 66)):
        made.append(make_model(folder / f"{seed}/student", seed, errors, shift=5 + seed))
    return made


def by_name(comparison: Comparison) -> dict[str, SystemResult]:
    return {system.name: system for system in comparison.systems}


def test_rates_differences_and_shares_are_those_counted_by_hand(folders):
    found = by_name(compare(folders))
    words = len(UTTERANCES) * NUM_WORDS
    assert {name: system.wer * words for name, system in found.items()} == pytest.approx(
        {"teacher": 20, "baseline": 120, "good": 70, "same": 121}
    )
    assert [system.role for system in found.values()] == ["teacher", "baseline", "student", "student"]
    assert found["baseline"].difference is None
    assert found["good"].difference.value == pytest.approx(-50 / words)
    assert found["good"].saved_share.value == pytest.approx(50 / 120)
    assert found["teacher"].saved_share.value == pytest.approx(100 / 120)
    assert found["baseline"].saved_share is None
    assert found["good"].saved_share.interval.low > 0 > found["same"].saved_share.interval.low
    assert found["good"].gap_share.value == pytest.approx(50 / 100)
    assert found["same"].gap_share.value == pytest.approx(-1 / 100)
    assert found["teacher"].gap_share is None
    for system in found.values():
        assert system.interval.low < system.wer < system.interval.high
        assert (system.params, system.weight_bytes, system.train_seconds) == (12345, 678, 10.0)
    assert found["good"].difference.interval.high < 0 < found["same"].difference.interval.high


def test_only_p_values_of_students_are_corrected(folders):
    found = by_name(compare(folders))
    good, same, teacher = (found[name].difference for name in ("good", "same", "teacher"))
    for plain, corrected in (
        ((good.p, same.p), (good.p_holm, same.p_holm)),
        ((good.mapsswe.p, same.mapsswe.p), (good.mapsswe.p_holm, same.mapsswe.p_holm)),
    ):
        assert corrected == pytest.approx((2 * plain[0], max(plain[1], 2 * plain[0])))
    assert (teacher.p_holm, teacher.mapsswe.p_holm) == (teacher.p, teacher.mapsswe.p)
    assert good.mapsswe.z < -2 and good.probability_of_improvement > 0.99


def test_the_words_say_who_is_better_and_what_could_be_shown(folders):
    comparison = compare(folders)
    said = "\n".join(comparison.conclusions)
    assert "Significantly better than baseline: good (-10.42 points)." in said
    assert "Not significantly different from baseline: same (+0.21 points)." in said
    smallest = [100 * by_name(comparison)[name].difference.smallest for name in ("good", "same")]
    assert f"can detect is {min(smallest):.2f} to {max(smallest):.2f} points" in said
    assert "48 utterances, 12 speakers" in said
    turned = compare(folders, roles=Roles(baseline="good"))
    assert "Significantly worse than good: baseline (+10.42 points), same" in "\n".join(turned.conclusions)


@pytest.mark.parametrize(
    ("of_segments", "of_blocks"), [(0.04, 0.04), (0.06, 0.04), (0.04, 0.06), (0.01, None)]
)
def test_beyond_noise_is_what_both_tests_find(of_segments, of_blocks):
    tested = MatchedPairsTest(50, -2.0, 0.001, of_segments)
    found = Difference(-0.1, None, 0.001, of_blocks, 1.0, 0.05, tested)
    assert is_significant(found) == ((of_segments, of_blocks) == (0.04, 0.04))


def test_the_ends_of_the_gap_close_none_and_all_of_it(folders, tmp_path):
    copies = {"teacher": "best", "baseline": "worst"}
    more = [Path(shutil.copytree(folders[n], tmp_path / to)) for n, to in enumerate(copies.values())]
    found = by_name(compare([*folders, *more]))
    assert found["worst"].saved_share == Share(0.0, Interval(0.0, 0.0, 0.95))
    for name, share in (("best", 1), ("worst", 0)):
        gap = found[name].gap_share
        assert (gap.value, gap.interval.low, gap.interval.high) == pytest.approx((share,) * 3)
    assert found["worst"].difference.probability_of_improvement == 0.5
    assert found["worst"].difference.mapsswe.p == found["worst"].difference.p == 1


def test_without_a_clear_gap_there_is_no_share(folders):
    found = by_name(compare(folders, roles=Roles(teacher="same")))
    assert all(system.gap_share is None for system in found.values())


def test_a_gap_that_vanishes_in_replicates_gives_an_interval(tmp_path, recwarn):
    """Few errors: in some of 10,000 drawn test sets the teacher has as many of them as the baseline."""
    errors = {"teacher": 2, "baseline": 9, "student": 6}
    made = [write(tmp_path / name, hypotheses(n, place)) for place, (name, n) in enumerate(errors.items())]
    evidence = Evidence(read_systems(made, "", Roles()), Resampling())
    assert evidence.replicates({"baseline": 1.0, "teacher": -1.0}).min() <= 0
    found = by_name(compare(made, out=tmp_path / "compare.json"))["student"].gap_share
    assert found.value == pytest.approx(3 / 7)
    assert -10 < found.interval.low < 0.4 < found.interval.high < 10
    assert read_comparison(tmp_path / "compare.json").systems[2].gap_share == found
    assert not recwarn.list


def test_of_a_copy_nothing_is_said_of_what_could_be_shown(tmp_path):
    texts = hypotheses(50)
    alone = [write(tmp_path / "baseline", texts), write(tmp_path / "copy", texts)]
    comparison = compare(alone)
    assert by_name(comparison)["copy"].difference.smallest is None
    assert not any("smallest" in sentence for sentence in comparison.conclusions)
    (said,) = [
        c for c in compare([*alone, write(tmp_path / "b", hypotheses(60, 1))]).conclusions if "smallest" in c
    ]
    assert "depending" not in said


def with_errors(folder: Path, places: dict[int, Sequence[int]]) -> Path:
    """A score whose utterances err at the given words, by the utterance's number."""
    texts = {utterance.id: utterance.reference.split() for utterance in UTTERANCES}
    for number, words in places.items():
        for word in words:
            texts[UTTERANCES[number].id][word] = "x"
    return write(folder, {utt_id: " ".join(words) for utt_id, words in texts.items()})


EVERYWHERE = range(len(UTTERANCES))


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        # Two adjacent errors of the baseline in each of 48 utterances are 48 segments.
        ({number: [4] for number in EVERYWHERE}, "each of the 48 segments has 1 error fewer than baseline"),
        (
            {number: [4, 5, 6] for number in EVERYWHERE},
            "48 segments has 1 error more than baseline, and equal",
        ),
        ({}, "each of the 48 segments has 2 errors fewer than baseline"),
        ({number: [5, 6] for number in EVERYWHERE}, "as many errors as baseline in each of the 48 segments"),
        ({number: [4] for number in EVERYWHERE if number}, None),  # one segment differs less than the others
        ({number: [4, 5] for number in EVERYWHERE if number}, None),
    ],
)
def test_equal_differences_explain_why_z_is_0(tmp_path, places, expected):
    base = with_errors(tmp_path / "baseline", {number: [4, 5] for number in EVERYWHERE})
    comparison = compare([base, with_errors(tmp_path / "student", places)], out=tmp_path / "compare.json")
    tested = comparison.systems[1].difference.mapsswe
    said = [sentence for sentence in comparison.conclusions if sentence.startswith("MAPSSWE: z of student")]
    assert (tested.z == 0) == (expected is not None) == (tested.uniform_difference is not None)
    assert len(said) == (expected is not None)
    if expected is not None:
        assert expected in said[0] and tested.p == 1
        shown = " ".join(render(comparison, styled=False).split())
        assert said[0] in shown
        assert said[0] in json.loads((tmp_path / "compare.json").read_text())["conclusions"]
    else:
        assert "z of" not in " ".join(comparison.conclusions)


def test_one_segment_and_none_have_their_own_notes(tmp_path):
    none, one = (with_errors(tmp_path / name, places) for name, places in (("none", {}), ("one", {3: [2]})))
    assert (
        "MAPSSWE: z of one is 0 by NIST's convention, which does not say which is better: there is one "
        "segment, with 1 error more than none, and one difference has no spread."
    ) in compare([none, one]).conclusions
    same = with_errors(tmp_path / "same", {3: [7]})
    # Words that only one had wrong, far enough apart, are two segments: 1 more, and 1 fewer.
    assert not any("z of" in sentence for sentence in compare([one, same]).conclusions)
    twice = with_errors(tmp_path / "twice", {3: [2]})
    assert (
        "MAPSSWE: z of twice is 0 because it has as many errors as one in the one segment."
        in compare([one, twice]).conclusions
    )
    nothing = with_errors(tmp_path / "nothing", {})
    assert (
        "MAPSSWE: z of nothing is 0 because neither it nor none has an error."
        in compare([none, nothing]).conclusions
    )


def test_several_seeds_have_mean_spread_and_a_test_over_them(seeds):
    comparison = compare(seeds)
    found, words = by_name(comparison), len(UTTERANCES) * NUM_WORDS
    rates = [errors / words for errors in (120, 131, 115)]
    baseline = found["baseline"]
    assert (baseline.wer, baseline.wer_std) == pytest.approx(
        (statistics.mean(rates), statistics.stdev(rates))
    )
    assert [run.seed for run in baseline.runs] == [1, 2, 3]
    assert baseline.train_seconds == 20
    assert found["teacher"].wer_std is None
    # The same by the analysis of variance on its own, from the files.
    sums = {}
    for folder in seeds[1:]:
        rows = [
            json.loads(line) for line in (folder / "score-test/utterances.jsonl").read_text().splitlines()
        ]
        speakers = sorted({row["speaker"] for row in rows})
        wrong = [sum(row["substitutions"] for row in rows if row["speaker"] == s) for s in speakers]
        sums.setdefault(folder.name, []).append(wrong)
    terms = [
        ContrastTerm(weight, np.array(sums[name], float), (1, 2, 3))
        for name, weight in (("student", 1.0), ("baseline", -1.0))
    ]
    expected = contrast(terms, np.full(NUM_SPEAKERS, 40.0))
    assert found["student"].difference.interval == expected.interval()
    assert found["student"].difference.p == expected.p()
    for share in (found["student"].gap_share, found["student"].saved_share):
        assert share.interval.low < share.value < share.interval.high
    assert found["student"].saved_share.value == pytest.approx(1 - sum((70, 84, 66)) / sum((120, 131, 115)))
    assert "3 seeds" not in comparison.conclusions[-1]  # the teacher has one
    assert "With 3 seeds" in compare(seeds[1:]).conclusions[-1]


def test_the_table_fits_and_is_plain_or_colored(seeds, folders, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")  # a dumb one has no colors
    for comparison in (compare(seeds), compare(folders)):
        plain = render(comparison, styled=False)
        assert max(map(len, plain.splitlines())) <= 100
        assert "\x1b" not in plain
        assert "\x1b[32m" in render(comparison, styled=True)
        for system in comparison.systems:
            assert f"{100 * system.wer:.2f}" in plain
    plain = render(compare(seeds), styled=False)
    header, _, teacher, baseline, student = plain.splitlines()[:5]
    assert header.split() == "system seeds WER % ± 95 % diff 95 % z p better".split()
    assert teacher.split()[:2] == ["teacher", "4.17"]
    assert baseline.split()[:4] == ["baseline", "3", "25.42", "1.71"]
    assert student.split()[:2] == ["student", "3"]
    assert "12,345" in plain and "678" in plain


def test_ends_beyond_a_thousand_percent_are_not_told_apart(folders):
    """Two speakers of whom one has all the errors: the interval's end is a number of ten digits."""
    comparison = compare(folders)
    first, *rest = comparison.systems
    wide = replace(
        first,
        interval=Interval(0.0001, 2.3e8),
        difference=replace(first.difference, interval=Interval(-11, 12)),
    )
    table = render(replace(comparison, systems=[wide, *rest]), styled=False)
    assert "[0.0, >1000]" in table and "[<-1000, >1000]" in table and "23000000" not in table


def test_what_was_written_is_read_back(folders, seeds, tmp_path):
    for name, given in (("a", folders), ("b", seeds), ("c", folders[:1])):
        comparison = compare(given, out=tmp_path / name / "compare.json")
        assert read_comparison(tmp_path / name / "compare.json") == comparison
    text = (tmp_path / "a/compare.json").read_text()
    compare(folders, out=tmp_path / "again.json")
    assert (tmp_path / "again.json").read_text() == text


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        ("[]", "not a comparison of this version of asrkd; use a file written by asrkd compare"),
        ('{"version": 2}', "not a comparison of this version of asrkd; use a file written by asrkd compare"),
        ('{"version": 3}', "set_name is missing; use a file written by asrkd compare"),
        ('{"version"', "torn or not JSON"),
    ],
)
def test_another_file_is_no_comparison(tmp_path, damage, complaint):
    (tmp_path / "x.json").write_text(damage)
    with pytest.raises(AsrkdError, match=complaint):
        read_comparison(tmp_path / "x.json")


def test_finished_scores_without_models_are_compared_too(folders, tmp_path):
    folder = write(tmp_path / "kaldi", hypotheses(60))
    comparison = compare([*folders, folder, write(tmp_path / "2/kaldi", hypotheses(64))])
    kaldi = by_name(comparison)["kaldi"]
    assert (kaldi.params, kaldi.weight_bytes, kaldi.train_seconds) == (None, None, None)
    assert [run.seed for run in kaldi.runs] == [1, 2]
    assert kaldi.difference.value == pytest.approx((62 - 120) / 480)
    assert render(comparison, styled=False).count("kaldi") >= 3
    alone = compare([folder, write(tmp_path / "other", hypotheses(61))])
    assert (alone.teacher, alone.baseline) == (None, "kaldi")
    assert "params" not in render(alone, styled=False)


@pytest.mark.parametrize(
    ("recordings", "asked", "called"),
    [(4, "speaker", "recording"), (48, "speaker", "utterance"), (48, "recording", "utterance")],
)
def test_blocks_without_speakers_are_named_after_their_kind(tmp_path, recordings, asked, called):
    utterances = [
        ReferenceUtterance(each.id, each.reference, f"tape{n % recordings}")
        for n, each in enumerate(UTTERANCES)
    ]
    scored = score_utterances(utterances, hypotheses(30), Rules())
    write_score(tmp_path / "kaldi", {"set": "test", "params": None, "search": None}, scored)
    found = compare([tmp_path / "kaldi"], resampling=Resampling(asked))
    assert (found.blocks, found.num_blocks) == (called, recordings)
    resampled = json.loads((tmp_path / "kaldi/score.json").read_text())["interval"]["resampled"]
    assert resampled == ("recordings" if recordings == 4 else "utterances")


def test_no_errors_are_no_certainty(tmp_path):
    perfect = write(tmp_path / "perfect", hypotheses(0))
    assert read_score(perfect).counts.errors == 0
    assert json.loads((perfect / "score.json").read_text())["interval"] is None
    (found,) = compare([perfect]).systems
    assert (found.wer, found.interval) == (0.0, None)


def test_the_legend_explains_intervals_over_seeds(folders, seeds):
    crossed = "with several seeds by t, seeds crossed with speakers"
    assert crossed in " ".join(render(compare(seeds), styled=False).split())
    assert crossed not in " ".join(render(compare(folders), styled=False).split())


def test_scores_of_one_name_are_told_apart_by_their_folders(tmp_path):
    for name, errors in (("kaldi", 60), ("nemo", 64)):
        write(tmp_path / name / "scored", hypotheses(errors))
    systems = [tmp_path / "kaldi", tmp_path / "nemo"]
    assert list(by_name(compare(systems, "scored"))) == ["kaldi", "nemo"]
    together = compare([folder / "scored" for folder in systems])
    assert [(system.name, len(system.runs)) for system in together.systems] == [("scored", 2)]


def test_a_score_folder_of_a_model_is_the_models(folders):
    direct = compare([folder / "score-test" for folder in folders])
    assert direct == compare(folders)


def test_roles_are_given_by_name(folders):
    comparison = compare(folders, roles=Roles(teacher="good", baseline="teacher"))
    assert (comparison.teacher, comparison.baseline) == ("good", "teacher")
    assert compare(folders[2:]).baseline == "good"  # the first, where nobody is called so
    for roles, complaint in (
        (
            Roles(teacher="gpt"),
            "--teacher gpt: no such system; expected one of teacher, baseline, good, same",
        ),
        (Roles(baseline="gpt"), "--baseline gpt: no such system"),
        (Roles(baseline="teacher"), "--baseline teacher: is also the teacher"),
    ):
        with pytest.raises(AsrkdError, match=complaint):
            compare(folders, roles=roles)


def test_blocks_are_speakers_recordings_or_utterances(folders):
    found = {
        blocks: compare(folders, resampling=Resampling(blocks))
        for blocks in ("speaker", "recording", "utterance")
    }
    assert [each.num_blocks for each in found.values()] == [12, 24, 48]
    assert len({by_name(each)["good"].interval for each in found.values()}) == 3
    with pytest.raises(AsrkdError, match="--blocks word: expected one of speaker, recording, utterance"):
        Resampling("word")
    with pytest.raises(AsrkdError, match="--seed -1: expected 0 or more"):
        Resampling(seed=-1)


def test_one_speaker_gives_no_interval_and_says_so(tmp_path, monkeypatch):
    alone = [replace(utterance, speaker="ann") for utterance in UTTERANCES]
    monkeypatch.setitem(globals(), "UTTERANCES", alone)
    given = [make_model(tmp_path / name, 1, errors) for name, errors in (("baseline", 90), ("student", 40))]
    comparison = compare(given)
    student = by_name(comparison)["student"]
    assert student.interval is None and student.difference.interval is None
    assert student.difference.value == pytest.approx(-50 / 480)
    assert student.difference.mapsswe.z < -2
    assert (
        "With one speaker, intervals over speakers cannot be computed; --blocks utterance resamples "
        "utterances instead."
    ) in comparison.conclusions
    assert "student" in render(comparison, styled=False)
    assert by_name(compare(given, resampling=Resampling("utterance")))["student"].interval


def test_what_was_scored_by_the_stages_can_be_compared(teacher, corpus, tmp_path):
    folder = Path(shutil.copytree(teacher, tmp_path / "teacher"))
    report = score(ScoreRequest(folder, corpus / "cuts_dev.jsonl.gz", folder / "score-dev"), StopRequest())
    cuts = corpus / "cuts_dev.jsonl.gz"
    comparison = compare([folder], "score-dev", costs_cuts=cuts, out=tmp_path / "compare.json")
    (found,) = comparison.systems
    assert found.wer == report.counts.wer
    assert (found.runs[0].errors, comparison.num_words) == (report.counts.errors, report.counts.num_words)
    assert found.runs[0].seed == 1
    assert found.params == json.loads((folder / "stamp.json").read_text())["params"]
    assert found.weight_bytes == (folder / "model.safetensors").stat().st_size
    assert found.train_seconds > 0
    assert found.costs.uncounted == []
    assert 0 < found.costs.real_time_factor < 1
    assert found.costs.peak_memory_bytes > found.costs.idle_memory_bytes > 1e7
    assert (comparison.costs_protocol.num_cuts, comparison.costs_protocol.threads) == (6, 1)
    assert "x real time" in render(comparison, styled=False)
    assert read_comparison(tmp_path / "compare.json") == comparison
    with (folder / "model.safetensors").open("ab") as stream:
        stream.write(b"trained anew")
    with pytest.raises(
        AsrkdError, match="score-dev: is older than the weights of .*; make the score again: rm -r"
    ):
        compare([folder], "score-dev")


def test_costs_want_a_model(tmp_path):
    folder = write(tmp_path / "kaldi", hypotheses(60))
    with pytest.raises(AsrkdError, match="--costs: none of the systems has a model"):
        compare([folder], costs_cuts=tmp_path / "cuts.jsonl")


def test_a_missing_score_is_named_with_its_command(folders, tmp_path):
    with pytest.raises(AsrkdError) as error:
        compare(folders, "score-dev")
    first = folders[0]
    assert str(error.value) == (
        f"{first}/score-dev/score.json: no such file; make it with: "
        f"asrkd score {first} --cuts ... --out {first}/score-dev"
    )
    folder = Path(shutil.copytree(folders[1], tmp_path / "student"))
    (folder / "score-test/stamp.json").unlink()
    with pytest.raises(AsrkdError, match=r"student/score-test: unfinished .*; finish it with: asrkd score"):
        compare([*folders, folder])


def test_a_duplicate_system_and_seed_is_refused(folders, tmp_path):
    again = make_model(tmp_path / "4/good", 1, 9)
    with pytest.raises(AsrkdError, match=r"4/good: duplicate system 'good' with seed 1"):
        compare([*folders, again], out=tmp_path / "compare.json")
    score_only = write(tmp_path / "kaldi", hypotheses(3))
    with pytest.raises(AsrkdError, match="kaldi: duplicate folder"):
        compare([score_only, score_only], out=tmp_path / "compare.json")
    assert not (tmp_path / "compare.json").exists()


def test_a_folder_is_no_place_for_the_results(folders, tmp_path, monkeypatch):
    """Found out before costs are measured, which takes minutes."""
    monkeypatch.setattr(stage, "measure_costs", lambda *_: pytest.fail("measured first"))
    for out in (tmp_path, Path()):
        with pytest.raises(AsrkdError, match=": is a folder, expected the name of a JSON file"):
            compare(folders, out=out, costs_cuts=tmp_path / "cuts.jsonl")


def test_scores_of_another_kind_are_refused(folders, tmp_path):
    other = write(tmp_path / "nist", hypotheses(3), Rules(alignment="sclite"))
    with pytest.raises(AsrkdError, match="nist: alignment sclite, but .* has levenshtein"):
        compare([*folders, other])


@pytest.mark.parametrize("text", ["{}", '{"experiment": null}', '{"experiment": {"seed": "one"}}', '{"exp'])
def test_a_foreign_or_torn_config_is_a_line(folders, tmp_path, text):
    folder = Path(shutil.copytree(folders[0], tmp_path / "teacher"))
    (folder / "config.json").write_text(text)
    with pytest.raises(AsrkdError, match="teacher/config.json: (not the config of|torn)") as error:
        compare([folder])
    assert "\n" not in str(error.value)


def test_a_request_that_is_none_tells_nothing_of_the_weights(folders, tmp_path):
    folder = Path(shutil.copytree(folders[0], tmp_path / "teacher"))
    (folder / "score-test/request.json").write_text("[]")
    assert [system.name for system in compare([folder]).systems] == ["teacher"]
