"""Scoring of a corpus: normalize, align and count every utterance."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from asrkd.core.errors import AsrkdError
from asrkd.scoring.counts import (
    Counts,
    character_counts,
    corpus_counts,
    require_same_ids,
    some_ids,
    word_counts,
)
from asrkd.scoring.edits import levenshtein_edits
from asrkd.scoring.normalizer import Normalizer, find_normalizer, normalize
from asrkd.scoring.score_folder import ScoredUtterance
from asrkd.scoring.units import WORD, Unit, find_unit, units
from asrkd.scoring.word_alignment import LEVENSHTEIN, align_many, check_alignment
from asrkd.scoring.word_times import Emission, Times, fitted

AT_ONCE = 2000  # utterances aligned together
CHARACTER = find_unit("char")


@dataclass(frozen=True)
class ReferenceUtterance:
    """A reference with its recording, speaker and duration."""

    id: str
    reference: str
    recording: str
    speaker: str | None = None
    duration_s: float | None = None
    word_times: Times | None = None  # start and end of each word, in seconds; None: unknown


@dataclass(frozen=True)
class Rules:
    """Rules of scoring. Characters are always aligned by Levenshtein, whatever the alignment of the unit."""

    alignment: str = LEVENSHTEIN
    normalizer: Normalizer = field(default_factory=lambda: find_normalizer("none"))
    unit: Unit = WORD

    def record(self) -> dict[str, Any]:
        """Return the rules as a JSON record for a request; the unit is left out if it is the word."""
        return {"alignment": self.alignment, "normalizer": asdict(self.normalizer)} | self.unit.record()


@dataclass(frozen=True)
class CorpusScore:
    """All utterances, by id, with the edits (:mod:`asrkd.scoring.edits`) of their counts."""

    rules: Rules
    utterances: list[ScoredUtterance]
    edits: list[str]

    @property
    def counts(self) -> Counts:
        """Counts of the unit over the corpus."""
        return corpus_counts(utterance.counts for utterance in self.utterances)


def parse_rules(alignment: str, normalizer: str, unit: str = WORD.name) -> Rules:
    """Look up the rules of --alignment, --normalizer and --unit; AsrkdError if a name is unknown."""
    check_alignment(alignment)
    return Rules(alignment, find_normalizer(normalizer), find_unit(unit))


def require_words(references: Mapping[str, str], where: Path, rules: Rules) -> None:
    """Check that the references have words after normalization; else there is no error rate.

    Args:
        references: text by utterance id.
        where: file of the references, for errors.
        rules: rules of scoring.

    Raises:
        AsrkdError: no reference has a word.
    """
    if not any(units(normalize(text, rules.normalizer), rules.unit) for text in references.values()):
        raise AsrkdError(
            f"{where}: no {rules.unit.nouns} in the references of {len(references)} utterances "
            f"({some_ids(references)}) after normalizer {rules.normalizer.name}, so there is no error rate; "
            "score utterances that have text"
        )


def score_utterances(
    utterances: Iterable[ReferenceUtterance],
    hypotheses: Mapping[str, str],
    rules: Rules,
    advance: Callable[[int], None] = lambda count: None,
    emissions: Mapping[str, Emission] = MappingProxyType({}),
) -> CorpusScore:
    """Score every utterance.

    Args:
        utterances: utterances in any order, each id once.
        hypotheses: text by utterance id.
        rules: normalizer, unit and alignment.
        advance: function of the number of utterances scored since the last call; it may raise to stop.
        emissions: emission times of the hypotheses' words by utterance id, as far as known.

    Raises:
        AsrkdError: an utterance has no hypothesis, or a hypothesis has no utterance.
    """
    by_id = {utterance.id: utterance for utterance in utterances}
    require_same_ids({utt_id: utterance.reference for utt_id, utterance in by_id.items()}, hypotheses)
    ids = sorted(by_id)
    scored: list[ScoredUtterance] = []
    all_edits: list[str] = []
    for start in range(0, len(ids), AT_ONCE):
        batch = [by_id[utt_id] for utt_id in ids[start : start + AT_ONCE]]
        texts = [_normalized(utterance.reference, hypotheses[utterance.id], rules) for utterance in batch]
        pairs = [(units(pair[0], rules.unit), units(pair[1], rules.unit)) for pair in texts]
        edits = align_many(pairs, rules.alignment)
        counted = [_scored(*each, rules.unit) for each in zip(batch, texts, edits, strict=True)]
        scored += [
            _timed(each, utterance, hypotheses[each.id], emissions.get(each.id), rules)
            for each, utterance in zip(counted, batch, strict=True)
        ]
        all_edits += edits
        advance(len(batch))
    return CorpusScore(rules, scored, all_edits)


def _normalized(reference: str, hypothesis: str, rules: Rules) -> tuple[str, str]:
    normalized = normalize(reference, rules.normalizer)
    if hypothesis == reference:
        return normalized, normalized
    return normalized, normalize(hypothesis, rules.normalizer)


def _scored(utterance: ReferenceUtterance, texts: tuple[str, str], edits: str, unit: Unit) -> ScoredUtterance:
    return ScoredUtterance(
        id=utterance.id,
        speaker=utterance.speaker or utterance.recording,
        recording=utterance.recording,
        duration_s=utterance.duration_s,
        reference=texts[0],
        hypothesis=texts[1],
        counts=word_counts(edits),
        character_counts=character_counts(_character_edits(texts, edits, unit)),
    )


def _timed(
    scored: ScoredUtterance,
    utterance: ReferenceUtterance,
    hypothesis: str,
    emission: Emission | None,
    rules: Rules,
) -> ScoredUtterance:
    """Add the times of words, if they are known of the words of both scored texts."""
    if utterance.word_times is None or emission is None or rules.unit != WORD:
        return scored
    times = fitted(utterance.word_times, utterance.reference, scored.reference, rules.normalizer)
    emitted = emission.of_words(hypothesis, scored.hypothesis, rules.normalizer)
    if times is None or emitted is None:
        return scored
    return replace(scored, word_times=times, emission=emitted)


def _character_edits(texts: tuple[str, str], edits: str, unit: Unit) -> str:
    """Align characters: with the blanks between words if the unit is the word, else without blanks."""
    if unit == CHARACTER:
        return edits
    return levenshtein_edits(*(texts if unit == WORD else (units(text, CHARACTER) for text in texts)))
