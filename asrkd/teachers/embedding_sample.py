"""Embedding sample for training a quantizer, saved in parts, as its computation takes longest.

The sample is written in parts of some utterances each, every part whole or
absent; after a kill, only cuts that no part holds are computed again.

Notation: T frames of a cut, F frames of the sample, D dimensions.
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
from asrkd.core.shared_work import part_every_s as default_part_every_s
from asrkd.core.stopping import StopRequest
from asrkd.models.encoder import Tap
from asrkd.models.inference import GPU_BATCH
from asrkd.teachers.teacher import Teacher

NAME = "frames"


@dataclass(frozen=True)
class Sample:
    """Choice of frames: cuts, layer, and a random draw within each cut."""

    cuts: Sequence[MonoCut]
    tap: Tap
    frames_per_cut: int  # at most; a longer cut's are drawn at random
    seed: int


def sample_embeddings(
    folder: Path, teacher: Teacher, sample: Sample, stop: StopRequest, part_every_s: float | None = None
) -> Tensor:
    """Compute the (F, D) frames of a sample, float32 on the CPU, in its order.

    Args:
        folder: folder of the parts; the work resumes from the parts in it.
        teacher: teacher that computes the embeddings.
        sample: choice of frames.
        stop: request to stop, checked after every cut.
        part_every_s: seconds between parts; None for the interval of the parts of a store's shards.

    Raises:
        StoppedInTime: a stop was requested; finished parts stay on disk.
    """
    parts, begun = _read_parts(folder)
    pending: list[Tensor] = []
    if part_every_s is None:
        part_every_s = default_part_every_s()
    # On a GPU a part ends with a whole batch, so that batches are the same after a restart.
    batch_size = 1 if teacher.device.type == "cpu" else GPU_BATCH
    written_at = time.monotonic()
    with meter("embeddings", len(sample.cuts), "cuts", begun, heartbeat=True) as progress:
        for embedded in teacher.embeddings(sample.cuts[begun:], [sample.tap]):
            pending.append(_some_frames(embedded.tapped[sample.tap], sample, embedded.cut.id))
            progress.advance(audio_s=embedded.cut.duration)
            done, reason = begun + len(pending), stop.reason()
            is_due = reason is not None or time.monotonic() - written_at >= part_every_s
            if done == len(sample.cuts) or (is_due and done % batch_size == 0):
                parts.append(_write_part(folder, begun, pending))
                begun, pending, written_at = done, [], time.monotonic()
            if reason:
                stop.check(f"the embeddings of {begun} of {len(sample.cuts)} cuts are kept")
    return torch.cat(parts)


def num_sampled(folder: Path) -> int:
    """Count the cuts whose frames the parts in ``folder`` hold, by their names; none is read or removed."""
    spans = [path.stem.split("-")[1:] for path in sorted(folder.glob("embeddings-*.safetensors"))]
    done = 0
    for first, end in spans:
        done = int(end) if int(first) == done else done
    return done


def _some_frames(embeddings: Tensor, sample: Sample, cut_id: str) -> Tensor:
    """Draw at most ``frames_per_cut`` of embeddings (T, D), in order; seed and cut id decide which."""
    if len(embeddings) <= sample.frames_per_cut:
        return embeddings
    generator = torch.Generator().manual_seed(derive(sample.seed, "quantizer frames", cut_id))
    drawn = torch.randperm(len(embeddings), generator=generator)[: sample.frames_per_cut]
    return embeddings[drawn.sort().values]


def _write_part(folder: Path, first: int, frames: Sequence[Tensor]) -> Tensor:
    """Write the frames of the cuts from number ``first`` on as a part; return them, concatenated."""
    joined = torch.cat(list(frames)).float().contiguous()
    path = folder / f"embeddings-{first:08d}-{first + len(frames):08d}.safetensors"
    with files.create_aside(path) as partial:
        save_file({NAME: joined}, str(partial))
    return joined


def _read_parts(folder: Path) -> tuple[list[Tensor], int]:
    """Read the parts that follow each other without a gap; also return their number of cuts."""
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
