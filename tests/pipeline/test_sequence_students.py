"""Students of N-best lists as `asrkd train` makes them: mixtures, longer epochs, what filters leave out."""

import json
import math
from pathlib import Path

import pytest
import torch
import yaml

from asrkd.cli.main import run as run_command
from asrkd.commands.train import TrainOptions, train
from asrkd.core import config as configs
from asrkd.core.errors import AsrkdError
from asrkd.core.stopping import StopRequest
from asrkd.data.cuts.manifests import read_cuts, write_cuts
from asrkd.targets.sources.nbest import NbestLists
from asrkd.targets.sources.settings import SequenceSettings
from asrkd.targets.store.nbest import NbestStore
from asrkd.training.config import TrainConfig
from asrkd.training.metrics import read_metrics


def run(config: Path, out: Path, objectives: list, *overrides: str, **phase: object) -> str:
    """Train with these objectives; the report."""
    phases = json.dumps([{"objectives": objectives} | (phase or {"steps": 2})])
    options = TrainOptions("cpu", threads=1)
    return train(config, out, [f"phases={phases}", *overrides], options, StopRequest()).text()


def nbest(stores: Path, **settings: object) -> dict[str, object]:
    return {"ctc": {"targets": str(stores / "nbest"), "num_hypotheses": 3} | settings}


def losses(out: Path) -> dict[str, float]:
    (first, *_) = [record for record in read_metrics(out / "metrics.jsonl") if record["kind"] == "validation"]
    return first


def test_transcripts_and_hypotheses_are_two_scaled_terms(config, stores, tmp_path):
    run(config, tmp_path / "run", [{"ctc": {"scale": 0.25}}, nbest(stores, scale=0.75, weights={"beta": 2})])
    trained = [r for r in read_metrics(tmp_path / "run" / "metrics.jsonl") if r["kind"] == "train"]
    for record in trained:
        expected = 0.25 * record["loss_ctc"] + 0.75 * record["loss_ctc-nbest"]
        assert record["loss"] == pytest.approx(expected, rel=1e-5)


def test_an_expanded_epoch_is_as_many_passes_as_hypotheses(config, stores, tmp_path):
    plain = run(config, tmp_path / "plain", [nbest(stores)], epochs=1)
    expanded = run(config, tmp_path / "expanded", [nbest(stores, expand=True)], epochs=1)
    steps = [int(report.split(": ")[1].split(" ")[0]) for report in (plain, expanded)]
    assert steps[1] == 3 * steps[0]


def test_err_kd_of_beta_0_and_one_hypothesis_is_seq_kd(config, stores, tmp_path):
    err_kd = {"beta": 0, "normalized": True, "posterior": True, "rank_beta": 2}
    for name, own in (("seq", {}), ("err", {"weights": err_kd})):
        run(config, tmp_path / name, [nbest(stores, num_hypotheses=1, **own)])
    seq, err = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("seq", "err"))
    assert seq == err


def test_cuts_without_targets_are_dropped_and_counted(config, stores, corpus, tmp_path, capfd):
    store = NbestStore(stores / "nbest")
    cuts = read_cuts(corpus / "cuts_train.jsonl.gz")
    best = {cut.id: store.read(cut.id).hypotheses[0] for cut in cuts}
    confidence = {cut_id: own.log_prob / max(len(own.tokens), 1) for cut_id, own in best.items()}
    limit = {"min_confidence": sorted(confidence.values())[10]}
    wrong = [cut for cut in cuts if confidence[cut.id] < limit["min_confidence"]]
    assert len(wrong) == 10
    run(config, tmp_path / "run", [nbest(stores, filter=limit)])
    said = capfd.readouterr().err
    hours = sum(cut.duration for cut in wrong) / 3600
    assert "min_confidence -" in said
    assert f"all of {len(wrong)} cuts ({hours:.3f} h)" in said
    assert f"asrkd: {len(wrong)} of {len(cuts)} cuts ({hours:.3f} h) have no targets and are left out" in said
    (kept,) = [r for r in read_metrics(tmp_path / "run" / "metrics.jsonl") if r["kind"] == "targets"]
    assert [line for line in kept["notes"] if line not in said] == []
    assert len(kept["notes"]) == 2
    with_transcripts = [{"ctc": {}}, nbest(stores, filter=limit)]
    run(config, tmp_path / "both", with_transcripts)
    assert "left out of training" not in capfd.readouterr().err  # the transcript remains


