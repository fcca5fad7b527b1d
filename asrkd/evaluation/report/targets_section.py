"""Diagnostics of the stores that a report's students were trained on."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from asrkd.core.config import parse
from asrkd.core.errors import AsrkdError
from asrkd.evaluation.report import codebook_diagnostics, codebook_loss, nbest_diagnostics
from asrkd.evaluation.report.codebook_diagnostics import CodebookFigures
from asrkd.evaluation.report.codebook_loss import CodebookLoss
from asrkd.evaluation.report.scored_cuts import dev_cuts
from asrkd.evaluation.report.systems import ReportedSystem
from asrkd.targets.sources.nbest_weights import WeightHistogram
from asrkd.targets.sources.settings import WeightSettings
from asrkd.targets.store import nbest_statistics
from asrkd.targets.store.nbest_statistics import NbestFigures
from asrkd.targets.store.used_stores import UsedStore


@dataclass(frozen=True)
class WeightsFigure:
    """How a student's objective weighed the hypotheses."""

    label: str
    spread: WeightHistogram
    figure: Markup


@dataclass(frozen=True)
class NbestFigure:
    """An N-best store."""

    name: str
    users: list[str]  # labels of the systems trained on it
    figures: NbestFigures
    histogram: Markup
    oracle: Markup
    weights: list[WeightsFigure]


@dataclass(frozen=True)
class LossFigure:
    """A student's cross-entropy by codebook."""

    label: str
    measured: CodebookLoss
    figure: Markup


@dataclass(frozen=True)
class CodebookFigure:
    """A codebook store."""

    name: str
    users: list[str]
    figures: CodebookFigures
    entropies: Markup
    losses: list[LossFigure]


@dataclass
class TargetsSection:
    """All stores, and why some are not among them."""

    nbest: list[NbestFigure] = field(default_factory=list)
    codebooks: list[CodebookFigure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def targets_shown(systems: Sequence[ReportedSystem]) -> TargetsSection:
    """Look at each store that a system was trained on, once; one that cannot be read becomes a note."""
    shown = TargetsSection()
    for store, users in _stores(systems):
        try:
            if store.kind == "nbest":
                _show_nbest(shown, store, users)
            elif store.kind == "codebook":
                _show_codebooks(shown, store, users)
        except AsrkdError as error:
            shown.notes.append(str(error))
    missing = sorted({name for system in systems for name in system.stores.missing})
    shown.notes += [f"{name} is no longer there" for name in missing]
    return shown


def _stores(systems: Sequence[ReportedSystem]) -> list[tuple[UsedStore, list[ReportedSystem]]]:
    """Every store with the systems trained on it, in the order of the systems."""
    users: dict[tuple[str, str], tuple[UsedStore, list[ReportedSystem]]] = {}
    for system in systems:
        for store in system.stores.found:
            users.setdefault((store.kind, str(store.path.resolve())), (store, []))[1].append(system)
    return list(users.values())


def _show_nbest(shown: TargetsSection, store: UsedStore, users: Sequence[ReportedSystem]) -> None:
    figures = nbest_statistics.measure_nbest(store.path)
    if figures is None:
        shown.notes.append(f"{store.name} holds no errors: its cuts had no transcripts")
        return
    drawn = nbest_diagnostics.histogram(figures), nbest_diagnostics.oracle(figures)
    labels = [system.label for system in users]
    shown.nbest.append(NbestFigure(store.name, labels, figures, *drawn, _weights(store, users)))


def _weights(store: UsedStore, users: Sequence[ReportedSystem]) -> list[WeightsFigure]:
    """Of each user that did not weigh all alike."""
    shown = []
    for system in users:
        own = [used for used in system.stores.found if used.path.resolve() == store.path.resolve()]
        for settings in (parse(WeightSettings, tree, store.name) for used in own for tree in used.weights):
            if settings != WeightSettings():
                spread = nbest_diagnostics.measure_weights(store.path, own[0].num_hypotheses or 1, settings)
                figure = nbest_diagnostics.weights(spread, system.label)
                shown.append(WeightsFigure(system.label, spread, figure))
    return shown


def _show_codebooks(shown: TargetsSection, store: UsedStore, users: Sequence[ReportedSystem]) -> None:
    figures = codebook_diagnostics.measure_codebooks(store.path)
    losses = []
    for system in users:
        try:
            measured = _loss(system, store)
        except AsrkdError as error:
            shown.notes.append(f"cross-entropy of {system.label} by codebook: {error}")
            continue
        label = f"Cross-entropy of {system.label} by codebook, in nats"
        bits = [own.entropy_bits for own in figures.use]
        losses.append(LossFigure(system.label, measured, codebook_loss.figure(measured, bits, label)))
    labels = [system.label for system in users]
    drawn = codebook_diagnostics.entropies(figures)
    shown.codebooks.append(CodebookFigure(store.name, labels, figures, drawn, losses))


def _loss(system: ReportedSystem, store: UsedStore) -> CodebookLoss:
    assert system.folder is not None  # it has a lineage
    return codebook_loss.measure_codebook_loss(system.folder, system.experiment, store, dev_cuts(system))
