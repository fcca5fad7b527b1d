"""Counts of hits, substitutions, deletions and insertions, and the error rates computed from them.

Counts are those of an alignment (:mod:`asrkd.scoring.edits`). References and hypotheses are matched by
utterance id, never by order.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import TypeVar

from asrkd.core.errors import AsrkdError
from asrkd.scoring.edits import DELETION, HIT, INSERTION, SUBSTITUTION, levenshtein_edits
from asrkd.scoring.units import WORD, Unit, units

NAMED_IDS = 3  # ids listed in an error message before "..."


@dataclass(frozen=True)
class EditCounts:
    """The four counts of an alignment; counts of the same type can be added."""

    hits: int
    substitutions: int
    deletions: int
    insertions: int

    @property
    def errors(self) -> int:
        """Sum of substitutions, deletions and insertions."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def reference_length(self) -> int:
        """Number of units in the reference: hits, substitutions and deletions."""
        return self.hits + self.substitutions + self.deletions

    @property
    def error_rate(self) -> float:
        """Errors per unit of the reference: a fraction >= 0, which exceeds 1 if there are many insertions.

        Raises:
            AsrkdError: the reference is empty, so the rate is undefined.
        """
        if self.reference_length == 0:
            raise AsrkdError(
                f"no error rate: the references are empty ({self.insertions} insertions); "
                "score cuts whose supervisions have text"
            )
        return self.errors / self.reference_length

    def __add__(self: "AnyCounts", other: "AnyCounts") -> "AnyCounts":
        if type(self) is not type(other):
            return NotImplemented
        return type(self)(
            self.hits + other.hits,
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
        )


AnyCounts = TypeVar("AnyCounts", bound=EditCounts)


@dataclass(frozen=True)
class Counts(EditCounts):
    """Counts of words, or of another unit (:mod:`asrkd.scoring.units`) if the score uses one."""

    @property
    def num_words(self) -> int:
        """Number of words in the reference."""
        return self.reference_length

    @property
    def wer(self) -> float:
        """Word error rate, a fraction, not a percentage; AsrkdError if the reference has no words."""
        return self.error_rate


@dataclass(frozen=True)
class CharacterCounts(EditCounts):
    """Counts of characters; a space between two words counts as a character."""

    @property
    def num_characters(self) -> int:
        """Number of characters in the reference."""
        return self.reference_length

    @property
    def cer(self) -> float:
        """Character error rate, a fraction; AsrkdError if the reference has no characters."""
        return self.error_rate


def word_counts(edits: str) -> Counts:
    """Count the edits of an alignment of words."""
    return Counts(*_numbers(edits))


def character_counts(edits: str) -> CharacterCounts:
    """Count the edits of an alignment of characters."""
    return CharacterCounts(*_numbers(edits))


def _numbers(edits: str) -> tuple[int, int, int, int]:
    return edits.count(HIT), edits.count(SUBSTITUTION), edits.count(DELETION), edits.count(INSERTION)


def count_errors(reference: str, hypothesis: str, unit: Unit = WORD) -> Counts:
    """Count the errors of one utterance by Levenshtein alignment; all are insertions if it has no words."""
    return word_counts(levenshtein_edits(units(reference, unit), units(hypothesis, unit)))


def score_texts(
    references: Mapping[str, str], hypotheses: Mapping[str, str], unit: Unit = WORD
) -> dict[str, Counts]:
    """Count the errors of every utterance by Levenshtein alignment, in the order of the ids.

    Raises:
        AsrkdError: an utterance has no hypothesis, or a hypothesis has no utterance.
    """
    require_same_ids(references, hypotheses)
    return {
        utt_id: count_errors(references[utt_id], hypotheses[utt_id], unit) for utt_id in sorted(references)
    }


def corpus_counts(counts: Iterable[AnyCounts]) -> AnyCounts:
    """Sum counts over utterances: a corpus error rate averages over words, not over utterances.

    Raises:
        AsrkdError: there are no utterances.
    """
    items = list(counts)
    if not items:
        raise AsrkdError("nothing to score: no utterances; check the manifest of --cuts")
    return reduce(add, items)


def require_same_ids(references: Mapping[str, str], hypotheses: Mapping[str, str]) -> None:
    """Check that references and hypotheses are of the same utterances.

    Raises:
        AsrkdError: an utterance has no hypothesis, or a hypothesis has no utterance.
    """
    for ids, problem in (
        (references.keys() - hypotheses.keys(), "references have no hypothesis"),
        (hypotheses.keys() - references.keys(), "hypotheses have no reference"),
    ):
        if ids:
            raise AsrkdError(
                f"{len(ids)} {problem}: {some_ids(ids)}; expected one hypothesis for each utterance, "
                "score the same cuts that were decoded"
            )


def some_ids(ids: Iterable[str]) -> str:
    """List the first :data:`NAMED_IDS` ids in sorted order, for error messages."""
    names = sorted(ids)
    return ", ".join(map(repr, names[:NAMED_IDS])) + (", ..." if len(names) > NAMED_IDS else "")


def one_spaced(text: str) -> str:
    """Return the text with single spaces between its words, and none at its ends."""
    return " ".join(text.split())
