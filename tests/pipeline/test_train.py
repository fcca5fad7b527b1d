"""The stage `train`: what it leaves, that it learns, and that stopping it changes nothing."""

import math
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from asrkd.commands.check import check
from asrkd.commands.train import TrainOptions, train
from asrkd.core.config import load
from asrkd.core.errors import AsrkdError, StoppedInTime, counted
from asrkd.core.stopping import StopRequest
from asrkd.data.cuts.manifests import read_cuts, write_cuts
from asrkd.models.directory import load_model
from asrkd.training import checkpoint as ckpt
from asrkd.training.config import TrainConfig
from asrkd.training.distributed import Processes
from asrkd.training.metrics import read_metrics
from asrkd.training.plan import plan_epoch
from tests.stop_after import StopAfter


def run(config: Path, out: Path, *overrides: str, resume: bool = False, stop: StopRequest | None = None):
    options = TrainOptions(device="cpu", threads=1, resume=resume)
    return train(config, out, overrides, options, stop or StopRequest())


def weights(out: Path) -> bytes:
    return (out / "model.safetensors").read_bytes()


def test_it_learns_the_corpus_and_leaves_a_complete_model(config, tmp_path):
    plain = ("augment.specaugment=null", "model.dropout=0", "optim.lr=0.02")
    report = run(config, tmp_path / "run", "phases.0.steps=160", "validation.every_steps=80", *plain)
    first, *_, last = (r for r in read_metrics(tmp_path / "run/metrics.jsonl") if r["kind"] == "validation")
    assert first["step"] == 0
    assert last["loss"] < first["loss"] / 4
    assert report.validation["wer"] < 0.7
    model = load_model(tmp_path / "run")
    assert model.tokens.decode(model.tokens.encode("YES NO")) == "YES NO"
    assert {p.name for p in (tmp_path / "run").iterdir()} >= {
        "config.json", "lineage.json", "tokens.txt", "model.safetensors", "metrics.jsonl", "stamp.json",
    }  # fmt: skip


@pytest.mark.parametrize("questions", [1, 4, 7])
def test_a_stopped_and_resumed_run_ends_with_the_same_bytes(config, tmp_path, questions):
    run(config, tmp_path / "whole")
    with pytest.raises(StoppedInTime, match="checkpoint of step"):
        run(config, tmp_path / "parts", stop=StopAfter(questions))
    assert not (tmp_path / "parts/stamp.json").exists()
    run(config, tmp_path / "parts", resume=True)
    assert weights(tmp_path / "whole") == weights(tmp_path / "parts")
    assert _without_times(tmp_path / "whole") == _without_times(tmp_path / "parts")


def _without_times(out: Path) -> list[dict]:
    drop = ("seconds", "train_seconds")
    return [{k: v for k, v in r.items() if k not in drop} for r in read_metrics(out / "metrics.jsonl")]


@pytest.mark.parametrize("key", ["data.train", "data.dev", "data.tokens"])
def test_a_missing_input_is_named_by_its_key(config, tmp_path, key):
    with pytest.raises(AsrkdError, match=rf"^{key}: nowhere: no such .*; set it with --set {key}=PATH$"):
        run(config, tmp_path / "run", f"{key}=nowhere")
    assert not (tmp_path / "run").exists()


def test_a_missing_store_is_named_by_its_key_if_it_is_used(config, tmp_path):
    with pytest.raises(AsrkdError, match=r"^stores.lists: nowhere: no such .* --set stores.lists=PATH$"):
        run(config, tmp_path / "run", "stores.lists=nowhere", "phases.0.objectives=[ctc: {targets: lists}]")
    run(config, tmp_path / "run", "stores.lists=nowhere", "phases.0.steps=1")


def test_a_broken_newest_checkpoint_is_skipped(config, tmp_path, capsys):
    run(config, tmp_path / "whole")
    with pytest.raises(StoppedInTime):
        run(config, tmp_path / "parts", stop=StopAfter(7))
    newest = ckpt.list_checkpoints(tmp_path / "parts/checkpoints")[-1]
    newest.write_bytes(newest.read_bytes()[:-100])
    run(config, tmp_path / "parts", resume=True)
    assert "broken checkpoint skipped" in capsys.readouterr().err
    assert weights(tmp_path / "whole") == weights(tmp_path / "parts")


