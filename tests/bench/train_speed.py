"""`asrkd train` against a bare loop over the same model and batches, held in memory."""

import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from asrkd.commands.prepare import PrepareOptions, prepare
from asrkd.commands.train import TrainOptions, train
from asrkd.core.config import load as load_config
from asrkd.core.shared_work import Workers
from asrkd.core.stopping import StopRequest
from asrkd.data.corpora.digits import DigitsOptions
from asrkd.models.config import Architecture
from asrkd.models.directory import load_model
from asrkd.models.recognizer import Recognizer, num_parameters
from asrkd.objectives.ctc import ctc_sum
from asrkd.training.config import TrainConfig
from asrkd.training.loader import Batch, BatchReader
from asrkd.training.metrics import read_metrics
from tests.bench.row import Row

CONFIG = """
data: {{train: {folder}/cuts_train.jsonl.gz, dev: {folder}/cuts_dev.jsonl.gz, tokens: {folder},
        max_duration: 60}}
model: {{num_layers: 8, dim: 128, feed_forward_dim: 512, front_end_channels: 16}}
optim: {{lr: 0.001, warmup_steps: 10}}
validation: {{every_steps: 1000}}
averaging: {{every_steps: 20}}
phases: [{{steps: {steps}, objectives: [ctc]}}]
"""
STEPS, FIRST = 60, 20  # steps of asrkd train; those before the first log line warm up


def measure() -> Iterator[Row]:
    """Audio-seconds per second of both: the bare loop before and after, the trainer in between."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sizes = DigitsOptions(minutes=12, dev_minutes=0.2, test_minutes=0.2)
        prepare(
            "digits",
            None,
            folder / "data",
            PrepareOptions(digits=sizes),
            workers=Workers(2),
            stop=StopRequest(),
        )
        config = folder / "config.yaml"
        config.write_text(CONFIG.format(folder=folder / "data", steps=STEPS))
        architecture, batches = _dry_run(config, folder / "dry")
        params, before = _bare_loop(architecture, batches)
        ours = _asrkd(config, folder / "run", batches)
        _, after = _bare_loop(architecture, batches)
    what = f"train, {params / 1e6:.1f} M parameters, audio s/s, beside a bare loop"
    yield Row(what, ours, (before + after) / 2, ">= 0.85")


def _dry_run(config: Path, out: Path) -> tuple[Architecture, list[Batch]]:
    """The full model's architecture, and the batches after the warm-up, taken from a run of a tiny model."""
    seen: list[Batch] = []
    read = BatchReader.__getitem__

    def remember(reader: BatchReader, cut_ids: Sequence[str]) -> Batch:
        batch = read(reader, cut_ids)
        if reader.augmentation is not None:
            seen.append(batch)
        return batch

    BatchReader.__getitem__ = remember  # type: ignore[method-assign]
    try:
        tiny = ["model.num_layers=1", "model.dim=8", "model.feed_forward_dim=8"]
        train(config, out, tiny, TrainOptions(device="cpu"), StopRequest())
    finally:
        BatchReader.__getitem__ = read  # type: ignore[method-assign]
    full = load_config(TrainConfig, config).model
    return load_model(out).architecture.model_copy(update={"conformer": full}), seen[FIRST:STEPS]


def _asrkd(config: Path, out: Path, batches: Sequence[Batch]) -> float:
    """Audio-seconds per second by the run's own log, from the first line to the last."""
    train(config, out, [], TrainOptions(device="cpu"), StopRequest())
    lines = [record for record in read_metrics(out / "metrics.jsonl") if record["kind"] == "train"]
    return sum(batch.audio_s for batch in batches) / (lines[-1]["seconds"] - lines[0]["seconds"])


def _bare_loop(architecture: Architecture, batches: Sequence[Batch]) -> tuple[int, float]:
    """(parameters, audio-seconds per second) of forward, loss, backward, clip and step, nothing else."""
    student = Recognizer(architecture)
    optimizer = torch.optim.AdamW(student.parameters(), lr=1e-4)
    _step(student, optimizer, batches[0])
    started_at = time.perf_counter()
    for batch in batches:
        _step(student, optimizer, batch)
    return num_parameters(student), sum(b.audio_s for b in batches) / (time.perf_counter() - started_at)


def _step(student: Recognizer, optimizer: torch.optim.Optimizer, batch: Batch) -> None:
    optimizer.zero_grad()
    output = student(batch.features, batch.num_frames)
    targets = batch.targets["ctc"]
    loss = ctc_sum(output.log_probs(), output.num_frames, targets) / float(targets.num_tokens.sum())
    loss.backward()
    torch.nn.utils.clip_grad_norm_(student.parameters(), 5.0)
    optimizer.step()
