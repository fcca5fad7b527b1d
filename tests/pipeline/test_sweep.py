"""Sweeps as a whole: tiny grids trained side by side, killed, resumed, diverging, failing."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from asrkd.commands.check import check
from asrkd.commands.sweep import SweepRequest, Training, sweep
from asrkd.commands.train import TrainOptions, count_steps, train
from asrkd.core.errors import AsrkdError, DivergedError
from asrkd.core.shared_work import ShardOf, Workers
from asrkd.core.stopping import StopRequest
from asrkd.training.metrics import read_metrics
from tests import forked

TIMEOUT = 120
GRID = ("optim.lr=0.01,0.02", "augment.specaugment=null,{num_frame_masks: 1, frame_mask_size: 4}")
OPTIONS = TrainOptions("cpu", threads=1, checkpoint_every_s=0.0)


def sweep_here(config: Path, out: Path, vary: tuple[str, ...] = GRID, jobs: int = 2, **more):
    request = SweepRequest(config, more.pop("overrides", ()), vary, out, workers=Workers(jobs), **more)
    return sweep(request, Training(train, count_steps, OPTIONS), StopRequest())


def command(config: Path, out: Path, *more: str, vary: tuple[str, ...] = GRID) -> list[str]:
    keys = [word for key in vary for word in ("--vary", key)]
    words = ["sweep", str(config), *keys, "--out", str(out), "--device", "cpu", *more]
    return [sys.executable, "-m", "asrkd", *words]


def table(out: Path) -> tuple[str, dict]:
    """The table, and the JSON without times."""
    record = json.loads((out / "sweep.json").read_text())
    for setting in record["settings"]:
        for run in setting["runs"]:
            del run["train_seconds"]
    return (out / "sweep.txt").read_text(), record


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def whole(lasting_config, tmp_path_factory) -> Path:
    """A sweep of four runs, two at a time, that nobody disturbed."""
    out = tmp_path_factory.mktemp("sweep") / "whole"
    done = forked.run(
        command(lasting_config, out, "--jobs", "2"), capture_output=True, text=True, timeout=TIMEOUT
    )
    assert done.returncode == 0, done.stderr
    assert (out / "sweep.txt").read_text().strip() in done.stdout
    return out


def test_the_best_is_the_minimum_of_the_logs(whole):
    _, record = table(whole)
    last = {run.name: read_metrics(run / "metrics.jsonl")[-2] for run in (whole / "runs").glob("lr*")}
    assert len(last) == 4
    best = min(last, key=lambda name: (last[name]["wer"], last[name]["loss"]))
    assert record["chosen"] == record["settings"][0]["name"] == best
    assert json.loads((whole / "stamp.json").read_text())["chosen"] == best


def test_the_runs_are_those_of_asrkd_train(whole, lasting_config, tmp_path):
    chosen = whole / "runs" / json.loads((whole / "sweep.json").read_text())["chosen"]
    best = yaml.safe_load((whole / "best.yaml").read_text())
    train(whole / "best.yaml", tmp_path / "again", [], OPTIONS, StopRequest())
    assert weights(tmp_path / "again") == weights(chosen)
    assert (tmp_path / "again/lineage.json").read_bytes() == (chosen / "lineage.json").read_bytes()
    words = ["--set", f"optim.lr={best['optim']['lr']}", "--set"]
    assert " ".join(words) in json.loads((chosen / "command.json").read_text())["command"]


def test_two_runs_are_trained_at_the_same_time(whole):
    """The first two begin before either has ended, by the times of their files."""
    spans = []
    for run in (whole / "runs").glob("lr*"):
        times = [path.stat().st_mtime_ns for path in (run / "lineage.json", run / "stamp.json")]
        spans.append(times)
    spans.sort()
    assert any(later[0] < earlier[1] for earlier, later in zip(spans, spans[1:], strict=False))


@pytest.mark.slow
@pytest.mark.parametrize("kill", [os.killpg, os.kill], ids=["all processes", "the sweep alone"])
def test_a_sweep_that_is_killed_resumes_to_the_same_table(whole, lasting_config, tmp_path, kill):
    out = tmp_path / "killed"
    options = command(lasting_config, out, "--jobs", "2")
    process = subprocess.Popen(options, stderr=subprocess.DEVNULL, start_new_session=True)
    give_up_at = time.monotonic() + TIMEOUT
    while not list(out.glob("runs/lr*/checkpoints/step-00000004*")):
        assert time.monotonic() < give_up_at and process.poll() is None
        time.sleep(0.002)
    kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (out / "stamp.json").exists()
    sweep_here(lasting_config, out, jobs=1)
    assert table(out)[0] == table(whole)[0]
    assert {**table(out)[1], "request": 0} == {**table(whole)[1], "request": 0}
    for run in (whole / "runs").glob("lr*"):
        assert weights(run) == weights(out / "runs" / run.name)


def test_a_grid_may_grow_and_its_runs_stay(whole, lasting_config, tmp_path):
    out = tmp_path / "grown"
    sweep_here(lasting_config, out, ("optim.lr=0.01,0.02",))
    (stamp,) = out.glob("runs/lr=0.01/stamp.json")
    before = stamp.stat().st_mtime_ns
    report = sweep_here(lasting_config, out, ("optim.lr=0.005,0.01,0.02",))
    assert len(report.results.rows) == 3 and not report.already_complete
    assert stamp.stat().st_mtime_ns == before
    assert sweep_here(lasting_config, out, ("optim.lr=0.005,0.01,0.02",)).already_complete
    with pytest.raises(AsrkdError, match=r"created with other settings: config.optim.warmup_steps"):
        sweep_here(lasting_config, out, ("optim.lr=0.01,0.02",), overrides=("optim.warmup_steps=2",))


def test_a_run_that_diverges_is_a_row(config, tmp_path):
    out = tmp_path / "sweep"
    more = {"overrides": ("phases.0.steps=60", "validation.every_steps=60")}
    report = sweep_here(config, out, ("optim.lr=0.01,1e30",), **more)
    assert [row.state for row in report.results.rows] == ["complete", "diverged"]
    assert "no finite gradient in 51 updates" in (out / "sweep.txt").read_text()
    before = (out / "sweep.txt").read_bytes()
    assert sweep_here(config, out, ("optim.lr=0.01,1e30",), **more).already_complete
    assert (out / "sweep.txt").read_bytes() == before


def test_a_run_that_diverges_before_a_validation_is_a_row(config, tmp_path):
    """Its model gives NaN for the dev set long before 51 updates are without a finite gradient."""
    more = {"overrides": ("phases.0.steps=2", "validation.every_steps=2")}
    report = sweep_here(config, tmp_path / "sweep", ("optim.lr=0.01,1e30",), **more)
    assert [row.state for row in report.results.rows] == ["complete", "diverged"]
    reason = "the transcript loss on the dev set is NaN; lower optim.lr or raise"
    assert f"lr=1e+30: diverged: {reason}" in (tmp_path / "sweep/sweep.txt").read_text()


def _diverges(path, out, overrides, options, stop):
    """In place of training."""
    raise DivergedError("no finite gradient")


def test_a_sweep_whose_runs_all_diverge_chooses_none(config, tmp_path):
    request = SweepRequest(config, (), ("optim.lr=1,2",), tmp_path / "sweep")
    training = Training(_diverges, count_steps, OPTIONS)
    for _ in range(2):
        with pytest.raises(AsrkdError, match=r"every setting diverged; give lower values of optim\.lr"):
            sweep(request, training, StopRequest())
    assert not (tmp_path / "sweep/best.yaml").exists()
    assert (tmp_path / "sweep/sweep.txt").read_text().count("diverged: no finite gradient") == 2


def _killed_at_high_rates(path, out, overrides, options, stop):
    """In place of training: one run is killed."""
    if "optim.lr=0.02" in overrides and not (out.parent / "killed").exists():
        (out.parent / "killed").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    train(path, out, overrides, options, stop)


def test_a_run_that_is_killed_leaves_the_others_alone(config, tmp_path, capsys):
    request = SweepRequest(config, (), ("optim.lr=0.01,0.02,0.03",), tmp_path / "sweep")
    training = Training(_killed_at_high_rates, count_steps, OPTIONS)
    with pytest.raises(AsrkdError, match=r"1 run ended early: lr=0\.02; see the logs"):
        sweep(request, training, StopRequest())
    assert "run lr=0.02: killed by SIGKILL" in capsys.readouterr().err
    assert sorted(path.parent.name for path in tmp_path.glob("sweep/runs/*/stamp.json")) == [
        "lr=0.01",
        "lr=0.03",
    ]
    assert "lr=0.02: failed: killed by SIGKILL" in (tmp_path / "sweep/sweep.txt").read_text()
    assert len(sweep(request, training, StopRequest()).results.rows) == 3


def test_a_mistake_in_an_input_ends_the_sweep(config, tmp_path):
    with pytest.raises(AsrkdError, match=r"run dev=.*data\.dev: .*no such file"):
        sweep_here(config, tmp_path / "sweep", ("data.dev=/nowhere/a.jsonl.gz,/nowhere/b.jsonl.gz",), jobs=1)
    assert not list(tmp_path.glob("sweep/runs/*/stamp.json"))


def test_seeds_are_compared_by_their_mean(config, tmp_path):
    out = tmp_path / "sweep"
    report = sweep_here(config, out, ("optim.lr=0.01,0.02", "seed=1,2"))
    folders = sorted(str(path.parent.relative_to(out)) for path in out.glob("runs/*/*/stamp.json"))
    assert folders == [f"runs/seed={seed}/lr={lr}" for seed in (1, 2) for lr in ("0.01", "0.02")]
    for row in report.results.rows:
        losses = [read_metrics(out / run.folder / "metrics.jsonl")[-2]["loss"] for run, _ in row.runs]
        assert row.quality.loss == pytest.approx(sum(losses) / 2)
    assert yaml.safe_load((out / "best.yaml").read_text())["seed"] == 1


@pytest.mark.parametrize("kill", [os.killpg, os.kill], ids=["all processes", "the sweep alone"])
def test_sigterm_saves_and_the_sweep_goes_on(lasting_config, whole, tmp_path, kill):
    """A scheduler may send it to every process, that from which runs are forked included."""
    out = tmp_path / "stopped"
    process = forked.Popen(
        command(lasting_config, out, "--jobs", "2"), stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    give_up_at = time.monotonic() + TIMEOUT
    while not list(out.glob("runs/lr*/metrics.jsonl")):
        assert time.monotonic() < give_up_at and process.poll() is None
        time.sleep(0.002)
    kill(process.pid, signal.SIGTERM)
    _, err = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 75, err
    assert f"stopped by SIGTERM: {out}: checkpoints are kept; run the same command to go on" in err
    assert not (out / "stamp.json").exists()
    sweep_here(lasting_config, out)
    assert table(out)[0] == table(whole)[0]


def test_halving_ends_with_the_weights_of_whole_runs(config, tmp_path):
    more = {"overrides": ("phases.0.steps=16",)}
    report = sweep_here(config, tmp_path / "sweep", halve=True, **more)
    rows = report.results.rows
    assert [row.state for row in rows] == ["complete", "dropped", "dropped", "dropped"]
    assert [row.step for row in rows] == [16, 8, 4, 4]
    run, _ = rows[0].runs[0]
    overrides = [*more["overrides"], *run.varied]
    train(config, tmp_path / "whole", overrides, OPTIONS, StopRequest())
    assert weights(tmp_path / "whole") == weights(tmp_path / "sweep" / run.folder)
    losses = {row.setting.name: row.quality.loss for row in rows}
    for row in rows[2:]:  # the worse half at step 4, by the logs
        for other in rows[:2]:
            log = read_metrics(tmp_path / "sweep" / other.runs[0][0].folder / "metrics.jsonl")
            at = {record["step"]: record["loss"] for record in log if record["kind"] == "validation"}
            assert at[4] < losses[row.setting.name]
    assert check(tmp_path / "sweep").problems == ()


@pytest.mark.slow
def test_jobs_of_a_launcher_make_the_same_table(config, tmp_path):
    pytest.importorskip("submitit")
    vary = ("optim.lr=0.01,0.02,0.03",)
    sweep_here(config, tmp_path / "here", vary, halve_at="0.5")
    launch = ("--halve-at", "0.5", "--jobs", "2", "--launcher", "local")
    words = command(config, tmp_path / "jobs", *launch, vary=vary)
    done = forked.run(words, capture_output=True, text=True, timeout=2 * TIMEOUT)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("launched: 0/2 jobs") == 2  # once a round
    assert table(tmp_path / "jobs")[0] == table(tmp_path / "here")[0]


def test_shards_train_their_parts_and_the_last_finishes(config, tmp_path):
    vary, out = ("optim.lr=0.01,0.02,0.03",), tmp_path / "sweep"
    training = Training(train, count_steps, OPTIONS)

    def part(number: int) -> str:
        workers = Workers(2, ShardOf(number, 2))
        return sweep(SweepRequest(config, (), vary, out, workers=workers), training, StopRequest()).text()

    assert part(1) == f"{out}: 1 run left; finish with the other --shard runs, or without --shard"
    assert sorted(path.parent.name for path in out.glob("runs/*/stamp.json")) == ["lr=0.01", "lr=0.03"]
    assert "3 settings; the chosen config" in part(2)


def test_a_launch_leaves_no_run_to_this_machine(config, tmp_path):
    request = SweepRequest(config, (), ("optim.lr=0.01,0.02",), tmp_path / "sweep", trains=False)
    with pytest.raises(AsrkdError, match=r"2 runs ended early: lr=0\.01, lr=0\.02; see the logs"):
        sweep(request, Training(train, count_steps, OPTIONS), StopRequest())


def test_a_language_model_is_chosen_by_perplexity(corpus, tmp_path):
    (tmp_path / "lm.yaml").write_text(
        f"""
