"""Several processes that train one model: the experiment of one process, stopped and failing together."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from asrkd.commands.train import TrainOptions, train
from asrkd.core.stopping import StopRequest
from asrkd.data.cuts.manifests import read_cuts, write_cuts
from asrkd.training import checkpoint as ckpt
from asrkd.training.metrics import read_metrics
from asrkd.training.plan import plan_epoch
from tests import forked

TIMEOUT = 120
SHARED = ("optim.accumulate=4", "data.max_duration=3")  # batches of one to six cuts, four an update
BETA = 0.9  # of AdamW's first moment: after one step it is (1 - BETA) times the gradient


class Rank:
    """One process of a run, as srun starts it: told its place by the environment."""

    def __init__(self, command: list[str], environment: dict[str, str], log: Path) -> None:
        self.out, self.err = log.with_suffix(".out"), log.with_suffix(".err")
        with self.out.open("w") as out, self.err.open("w") as err:
            self.process = forked.Popen(command, env=environment, stdout=out, stderr=err)


class Run:
    """Processes that train together."""

    def __init__(self, folder: Path, commands: list[list[str]]) -> None:
        with socket.socket() as probe:
            probe.bind(("localhost", 0))
            port = probe.getsockname()[1]
        self.ranks = []
        for rank, command in enumerate(commands):
            place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": len(commands), "MASTER_PORT": port}
            environment = os.environ | {key: str(value) for key, value in place.items()}
            environment |= {"MASTER_ADDR": "localhost", "OMP_NUM_THREADS": "1"}
            self.ranks.append(Rank(command, environment, folder / f"rank-{rank}"))

    def wait(self) -> list[int]:
        """The exit status of each; none of them may hang."""
        give_up_at = time.monotonic() + TIMEOUT
        return [rank.process.wait(timeout=give_up_at - time.monotonic()) for rank in self.ranks]

    def out(self) -> list[str]:
        return [rank.out.read_text() for rank in self.ranks]

    def complaints(self) -> list[list[str]]:
        """What each said on stderr, progress and library warnings apart."""
        return [
            [line for line in rank.err.read_text().splitlines() if line.startswith(("asrkd: ", "Trace"))]
            for rank in self.ranks
        ]


LONGER = (*SHARED, "phases.0.steps=40")


@pytest.fixture(scope="module")
def whole(lasting_config: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The weights after 40 steps of two processes that nobody disturbed."""
    out = tmp_path_factory.mktemp("whole")
    run = Run(out, [command(lasting_config, out / "run", LONGER, ())] * 2)
    assert run.wait() == [0, 0], run.complaints()
    return weights(out / "run")


@pytest.fixture
def start(tmp_path: Path):
    """Starts two processes that train together; what is still running at the end is killed."""
    runs: list[Run] = []

    def start(config: Path, out: Path, *overrides: str, flags: tuple[str, ...] = ()) -> Run:
        runs.append(Run(tmp_path, [command(config, out, overrides, flags)] * 2))
        return runs[-1]

    yield start
    for run in runs:
        for rank in run.ranks:
            rank.process.kill()
            rank.process.wait()


def command(config: Path, out: Path, overrides: tuple[str, ...], flags: tuple[str, ...]) -> list[str]:
    asked = [word for override in overrides for word in ("--set", override)]
    alike = ["--out", str(out), "--device", "cpu", "--threads", "1"]
    return [sys.executable, "-m", "asrkd", "train", str(config), *alike, *asked, *flags]


def alone(config: Path, out: Path, *overrides: str) -> None:
    train(config, out, overrides, TrainOptions("cpu", threads=1), StopRequest())


def wait_for_step(out: Path, step: int, ranks: Run) -> None:
    """Until a checkpoint of at least ``step`` is there."""
    give_up_at = time.monotonic() + TIMEOUT
    last = ckpt.checkpoint_path(out / "checkpoints", step)
    while not any(path >= last for path in ckpt.list_checkpoints(out / "checkpoints")):
        assert time.monotonic() < give_up_at and ranks.ranks[0].process.poll() is None, ranks.complaints()
        time.sleep(0.002)


def gradients(out: Path) -> dict[str, torch.Tensor]:
    """The gradient of a run's first step, from its checkpoint; parameters without one are absent."""
    found = ckpt.load_latest(out / "checkpoints")
    assert found is not None and found.position.step == 1
    moments = found.moments.items()
    return {key: value / (1 - BETA) for key, value in moments if key.endswith(".exp_avg")}


