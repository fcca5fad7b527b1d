"""The embeddings that a quantizer learns from, kept until it is done: asking for them takes longest.

They lie in parts of some utterances each, every one whole or absent; what
is asked again after a kill is what the last part does not hold.

Letters: T frames of a cut, F in all, D dimensions.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from lhotse import MonoCut
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from asrkd.core import files
from asrkd.core.progress import meter
from asrkd.core.randomness import derive
from asrkd.core.shared_work import part_every_s as usual_part_every_s
from asrkd.core.stopping import StopRequest
from asrkd.models.conformer import Tap
from asrkd.models.inference import GPU_BATCH
from asrkd.teachers.teacher import Teacher

NAME = "frames"


@dataclass(frozen=True)
class Sample:
    """Which frames are wanted."""

    cuts: Sequence[MonoCut]
    tap: Tap
    frames_per_cut: int  # at most, drawn at random
    seed: int


def sample_embeddings(
    folder: Path, teacher: Teacher, sample: Sample, stop: StopRequest, part_every_s: float | None = None
) -> Tensor:
    """The (F, D) frames of a sample, float32 on the CPU, in its order.

    Args:
        folder: for the parts; gone on from if it holds some.
        teacher: asked about the cuts that no part holds.
        sample: which frames.
        stop: asked after every cut.
        part_every_s: a part is written after so many seconds; None: as parts of shards are.

    Raises:
        StoppedInTime: what was asked is kept, but for the last few cuts.
    """
    parts, begun = _read_parts(folder)
    pending: list[Tensor] = []
    if part_every_s is None:
        part_every_s = usual_part_every_s()
    # On a GPU a part ends after whole batches, so that they are the same wherever one begins.
    together = 1 if teacher.device.type == "cpu" else GPU_BATCH
    written_at = time.monotonic()
    with meter("embeddings", len(sample.cuts), "cuts", begun, says_it_works=True) as shown:
        for embedded in teacher.embeddings(sample.cuts[begun:], [sample.tap]):
            pending.append(_some_frames(embedded.tapped[sample.tap], sample, embedded.cut.id))
            shown.advance(audio_s=embedded.cut.duration)
            done, reason = begun + len(pending), stop.reason()
            is_due = reason is not None or time.monotonic() - written_at >= part_every_s
            if done == len(sample.cuts) or (is_due and done % together == 0):
                parts.append(_write_part(folder, begun, pending))
                begun, pending, written_at = done, [], time.monotonic()
            if reason:
                stop.check(f"the embeddings of {begun} of {len(sample.cuts)} cuts are kept")
    return torch.cat(parts)


def _some_frames(embeddings: Tensor, sample: Sample, cut_id: str) -> Tensor:
    """(T', D) at most so many of embeddings (T, D), in their order; which, the cut's id decides."""
    if len(embeddings) <= sample.frames_per_cut:
        return embeddings
    generator = torch.Generator().manual_seed(derive(sample.seed, "quantizer frames", cut_id))
    drawn = torch.randperm(len(embeddings), generator=generator)[: sample.frames_per_cut]
    return embeddings[drawn.sort().values]


def _write_part(folder: Path, first: int, frames: Sequence[Tensor]) -> Tensor:
    """Write the frames of the cuts from number ``first`` on; give them together."""
    together = torch.cat(list(frames)).float().contiguous()
    path = folder / f"embeddings-{first:08d}-{first + len(frames):08d}.safetensors"
    with files.create_aside(path) as partial:
        save_file({NAME: together}, str(partial))
    return together


def _read_parts(folder: Path) -> tuple[list[Tensor], int]:
    """The parts that join without a gap, and how many cuts they hold."""
    parts, done = [], 0
    for path in sorted(folder.glob("embeddings-*.safetensors")):
        first, end = (int(word) for word in path.stem.split("-")[1:])
        try:
            frames = load_file(str(path))[NAME] if first == done else None
        except (SafetensorError, OSError, KeyError):  # a failing disk
            frames = None
        if frames is None:
            path.unlink()
            continue
        parts.append(frames)
        done = end
    return parts, done
