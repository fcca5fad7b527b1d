"""From utterances and hypotheses to a score: normalise, align once, count, utterance by utterance."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from asrkd.errors import AsrkdError
from asrkd.scoring.counts import (
    Counts,
    character_counts,
    corpus_counts,
    require_same_ids,
    some_ids,
    word_counts,
)
from asrkd.scoring.edits import levenshtein_edits
from asrkd.scoring.normaliser import Normaliser, find_normaliser, normalise
from asrkd.scoring.score_folder import ScoredUtterance
from asrkd.scoring.word_alignment import LEVENSHTEIN, align_many, check_alignment

AT_ONCE = 2000  # utterances


@dataclass(frozen=True)
class Utterance:
    """What was said, by whom, in what."""

    id: str
    reference: str
    recording: str
    speaker: str | None = None
    duration_s: float | None = None


@dataclass(frozen=True)
class Rules:
    """How texts are compared. Characters are aligned by Levenshtein's rule, whatever that of the words."""

    alignment: str = LEVENSHTEIN
    normaliser: Normaliser = field(default_factory=lambda: find_normaliser("none"))


@dataclass(frozen=True)
class CorpusScore:
    """All utterances, by id, with the edits (:mod:`asrkd.scoring.edits`) that their word counts are of."""

    rules: Rules
    utterances: list[ScoredUtterance]
    edits: list[str]

    @property
    def counts(self) -> Counts:
        """Of words, over the corpus."""
        return corpus_counts(utterance.counts for utterance in self.utterances)


def parse_rules(alignment: str, normaliser: str) -> Rules:
    """The rules that --alignment and --normaliser name; AsrkdError if there are none of that name."""
    check_alignment(alignment)
    return Rules(alignment, find_normaliser(normaliser))


def require_words(references: Mapping[str, str], where: Path, rules: Rules) -> None:
    """Refuse references that hold no word once they are normalised: there is no error rate.

    Args:
        references: text by utterance id.
        where: the file that they are from.
        rules: with the normaliser.

    Raises:
        AsrkdError: with the first few ids.
    """
    if not any(normalise(text, rules.normaliser) for text in references.values()):
        raise AsrkdError(
            f"{where}: no words in the references of {len(references)} utterances ({some_ids(references)}) "
            f"after normaliser {rules.normaliser.name}, so there is no error rate; score what has text"
        )


def score_utterances(
    utterances: Iterable[Utterance],
    hypotheses: Mapping[str, str],
    rules: Rules,
    advance: Callable[[int], None] = lambda count: None,
) -> CorpusScore:
    """Score every utterance.

    Args:
        utterances: each once, in any order.
        hypotheses: text by utterance id.
        rules: normaliser and alignment.
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
        texts = [_normalised(utterance.reference, hypotheses[utterance.id], rules) for utterance in some]
        edits = align_many([(said.split(), heard.split()) for said, heard in texts], rules.alignment)
        scored += map(_scored, some, texts, edits)
        all_edits += edits
        advance(len(some))
    return CorpusScore(rules, scored, all_edits)


def _normalised(reference: str, hypothesis: str, rules: Rules) -> tuple[str, str]:
    said = normalise(reference, rules.normaliser)
    return said, said if hypothesis == reference else normalise(hypothesis, rules.normaliser)


def _scored(utterance: Utterance, texts: tuple[str, str], edits: str) -> ScoredUtterance:
    return ScoredUtterance(
        id=utterance.id,
        speaker=utterance.speaker or utterance.recording,
        recording=utterance.recording,
        duration_s=utterance.duration_s,
        reference=texts[0],
        hypothesis=texts[1],
        counts=word_counts(edits),
        character_counts=character_counts(levenshtein_edits(*texts)),
    )