def test_equal_seeds_give_equal_bytes_and_others_do_not(config, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run(config, tmp_path / name, f"seed={seed}")
    assert weights(tmp_path / "a") == weights(tmp_path / "b") != weights(tmp_path / "c")


def test_a_complete_run_is_not_trained_again(config, tmp_path):
    run(config, tmp_path / "run")
    before = (tmp_path / "run/metrics.jsonl").read_bytes()
    report = run(config, tmp_path / "run")
    assert report.already_complete
    assert "already complete" in report.text()
    assert (tmp_path / "run/metrics.jsonl").read_bytes() == before


def test_another_config_names_the_first_difference(config, tmp_path):
    run(config, tmp_path / "run")
    with pytest.raises(AsrkdError, match=r"experiment\.optim\.lr was 0.01, is now 0.02"):
        run(config, tmp_path / "run", "optim.lr=0.02")


def test_an_unfinished_run_wants_to_be_told_to_resume(config, tmp_path):
    with pytest.raises(StoppedInTime):
        run(config, tmp_path / "run", stop=StopAfter(2))
    with pytest.raises(AsrkdError, match="--resume"):
        run(config, tmp_path / "run")


def test_a_folder_of_something_else_is_refused_and_left_alone(config, tmp_path):
    out = tmp_path / "run"
    out.mkdir()
    (out / "thesis.tex").write_text("three years")
    with pytest.raises(AsrkdError, match="holds 'thesis.tex'"):
        run(config, out)
    assert [p.name for p in out.iterdir()] == ["thesis.tex"]


def test_two_phases_are_trained_one_after_the_other(config, tmp_path):
    second = "{steps: 2, restart: false, objectives: [{ctc: {scale: 0.5}}]}"
    phases = f"phases=[{{steps: 3, objectives: [ctc]}}, {second}]"
    assert run(config, tmp_path / "run", phases).steps == 5


OWN_OPTIM = (
    "optim.warmup_steps=0",
    "optim.schedule=constant",
    "phases=[{steps: 4, optim: {lr: 0.002, betas: [0.5, 0.9], weight_decay: 0.5}, objectives: [ctc]}, "
    "{steps: 3, restart: false, objectives: [{ctc: {scale: 0.5}}]}, {steps: 4, objectives: [ctc]}]",
)


def test_a_phase_has_an_optimizer_of_its_own_also_resumed(config, tmp_path):
    run(config, tmp_path / "whole", *OWN_OPTIM)
    for more in (
        4,
        4,
    ):  # a stop in the second phase, which shares the first one's optimizer; one in the third
        with pytest.raises(StoppedInTime):
            run(config, tmp_path / "parts", *OWN_OPTIM, resume=True, stop=StopAfter(more))
    run(config, tmp_path / "parts", *OWN_OPTIM, resume=True)
    assert weights(tmp_path / "whole") == weights(tmp_path / "parts")
    run(config, tmp_path / "other", *(setting.replace("0.5, 0.9", "0.5, 0.8") for setting in OWN_OPTIM))
    assert weights(tmp_path / "whole") != weights(tmp_path / "other")
    experiment = load(TrainConfig, config, OWN_OPTIM)
    assert [experiment.optim_of(phase).lr for phase in range(3)] == [0.002, 0.002, 0.01]
    assert experiment.optim_of(1).betas == (0.5, 0.9)
    assert experiment.optim_of(0).schedule == "constant", (
        "a key that the phase lacks is that of the experiment"
    )


@pytest.mark.parametrize(
    ("phases", "message"),
    [
        (
            "[{steps: 1, restart: false, optim: {lr: 0.1}, objectives: [ctc]}]",
            "optim of a phase needs restart: true",
        ),
        (
            "[{steps: 1, optim: {accumulate: 2}, objectives: [ctc]}]",
            "optim.accumulate must be one for all phases",
        ),
        (
            "[{steps: 1, optim: {rl: 0.1}, objectives: [ctc]}]",
            "phases.0.optim.rl: unknown key; did you mean 'lr'",
        ),
    ],
)
def test_an_optimizer_of_a_phase_without_effect_is_refused(config, tmp_path, phases, message):
    with pytest.raises(AsrkdError, match=message):
        run(config, tmp_path / "run", f"phases={phases}")


def batches_of_an_epoch(corpus: Path) -> int:
    cuts = list(read_cuts(corpus / "cuts_train.jsonl.gz"))
    return len(plan_epoch(cuts, seed=1, epoch=0, max_duration=6, num_buckets=2).batches)


def test_an_exponential_rate_falls_by_epoch_also_resumed(config, corpus, tmp_path):
    falling = ("optim.schedule=exponential", "optim.epoch_factor=0.5", "optim.warmup_steps=0")
    steps = 2 * batches_of_an_epoch(corpus) + 1
    falling = (*falling, f"phases.0.steps={steps}", f"averaging.every_steps={steps}")
    run(config, tmp_path / "whole", *falling)
    with pytest.raises(StoppedInTime):
        run(config, tmp_path / "parts", *falling, stop=StopAfter(batches_of_an_epoch(corpus) - 1))
    run(config, tmp_path / "parts", *falling, resume=True)
    assert weights(tmp_path / "whole") == weights(tmp_path / "parts")
    *_, last = (r for r in read_metrics(tmp_path / "parts/metrics.jsonl") if r["kind"] == "train")
    assert (last["step"], last["lr"]) == (steps, pytest.approx(0.01 / 4))


def test_epochs_count_batches_of_the_plan(config, corpus, tmp_path):
    report = run(config, tmp_path / "run", "phases=[{epochs: 2, objectives: [ctc]}]")
    assert report.steps == 2 * batches_of_an_epoch(corpus)


def test_accumulation_gives_the_gradient_of_one_large_batch(config, corpus, tmp_path):
    """No dropout, no augmentation: all batches of an epoch in one update, against one batch of all cuts."""
    still = ("model.dropout=0", "augment.specaugment=null", "phases.0.steps=1")
    many = batches_of_an_epoch(corpus)
    assert many > 2
    run(config, tmp_path / "many", *still, f"optim.accumulate={many}")
    run(config, tmp_path / "one", *still, "data.max_duration=1000", "optim.accumulate=9")
    reports = [_first_update(tmp_path / name) for name in ("many", "one")]
    assert reports[0]["loss"] == pytest.approx(reports[1]["loss"], rel=1e-5)
    assert reports[0]["gradient_norm"] == pytest.approx(reports[1]["gradient_norm"], rel=1e-4)


def _first_update(out: Path) -> dict:
    return next(record for record in read_metrics(out / "metrics.jsonl") if record["kind"] == "train")


def test_exported_weights_are_the_mean_of_the_last_snapshots(config, tmp_path):
    run(config, tmp_path / "run")
    found = ckpt.load_latest(tmp_path / "run/checkpoints")
    assert found is not None and len(found.snapshots) == 2
    name = "student.ctc_head.weight"
    mean = (found.snapshots[0][name] + found.snapshots[1][name]) / 2
    exported = load_file(str(tmp_path / "run/model.safetensors"))["ctc_head.weight"]
    torch.testing.assert_close(exported, mean)


def test_bf16_trains_and_fp16_on_cpu_is_refused(config, tmp_path):
    options = TrainOptions(device="cpu", precision="bf16", threads=1)
    report = train(config, tmp_path / "run", ["phases.0.steps=2"], options, StopRequest())
    assert report.validation["loss"] > 0
    with pytest.raises(AsrkdError, match="fp16: does not exist on CPU"):
        train(config, tmp_path / "x", [], TrainOptions(device="cpu", precision="fp16"), StopRequest())


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("optim.lrr=1", "optim.lrr: unknown key; did you mean 'lr'"),
        ("phases.0.steps=0", "phases.0.steps"),
        ("phases=[{objectives: [ctc]}]", "exactly one of steps and epochs"),
        ("phases=[{steps: 1, objectives: [ctcc]}]", "did you mean 'ctc'"),
        ("phases=[{steps: 1, objectives: [{ctc: {scal: 2}}]}]", "did you mean 'scale'"),
        ("model.dim=15", "even multiple"),
        ("data.train=nowhere.jsonl.gz", "nowhere.jsonl.gz: no such file"),
        ("data.max_cut=0.1", "no cut between"),
        ("phases=[{steps: 1, objectives: [{ctc: {targets: nowhere}}]}]", "nowhere: no such folder"),
    ],
)
def test_a_mistake_in_the_config_is_a_line_and_makes_no_folder(config, tmp_path, override, complaint):
    with pytest.raises(AsrkdError, match=complaint) as error:
        run(config, tmp_path / "run", override)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


