"""From utterances and hypotheses to a score: normalize, align once, count, utterance by utterance."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
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

AT_ONCE = 2000  # utterances
CHARACTER = find_unit("char")


@dataclass(frozen=True)
class ReferenceUtterance:
    """What was said, by whom, in what."""

    id: str
    reference: str
    recording: str
    speaker: str | None = None
    duration_s: float | None = None


@dataclass(frozen=True)
class Rules:
    """How texts are compared. Characters are aligned by Levenshtein's rule, whatever that of other units."""

    alignment: str = LEVENSHTEIN
    normalizer: Normalizer = field(default_factory=lambda: find_normalizer("none"))
    unit: Unit = WORD

    def record(self) -> dict[str, Any]:
        """What a request keeps of them; the word goes without saying, as before there were other units."""
        return {"alignment": self.alignment, "normalizer": asdict(self.normalizer)} | self.unit.record()


@dataclass(frozen=True)
class CorpusScore:
    """All utterances, by id, with the edits (:mod:`asrkd.scoring.edits`) that their counts are of."""

    rules: Rules
    utterances: list[ScoredUtterance]
    edits: list[str]

    @property
    def counts(self) -> Counts:
        """Of the unit, over the corpus."""
        return corpus_counts(utterance.counts for utterance in self.utterances)


def parse_rules(alignment: str, normalizer: str, unit: str = WORD.name) -> Rules:
    """The rules that --alignment, --normalizer and --unit name; AsrkdError if there are none of a name."""
    check_alignment(alignment)
    return Rules(alignment, find_normalizer(normalizer), find_unit(unit))


def require_words(references: Mapping[str, str], where: Path, rules: Rules) -> None:
    """Refuse references that hold no word once they are normalized: there is no error rate.

    Args:
        references: text by utterance id.
        where: the file that they are from.
        rules: with the normalizer and the unit.

    Raises:
        AsrkdError: with the first few ids.
    """
    if not any(units(normalize(text, rules.normalizer), rules.unit) for text in references.values()):
        raise AsrkdError(
            f"{where}: no {rules.unit.nouns} in the references of {len(references)} utterances "
            f"({some_ids(references)}) after normalizer {rules.normalizer.name}, so there is no error rate; "
            "score what has text"
        )


def score_utterances(
    utterances: Iterable[ReferenceUtterance],
    hypotheses: Mapping[str, str],
    rules: Rules,
    advance: Callable[[int], None] = lambda count: None,
) -> CorpusScore:
    """Score every utterance.

    Args:
        utterances: each once, in any order.
        hypotheses: text by utterance id.
        rules: normalizer, unit and alignment.
        advance: told how many more utterances are done, now and then; it may raise to stop.

    Raises:
        AsrkdError: an utterance has no hypothesis, or a hypothesis no utterance.
    """
    by_id = {utterance.id: utterance for utterance in utterances}
    require_same_ids({utt_id: utterance.reference for utt_id, utterance in by_id.items()}, hypotheses)
    ids = sorted(by_id)
    scored: list[ScoredUtterance] = []
    all_edits: list[str] = []
    for start in range(0, len(ids), AT_ONCE):
        some = [by_id[utt_id] for utt_id in ids[start : start + AT_ONCE]]
        texts = [_normalized(utterance.reference, hypotheses[utterance.id], rules) for utterance in some]
        pairs = [(units(said, rules.unit), units(heard, rules.unit)) for said, heard in texts]
        edits = align_many(pairs, rules.alignment)
        scored += [_scored(*each, rules.unit) for each in zip(some, texts, edits, strict=True)]
        all_edits += edits
        advance(len(some))
    return CorpusScore(rules, scored, all_edits)


def _normalized(reference: str, hypothesis: str, rules: Rules) -> tuple[str, str]:
    said = normalize(reference, rules.normalizer)
    return said, said if hypothesis == reference else normalize(hypothesis, rules.normalizer)


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


def _character_edits(texts: tuple[str, str], edits: str, unit: Unit) -> str:
    """Of characters: beside words a blank between two is one, beside other units blanks are ignored."""
    if unit == CHARACTER:
        return edits
    return levenshtein_edits(*(texts if unit == WORD else (units(text, CHARACTER) for text in texts)))
