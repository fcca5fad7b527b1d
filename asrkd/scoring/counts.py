"""How many words, or characters, are right, substituted, deleted and inserted.

Counts are those of an alignment (:mod:`asrkd.scoring.edits`). Texts meet by utterance id, never by order.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import TypeVar

from asrkd.core.errors import AsrkdError
from asrkd.scoring.edits import DELETION, HIT, INSERTION, SUBSTITUTION, levenshtein_edits
from asrkd.scoring.units import WORD, Unit, units

NAMED_IDS = 3  # ids that an error names before it says "..."


@dataclass(frozen=True)
class EditCounts:
    """The four counts of an alignment; two of a kind add up."""

    hits: int
    substitutions: int
    deletions: int
    insertions: int

    @property
    def errors(self) -> int:
        """Substitutions, deletions and insertions together."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def reference_length(self) -> int:
        """Units in the reference: hits, substitutions and deletions."""
        return self.hits + self.substitutions + self.deletions

    @property
    def error_rate(self) -> float:
        """Errors per unit of the reference: a fraction, >= 0, above 1 where there are many insertions.

        Raises:
            AsrkdError: the reference is empty, so there is no rate.
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
    """Counts of words, or of another unit (:mod:`asrkd.scoring.units`) where one was asked for."""

    @property
    def num_words(self) -> int:
        """Words in the reference."""
        return self.reference_length

    @property
    def wer(self) -> float:
        """Word error rate: a fraction, not a percentage. Raises AsrkdError on a reference without words."""
        return self.error_rate


@dataclass(frozen=True)
class CharacterCounts(EditCounts):
    """Counts of characters; a space between two words is one."""

    @property
    def num_characters(self) -> int:
        """Characters in the reference."""
        return self.reference_length

    @property
    def cer(self) -> float:
        """Character error rate: a fraction. Raises AsrkdError on a reference without characters."""
        return self.error_rate


def word_counts(edits: str) -> Counts:
    """The counts of an alignment of words."""
    return Counts(*_numbers(edits))


def character_counts(edits: str) -> CharacterCounts:
    """The counts of an alignment of characters."""
    return CharacterCounts(*_numbers(edits))


def _numbers(edits: str) -> tuple[int, int, int, int]:
    return edits.count(HIT), edits.count(SUBSTITUTION), edits.count(DELETION), edits.count(INSERTION)


def count_errors(reference: str, hypothesis: str, unit: Unit = WORD) -> Counts:
    """Counts of one utterance, Levenshtein's; against an empty reference every unit is an insertion."""
    return word_counts(levenshtein_edits(units(reference, unit), units(hypothesis, unit)))


def count_character_errors(reference: str, hypothesis: str) -> CharacterCounts:
    """Character counts of one utterance, runs of whitespace taken as one space, none at the ends."""
    return character_counts(levenshtein_edits(one_spaced(reference), one_spaced(hypothesis)))


def score_texts(
    references: Mapping[str, str], hypotheses: Mapping[str, str], unit: Unit = WORD
) -> dict[str, Counts]:
    """Counts per utterance id, Levenshtein's, in the order of the ids.

    Raises:
        AsrkdError: an utterance has no hypothesis, or a hypothesis no utterance.
    """
    require_same_ids(references, hypotheses)
    return {
        utt_id: count_errors(references[utt_id], hypotheses[utt_id], unit) for utt_id in sorted(references)
    }


def corpus_counts(counts: Iterable[AnyCounts]) -> AnyCounts:
    """The sum over utterances: a corpus's rate weighs words, not utterances.

    Raises:
        AsrkdError: there are no utterances.
    """
    items = list(counts)
    if not items:
        raise AsrkdError("nothing to score: no utterances; check the manifest given with --cuts")
    return reduce(add, items)


def require_same_ids(references: Mapping[str, str], hypotheses: Mapping[str, str]) -> None:
    """Refuse a comparison of different sets of utterances, naming the first few.

    Raises:
        AsrkdError: an utterance has no hypothesis, or a hypothesis no utterance.
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
    """The first few of them, in order."""
    names = sorted(ids)
    return ", ".join(map(repr, names[:NAMED_IDS])) + (", ..." if len(names) > NAMED_IDS else "")


def one_spaced(text: str) -> str:
    """The same words with single spaces between them."""
    return " ".join(text.split())
