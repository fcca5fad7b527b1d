"""Error rates of parts of the test set: by duration, by speaker and by signal-to-noise ratio."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from markupsafe import Markup

from asrkd.evaluation.report.figures.dots import Dot, DotRow, dot_figure
from asrkd.evaluation.report.systems import ReportedSystem
from asrkd.scoring.counts import Counts, corpus_counts
from asrkd.scoring.score_folder import ScoredUtterance, named_as_speakers

NUM_BINS = 5  # bins of about equally many utterances
MOST_SPEAKERS = 24  # rows; if there are more speakers, the hardest ones


@dataclass(frozen=True)
class Stratum:
    """Stratum: a named group of utterances."""

    label: str
    ids: frozenset[str]


@dataclass(frozen=True)
class Strata:
    """The figures; None if the property is not known, or the same for all utterances."""

    duration: Markup | None
    speaker: Markup | None
    snr: Markup | None
    num_speakers: int  # 0: unknown
    speakers_shown: int


@dataclass(frozen=True)
class _Counted:
    """The counts of a system by utterance id."""

    system: ReportedSystem
    counts: dict[str, Counts]

    def of(self, stratum: Stratum) -> Counts:
        return corpus_counts(self.counts[utt_id] for utt_id in stratum.ids)


def strata(systems: Sequence[ReportedSystem], snr_db: Mapping[str, float]) -> Strata:
    """Draw the error rates of ``systems`` by duration, speaker and signal-to-noise ratio.

    Args:
        systems: systems scored on the same references.
        snr_db: signal-to-noise ratios by id, of the utterances whose ratio is known.
    """
    utterances = systems[0].score.utterances
    counted = [
        _Counted(system, {each.id: each.counts for each in system.score.utterances}) for system in systems
    ]
    speakers = by_speaker(utterances) if named_as_speakers(utterances) == "speaker" else []
    ratios = {utterance.id: snr_db[utterance.id] for utterance in utterances if utterance.id in snr_db}
    durations = {
        utterance.id: utterance.duration_s for utterance in utterances if utterance.duration_s is not None
    }
    return Strata(
        _figure(counted, bins(durations, "s"), "duration"),
        _figure(counted, _hardest(counted, speakers), "speaker"),
        _figure(counted, bins(ratios, "dB"), "signal-to-noise ratio"),
        len(speakers),
        min(len(speakers), MOST_SPEAKERS),
    )


def bins(values: Mapping[str, float], unit: str) -> list[Stratum]:
    """Group ids into up to :data:`NUM_BINS` bins of about equal size by value, equal values together."""
    ordered = sorted(values, key=lambda utt_id: (values[utt_id], utt_id))
    ranks = {value: rank for rank, value in reversed(list(enumerate(values[i] for i in ordered)))}

    def number(utt_id: str) -> int:
        return ranks[values[utt_id]] * NUM_BINS // len(ordered)

    groups = [list(group) for _, group in groupby(ordered, key=number)]
    return [Stratum(_span(values[group[0]], values[group[-1]], unit), frozenset(group)) for group in groups]


def by_speaker(utterances: Sequence[ScoredUtterance]) -> list[Stratum]:
    """Group the utterances by speaker, sorted by name."""
    ids: dict[str, set[str]] = {}
    for utterance in utterances:
        ids.setdefault(utterance.speaker, set()).add(utterance.id)
    return [Stratum(speaker, frozenset(ids[speaker])) for speaker in sorted(ids)]


def _span(low: float, high: float, unit: str) -> str:
    first, last = f"{low:.1f}", f"{high:.1f}"
    return f"{first}–{last} {unit}" if first != last else f"{first} {unit}"


def _figure(counted: Sequence[_Counted], groups: Sequence[Stratum], by: str) -> Markup | None:
    """Draw the rates by group; None if fewer than two groups have words."""
    unit = counted[0].system.score.unit
    rows = [_row(counted, group) for group in groups if all(system.of(group).num_words for system in counted)]
    return dot_figure(rows, f"{unit.rate_name} by {by}", unit.nouns) if len(rows) > 1 else None


def _hardest(counted: Sequence[_Counted], speakers: Sequence[Stratum]) -> list[Stratum]:
    """Sort speakers by the error rate of all systems together, the hardest first."""

    def ease(speaker: Stratum) -> tuple[float, str]:
        counts = [system.of(speaker) for system in counted]
        return -sum(system.errors for system in counts) / max(counts[0].num_words, 1), speaker.label

    return sorted(speakers, key=ease)[:MOST_SPEAKERS]


def _row(counted: Sequence[_Counted], group: Stratum) -> DotRow:
    dots = []
    for system in counted:
        counts, label = system.of(group), system.system.label
        total = f"{counts.num_words} {system.system.score.unit.nouns}"
        title = f"{label}, {group.label}: {counts.wer:.1%}, {counts.errors} of {total}"
        dots.append(Dot(system.system.style, counts.wer, title))
    return DotRow(group.label, f"{counted[0].of(group).num_words:,}", dots)
