"""N-best stores, their filters and weights, and the validation of students, in characters and mixed units."""

import json
import math
from pathlib import Path

import jiwer
import pytest

from asrkd.cli.main import run as run_command
from asrkd.commands.check import check
from asrkd.commands.targets import WeighRequest, weigh
from asrkd.commands.train import TrainOptions, train
from asrkd.core import files
from asrkd.core.errors import AsrkdError
from asrkd.core.stopping import StopRequest
from asrkd.data.cuts.manifests import read_cuts, write_cuts
from asrkd.data.cuts.records import transcript
from asrkd.evaluation.report.curves import curves
from asrkd.evaluation.report.nbest_diagnostics import histogram, oracle
from asrkd.evaluation.report.systems import ReportedSystem
from asrkd.scoring.units import find_unit
from asrkd.targets.sources.nbest import NbestLists
from asrkd.targets.sources.settings import SequenceSettings
from asrkd.targets.store.nbest import NbestStore
from asrkd.targets.store.nbest_statistics import measure_nbest
from asrkd.training.metrics import read_metrics
from tests.nbest_lists import nbest, write_nbest_store

CHAR, MIXED = find_unit("char"), find_unit("mixed")

# Hypotheses of two cuts, their errors in characters, and the characters of the transcripts.
CHINESE = {
    "今天 天气 很好": (["今天天气很好", "今天天气好", "今天天很好好好好"], [0, 1, 4], 6),
    "我 去": (["我 去", "他去", "OK"], [0, 1, 2], 2),
}


def cut_with_texts(corpus: Path, out: Path) -> Path:
    """Two cuts of the corpus, which say Chinese."""
    cuts = list(read_cuts(corpus / "cuts_train.jsonl.gz")[:2])
    for cut, text in zip(cuts, CHINESE, strict=True):
        cut.supervisions[0].text = text
    write_cuts(out, cuts)
    return out


@pytest.fixture
def cuts(corpus, tmp_path) -> Path:
    return cut_with_texts(corpus, tmp_path / "cuts_zh.jsonl.gz")


@pytest.fixture
def store(cuts, tmp_path) -> Path:
    """A store that counts in characters."""
    lists = [nbest(texts, [-1.0, -2.0, -3.0], errors, count) for texts, errors, count in CHINESE.values()]
    return write_nbest_store(tmp_path / "zh", read_cuts(cuts), lists, **CHAR.record())


def lists(store: Path, **settings: object) -> NbestLists:
    return NbestLists(store, SequenceSettings(targets=str(store), num_hypotheses=3, **settings))


def left(store: Path, cuts: Path, **limits: object) -> list[list[str]]:
    """The texts that are left of each cut."""
    found = lists(store, filter=limits)
    rules = found.rules()
    return [found.of_cut(cut, rules).texts for cut in read_cuts(cuts)]


def test_filters_count_in_the_stores_unit(store, cuts):
    first, second = (texts for texts, _, _ in CHINESE.values())
    assert left(store, cuts, max_wer=0.2) == [first[:2], second[:1]]  # 1 of 6 is, 1 of 2 is more
    assert left(store, cuts, max_repeats=3) == [first[:2], second]  # 好好好好
    durations = [cut.duration for cut in read_cuts(cuts)]
    most = 5.5 / durations[0]  # so many characters of the first cut
    assert left(store, cuts, words_per_second=[0, most])[0] == ["今天天气好"]


def test_what_a_filter_removed_is_told_in_the_stores_unit(store, cuts):
    found = lists(store, filter={"max_wer": 0.2, "words_per_second": [0, 0.001]})
    lines = found.examine(read_cuts(cuts), lambda record, left: None).lines
    assert "characters a second" in lines[0]
    found = lists(store, filter={"max_wer": 0.2})
    (line,) = found.examine(read_cuts(cuts), lambda record, left: None).lines
    assert "(CER 50.0%)" in line
    assert "WER " not in line