def test_filters_that_leave_nothing_are_an_error_with_counts(config, stores, corpus, tmp_path, capfd):
    strict = {"words_per_second": [900, 901], "max_repeats": 2}
    with pytest.raises(AsrkdError, match="no targets are left for any of the 30 training cuts"):
        run(config, tmp_path / "run", [nbest(stores, filter=strict)])
    assert not (tmp_path / "run").exists()
    pace, loops = capfd.readouterr().err.splitlines()
    hours = sum(cut.duration for cut in read_cuts(corpus / "cuts_train.jsonl.gz")) / 3600
    assert "words_per_second [900.0, 901.0] removed " in pace
    assert f"all of 30 cuts ({hours:.3f} h), e.g. train-000" in pace
    assert "max_repeats 2 removed 0 hypotheses" in loops


def test_an_objective_without_any_cut_is_refused(config, stores, tmp_path):
    lists = nbest(stores, cuts="untranscribed")
    said = r"^objective ctc-nbest: uses untranscribed cuts, but 0 of 30 training cuts are untranscribed; "
    with pytest.raises(AsrkdError, match=said):
        run(config, tmp_path / "run", [lists, {"ctc": {"cuts": "transcribed"}}])
    assert not (tmp_path / "run").exists()


def test_too_many_hypotheses_are_refused_by_config_line(config, stores, tmp_path):
    said = r"nbest: num_hypotheses=5, but the store has at most 4 per cut; .*make a store with --nbest 5; "
    with pytest.raises(AsrkdError, match=said):
        run(config, tmp_path / "run", [nbest(stores, num_hypotheses=5)])
    assert not (tmp_path / "run").exists()
    NbestLists(stores / "nbest", SequenceSettings(targets=str(stores / "nbest")))  # 5 is the default


@pytest.mark.parametrize(
    "settings",
    [{"beta": math.inf}, {"rank_beta": math.inf}, {"posterior": True, "temperature": math.inf}],
)
def test_infinite_settings_are_refused_in_a_line(config, stores, settings):
    phases = yaml.safe_dump([{"steps": 1, "objectives": [nbest(stores, weights=settings)]}])
    with pytest.raises(AsrkdError, match="finite number, found inf") as error:
        configs.load(TrainConfig, config, [f"phases={phases}"])
    assert "\n" not in str(error.value)


@pytest.fixture
def half_transcribed(corpus, tmp_path) -> Path:
    """The training cuts, every second one without its text."""
    cuts = list(read_cuts(corpus / "cuts_train.jsonl.gz"))
    for cut in cuts[::2]:
        cut.supervisions[0].text = None
    write_cuts(tmp_path / "half.jsonl.gz", cuts)
    return tmp_path / "half.jsonl.gz"


def test_transcripts_where_present_and_the_teacher_elsewhere(config, stores, half_transcribed, tmp_path):
    data = f"data.train={half_transcribed}"
    with pytest.raises(AsrkdError, match=r"has no transcript;.*cuts: transcribed"):
        run(config, tmp_path / "run", [{"ctc": {}}], data)
    run(
        config,
        tmp_path / "run",
        [{"ctc": {"cuts": "transcribed"}}, nbest(stores, cuts="untranscribed")],
        data,
    )
    assert torch.isfinite(torch.tensor(losses(tmp_path / "run")["loss"]))


def test_an_unknown_weight_is_refused_by_its_name(config, stores):
    phases = json.dumps([{"steps": 1, "objectives": [nbest(stores, weights={"betta": 1})]}])
    with pytest.raises(AsrkdError, match="did you mean 'beta'"):
        configs.load(TrainConfig, config, [f"phases={phases}"])


def test_weights_are_shown_without_training_for_each_beta(stores, capsys, monkeypatch):
    path = stores / "nbest"
    words = ["asrkd", "targets", "weights", str(path), "--beta", "1", "--beta", "5"]
    monkeypatch.setattr("sys.argv", [*words, "--set", "num_hypotheses=2", "--set", "filter.max_repeats=1"])
    with pytest.raises(SystemExit) as stop:
        run_command()
    assert stop.value.code in (0, None)
    filtered, one, five, left = capsys.readouterr().out.splitlines()
    assert filtered.startswith("max_repeats 1 removed ")
    assert one.startswith("beta 1: weights of ") and five.startswith("beta 5: weights of ")
    assert left.startswith(f"{path}: ") and left.endswith("of 30 cuts have hypotheses left")
    monkeypatch.setattr("sys.argv", [*words, "--beta", "inf"])
    with pytest.raises(SystemExit) as stop:
        run_command()
    assert stop.value.code == 1
    assert "weights.beta: expected a finite number" in capsys.readouterr().err
    monkeypatch.setattr("sys.argv", [*words, "--set", "weights.bta=2"])
    with pytest.raises(SystemExit) as stop:
        run_command()
    assert stop.value.code == 1
    assert "weights.bta: unknown key; did you mean 'beta'?" in capsys.readouterr().err
