"""From utterances and hypotheses to a score: normalise, align, count, utterance by utterance."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from asrkd.scoring.counts import count_character_errors, count_errors, require_same_ids
from asrkd.scoring.normaliser import Normaliser, find_normaliser, normalise
from asrkd.scoring.score_folder import ScoredUtterance

LEVENSHTEIN = "levenshtein"


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
    """How texts are compared."""

    normaliser: Normaliser = find_normaliser("none")
    alignment: str = LEVENSHTEIN


def score_utterances(
    utterances: Iterable[Utterance], hypotheses: Mapping[str, str], rules: Rules
) -> list[ScoredUtterance]:
    """Score every utterance; the result is in the order of the ids.

    Raises:
        AsrkdError: an utterance has no hypothesis, or a hypothesis no utterance.
    """
    by_id = {utterance.id: utterance for utterance in utterances}
    require_same_ids({utt_id: utterance.reference for utt_id, utterance in by_id.items()}, hypotheses)
    return [_score(by_id[utt_id], hypotheses[utt_id], rules) for utt_id in sorted(by_id)]


def _score(utterance: Utterance, hypothesis: str, rules: Rules) -> ScoredUtterance:
    said = normalise(utterance.reference, rules.normaliser)
    heard = normalise(hypothesis, rules.normaliser)
    return ScoredUtterance(
        utterance.id,
        utterance.speaker or utterance.recording,
        utterance.recording,
        utterance.duration_s,
        said,
        heard,
        count_errors(said, heard),
        count_character_errors(said, heard),
    )