def test_weights_are_of_character_error_rates(store, cuts):
    found = lists(store, weights={"beta": 2.0})
    first, second = (found.of_cut(cut, found.rules()) for cut in read_cuts(cuts))
    expected = [math.exp(-2 * errors / 6) / 3 for errors in (0, 1, 4)]
    assert found.weights(first) == pytest.approx(expected)
    assert found.weights(second) == pytest.approx([math.exp(-errors) / 3 for errors in (0, 1, 2)])
    told = weigh(WeighRequest(store, (cuts,), ("filter.max_wer=0.2",), (2.0,)))
    assert told.endswith("2 of 2 cuts have hypotheses left; errors, words and CER are in --unit char")


def test_the_errors_of_a_store_are_counted_again_in_its_unit(store, cuts):
    found = check(store, (cuts,))
    assert found.problems == ()
    assert "character errors of 2 cuts counted again" in found.text()
    assert "oracle CER of the first N: 1: 0.00%" in check(store, (cuts,), deep=True).text()
    changed = list(read_cuts(cuts))
    changed[0].supervisions[0].text = "今 天 天气很坏"
    write_cuts(cuts, changed)
    (problem,) = check(store, (cuts,)).problems
    assert "has 0 in 6 characters in the store, 1 in 6 by the present transcript" in problem
    with pytest.raises(AsrkdError, match="0 in 6 characters in the store, 1 in 6"):
        lists(store, weights={"beta": 1}).examine(read_cuts(cuts), lambda record, left: None)


def test_moved_blanks_do_not_make_a_character_store_stale(store, cuts):
    changed = list(read_cuts(cuts))
    changed[0].supervisions[0].text = "今 天天气很 好"
    write_cuts(cuts, changed)
    assert check(store, (cuts,)).problems == ()


def test_the_report_draws_errors_and_oracle_of_the_stores_unit(store):
    found = measure_nbest(store)
    assert found.unit == CHAR
    assert found.oracle_wer == pytest.approx([0, 0, 0])
    assert "Character errors of stored hypotheses" in histogram(found)
    assert "Oracle character error rate" in oracle(found)


def test_a_store_whose_unit_has_other_rules_is_refused(cuts, tmp_path):
    unit = CHAR.record()["unit"] | {"version": 0}
    old = write_nbest_store(tmp_path / "old", read_cuts(cuts)[:1], [nbest(["好"], [-1.0])], unit=unit)
    with pytest.raises(AsrkdError, match="old/contract.json: its unit .*; make the store again: rm -r .*"):
        lists(old)


@pytest.fixture(scope="module")
def distilled(teacher, corpus, tmp_path_factory) -> dict[str, Path]:
    """Stores of one teacher by unit, made by the command; what it printed lies beside each."""
    folder = tmp_path_factory.mktemp("distilled")
    given = ["--teacher", teacher, "--cuts", corpus / "cuts_dev.jsonl.gz", "--beam", 4, "--nbest", 4]
    with pytest.MonkeyPatch.context() as patch:
        for name in ("plain", "word", "char", "mixed"):
            unit = [] if name == "plain" else ["--unit", name]
            words = ["asrkd", "distill", "nbest", *given, "--out", folder / name, *unit]
            patch.setattr("sys.argv", [str(word) for word in words])
            with pytest.raises(SystemExit, match="0"):
                run_command()
    return {path.name: path for path in folder.iterdir() if path.is_dir()}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_store_of_words_records_no_unit(distilled):
    plain, word = contents(distilled["plain"]), contents(distilled["word"])
    assert plain == word | {"sources.json": plain["sources.json"]}
    assert "unit" not in json.loads(plain["contract.json"])
    command = json.loads(plain["sources.json"])["command"]
    assert "--unit" not in command
    assert json.loads(word["sources.json"])["command"] == f"{command} --unit word"  # as it was typed
    assert NbestStore(distilled["plain"]).unit == find_unit("word")


