"""Learner: a student with the training-only parameters of its objectives."""

from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import torch
from lhotse import MonoCut
from torch import Tensor, nn

from asrkd.core.errors import AsrkdError, warn
from asrkd.data.cuts.packed import PackedCuts
from asrkd.data.cuts.records import is_transcribed
from asrkd.data.tokens import Tokens
from asrkd.models.recognizer import Recognizer, RecognizerOutput, Student
from asrkd.objectives import kinds
from asrkd.objectives.base import Objective, ObjectiveConfig
from asrkd.objectives.intermediate_heads import IntermediateHeads
from asrkd.targets.sources.base import Selective, TargetSource, ignore
from asrkd.targets.sources.settings import LiveTargets, SequenceSettings
from asrkd.training.config import PhaseConfig
from asrkd.training.loader import Batch

MEASURED_TOGETHER = 8  # cuts of a batch


@dataclass(frozen=True)
class LossTerm:
    """A term of a phase's loss."""

    label: str  # of objective and source, as in logs: 'ctc', 'ctc-nbest', 'codebook'
    scale: float  # of the config


class Learner(nn.Module):
    """A student with the objectives of all phases, each with its target source."""

    def __init__(self, student: Student, phases: Sequence[PhaseConfig], tokens: Tokens) -> None:
        """Open every target source and build every objective.

        Phases that name the same objective with settings equal but for the scale share its parameters.

        Raises:
            AsrkdError: a store cannot be opened or does not fit the student.
        """
        super().__init__()
        self.student = student
        self.sources: dict[str, TargetSource] = {}
        self._settings: dict[str, ObjectiveConfig] = {}  # by label
        self.terms: list[list[LossTerm]] = []
        self.notes: list[str] = []  # on targets that are left out, and on weights
        built: dict[str, str] = {}  # label by settings
        objectives: dict[str, nn.Module] = {}
        for phase in phases:
            terms = []
            for entry in phase.objectives:
                settings = entry.settings
                key = f"{entry.name} {settings.model_dump_json(exclude={'scale'})}"
                if key not in built:
                    kind = kinds()[entry.name]
                    source = kind.source(settings, tokens)
                    objective = kind.build(settings, source, student)
                    label = built[key] = _free_label(entry.name, settings, objective, objectives)
                    self._settings[label], self.sources[label] = settings, source
                    objectives[label] = objective
                terms.append(LossTerm(built[key], settings.scale))
            self.terms.append(terms)
        self.objectives = nn.ModuleDict(objectives)
        heads = {tap for label in objectives for tap in self.objective(label).heads()}
        self.intermediate_heads = IntermediateHeads(student, heads)

    def forward(
        self, batch: Batch | None, terms: Sequence[LossTerm], counts: Mapping[str, float]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the share of a batch in the loss of its update.

        Args:
            batch: None where other processes have a batch and this one has none.
            terms: the terms of the phase.
            counts: counts over the whole update by label; the sum of each term is divided by its count.

        Returns:
            The scaled sum of all terms, a scalar () that always has a backward
            pass; and each term by its label, a scalar (), unscaled and detached.
        """
        zero = next(self.parameters()).flatten()[:0].sum()  # with a gradient of zero
        if batch is None:
            return zero, {}
        output = self.outputs(batch, [self.objective(term.label) for term in terms])
        losses = {
            label: self.objective(label)(output, batch.targets[label]) / count
            for label, count in counts.items()
        }
        total = torch.stack([self.factor(term) * losses[term.label] for term in terms]).sum()
        total = total if total.requires_grad else total + zero  # no target fits its audio
        return total, {label: loss.detach() for label, loss in losses.items()}

    def factor(self, term: LossTerm) -> Tensor | float:
        """Return the factor of a term in the total loss: its scale, times the factor of its objective."""
        return term.scale * self.objective(term.label).factor

    def measure(self, cuts: Sequence[MonoCut], device: torch.device) -> None:
        """Let objectives measure the targets of some training cuts, before the first step; keep their notes.

        Raises:
            AsrkdError: targets cannot be read, or there is nothing to learn from them.
        """
        groups = [cuts[first : first + MEASURED_TOGETHER] for first in range(0, len(cuts), MEASURED_TOGETHER)]
        for label, source in self.sources.items():
            objective = self.objective(label)
            if objective.measures_targets:
                targets = [source.finish(source.fetch(group).to(device)) for group in groups]
                self.notes += objective.measure(targets)

    def objective(self, label: str) -> Objective:
        """Return the objective of a term."""
        objective = self.objectives[label]
        assert isinstance(objective, Objective)
        return objective

    def outputs(self, batch: Batch, objectives: Collection[Objective]) -> RecognizerOutput:
        """Compute the student's outputs for a batch, with the layers and heads that ``objectives`` read."""
        heads = {tap for objective in objectives for tap in objective.heads()}
        taps = heads.union(*(objective.taps() for objective in objectives))
        output = self.student(batch.features, batch.num_frames, taps)
        return self.intermediate_heads.outputs(output, heads)

    def verify(self, cuts: PackedCuts) -> PackedCuts:
        """Verify the targets of training cuts, and return the cuts that have any.

        Cuts that the settings of a source leave out are noted, with the reason.

        Raises:
            AsrkdError: targets of a cut are missing or do not fit it, no cut is left, or an objective
                uses none of the cuts.
        """
        assert isinstance(self.student, Recognizer)  # a language model is trained on text
        covered: set[str] | None = set()
        for label, source in self.sources.items():
            _refuse_without_cuts(label, self._settings[label], cuts)
            if not isinstance(source, Selective):
                source.verify(cuts, self.student.frame_shift)
                covered = None  # all
                continue
            dropped = self.objective(label).dropped()
            selection = source.examine(cuts, ignore if dropped is None else dropped.add)
            covered = None if covered is None else covered | selection.ids
            self.note(selection.lines)
            if dropped is not None:
                self.note(dropped.lines(f"objective {label}"))
                dropped.refuse_all(f"objective {label}")
        kept, left_out = (cuts, []) if covered is None else _only(cuts, covered)
        self.note(left_out)
        return kept

    def note(self, lines: Sequence[str]) -> None:
        """Warn on stderr at once, before an error may follow, and keep the lines for the log."""
        self.notes += lines
        for line in lines:
            warn(line)

    def snapshot(self) -> dict[str, Tensor]:
        """Copy all parameters and buffers, (...) by name."""
        return {name: value.detach().clone() for name, value in self.state_dict().items()}


def _refuse_without_cuts(label: str, settings: ObjectiveConfig, cuts: PackedCuts) -> None:
    """Raise AsrkdError if an objective uses transcribed or untranscribed cuts and there are none."""
    used = settings.cuts if isinstance(settings, SequenceSettings) else "all"
    if used != "all" and not any(
        is_transcribed(record.texts) == (used == "transcribed") for record in cuts.records
    ):
        raise AsrkdError(
            f"objective {label}: uses {used} cuts, but 0 of {len(cuts)} training cuts are {used}; "
            "remove the objective, or train on other cuts"
        )


def _only(cuts: PackedCuts, ids: AbstractSet[str]) -> tuple[PackedCuts, list[str]]:
    """Select cuts by id, with a line about the others if there are any."""
    kept = cuts.where(lambda record: record.id in ids)
    without = [record for record in cuts.records if record.id not in ids]
    if not kept:
        raise AsrkdError(
            f"no targets are left for any of the {len(cuts)} training cuts; "
            "relax the settings filter and cuts of the objectives"
        )
    if not without:
        return kept, []
    hours = sum(record.duration for record in without) / 3600
    return kept, [
        f"{len(without)} of {len(cuts)} cuts ({hours:.3f} h) have no targets and are left out of "
        f"training, e.g. {', '.join(record.id for record in without[:3])}"
    ]


def _free_label(name: str, settings: object, objective: Objective, taken: Mapping[str, object]) -> str:
    """Return a label for logs and parameter names that is not in ``taken``."""
    named = getattr(settings, "targets", "transcript")
    spec = named.teacher if isinstance(named, LiveTargets) else str(named)
    targets = spec.rstrip("/").rsplit("/", 1)[-1]
    label = name if targets in ("transcript", name) else f"{name}-{targets}".replace(".", "_")
    label += "".join(f"-layer{tap.layer}" for tap in objective.heads())
    number = 2
    while label in taken:
        label, number = f"{label.rsplit('#', 1)[0]}#{number}", number + 1
    return label