def too_long(corpus, tmp_path, kept: int) -> str:
    """The training cuts, all but ``kept`` of them with more letters than frames."""
    cuts = list(read_cuts(corpus / "cuts_train.jsonl.gz"))
    for cut in cuts[kept:]:
        cut.supervisions[0].text = "NO " * 200
    write_cuts(tmp_path / "cuts.jsonl.gz", cuts)
    return f"data.train={tmp_path}/cuts.jsonl.gz"


def test_an_update_without_a_fitting_transcript_is_a_no_op(config, corpus, tmp_path):
    wrong = (
        too_long(corpus, tmp_path, 1),
        "averaging.last=1",
        "data.max_duration=0.5",
        "optim.weight_decay=0",
    )
    run(config, tmp_path / "a", *wrong, "phases.0.steps=1")
    run(config, tmp_path / "b", *wrong, "phases.0.steps=3")
    assert _first_update(tmp_path / "b")["loss"] == 0
    assert weights(tmp_path / "a") == weights(tmp_path / "b")


def test_transcripts_too_long_for_ctc_are_counted_at_once(config, corpus, tmp_path, capsys):
    """600 characters with 599 blanks or repeats between them need more than the 15 frames of 0.6 s."""
    run(config, tmp_path / "run", too_long(corpus, tmp_path, 20), "phases.0.steps=1")
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "need more frames" in line]
    cuts = list(read_cuts(corpus / "cuts_train.jsonl.gz"))[20:]
    hours = sum(cut.duration for cut in cuts) / 3600
    assert "objective ctc: 10 of 30 token sequences need more frames than their audio has" in line
    assert f"all of 10 cuts ({hours:.3f} h), e.g. {cuts[0].id} ({cuts[0].duration:g} s, " in line
    notes = check(tmp_path / "run").notes
    assert any(line.removeprefix("asrkd: ") in seen for seen in notes)


