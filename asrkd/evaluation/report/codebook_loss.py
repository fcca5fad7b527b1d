"""Cross-entropy of a student by codebook, on dev cuts.

Training logs only the mean over codebooks, and stores cover only the training cuts. So the indexes of the dev
cuts are computed here by the teacher and the quantizer of the store. The classifiers that predict them are in
the last checkpoint; the mean over its snapshots is the exported student.

Notation: C indexes per student frame.
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
from asrkd.core.errors import AsrkdError, error_text
from asrkd.core.parallel import one_thread
from asrkd.core.randomness import evenly_spaced
from asrkd.evaluation.report.figures.bars import Bar, BarAxes, bar_figure
from asrkd.models.directory import load_model
from asrkd.models.encoder import Tap
from asrkd.models.inference import encode_cuts
from asrkd.models.recognizer import LoadedModel
from asrkd.objectives.codebook import Codebook, CodebookConfig
from asrkd.targets.frames import align
from asrkd.targets.sources.codebook import CodebookSource, LiveCodebookSource
from asrkd.targets.store.used_stores import UsedStore
from asrkd.training.checkpoint import load_latest, mean_weights

MOST_CUTS = 40  # evenly spaced dev cuts


@dataclass(frozen=True)
class CodebookLoss:
    """The cross-entropy of a student on dev cuts."""

    nats: list[float]  # cross-entropy of each codebook, mean over frames
    num_cuts: int
    num_frames: int
    codebook_size: int


def measure_codebook_loss(
    model: Path, experiment: Mapping[str, Any], used: UsedStore, dev: Sequence[MonoCut]
) -> CodebookLoss:
    """Compute the cross-entropy of the teacher's indexes by codebook.

    Args:
        model: model folder of a student trained on the store.
        experiment: resolved config of the student.
        used: the codebook store.
        dev: cuts with features, which are not used in training.

    Raises:
        AsrkdError: teacher, quantizer or checkpoint is missing or has changed; the report shows the message.
    """
    source = CodebookSource(str(used.path))
    settings = _settings(experiment, used.name)
    teacher = source.live()
    student = load_model(model)
    head = _head(model, Codebook(settings, source, student.recognizer))
    sums, frames, count = torch.zeros(source.num_codebooks, dtype=torch.float64), 0, 0
    with one_thread(), torch.no_grad():
        for cut in evenly_spaced(dev, MOST_CUTS):
            indexes, embeddings = _align_frames(cut, student, teacher, settings)
            losses = torch.nn.functional.cross_entropy(
                head.logits(embeddings, indexes).flatten(0, 1), indexes.flatten(), reduction="none"
            )
            by_codebook = losses.double().view(-1, source.num_codebooks)  # stacked frames one after another
            sums, frames, count = sums + by_codebook.sum(0), frames + len(by_codebook), count + 1
    return CodebookLoss((sums / max(frames, 1)).tolist(), count, frames, source.codebook_size)


def figure(measured: CodebookLoss, entropy_bits: Sequence[float], label: str) -> Markup:
    """Draw the cross-entropy of each codebook, with a mark at the entropy of its indexes in the store."""
    chance = math.log(measured.codebook_size)
    bars = []
    for number, (nats, bits) in enumerate(zip(measured.nats, entropy_bits, strict=True), start=1):
        title = f"codebook {number}: {nats:.2f} nats; knowing the frequencies alone {bits * math.log(2):.2f}"
        bars.append(Bar(str(number), nats, title, marks=((bits * math.log(2), "tick-best"),)))
    level = (chance, f"chance: ln {measured.codebook_size} = {chance:.2f} nats")
    return bar_figure(bars, BarAxes(label, "codebook", chance * 1.1, level=level))


def _settings(experiment: Mapping[str, Any], name: str) -> CodebookConfig:
    """Find the settings of the codebook objective on the store; there may be one only."""
    entries = [entry for phase in experiment["phases"] for entry in phase["objectives"]]
    on_store = {
        str(tree): tree for entry in entries if (tree := entry.get("codebook")) and tree["targets"] == name
    }
    if not on_store:
        raise AsrkdError(f"the config has no codebook objective on {name}")
    settings = [config.parse(CodebookConfig, tree, "config.json") for tree in on_store.values()]
    if len({each.model_copy(update={"scale": 1.0}) for each in settings}) > 1:
        raise AsrkdError("several codebook objectives, whose classifiers cannot be told apart")
    return settings[0]


def _head(folder: Path, objective: Codebook) -> Codebook:
    """Load the classifiers of the checkpoint into ``objective``, averaged as the exported student is."""
    checkpoint = load_latest(folder / "checkpoints") if (folder / "checkpoints").is_dir() else None
    if checkpoint is None:
        raise AsrkdError("the checkpoint with the classifiers is no longer there")
    weights = mean_weights(checkpoint.snapshots or [checkpoint.weights])
    names = [name for name in weights if name.startswith("objectives.codebook") and ".predict.w" in name]
    if len(names) != 1:
        raise AsrkdError(f"expected one set of classifiers in the checkpoint, found {len(names)}")
    prefix = names[0].removesuffix("predict.weight")
    state = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
    try:
        objective.load_state_dict(state)
    except RuntimeError as error:
        raise AsrkdError(f"classifiers of other sizes in the checkpoint ({error_text(error)})") from None
    return objective


def _align_frames(
    cut: MonoCut, student: LoadedModel, teacher: LiveCodebookSource, settings: CodebookConfig
) -> tuple[Tensor, Tensor]:
    """Return (frames, C) indexes and the (frames, D) embeddings of the student that predict them."""
    tap = Tap(settings.layer, settings.tap)
    (answer,) = encode_cuts(student, [cut], [tap])
    embeddings = answer.tapped[tap]
    num_frames = torch.tensor([len(embeddings)])
    shift = student.recognizer.frame_shift
    aligned = align(teacher.finish(teacher.fetch([cut])), num_frames, shift, delay=settings.delay)
    return aligned.values[aligned.mask].long(), embeddings[aligned.mask[0]]
