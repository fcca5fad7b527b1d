"""What is optimized: the student, and the training-only parameters of its objectives."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from asrkd.core.errors import AsrkdError, warn
from asrkd.data.cuts.packed import PackedCuts
from asrkd.data.cuts.records import is_transcribed
from asrkd.data.tokens import Tokens
from asrkd.models.encoder import Tap
from asrkd.models.recognizer import Student
from asrkd.objectives import Objective, kinds
from asrkd.objectives.base import ObjectiveConfig
from asrkd.targets.sources.base import Selective, TargetSource, ignore
from asrkd.targets.sources.live import LiveTargets
from asrkd.targets.sources.nbest_settings import SequenceSettings
from asrkd.training.config import PhaseConfig
from asrkd.training.loader import Batch


@dataclass(frozen=True)
class LossTerm:
    """One term of a phase's loss."""

    label: str  # of its objective and source, as it stands in logs: 'ctc', 'ctc-nbest', 'codebook'
    scale: float


class Learner(nn.Module):
    """A student with the objectives of all phases, each with its target source."""

    def __init__(self, student: Student, phases: Sequence[PhaseConfig], tokens: Tokens) -> None:
        """Open every target source and build every objective.

        Two phases that name the same objective with equal settings, the scale
        apart, share its parameters.

        Raises:
            AsrkdError: a store cannot be opened or does not fit the student.
        """
        super().__init__()
        self.student = student
        self.sources: dict[str, TargetSource] = {}
        self._settings: dict[str, ObjectiveConfig] = {}  # by label
        self.terms: list[list[LossTerm]] = []
        self.told: list[str] = []  # of what the sources leave out, and of weights
        built: dict[str, str] = {}  # settings to label
        objectives: dict[str, nn.Module] = {}
        for phase in phases:
            terms = []
            for entry in phase.objectives:
                settings = entry.settings
                key = f"{entry.name} {settings.model_dump_json(exclude={'scale'})}"
                if key not in built:
                    label = built[key] = _free_label(entry.name, settings, objectives)
                    self._settings[label], kind = settings, kinds()[entry.name]
                    self.sources[label] = kind.source(settings, tokens)
                    objectives[label] = kind.build(settings, self.sources[label], student)
                terms.append(LossTerm(built[key], settings.scale))
            self.terms.append(terms)
        self.objectives = nn.ModuleDict(objectives)

    def forward(
        self, batch: Batch | None, terms: Sequence[LossTerm], counts: Mapping[str, float]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of a batch: its share of the loss of the whole update that it is part of.

        Args:
            batch: None where other processes have a batch and this one has not.
            terms: of the phase.
            counts: what each term is a sum over, in the whole update.

        Returns:
            All terms scaled and summed, a scalar () that a backward pass can
            start from in any case; and each term by its label, a scalar (),
            neither scaled nor part of the graph.
        """
        nothing = next(self.parameters()).flatten()[:0].sum()  # zero, with a gradient of zero
        if batch is None:
            return nothing, {}
        output = self.student(batch.features, batch.num_frames, self.taps(terms))
        losses = {
            label: self.objective(label)(output, batch.targets[label]) / count
            for label, count in counts.items()
        }
        total = torch.stack([term.scale * losses[term.label] for term in terms]).sum()
        total = total if total.requires_grad else total + nothing  # no target fitted its audio
        return total, {label: loss.detach() for label, loss in losses.items()}

    def objective(self, label: str) -> Objective:
        """The objective of a term."""
        objective = self.objectives[label]
        assert isinstance(objective, Objective)
        return objective

    def taps(self, terms: Sequence[LossTerm]) -> set[Tap]:
        """All layers that the terms read."""
        return {tap for term in terms for tap in self.objective(term.label).taps()}

    def verify(self, cuts: PackedCuts) -> PackedCuts:
        """The cuts that there is anything to learn of.

        What a source's settings leave out, and why, is said on stderr, and kept for the log.

        Raises:
            AsrkdError: a source lacks targets of a cut, or has ones that do not fit it, or nothing is left,
                or an objective is about none of the cuts.
        """
        covered: set[str] | None = set()
        for label, source in self.sources.items():
            _refuse_about_none(label, self._settings[label], cuts)
            if not isinstance(source, Selective):
                source.verify(cuts)
                covered = None  # it has targets of all
                continue
            dropped = self.objective(label).dropped()
            selection = source.examine(cuts, ignore if dropped is None else dropped.add)
            covered = None if covered is None else covered | selection.ids
            self.tell(selection.lines)
            if dropped is not None:
                self.tell(dropped.lines(f"objective {label}"))
                dropped.refuse_all(f"objective {label}")
        kept, left_out = (cuts, []) if covered is None else _only(cuts, covered)
        self.tell(left_out)
        return kept

    def tell(self, lines: Sequence[str]) -> None:
        """Say it at once, so that it is there before an error is, and keep it."""
        self.told += lines
        for line in lines:
            warn(line)

    def snapshot(self) -> dict[str, Tensor]:
        """A copy of all parameters and buffers, by name, each of its own shape (...)."""
        return {name: value.detach().clone() for name, value in self.state_dict().items()}


def _refuse_about_none(label: str, settings: ObjectiveConfig, cuts: PackedCuts) -> None:
    """Raise AsrkdError if an objective is about transcribed or untranscribed cuts and none is such."""
    about = settings.cuts if isinstance(settings, SequenceSettings) else "all"
    wanted = about == "transcribed"
    if about != "all" and not any(is_transcribed(record.texts) == wanted for record in cuts.records):
        raise AsrkdError(
            f"objective {label}: is about cuts: {about}, and 0 of {len(cuts)} training cuts are such; "
            "leave the objective out, or train on cuts of which some are"
        )


def _only(cuts: PackedCuts, ids: AbstractSet[str]) -> tuple[PackedCuts, list[str]]:
    """Those cuts, and a line about the others if there are any."""
    kept = cuts.where(lambda record: record.id in ids)
    without = [record for record in cuts.records if record.id not in ids]
    if not kept:
        raise AsrkdError(
            f"no targets are left for any of the {len(cuts)} training cuts; "
            "widen the filter and cuts of the objectives"
        )
    if not without:
        return kept, []
    hours = sum(record.duration for record in without) / 3600
    return kept, [
        f"{len(without)} of {len(cuts)} cuts ({hours:.3f} h) have no targets and are left out of "
        f"training, e.g. {', '.join(record.id for record in without[:3])}"
    ]


def mean_weights(snapshots: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of several snapshots, (...) by name, taken in float64, in the type that each tensor has."""
    return {
        name: torch.stack([snapshot[name].double() for snapshot in snapshots]).mean(0).to(value.dtype)
        for name, value in snapshots[0].items()
    }


def _free_label(name: str, settings: object, taken: Mapping[str, object]) -> str:
    """A label for logs and parameter names that is not taken yet."""
    named = getattr(settings, "targets", "transcript")
    spec = named.teacher if isinstance(named, LiveTargets) else str(named)
    targets = spec.rstrip("/").rsplit("/", 1)[-1]
    label = name if targets in ("transcript", name) else f"{name}-{targets}".replace(".", "_")
    number = 2
    while label in taken:
        label, number = f"{label.rsplit('#', 1)[0]}#{number}", number + 1
    return label