def test_a_store_counts_characters_as_jiwer_does_without_blanks(distilled, corpus):
    store = NbestStore(distilled["char"])
    assert store.contract["unit"] == CHAR.record()["unit"]
    assert "--unit char" in store.remake
    wrong = 0
    for cut in read_cuts(corpus / "cuts_dev.jsonl.gz"):
        found, said = store.read(cut.id), transcript(cut).replace(" ", "")
        assert found.num_words == len(said)
        for text, errors in zip(found.texts, found.errors, strict=True):
            theirs = jiwer.process_characters(said, text.replace(" ", ""))
            assert errors == theirs.substitutions + theirs.deletions + theirs.insertions
            wrong += errors
    assert wrong > 0
    assert check(distilled["char"], deep=True).problems == ()


def test_mixed_units_of_a_latin_corpus_are_its_words(distilled):
    shards = [sorted(distilled[name].glob("shard-*.jsonl")) for name in ("mixed", "word", "char")]
    mixed, word, char = (b"".join(path.read_bytes() for path in own) for own in shards)
    assert mixed == word != char


def test_another_unit_is_another_store(distilled, teacher, corpus, monkeypatch, capsys):
    given = ["--teacher", str(teacher), "--cuts", str(corpus / "cuts_dev.jsonl.gz"), "--beam", "4"]
    out = ["--nbest", "4", "--out", str(distilled["plain"]), "--unit", "mixed"]
    monkeypatch.setattr("sys.argv", ["asrkd", "distill", "nbest", *given, *out])
    with pytest.raises(SystemExit, match="1"):
        run_command()
    assert "created with other settings: unit was not set" in capsys.readouterr().err


def test_a_student_is_validated_in_the_unit_of_its_config(config, corpus, tmp_path):
    def run(name: str, *overrides: str):
        return train(config, tmp_path / name, overrides, TrainOptions("cpu", threads=1), StopRequest())

    report = run("char", "phases.0.steps=4", "validation.unit=char")
    assert f", dev CER {report.validation['wer']:.2%}, " in report.text()
    said = [transcript(cut).replace(" ", "") for cut in read_cuts(corpus / "cuts_dev.jsonl.gz")]
    found = [one for one in read_metrics(tmp_path / "char/metrics.jsonl") if one["kind"] == "validation"]
    assert {one["unit"] for one in found} == {"char"}
    assert {one["words"] for one in found} == {sum(map(len, said))}
    assert all(one["wer"] == one["errors"] / one["words"] for one in found)
    again = run("char", "phases.0.steps=4", "validation.unit=char")
    assert again.already_complete and again.text().endswith(report.text().split("parameters", 1)[1])
    plain = run("plain", "phases.0.steps=4")
    assert ", dev WER " in plain.text() and "unit" not in plain.validation
    assert files.read_json(tmp_path / "char/lineage.json")["experiment"]["validation"]["unit"] == "char"
    assert "unit" not in files.read_json(tmp_path / "plain/lineage.json")["experiment"]["validation"]
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("char", "plain")]
    assert weights[0] == weights[1]


def test_a_unit_that_there_is_not_is_refused_before_training(config, tmp_path):
    options = TrainOptions("cpu", threads=1)
    with pytest.raises(AsrkdError, match="validation.unit"):
        train(config, tmp_path / "run", ["validation.unit=syllable"], options, StopRequest())


def system(folder: Path, name: str, unit: str | None) -> ReportedSystem:
    """What the curves need of a system: its log."""
    more = {} if unit is None else {"unit": unit}
    rows = [{"kind": "validation", "step": step, "loss": 1.0, "wer": 0.5} | more for step in (1, 2)]
    files.write_jsonl(folder / name / "metrics.jsonl", rows)
    return ReportedSystem(folder / name, name, 1, name, "student", 0, None, None, {})  # type: ignore[arg-type]


def test_curves_say_which_units_they_are_of(tmp_path):
    plain, char = system(tmp_path, "a", None), system(tmp_path, "b", "char")
    drawn = curves([plain])
    assert (drawn.rate_name, drawn.units) == ("Word error rate", "")
    drawn = curves([char])
    assert (drawn.rate_name, drawn.units) == ("Character error rate", "CER of b")
    drawn = curves([plain, char])
    assert (drawn.rate_name, drawn.units) == ("Error rate", "WER of a; CER of b")
