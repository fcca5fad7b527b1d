"""Training a quantizer beside ``multi_quantization``'s trainer: same frames, batch size and steps.

``QUANTIZER_STEPS=50`` makes it short; ``QUANTIZER_TEACHER=exp/demo/teacher``
and ``QUANTIZER_CUTS=data/digits/cuts_train.jsonl.gz`` name real embeddings.
"""

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from asrkd.data.cuts.manifests import read_cuts
from asrkd.quantizer.direct_sum import DirectSumQuantizer
from asrkd.quantizer.fit.training import train_quantizer
from asrkd.quantizer.multi_quantization import read_reference_state
from asrkd.quantizer.options import QuantizerOptions
from asrkd.quantizer.search.search import REFERENCE, STANDARD, IndexSearch
from asrkd.teachers.loading import open_teacher
from tests.bench.quantizer_cases import has_reference, reference_package, synthetic_frames
from tests.bench.row import Row

BATCH = 600
SYNTHETIC = ((64, 4), (256, 4), (256, 8))  # D and N, those that the package's own test has
STEPS = int(os.environ.get("QUANTIZER_STEPS", "500"))  # of each phase
TEACHER = Path(os.environ.get("QUANTIZER_TEACHER", "exp/demo/teacher"))
CUTS = Path(os.environ.get("QUANTIZER_CUTS", "data/digits/cuts_train.jsonl.gz"))
LAYER, CODEBOOKS = 3, 8
HELD_OUT, MOST_FRAMES = 2000, 60_000


def measure() -> Iterator[Row]:
    """Held-out error as either encodes, about the true mean, and seconds of the processor."""
    if not has_reference():
        return
    for dim, num_codebooks in SYNTHETIC:
        yield from _side_by_side(f"synthetic {dim}-d", synthetic_frames(50_000, dim), num_codebooks)
    yield from _side_by_side("the same + 20", 20 + synthetic_frames(50_000, 64), 4)
    if TEACHER.is_dir() and CUTS.is_file():
        frames = _embeddings()
        yield from _side_by_side(f"layer {LAYER} of {TEACHER}, {frames.shape[1]}-d", frames, CODEBOOKS)


def _side_by_side(what: str, frames: Tensor, num_codebooks: int) -> Iterator[Row]:
    held_out, training = frames[:HELD_OUT], frames[HELD_OUT:]
    found = {}
    for name, train in (("ours", _ours), ("theirs", _theirs)):
        started_at = time.process_time()  # so that other work on the machine does not count
        quantizer = train(training, num_codebooks)
        seconds = time.process_time() - started_at
        by_theirs = _error(quantizer, held_out, training, REFERENCE)
        own = _error(quantizer, held_out, training, STANDARD) if name == "ours" else by_theirs
        found[name] = own, by_theirs, seconds
    what = f"{what}, {num_codebooks} bytes, {STEPS}+{STEPS}"
    yield Row(f"{what}: held-out error", found["ours"][0], found["theirs"][0], "< 1")
    yield Row(f"{what}: the same, both by their search", found["ours"][1], found["theirs"][1], "< 1")
    yield Row(f"{what}: CPU seconds", found["ours"][2], found["theirs"][2], "< 1")


def _error(quantizer: DirectSumQuantizer, held_out: Tensor, training: Tensor, search: IndexSearch) -> float:
    """Relative to the distances from the true mean, whatever the quantizer believes that to be."""
    error = (quantizer.decode(quantizer.encode(held_out, search)) - held_out).double().square().sum()
    return float(error / (held_out - training.mean(dim=0)).double().square().sum())


def _ours(training: Tensor, num_codebooks: int) -> DirectSumQuantizer:
    options = QuantizerOptions(num_codebooks, 256, STEPS, STEPS, batch_frames=BATCH, held_out_share=0.01)
    return train_quantizer(training, options)[0]


def _theirs(training: Tensor, num_codebooks: int) -> DirectSumQuantizer:
    """Its trainer draws its first weights and its passes from the global generators."""
    torch.manual_seed(1)
    random.seed(1)
    generator = torch.Generator().manual_seed(1)
    sizes = {"dim": training.shape[1], "bytes_per_frame": num_codebooks}
    steps = {"phase_one_iters": STEPS, "phase_two_iters": STEPS}
    trainer = reference_package().QuantizerTrainer(**sizes, device=torch.device("cpu"), **steps)
    while not trainer.done():
        trainer.step(training[torch.randint(len(training), (BATCH,), generator=generator)])
    return read_reference_state(trainer.get_quantizer().state_dict())


def _embeddings() -> Tensor:
    teacher, cuts = open_teacher(TEACHER), read_cuts(CUTS)
    tap = teacher.tap(LAYER)
    frames = torch.cat([embedded.tapped[tap] for embedded in teacher.embeddings(cuts, [tap])])
    return frames[torch.randperm(len(frames), generator=torch.Generator().manual_seed(1))[:MOST_FRAMES]]
