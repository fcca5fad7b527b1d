"""Runs that are killed, at any moment, and resumed: the bytes of the run that nobody disturbed."""

import hashlib
import random
import shutil
import sys
import time
from pathlib import Path

import pytest
import torch

from asrkd.commands.train import TrainOptions, train
from asrkd.core.errors import AsrkdError, StoppedInTime
from asrkd.core.stopping import StopRequest
from asrkd.training import checkpoint as ckpt
from asrkd.training.metrics import read_metrics
from tests import forked

TIMEOUT = 120
STEPS = 30
NOISY = ("optim.accumulate=3", "data.max_duration=3", "model.dropout=0.2", "validation.every_steps=7")
# The second phase begins optimizer and schedule anew and brings a head of its own; the third goes on from it.
PHASES = """phases=[{{steps: 12, objectives: [ctc]}},
  {{steps: 10, objectives: [ctc, {{codebook: {{targets: {0}/codebook, layer: 2, scale: 0.5}}}}]}},
  {{steps: 8, restart: false, objectives: [{{ctc: {{targets: {0}/nbest, num_hypotheses: 3}}}}]}}]"""

# Runs the command line and kills itself: argv is the moment, how often to let it pass, and the command.
SUICIDE = """
import os, signal, sys
from asrkd.cli import main
from asrkd.core import files
from asrkd.training.loader import BatchReader
from asrkd.training.metrics import MetricLog

moment, left = sys.argv[1], int(sys.argv[2])
read, publish, write = BatchReader.__getitem__, files.publish, MetricLog.write

def die():
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)

def reading(reader, cut_ids):
    if moment == "batch" and reader.augmentation is not None:
        die()
    return read(reader, cut_ids)

def publishing(partial, path):
    is_checkpoint = path.name.startswith("step-")
    if moment == "half a checkpoint" and is_checkpoint:
        if left == 0:
            partial.write_bytes(partial.read_bytes()[:1000])
        die()
    publish(partial, path)
    if moment == "checkpoint" and is_checkpoint:
        die()

def writing(log, kind, step, values):
    write(log, kind, step, values)
    if moment == kind:
        die()

BatchReader.__getitem__, files.publish, MetricLog.write = reading, publishing, writing
sys.argv = ["asrkd", *sys.argv[3:]]
main.run()
"""


@pytest.fixture(scope="module")
def overrides(stores: Path) -> tuple[str, ...]:
    return (*NOISY, PHASES.format(stores))


@pytest.fixture(scope="module")
def whole(lasting_config: Path, overrides: tuple[str, ...], tmp_path_factory) -> Path:
    """The run that nobody disturbed."""
    out = tmp_path_factory.mktemp("whole") / "run"
    train(lasting_config, out, overrides, TrainOptions("cpu", threads=1), StopRequest())
    return out


def command(config: Path, out: Path, overrides: tuple[str, ...], *flags: str) -> list[str]:
    asked = [word for override in overrides for word in ("--set", override)]
    return ["train", str(config), "--out", str(out), "--device", "cpu", "--threads", "1", *asked, *flags]


def resume(config: Path, out: Path, overrides: tuple[str, ...], workers: int = 0) -> None:
    options = TrainOptions("cpu", threads=1, workers=workers, resume=True)
    assert train(config, out, overrides, options, StopRequest()).steps == STEPS


def check_equal(out: Path, whole: Path) -> None:
    """Equal weights, and equal records in the log, each once."""
    digests = [hashlib.sha256((run / "model.safetensors").read_bytes()).hexdigest() for run in (out, whole)]
    assert digests[0] == digests[1]
    assert _records(out) == _records(whole)
    assert list((out / "checkpoints").glob("*.partial")) == []


def _records(out: Path) -> list[dict]:
    drop = ("seconds", "train_seconds")
    return [{k: v for k, v in r.items() if k not in drop} for r in read_metrics(out / "metrics.jsonl")]


MOMENTS = {
    "before the first checkpoint": ("batch", 4),
    "in the middle of an accumulation group and of an epoch": ("batch", 3 * 9 + 2),
    "in the second phase, shortly before the third": ("batch", 3 * 20 + 1),
    "while a checkpoint is written": ("half a checkpoint", 2),
    "at the end of the first phase": ("checkpoint", 11),
    "after a validation that is not saved yet": ("validation", 2),
    "while the run is being finished": ("end", 0),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MOMENTS)
def test_a_run_that_is_killed_goes_on_to_the_same_bytes(config, overrides, whole, tmp_path, name):
    moment, passes = MOMENTS[name]
    often = ("--checkpoint-every", "0") if moment == "checkpoint" else ()
    asked = command(config, tmp_path / "run", overrides, *often)
    killed = forked.run(
        [sys.executable, "-c", SUICIDE, moment, str(passes), *asked],
        capture_output=True, text=True, timeout=TIMEOUT, check=False,
    )  # fmt: skip
    assert killed.returncode == -9, killed.stderr
    assert not (tmp_path / "run/stamp.json").exists()
    resume(config, tmp_path / "run", overrides)
    check_equal(tmp_path / "run", whole)


