"""Several dev sets of a training, against trainings with one of them each, and against `asrkd score`."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from asrkd.commands.check import check
from asrkd.commands.score import ScoreRequest, score
from asrkd.commands.train import TrainOptions, train
from asrkd.core.errors import AsrkdError
from asrkd.core.stopping import StopRequest
from asrkd.data.cuts.manifests import read_cuts, write_cuts
from asrkd.evaluation.report.scored_cuts import dev_cuts, scored_cuts
from asrkd.scoring.score_corpus import Rules
from asrkd.training.metrics import read_metrics
from tests.conftest import TINY, make_cuts

OPTIONS = TrainOptions("cpu", threads=1)
OVERRIDES = (
    "phases.0.steps=140",
    "validation.every_steps=70",
    "optim.lr=0.02",
    "augment={specaugment: null}",
)


@pytest.fixture(scope="module")
def sets(corpus, tmp_path_factory) -> tuple[Path, Path]:
    """Manifests of two dev sets, in different folders: one's features have relative paths."""
    folder = tmp_path_factory.mktemp("other")
    cuts = make_cuts(folder, "heldout", 4)
    relative = [replace(cut, features=replace(cut.features, storage_path="features_heldout")) for cut in cuts]
    write_cuts(folder / "cuts_heldout.jsonl.gz", relative)
    return corpus / "cuts_dev.jsonl.gz", folder / "cuts_heldout.jsonl.gz"


