"""How many words, or characters, are right, substituted, deleted and inserted.

The counts are those of a Levenshtein alignment (all errors cost 1), made by
jiwer on rapidfuzz. Texts meet by utterance id, never by their order.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import TypeVar

import jiwer

from asrkd.errors import AsrkdError

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
    """Counts of words."""

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


def count_errors(reference: str, hypothesis: str) -> Counts:
    """Word counts of one utterance; against an empty reference every word is an insertion."""
    aligned = jiwer.process_words(one_spaced(reference), one_spaced(hypothesis))
    return Counts(aligned.hits, aligned.substitutions, aligned.deletions, aligned.insertions)


def count_character_errors(reference: str, hypothesis: str) -> CharacterCounts:
    """Character counts of one utterance, runs of whitespace taken as one space, none at the ends."""
    aligned = jiwer.process_characters(one_spaced(reference), one_spaced(hypothesis))
    return CharacterCounts(aligned.hits, aligned.substitutions, aligned.deletions, aligned.insertions)


def score_texts(references: Mapping[str, str], hypotheses: Mapping[str, str]) -> dict[str, Counts]:
    """Word counts per utterance id, in the order of the ids.

    Raises:
        AsrkdError: an utterance has no hypothesis, or a hypothesis no utterance.
    """
    return _score(count_errors, references, hypotheses)


def score_characters(
    references: Mapping[str, str], hypotheses: Mapping[str, str]
) -> dict[str, CharacterCounts]:
    """Character counts per utterance id, in the order of the ids; raises as :func:`score_texts`."""
    return _score(count_character_errors, references, hypotheses)


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
            some = ", ".join(repr(utt_id) for utt_id in sorted(ids)[:NAMED_IDS])
            more = ", ..." if len(ids) > NAMED_IDS else ""
            raise AsrkdError(
                f"{len(ids)} {problem}: {some}{more}; expected one hypothesis for each utterance, "
                "score the same cuts that were decoded"
            )


def one_spaced(text: str) -> str:
    """The same words with single spaces between them."""
    return " ".join(text.split())


def _score(
    count: Callable[[str, str], AnyCounts], references: Mapping[str, str], hypotheses: Mapping[str, str]
) -> dict[str, AnyCounts]:
    require_same_ids(references, hypotheses)
    return {utt_id: count(references[utt_id], hypotheses[utt_id]) for utt_id in sorted(references)}