@pytest.mark.slow
def test_a_randomly_killed_run_resumes_with_any_workers(config, overrides, whole, tmp_path):
    step = random.randrange(2, STEPS - 10)
    asked = command(config, tmp_path / "run", overrides, "--workers", "1", "--checkpoint-every", "0")
    with (tmp_path / "err").open("w") as err:
        process = forked.Popen([sys.executable, "-m", "asrkd", *asked], stderr=err)
    wanted = ckpt.checkpoint_path(tmp_path / "run/checkpoints", step)
    give_up_at = time.monotonic() + TIMEOUT
    while not any(path >= wanted for path in ckpt.list_checkpoints(wanted.parent)):
        assert time.monotonic() < give_up_at and process.poll() is None, (tmp_path / "err").read_text()
        time.sleep(0.002)
    process.kill()
    assert process.wait(timeout=TIMEOUT) == -9
    for workers in (0, 1, 2):
        shutil.copytree(tmp_path / "run", tmp_path / f"workers-{workers}")
        resume(config, tmp_path / f"workers-{workers}", overrides, workers)
        check_equal(tmp_path / f"workers-{workers}", whole)


@pytest.mark.slow
def test_a_run_killed_repeatedly_ends_with_the_same_bytes(config, overrides, whole, tmp_path):
    asked = command(config, tmp_path / "run", overrides, "--resume")
    for passes in (40, 24):
        killed = forked.run(
            [sys.executable, "-c", SUICIDE, "batch", str(passes), *asked],
            capture_output=True, text=True, timeout=TIMEOUT, check=False,
        )  # fmt: skip
        assert killed.returncode == -9, killed.stderr
    resume(config, tmp_path / "run", overrides)
    check_equal(tmp_path / "run", whole)


class Stop(StopRequest):
    """Asks to stop after so many updates."""

    def __init__(self, updates: int) -> None:
        super().__init__()
        self.left = updates

    def reason(self) -> str | None:
        self.left -= 1
        return "a test" if self.left <= 0 else None


def stopped(config: Path, out: Path, updates: int, every_s: float = 600.0) -> None:
    options = TrainOptions("cpu", threads=1, checkpoint_every_s=every_s)
    with pytest.raises(StoppedInTime):
        train(config, out, ["validation.every_steps=5"], options, Stop(updates))


@pytest.mark.parametrize(("every_s", "kept"), [(600.0, [5, 7]), (0.0, [6, 7])])
def test_checkpoints_follow_validations_stops_and_the_clock(config, tmp_path, every_s, kept):
    stopped(config, tmp_path / "run", 7, every_s)
    found = ckpt.list_checkpoints(tmp_path / "run/checkpoints")
    assert found == [ckpt.checkpoint_path(tmp_path / "run/checkpoints", step) for step in kept]


def test_broken_checkpoints_are_an_error_and_no_restart(config, tmp_path, capsys):
    out = tmp_path / "run"
    stopped(config, out, 7)
    for path in ckpt.list_checkpoints(out / "checkpoints"):
        path.write_bytes(path.read_bytes()[:-1])
    log = (out / "metrics.jsonl").read_bytes()
    options = TrainOptions("cpu", threads=1, resume=True)
    with pytest.raises(AsrkdError, match=f"all 2 checkpoints are broken.*rm -r {out}/checkpoints"):
        train(config, out, ["validation.every_steps=5"], options, StopRequest())
    assert capsys.readouterr().err.count("broken checkpoint skipped") == 2
    assert (out / "metrics.jsonl").read_bytes() == log
    shutil.rmtree(out / "checkpoints")
    assert train(config, out, ["validation.every_steps=5"], options, StopRequest()).steps == 8
    assert [r["step"] for r in read_metrics(out / "metrics.jsonl") if r["kind"] == "validation"] == [0, 5, 8]


def test_best_wer_and_snapshots_are_those_of_the_checkpoint(config, tmp_path):
    """Of a run stopped after step 7: snapshots of steps 4 and 6, and the best of validations 0 and 5."""
    stopped(config, tmp_path / "run", 7)
    found = ckpt.load_latest(tmp_path / "run/checkpoints")
    assert found is not None
    rates = [r["wer"] for r in read_metrics(tmp_path / "run/metrics.jsonl") if r["kind"] == "validation"]
    assert len(rates) == 2
    assert found.position.best_wer == min(rates)
    assert len(found.snapshots) == 2
    assert all(torch.isfinite(value).all() for value in found.snapshots[0].values())


@pytest.mark.slow
def test_a_run_that_pauses_at_a_step_goes_on_to_the_same_bytes(config, overrides, whole, tmp_path):
    """In the first phase and between validations; again at the same step; and at a step beyond the end."""
    out = tmp_path / "run"
    for until in (5, 5, 20):
        words = command(config, out, overrides, "--until-step", str(until), "--resume")
        done = forked.run(
            [sys.executable, "-m", "asrkd", *words],
            capture_output=True, text=True, timeout=TIMEOUT, check=False,
        )  # fmt: skip
        saved = f"{out}: checkpoint of step {until} written; run it with --resume to go on"
        assert done.returncode == 75
        assert done.stderr.splitlines()[-1] == f"asrkd: stopped by --until-step {until}: {saved}"
        assert ckpt.list_checkpoints(out / "checkpoints")[-1].name == f"step-{until:08d}.safetensors"
    options = TrainOptions("cpu", threads=1, resume=True, until_step=STEPS)
    assert train(config, out, overrides, options, StopRequest()).steps == STEPS
    check_equal(out, whole)
