"""Reading a batch of targets at random, beside a training step on that batch."""

import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import torch

from asrkd.core.parallel import one_thread
from asrkd.data.features.reading import FeatureConfig
from asrkd.models.config import Architecture, ConformerConfig
from asrkd.models.recognizer import Recognizer, num_parameters
from asrkd.objectives.ctc import ctc_sum
from asrkd.targets.sequences import collate
from asrkd.targets.store.arrays import ArrayStore
from tests.bench import scale
from tests.bench.row import Row

BATCH, ROUNDS, CUTS = 32, 30, 20_000


def measure() -> Iterator[Row]:
    """Milliseconds of both; 32 cuts of 12 s, read in an order that is nobody's."""
    with tempfile.TemporaryDirectory() as name, one_thread():
        before, scale.CUTS = scale.CUTS, CUTS
        try:
            scale.make(Path(name) / "codebook", Path(name) / "cuts_train.jsonl.gz")
        finally:
            scale.CUTS = before
        reading_s = _read(ArrayStore(Path(name) / "codebook", "codebook"))
        params, step_s = _step()
    what = f"reading {BATCH} cuts at random, ms, beside a step ({params / 1e6:.1f} M)"
    yield Row(what, 1000 * reading_s, 1000 * step_s, "<= 0.02")


def _read(store: ArrayStore) -> float:
    """Seconds, the median over batches, to read the targets of a random batch."""
    rng, ids, times = random.Random(1), list(store.index.ids()), []
    for _ in range(ROUNDS):
        batch = rng.sample(ids, BATCH)
        started_at = time.perf_counter()
        for cut_id in batch:
            store.read(cut_id)
        times.append(time.perf_counter() - started_at)
    return median(times)


def _step() -> tuple[int, float]:
    """(parameters, seconds of a step) of a student of 3 M on such a batch."""
    features = FeatureConfig(type="kaldi-fbank", num_features=80, frame_shift=0.01, sampling_rate=16000)
    conformer = ConformerConfig(num_layers=8, dim=128, feed_forward_dim=512, front_end_channels=16)
    student = Recognizer(Architecture(conformer=conformer, features=features, num_tokens=30))
    batch = torch.randn(BATCH, int(100 * scale.SECONDS), 80)
    num_frames = torch.full((BATCH,), batch.shape[1])
    targets = collate([[list(range(1, 29)) * 4]] * BATCH)
    times = []
    for _ in range(3):
        started_at = time.perf_counter()
        output = student(batch, num_frames)
        ctc_sum(output.log_probs(), output.num_frames, targets).backward()
        times.append(time.perf_counter() - started_at)
    return num_parameters(student), min(times)
