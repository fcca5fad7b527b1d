"""Targets section of the report: statistics of the stores that the students were trained on."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from asrkd.core.config import parse
from asrkd.core.errors import AsrkdError
from asrkd.evaluation.report import (
    codebook_diagnostics,
    codebook_loss,
    hidden_diagnostics,
    nbest_diagnostics,
)
from asrkd.evaluation.report.codebook_diagnostics import CodebookStatistics
from asrkd.evaluation.report.codebook_loss import CodebookLoss
from asrkd.evaluation.report.scored_cuts import dev_cuts
from asrkd.evaluation.report.systems import ReportedSystem
from asrkd.targets.sources.nbest_weights import WeightHistogram
from asrkd.targets.sources.settings import WeightSettings
from asrkd.targets.store import nbest_statistics
from asrkd.targets.store.hidden_statistics import HiddenStatistics, measure_hidden
from asrkd.targets.store.nbest_statistics import NbestFigures
from asrkd.targets.store.used_stores import UsedStore


@dataclass(frozen=True)
class WeightsFigure:
    """The weights of hypotheses in a student's objective."""

    label: str
    histogram: WeightHistogram
    figure: Markup


@dataclass(frozen=True)
class NbestFigure:
    """An N-best store with its figures."""

    name: str
    users: list[str]  # labels of the systems trained on it
    statistics: NbestFigures
    histogram: Markup
    oracle: Markup
    weights: list[WeightsFigure]


@dataclass(frozen=True)
class LossFigure:
    """The cross-entropy of a student by codebook."""

    label: str
    loss: CodebookLoss
    figure: Markup


@dataclass(frozen=True)
class CodebookFigure:
    """A codebook store with its figures."""

    name: str
    users: list[str]
    statistics: CodebookStatistics
    entropies: Markup
    losses: list[LossFigure]


@dataclass(frozen=True)
class HiddenFigure:
    """A store of hidden states with the weights of its frames."""

    name: str
    users: list[str]
    statistics: HiddenStatistics
    weights: Markup


@dataclass
class TargetsSection:
    """All stores of the targets section, and notes on stores that are left out."""

    nbest: list[NbestFigure] = field(default_factory=list)
    codebooks: list[CodebookFigure] = field(default_factory=list)
    hidden: list[HiddenFigure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def draw_targets(systems: Sequence[ReportedSystem]) -> TargetsSection:
    """Draw every store that a system was trained on; a store that cannot be read becomes a note."""
    section = TargetsSection()
    for store, users in _stores(systems):
        try:
            if store.kind == "nbest":
                _add_nbest(section, store, users)
            elif store.kind == "codebook":
                _add_codebooks(section, store, users)
            elif store.kind == "hidden":
                _add_hidden(section, store, users)
        except AsrkdError as error:
            section.notes.append(str(error))
    missing = sorted({name for system in systems for name in system.stores.missing})
    section.notes += [f"{name} is no longer there" for name in missing]
    return section


def _stores(systems: Sequence[ReportedSystem]) -> list[tuple[UsedStore, list[ReportedSystem]]]:
    """List every store with the systems trained on it, in the order of the systems."""
    users: dict[tuple[str, str], tuple[UsedStore, list[ReportedSystem]]] = {}
    for system in systems:
        for store in system.stores.stores:
            users.setdefault((store.kind, str(store.path.resolve())), (store, []))[1].append(system)
    return list(users.values())


def _add_nbest(section: TargetsSection, store: UsedStore, users: Sequence[ReportedSystem]) -> None:
    statistics = nbest_statistics.measure_nbest(store.path)
    if statistics is None:
        section.notes.append(f"{store.name} has no word errors, because its cuts had no transcripts")
        return
    figures = nbest_diagnostics.histogram(statistics), nbest_diagnostics.oracle(statistics)
    labels = [system.label for system in users]
    section.nbest.append(NbestFigure(store.name, labels, statistics, *figures, _weights(store, users)))


def _weights(store: UsedStore, users: Sequence[ReportedSystem]) -> list[WeightsFigure]:
    """Draw the weights of each user whose objective did not weight all hypotheses equally."""
    figures = []
    for system in users:
        uses = [used for used in system.stores.stores if used.path.resolve() == store.path.resolve()]
        for settings in (parse(WeightSettings, tree, store.name) for used in uses for tree in used.weights):
            if settings != WeightSettings():
                num_hypotheses = uses[0].num_hypotheses or 1
                histogram = nbest_diagnostics.measure_weights(store.path, num_hypotheses, settings)
                figure = nbest_diagnostics.weights(histogram, system.label)
                figures.append(WeightsFigure(system.label, histogram, figure))
    return figures


def _add_codebooks(section: TargetsSection, store: UsedStore, users: Sequence[ReportedSystem]) -> None:
    statistics = codebook_diagnostics.measure_codebooks(store.path)
    losses = []
    for system in users:
        try:
            loss = _loss(system, store)
        except AsrkdError as error:
            section.notes.append(f"cross-entropy of {system.label} by codebook: {error}")
            continue
        label = f"Cross-entropy of {system.label} by codebook, in nats"
        bits = [use.entropy_bits for use in statistics.use]
        losses.append(LossFigure(system.label, loss, codebook_loss.figure(loss, bits, label)))
    labels = [system.label for system in users]
    entropies = codebook_diagnostics.entropies(statistics)
    section.codebooks.append(CodebookFigure(store.name, labels, statistics, entropies, losses))


def _add_hidden(section: TargetsSection, store: UsedStore, users: Sequence[ReportedSystem]) -> None:
    statistics = measure_hidden(store.path)
    labels = [system.label for system in users]
    figure = hidden_diagnostics.histogram(statistics)
    section.hidden.append(HiddenFigure(store.name, labels, statistics, figure))


def _loss(system: ReportedSystem, store: UsedStore) -> CodebookLoss:
    assert system.folder is not None  # it has a lineage
    return codebook_loss.measure_codebook_loss(system.folder, system.experiment, store, dev_cuts(system))