data: {{train_text: {corpus}/cuts_train.jsonl.gz, dev_text: {corpus}/cuts_dev.jsonl.gz, tokens: {corpus}}}
model: {{language_model: {{num_layers: 1, dim: 8, num_heads: 2, feed_forward_dim: 8}}}}
validation: {{every_steps: 4}}
phases: [{{steps: 4, objectives: [language_model]}}]
"""
    )
    report = sweep_here(tmp_path / "lm.yaml", tmp_path / "sweep", ("optim.lr=0.01,0.0001",))
    assert [row.quality.measure for row in report.results.rows] == ["perplexity"] * 2
    assert report.results.chosen is not None and report.results.chosen.setting.name == "lr=0.01"
    assert "dev perplexity" in report.text()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--seed", "2"], "--seed 2: no effect without --samples"),
        (["--jobs", "0"], "--jobs 0: expected 1 or more"),
        (["--threads", "0"], "--threads 0: expected 1 or more"),
        (["--samples", "9"], "--samples 9: expected 1 to 4"),
        (["--halve-at", "2"], "--halve-at 2: expected increasing shares"),
        (["--shard", "3/2"], "--shard 3/2: expected K/N"),
        (["--gpus", "1"], "no effect without jobs; add --launcher slurm"),
        (["--launcher", "local", "--set", "data.dev=/nowhere"], "data.dev: /nowhere: no such file"),
    ],
)
def test_a_mistake_is_one_line_before_anything_is_written(config, tmp_path, more, message):
    words = command(config, tmp_path / "sweep", *more)
    done = forked.run(words, capture_output=True, text=True, timeout=TIMEOUT)
    assert (done.returncode, done.stdout) == (1, "")
    assert message in done.stderr and len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "sweep").exists()


def test_check_names_a_run_that_is_gone_and_its_remedy(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "sweep")
    assert check(tmp_path / "sweep").problems == ()
    chosen = tmp_path / "sweep/runs" / json.loads((whole / "stamp.json").read_text())["chosen"]
    shutil.rmtree(chosen)
    (problem,) = check(tmp_path / "sweep").problems
    assert problem.startswith(f"{chosen}: no such folder; train the run again with: asrkd sweep ")