def test_where_ctc_can_align_nothing_training_is_refused(config, corpus, tmp_path):
    with pytest.raises(
        AsrkdError, match=r"objective ctc: nothing is left to train on: .* 30 cuts .*train-000"
    ):
        run(config, tmp_path / "run", too_long(corpus, tmp_path, 0))
    assert not (tmp_path / "run").exists()


def test_a_transcript_with_unknown_symbols_names_the_cut(config, corpus, tmp_path):
    cuts = list(read_cuts(corpus / "cuts_train.jsonl.gz"))
    cuts[3].supervisions[0].text = "YES ÄH"
    write_cuts(tmp_path / "cuts.jsonl.gz", cuts)
    with pytest.raises(AsrkdError, match=r"cut train-003.*Ä"):
        run(config, tmp_path / "run", f"data.train={tmp_path}/cuts.jsonl.gz")
    assert not (tmp_path / "run").exists()


def test_more_workers_than_processors_are_one_line(capsys):
    workers = len(os.sched_getaffinity(0)) + 1
    TrainOptions("cpu", workers=workers).environment(Processes())
    cpus = counted(workers - 1, "CPU")
    line = f"asrkd: --workers {workers}: this process has {cpus}, which its loader processes share"
    assert capsys.readouterr().err.splitlines() == [line]
    TrainOptions("cpu", workers=1).environment(Processes())
    assert capsys.readouterr().err == ""


def test_a_run_on_the_plateau_warns_once_also_when_it_is_resumed(config, tmp_path, capsys):
    """A learning rate of nearly nothing keeps the loss, but for what batches differ by."""
    slow = ("optim.lr=1e-9", "optim.warmup_steps=0", "phases.0.steps=400", "validation.every_steps=1000")

    def train_to(step: int, out: Path) -> str:
        options = TrainOptions(device="cpu", threads=1, resume=True, until_step=step)
        with pytest.raises(StoppedInTime):
            train(config, out, slow, options, StopRequest())
        return "".join(line for line in capsys.readouterr().err.splitlines() if "on CTC's plateau" in line)

    warning = train_to(120, tmp_path / "whole")
    assert "asrkd: whole: step 120: on CTC's plateau: CTC loss of " in warning
    assert "try another optim.lr" in warning and warning.count("plateau") == 1
    warnings = [train_to(step, tmp_path / "parts") for step in (90, 120, 121)]
    assert [bool(line) for line in warnings] == [False, True, False]
    log = _without_times(tmp_path / "parts")
    assert _without_times(tmp_path / "whole") == log
    (noted,), (data,) = ([row for row in log if row["kind"] == kind] for kind in ("plateau", "data"))
    assert noted["step"] == 120 and noted["unigram"] == data["unigram"]
    assert data["cuts"] == 30 and data["hours"] > 0


def test_the_logged_unigram_loss_is_that_of_the_dev_transcripts(config, corpus, tmp_path):
    run(config, tmp_path / "run", "phases.0.steps=1")
    text = [" ".join(s.text for s in cut.supervisions) for cut in read_cuts(corpus / "cuts_dev.jsonl.gz")]
    letters = "".join(text)
    shares = [letters.count(letter) / len(letters) for letter in set(letters)]
    (data,) = [r for r in read_metrics(tmp_path / "run/metrics.jsonl") if r["kind"] == "data"]
    assert data["unigram"] == pytest.approx(-sum(share * math.log(share) for share in shares))
