"""How well a student predicts each codebook on speech that neither it nor its heads were trained on.

Training logs the mean over codebooks alone, and stores cover the training
cuts alone. So the indexes of held-out cuts are made here as the store's were:
by its teacher and its quantizer. The heads that predict them are in the
student's last checkpoint, whose snapshots' mean is the student as exported.

Letters: C indexes a student frame.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lhotse import MonoCut
from markupsafe import Markup
from torch import Tensor

from asrkd.core import config
from asrkd.core.errors import AsrkdError
from asrkd.core.parallel import one_thread
from asrkd.evaluation.report.figures.bars import Bar, Upright, bar_figure
from asrkd.models.directory import load_model
from asrkd.models.encoder import Tap
from asrkd.models.inference import encode_cuts
from asrkd.models.recognizer import LoadedModel
from asrkd.objectives.codebook import Codebook, CodebookConfig
from asrkd.targets.frames import align
from asrkd.targets.sources.codebook import CodebookSource, LiveCodebookSource
from asrkd.targets.store.used_stores import UsedStore
from asrkd.training.checkpoint import load_latest, mean_weights

MOST_CUTS = 40  # evenly spaced ones of the held-out cuts


@dataclass(frozen=True)
class CodebookLoss:
    """A student's cross-entropy on held-out cuts."""

    nats: list[float]  # of each codebook, mean over frames
    num_cuts: int
    num_frames: int
    codebook_size: int


def measure_codebook_loss(
    model: Path, experiment: Mapping[str, Any], used: UsedStore, held_out: Sequence[MonoCut]
) -> CodebookLoss:
    """Cross-entropy of the teacher's indexes, by codebook.

    Args:
        model: folder of a student trained on the store.
        experiment: its resolved config.
        used: the codebook store.
        held_out: cuts with features, not among those of training.

    Raises:
        AsrkdError: teacher, quantizer or checkpoint are no longer there, or
            are others by now; the message is fit to stand in a report.
    """
    source = CodebookSource(str(used.path))
    settings = _settings(experiment, used.name)
    teacher = source.live()
    student = load_model(model)
    head = _head(model, Codebook(settings, source, student.recognizer))
    every = max(1, -(-len(held_out) // MOST_CUTS))
    sums, frames, count = torch.zeros(source.num_codebooks, dtype=torch.float64), 0, 0
    with one_thread(), torch.no_grad():
        for cut in (held_out[row] for row in range(0, len(held_out), every)):
            indexes, embeddings = _meet(cut, student, teacher, settings)
            losses = torch.nn.functional.cross_entropy(
                head.logits(embeddings, indexes).flatten(0, 1), indexes.flatten(), reduction="none"
            )
            by_codebook = losses.double().view(-1, source.num_codebooks)  # stacked frames one after another
            sums, frames, count = sums + by_codebook.sum(0), frames + len(by_codebook), count + 1
    return CodebookLoss((sums / max(frames, 1)).tolist(), count, frames, source.codebook_size)


def figure(measured: CodebookLoss, entropy_bits: Sequence[float], label: str) -> Markup:
    """The cross-entropies, each with the entropy of the codebook's indexes in the store marked."""
    chance = math.log(measured.codebook_size)
    bars = []
    for number, (nats, bits) in enumerate(zip(measured.nats, entropy_bits, strict=True), start=1):
        title = f"codebook {number}: {nats:.2f} nats; knowing the frequencies alone {bits * math.log(2):.2f}"
        bars.append(Bar(str(number), nats, title, marks=((bits * math.log(2), "tick-best"),)))
    level = (chance, f"chance: ln {measured.codebook_size} = {chance:.2f} nats")
    return bar_figure(bars, Upright(label, "codebook", chance * 1.1, level=level))


def _settings(experiment: Mapping[str, Any], name: str) -> CodebookConfig:
    """The settings of the one codebook objective on the store."""
    entries = [entry for phase in experiment["phases"] for entry in phase["objectives"]]
    found = {str(own): own for entry in entries if (own := entry.get("codebook")) and own["targets"] == name}
    if not found:
        raise AsrkdError(f"the config names no codebook objective on {name}")
    parsed = [config.parse(CodebookConfig, own, "config.json") for own in found.values()]
    if len({own.model_copy(update={"scale": 1.0}) for own in parsed}) > 1:
        raise AsrkdError("several codebook objectives, whose heads cannot be told apart")
    return parsed[0]


def _head(folder: Path, objective: Codebook) -> Codebook:
    """``objective`` with the classifiers of the checkpoint, averaged as the exported student is."""
    checkpoint = load_latest(folder / "checkpoints") if (folder / "checkpoints").is_dir() else None
    if checkpoint is None:
        raise AsrkdError("the checkpoint with the classifiers is no longer there")
    weights = mean_weights(checkpoint.snapshots or [checkpoint.weights])
    found = [name for name in weights if name.startswith("objectives.codebook") and ".predict.w" in name]
    if len(found) != 1:
        raise AsrkdError(f"expected one set of classifiers in the checkpoint, found {len(found)}")
    prefix = found[0].removesuffix("predict.weight")
    own = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
    try:
        objective.load_state_dict(own)
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise AsrkdError(f"classifiers of other sizes in the checkpoint ({reason})") from None
    return objective


def _meet(
    cut: MonoCut, student: LoadedModel, teacher: LiveCodebookSource, settings: CodebookConfig
) -> tuple[Tensor, Tensor]:
    """(frames, C) indexes and the (frames, D) student's embeddings that are to predict them."""
    tap = Tap(settings.layer, settings.tap)
    (answer,) = encode_cuts(student, [cut], [tap])
    embeddings = answer.tapped[tap]
    num_frames = torch.tensor([len(embeddings)])
    shift = student.recognizer.frame_shift
    aligned = align(teacher.finish(teacher.fetch([cut])), num_frames, shift, delay=settings.delay)
    return aligned.values[aligned.mask].long(), embeddings[aligned.mask[0]]