def weights(out: Path) -> bytes:
    return (out / "model.safetensors").read_bytes()


OBJECTIVES = {
    "plain ctc": "[ctc]",
    "an objective with a head": "[ctc, {{codebook: {{targets: {0}/codebook, layer: 2, scale: 0.5}}}}]",
    "a joint head and a live teacher": (
        "[ctc, {{codebook: {{targets: {0}/codebook, layer: 2, head: joint, hidden_dim: 8}}}}, "
        "{{embedding: {{targets: {{teacher: {1}, layer: 2}}, layer: 1, distance: absolute}}}}]"
    ),
    "parameters that no loss reaches": "[{{codebook: {{targets: {0}/codebook, layer: 1}}}}]",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", OBJECTIVES)
def test_two_processes_have_the_gradient_of_one(start, config, stores, teacher, tmp_path, name):
    """Dropout and augmentation are on: both draw for a batch what one process draws."""
    phases = f"phases=[{{steps: 1, objectives: {OBJECTIVES[name].format(stores, teacher)}}}]"
    overrides = (phases, *SHARED, "optim.clip_norm=1e9", "model.dropout=0.2")
    alone(config, tmp_path / "one", *overrides)
    run = start(config, tmp_path / "two", *overrides)
    assert run.wait() == [0, 0], run.complaints()
    one, two = gradients(tmp_path / "one"), gradients(tmp_path / "two")
    assert one.keys() == two.keys()
    for key, gradient in one.items():
        assert gradient.abs().max() > 0
        torch.testing.assert_close(two[key], gradient, rtol=1e-4, atol=1e-6)
    measured = ("front_end.mean", "front_end.std", "of_constant")  # of the data, not trained
    saved = ckpt.load_latest(tmp_path / "one/checkpoints").weights
    num_parameters = sum(not name.endswith(measured) for name in saved)
    assert (len(one) < num_parameters) == (name == "parameters that no loss reaches")
    losses = [_last(tmp_path / who, "train") for who in ("one", "two")]
    for key in losses[0].keys() - {"kind", "seconds"}:
        assert losses[1][key] == pytest.approx(losses[0][key], rel=1e-5), key


def _last(out: Path, kind: str) -> dict:
    return [record for record in read_metrics(out / "metrics.jsonl") if record["kind"] == kind][-1]


@pytest.mark.slow
def test_weights_equal_one_process_and_records_are_unique(start, config, corpus, tmp_path):
    """Two epochs and a step; the last update of an epoch has one batch, so a process has none."""
    seconds, accumulate = _one_batch_left_over(corpus)
    steps = 2 * (-(-_num_batches(corpus, seconds) // accumulate)) + 1
    overrides = (f"data.max_duration={seconds}", f"optim.accumulate={accumulate}", f"phases.0.steps={steps}")
    alone(config, tmp_path / "one", *overrides)
    run = start(config, tmp_path / "two", *overrides)
    assert run.wait() == [0, 0], run.complaints()
    said = [f"{tmp_path / 'two'}: {steps} steps" in out for out in run.out()]
    assert said == [True, False] and run.out()[1] == ""
    one, two = (load_file(str(tmp_path / who / "model.safetensors")) for who in ("one", "two"))
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-3, atol=1e-4)
    records = [
        [(r["kind"], r["step"]) for r in read_metrics(tmp_path / who / "metrics.jsonl")]
        for who in ("one", "two")
    ]
    assert records[0] == records[1]


def _num_batches(corpus: Path, seconds: float) -> int:
    cuts = read_cuts(corpus / "cuts_train.jsonl.gz")
    return len(plan_epoch(cuts, seed=1, epoch=0, max_duration=seconds, num_buckets=2).batches)


def _one_batch_left_over(corpus: Path) -> tuple[float, int]:
    """(max_duration, accumulate): the last of several groups of an epoch has one batch."""
    return next(
        (seconds, accumulate)
        for seconds in (3, 3.5, 4, 5, 6)
        for accumulate in (2, 4, 6)
        if accumulate < _num_batches(corpus, seconds) and _num_batches(corpus, seconds) % accumulate == 1
    )


@pytest.mark.slow
def test_a_signal_to_one_process_stops_both_resumably(start, config, whole, tmp_path):
    out = tmp_path / "parts"
    run = start(config, out, *LONGER, flags=("--checkpoint-every", "0"))
    wait_for_step(out, 2, run)
    run.ranks[1].process.send_signal(signal.SIGUSR1)
    _check_stopped(run, "SIGUSR1")
    assert not (out / "stamp.json").exists()
    assert start(config, out, *LONGER, flags=("--resume",)).wait() == [0, 0]
    assert weights(out) == whole


@pytest.mark.slow
def test_a_time_limit_of_the_second_process_alone_stops_both(config, tmp_path):
    limits = ((), ("--time-limit", "0"))
    _check_stopped(
        Run(tmp_path, [command(config, tmp_path / "run", SHARED, limit) for limit in limits]), "time limit"
    )
    assert [path.stem for path in ckpt.list_checkpoints(tmp_path / "run/checkpoints")] == ["step-00000001"]


def _check_stopped(run: Run, reason: str) -> None:
    assert run.wait() == [75, 75], run.complaints()
    first, second = run.complaints()
    assert len(first) == 1 and first[0].startswith(f"asrkd: stopped by {reason}: ")
    assert second == []


def _check_lost(run: Run, victim: int) -> None:
    run.ranks[victim].process.kill()
    assert run.wait()[1 - victim] == 1
    (line,) = run.complaints()[1 - victim]
    assert "lost contact with another" in line
    assert "--resume" in line


@pytest.mark.slow
def test_a_killed_process_ends_the_other_resumably(start, config, whole, tmp_path, capsys):
    out = tmp_path / "parts"
    run = start(config, out, *LONGER, flags=("--checkpoint-every", "0"))
    wait_for_step(out, 3, run)
    _check_lost(run, victim=1)
    shutil.copytree(out, tmp_path / "copy")
    assert start(config, out, *LONGER, flags=("--resume", "--workers", "1")).wait() == [0, 0]
    assert weights(out) == whole
    options = TrainOptions("cpu", threads=1, resume=True)
    assert train(config, tmp_path / "copy", LONGER, options, StopRequest()).steps == 40
    warning = "resumed with processes: 1 (started with 2): results will not be bit-identical"
    assert warning in capsys.readouterr().err


@pytest.mark.slow
def test_the_second_process_ends_when_the_first_is_killed(start, config, tmp_path):
    run = start(config, tmp_path / "run", *LONGER, flags=("--checkpoint-every", "0"))
    wait_for_step(tmp_path / "run", 1, run)
    _check_lost(run, victim=0)


def _without_a_feature_file(corpus: Path, folder: Path) -> Path:
    """A manifest in which the features of one training cut cannot be read."""
    cuts = list(read_cuts(corpus / "cuts_train.jsonl.gz"))
    cuts[11].features.storage_key = "nowhere.npy"
    write_cuts(folder / "cuts.jsonl.gz", cuts)
    return folder / "cuts.jsonl.gz"


@pytest.mark.slow
def test_a_cut_unreadable_to_one_process_ends_both(start, config, corpus, tmp_path):
    cuts = _without_a_feature_file(corpus, tmp_path)
    run = start(config, tmp_path / "run", *SHARED, f"data.train={cuts}", flags=("--workers", "1"))
    assert run.wait() == [1, 1]
    (line,) = sum(run.complaints(), [])
    assert "train-011" in line


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overrides", "complaint"),
    [
        (
            (("optim.accumulate=3",), ("optim.accumulate=3",)),
            "3 batches of an update do not divide evenly by 2 processes; "
            "for updates of the same size: --set optim.accumulate=4 --set data.max_duration=4.5",
        ),
        ((SHARED, (*SHARED, "seed=2")), "process 1: its config, cuts, tokens or stores differ"),
        ((SHARED, (*SHARED, "model.dim=15")), "model"),
    ],
    ids=["uneven shares", "two seeds", "a mistake in one"],
)
def test_unshareable_settings_are_refused_before_any_write(start, config, tmp_path, overrides, complaint):
    run = Run(tmp_path, [command(config, tmp_path / "run", words, ()) for words in overrides])
    assert run.wait() == [1, 1]
    (line,) = sum(run.complaints(), [])
    assert complaint in line
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_torchrun_trains_by_one_command(config, tmp_path):
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--standalone"]
    asked = command(config, tmp_path / "run", SHARED, ())[1:]
    done = subprocess.run([*launcher, *asked], capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{tmp_path / 'run'}: 8 steps")
    assert done.stdout.count("\n") == 1