@pytest.fixture(scope="module")
def runs(corpus, sets, tmp_path_factory) -> SimpleNamespace:
    """Folders of a training with both sets, and of one with each of them."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "config.yaml").write_text(TINY.format(folder=corpus))
    first, second = sets
    for name, dev in (("both", f"[{first}, {second}]"), ("dev", first), ("heldout", second)):
        train(folder / "config.yaml", folder / name, [*OVERRIDES, f"data.dev={dev}"], OPTIONS, StopRequest())
    return SimpleNamespace(both=folder / "both", dev=folder / "dev", heldout=folder / "heldout")


def validations(run: Path) -> list[dict]:
    return [record for record in read_metrics(run / "metrics.jsonl") if record["kind"] == "validation"]


def test_both_are_pooled_and_each_has_its_own_errors(runs):
    logs = zip(validations(runs.both), validations(runs.dev), validations(runs.heldout), strict=True)
    for both, *single in logs:
        for name, alone in zip(("dev", "heldout"), single, strict=True):
            assert [both[f"{key}_{name}"] for key in ("wer", "errors", "words")] == [
                alone[key] for key in ("wer", "errors", "words")
            ]
            assert not any(key.startswith(("wer_", "errors_", "words_")) for key in alone)
        errors, words = (sum(alone[key] for alone in single) for key in ("errors", "words"))
        assert (both["errors"], both["words"], both["wer"]) == (errors, words, errors / words)
        assert min(alone["loss"] for alone in single) < both["loss"] < max(alone["loss"] for alone in single)
    assert 0 < both["wer_dev"] != both["wer_heldout"] < 1
    weights = {(run / "model.safetensors").read_bytes() for run in vars(runs).values()}
    assert len(weights) == 1


def test_errors_are_those_of_scores_of_the_sets_names(runs, sets, tmp_path):
    stamp = json.loads((runs.both / "stamp.json").read_text())["validation"]
    for manifest in sets:
        score(ScoreRequest(runs.both, manifest, tmp_path / manifest.name), StopRequest())
        scored = json.loads((tmp_path / manifest.name / "score.json").read_text())
        assert stamp[f"wer_{scored['set']}"] == pytest.approx(scored["wer"])
        assert stamp[f"words_{scored['set']}"] == scored["counts"]["reference_length"]


def test_dev_cuts_that_are_trained_on_are_a_warning(corpus, config, sets, tmp_path, capsys):
    cuts = list(read_cuts(corpus / "cuts_train.jsonl.gz"))
    copy = replace(cuts[1], id=f"{cuts[1].id}_sp0.9")
    mixed, rest = tmp_path / "cuts_mixed.jsonl.gz", tmp_path / "cuts_rest.jsonl.gz"
    write_cuts(mixed, [cuts[0], *(replace(cut, id=f"new-{cut.id}") for cut in cuts[1:3])])
    write_cuts(rest, [copy, *cuts[2:]])
    overrides = ["phases.0.steps=1", f"data.dev=[{sets[0]},{mixed}]"]
    train(config, tmp_path / "run", overrides, OPTIONS, StopRequest())
    warned = [line for line in capsys.readouterr().err.splitlines() if "in training too" in line]
    assert len(warned) == 1 and f"{mixed}: 1 of 3 cuts in training too" in warned[0]
    assert f"asrkd prepare subset {corpus / 'cuts_train.jsonl.gz'} --without {mixed}" in warned[0]
    train(config, tmp_path / "rest", [*overrides, f"data.train={rest}"], OPTIONS, StopRequest())
    assert "in training too" not in capsys.readouterr().err
    write_cuts(mixed, cuts[:2])
    train(config, tmp_path / "copies", [*overrides, f"data.train={rest}"], OPTIONS, StopRequest())
    assert f"{mixed}: 1 of 2 cuts in training too" in capsys.readouterr().err


def test_a_complete_run_says_the_rate_of_each(runs, sets):
    config = runs.both.parent / "config.yaml"
    report = train(config, runs.both, [*OVERRIDES, f"data.dev=[{sets[0]},{sets[1]}]"], OPTIONS, StopRequest())
    values = report.validation
    rates = f"dev WER {values['wer']:.2%} (dev {values['wer_dev']:.2%}, heldout {values['wer_heldout']:.2%})"
    assert report.already_complete and rates in report.text()
    alone = train(config, runs.dev, [*OVERRIDES, f"data.dev={sets[0]}"], OPTIONS, StopRequest())
    assert f"dev WER {alone.validation['wer']:.2%}, loss" in alone.text()


def test_a_path_alone_is_recorded_as_it_was(runs, sets):
    recorded = {run: json.loads((run / "lineage.json").read_text()) for run in vars(runs).values()}
    assert recorded[runs.dev]["experiment"]["data"]["dev"] == str(sets[0])
    assert recorded[runs.both]["experiment"]["data"]["dev"] == list(map(str, sets))


def test_check_reads_all_of_them(runs, sets):
    assert check(runs.both, (), deep=False).problems == ()
    kept = sets[1].read_bytes()
    cuts = list(read_cuts(sets[1]))
    cuts[0].supervisions[0].text = "OFF ON"
    try:
        write_cuts(sets[1], cuts)
        (problem,) = check(runs.both, (), deep=False).problems
        assert f"the transcripts of {sets[0]} and {sets[1]} changed since training" in problem
        sets[1].unlink()
        report = check(runs.both, (), deep=False)
        assert report.problems == () and any(f"no longer at {sets[1]}" in note for note in report.notes)
    finally:
        sets[1].write_bytes(kept)


def test_a_report_finds_the_cuts_of_all(runs, sets):
    experiment = json.loads((runs.both / "config.json").read_text())["experiment"]
    utterances = [SimpleNamespace(id=cut.id, reference=cut.texts[0]) for cut in read_cuts(sets[1]).records]
    scored = SimpleNamespace(set_name="heldout", utterances=utterances, normalizer=Rules().normalizer)
    system = SimpleNamespace(folder=runs.both, experiment=experiment, label="both", score=scored)
    cuts = dev_cuts(system)
    assert [cut.id for cut in cuts.records] == [cut.id for path in sets for cut in read_cuts(path).records]
    assert all(cut.load_features() is not None for cut in cuts)
    beside = scored_cuts([system], None)
    assert list(beside) == [each.id for each in utterances]


@pytest.mark.parametrize(
    ("dev", "complaint"),
    [
        ("[]", "data.dev: expected a path, or a list of at least one path"),
        ("3", "data.dev: expected a path, or a list of paths, found 3"),
        ("[{a}, 3]", "data.dev: expected a path, or a list of paths$"),
        ("[{a}, {a}]", "data.dev: two manifests of the name 'dev', under which errors are recorded; rename"),
        ("[{a}, gone.jsonl]", "^data.dev.1: gone.jsonl: no such .*; set it with --set data.dev.1=PATH$"),
        ("[{a}, {same}]", "same.jsonl.gz: cut 'dev-000' is in .*cuts_dev.jsonl.gz too; .* prepare subset "),
        ("[{a}, {narrow}]", "narrow.jsonl.gz: its features differ from those of"),
    ],
)
def test_sets_that_do_not_fit_are_refused_before_the_folder(config, sets, tmp_path, dev, complaint):
    cuts = list(read_cuts(sets[0]))
    write_cuts(tmp_path / "same.jsonl.gz", cuts[:1])
    narrow = replace(cuts[0], id="x", features=replace(cuts[0].features, num_features=4))
    write_cuts(tmp_path / "narrow.jsonl.gz", [narrow])
    dev = dev.format(a=sets[0], same=tmp_path / "same.jsonl.gz", narrow=tmp_path / "narrow.jsonl.gz")
    with pytest.raises(AsrkdError, match=complaint):
        train(config, tmp_path / "run", [f"data.dev={dev}"], OPTIONS, StopRequest())
    assert not (tmp_path / "run").exists()
