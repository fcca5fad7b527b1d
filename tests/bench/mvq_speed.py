"""The training step with MVQ-KD, beside the baseline's, and beside a step that asks the teacher on the fly.

Everything that a step takes is in it: reading features and targets,
augmentation, forward, loss, backward, update. All systems are in one process
and take the same batches in turns; the figures are medians over the turns.
"""

import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from statistics import median

from asrkd.commands import distill, distill_quantizer
from asrkd.commands.distill_request import DistillRequest, quantizer_request
from asrkd.commands.prepare import PrepareOptions, prepare
from asrkd.commands.train import TrainOptions, train
from asrkd.core import config
from asrkd.core.shared_work import Workers
from asrkd.core.stopping import StopRequest
from asrkd.data.corpora.digits import DigitsOptions
from asrkd.data.cuts.manifests import read_cuts
from asrkd.data.tokens import Tokens
from asrkd.models.config import Architecture
from asrkd.models.directory import load_model
from asrkd.models.recognizer import Recognizer, num_parameters
from asrkd.training.checkpoint import Position
from asrkd.training.config import TrainConfig
from asrkd.training.distributed import Processes
from asrkd.training.learner import Learner
from asrkd.training.schedule import make_optimizer
from asrkd.training.update import Update
from asrkd.training.update_batches import UpdateBatches, UpdatePlan
from tests.bench.row import Row

CONFIG = """
data: {{train: {folder}/data/cuts_train.jsonl.gz, dev: {folder}/data/cuts_dev.jsonl.gz, tokens: {folder}/data,
        max_duration: 24}}
model: {{num_layers: 8, dim: 128, feed_forward_dim: 512, front_end_channels: 16}}
phases: [{{steps: 1, objectives: [ctc]}}]
"""
TEACHER = (
    "model.num_layers=12",
    "model.dim=336",
    "model.feed_forward_dim=1344",
    "model.front_end_channels=32",
)
DEMO = ("num_layers=3", "dim=32", "num_heads=2", "feed_forward_dim=64", "front_end_channels=4")
DEMO_STUDENT = tuple(f"model.{size}" for size in DEMO)
TEACHER_LAYER, CODEBOOKS = 8, (8, 16)
TURNS, STEPS = 5, 3


def measure() -> Iterator[Row]:
    """Milliseconds a step of each system beside the baseline's, and beside that with the teacher."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _make(folder)
        yield from _rows(folder, (), 6, "<= 1.10", "<= 1.30")
        yield from _rows(folder, DEMO_STUDENT, 2, "(reported)", "(reported)")


def _make(folder: Path) -> None:
    """A corpus, a teacher that knows nothing, its quantizers and stores: what they hold costs the same."""
    sizes, stop = DigitsOptions(minutes=2, dev_minutes=0.1, test_minutes=0.1, num_speakers=5), StopRequest()
    prepare("digits", None, folder / "data", PrepareOptions(digits=sizes), workers=Workers(2), stop=stop)
    (folder / "config.yaml").write_text(CONFIG.format(folder=folder))
    train(folder / "config.yaml", folder / "teacher", TEACHER, TrainOptions(device="cpu"), stop)
    cuts = (folder / "data/cuts_train.jsonl.gz",)

    def ask(what: str) -> DistillRequest:
        return DistillRequest(folder / "teacher", cuts, folder / what, jobs=2)

    for count in CODEBOOKS:
        request = quantizer_request(TEACHER_LAYER, count, utterances=20, steps=3)
        distill_quantizer.quantizer(ask(f"quantizer-{count}"), request, stop)
        distill.codebook(ask(f"codebook-{count}"), folder / f"quantizer-{count}", stop)
    distill.hidden(ask("hidden"), TEACHER_LAYER, "float32", stop)


def _rows(folder: Path, sizes: tuple[str, ...], layer: int, *wanted: str) -> Iterator[Row]:
    live = f"{{teacher: {folder}/teacher, quantizer: {folder}/quantizer-16}}"
    objectives = {
        "baseline": "",
        "8 codebooks": f", {{codebook: {{targets: {folder}/codebook-8, layer: {layer}}}}}",
        "16 codebooks": f", {{codebook: {{targets: {folder}/codebook-16, layer: {layer}}}}}",
        "embeddings, squared": f", {{embedding: {{targets: {folder}/hidden, layer: {layer}}}}}",
        "live": f", {{codebook: {{targets: {live}, layer: {layer}}}}}",
    }
    systems = {name: _Stepper(folder, sizes, own) for name, own in objectives.items()}
    params = num_parameters(systems["baseline"].learner.student)
    took: dict[str, list[float]] = {name: [] for name in systems}
    for turn in range(TURNS + 1):
        for name, system in systems.items():
            seconds = system.steps()
            if turn:  # the first warms up
                took[name].append(1000 * seconds)
    step_ms = {name: median(turns) for name, turns in took.items()}
    of = f"{params / 1e6:.2f} M"
    demands = {"8 codebooks": wanted[0], "16 codebooks": wanted[1]}
    for name in list(objectives)[1:]:
        yield Row(
            f"step, {of}, {name}, ms", step_ms[name], step_ms["baseline"], demands.get(name, "(reported)")
        )
    times = num_parameters(load_model(folder / "teacher").recognizer) / params
    what = f"step, {of}, stored, ms, beside a teacher {times:.0f} x as large"
    yield Row(what, step_ms["16 codebooks"], step_ms["live"], "<= 0.5")


class _Stepper:
    """A system in training, from the batch on disk to the updated weights."""

    def __init__(self, folder: Path, sizes: tuple[str, ...], objectives: str) -> None:
        phases = f"phases=[{{steps: 1, objectives: [ctc{objectives}]}}]"
        experiment = config.load(TrainConfig, folder / "config.yaml", [*sizes, phases])
        environment = TrainOptions(device="cpu").environment(Processes())
        features = load_model(folder / "teacher").architecture.features
        tokens = Tokens.load(folder / "data")
        architecture = Architecture(conformer=experiment.model, features=features, num_tokens=tokens.size)
        self.learner = Learner(Recognizer(architecture), experiment.phases, tokens)
        self._groups = UpdatePlan(experiment, read_cuts(experiment.data.train), environment)
        self._update = Update(self.learner, self.learner, experiment, environment)
        self._optimizer = make_optimizer(dict(self.learner.named_parameters()), experiment.optim)

    def steps(self) -> float:
        """Seconds a step, over the first batches of an epoch but one, with which its plan is made."""
        groups = self._groups.rest_of_epoch(Position(), self.learner.sources)
        self._step(next(groups))
        started_at = time.perf_counter()
        for group in islice(groups, STEPS):
            self._step(group)
        return (time.perf_counter() - started_at) / STEPS

    def _step(self, group: UpdateBatches) -> None:
        self._update(self._optimizer, group, self.learner.terms[0], 1e-4, 0, 5.0)
