"""Reading stored posteriors and hidden states, beside the training step of the demo's student on them.

Each figure is of one batch, by the loader and the update that training has:
the time in the sources of the targets, and that of all else (features,
augmentation, forward, losses, backward, update). Seconds are of this process,
not of the clock, so that work beside it does not count.
"""

import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

from lhotse import MonoCut

from asrkd.commands import distill
from asrkd.commands.distill_request import DistillRequest
from asrkd.commands.prepare import PrepareOptions, prepare
from asrkd.commands.train import TrainOptions, train
from asrkd.core import config
from asrkd.core.parallel import one_thread
from asrkd.core.shared_work import Workers
from asrkd.core.stopping import StopRequest
from asrkd.data.corpora.digits import DigitsOptions
from asrkd.data.tokens import Tokens
from asrkd.targets.sources.base import TargetSource
from asrkd.training.checkpoint import Position
from asrkd.training.config import TrainConfig
from asrkd.training.distributed import Processes
from asrkd.training.schedule import make_optimizer
from asrkd.training.training_data import build_learner, read_training_data
from asrkd.training.update import Update
from asrkd.training.update_batches import UpdateBatches, UpdatePlan
from tests.bench.row import Row

# Teacher and student of stages/corpora/digits/conf, their batches and their augmentation.
CONFIG = """
data: {{train: {folder}/data/cuts_train.jsonl.gz, dev: {folder}/data/cuts_dev.jsonl.gz, tokens: {folder}/data,
        max_duration: 24}}
model: {{num_layers: 3, dim: 32, num_heads: 2, feed_forward_dim: 64, front_end_channels: 4, dropout: 0.0}}
augment: {{specaugment: {{num_frame_masks: 1, num_feature_masks: 1, feature_mask_size: 10}}}}
phases: [{{steps: 1, objectives: [ctc]}}]
"""
TEACHER = ("num_layers=4", "dim=96", "num_heads=4", "feed_forward_dim=384", "front_end_channels=16")
TEACHER_LAYER, STUDENT_LAYER = 4, 3
TURNS, STEPS = 5, 8


def measure() -> Iterator[Row]:
    """Milliseconds of reading beside the rest of the step."""
    with tempfile.TemporaryDirectory() as name, one_thread():
        folder = Path(name)
        _make(folder)
        objectives = {
            "8 posteriors": f"[ctc, {{softmax: {{targets: {folder}/top-8}}}}]",
            "all posteriors": f"[ctc, {{softmax: {{targets: {folder}/all}}}}]",
            "hidden states": f"[{{representation: {{targets: {folder}/hidden, layer: {STUDENT_LAYER}}}}}]",
        }
        for what, of_phase in objectives.items():
            reading_s, step_s = _Stepper(folder, of_phase).seconds()
            row = f"reading {what}, ms a batch, beside the step"
            yield Row(row, 1000 * reading_s, 1000 * step_s, "<= 0.05")


def _make(folder: Path) -> None:
    """Make a corpus, and stores of a teacher that knows nothing: what they hold costs the same."""
    sizes, stop = DigitsOptions(minutes=4, dev_minutes=0.1, test_minutes=0.1, num_speakers=5), StopRequest()
    prepare("digits", None, folder / "data", PrepareOptions(digits=sizes), workers=Workers(2), stop=stop)
    (folder / "config.yaml").write_text(CONFIG.format(folder=folder))
    sizes_of_teacher = [f"model.{size}" for size in TEACHER]
    train(folder / "config.yaml", folder / "teacher", sizes_of_teacher, TrainOptions(device="cpu"), stop)

    def request(name: str) -> DistillRequest:
        return DistillRequest(folder / "teacher", (folder / "data/cuts_train.jsonl.gz",), folder / name)

    distill.posterior(request("top-8"), 8, "float16", stop)
    distill.posterior(request("all"), "all", "float16", stop)
    distill.hidden(request("hidden"), TEACHER_LAYER, "float16", stop)


class _TimedSource:
    """Source of targets that counts the seconds in it."""

    def __init__(self, source: TargetSource) -> None:
        self._source, self.seconds = source, 0.0

    def fetch(self, cuts: Sequence[MonoCut]) -> Any:
        """Read the targets of a batch."""
        return self._timed(self._source.fetch, cuts)

    def finish(self, fetched: Any) -> Any:
        """Finish them."""
        return self._timed(self._source.finish, fetched)

    def verify(self, cuts: Sequence[MonoCut]) -> None:
        """Verify the targets."""
        self._source.verify(cuts)

    def _timed(self, function: Any, argument: Any) -> Any:
        begun = time.process_time()
        result = function(argument)
        self.seconds += time.process_time() - begun
        return result


class _Stepper:
    """The student in training, from the batch on disk to the updated weights."""

    def __init__(self, folder: Path, objectives: str) -> None:
        experiment = config.load(
            TrainConfig, folder / "config.yaml", [f"phases=[{{steps: 1, objectives: {objectives}}}]"]
        )
        environment, tokens = TrainOptions("cpu").environment(Processes()), Tokens.load(folder / "data")
        data = read_training_data(experiment, tokens)
        learner = build_learner(experiment, data, tokens)
        self._terms, self._plan = learner.terms[0], UpdatePlan(experiment, data.select(learner), environment)
        self._sources = {
            label: source if label == "ctc" else _TimedSource(source)
            for label, source in learner.sources.items()
        }
        self._update = Update(learner, learner, experiment, environment)
        self._optimizer = make_optimizer(dict(learner.named_parameters()), experiment.optim)

    def seconds(self) -> tuple[float, float]:
        """Return the seconds of reading, and of the rest of a step: medians over turns."""
        turns = [self._turn() for _ in range(TURNS + 1)][1:]  # the first warms up
        return median(reading for reading, _ in turns), median(rest for _, rest in turns)

    def _turn(self) -> tuple[float, float]:
        groups = self._plan.rest_of_epoch(Position(), self._sources)
        self._step(next(groups))  # makes the plan of the epoch
        before, begun = self._reading_s(), time.process_time()
        for group in islice(groups, STEPS):
            self._step(group)
        reading_s = self._reading_s() - before
        return reading_s / STEPS, (time.process_time() - begun - reading_s) / STEPS

    def _reading_s(self) -> float:
        return sum(source.seconds for source in self._sources.values() if isinstance(source, _TimedSource))

    def _step(self, group: UpdateBatches) -> None:
        self._update(self._optimizer, group, self._terms, 1e-4, 0, 5.0)
