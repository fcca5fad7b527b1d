"""Word errors of stored hypotheses, checked against the present transcripts of their cuts.

Errors are counted when hypotheses are stored, in words or the store's unit. A
transcript that is corrected afterwards makes them wrong, and weights with them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from asrkd.core import files
from asrkd.data.cuts.records import CutRecord, is_transcribed
from asrkd.scoring.counts import count_errors
from asrkd.scoring.edits import levenshtein_distances
from asrkd.scoring.units import WORD, Unit, units
from asrkd.targets.nbest import Nbest, WordErrors


def word_errors(reference: str | None, text: str, unit: Unit = WORD) -> WordErrors | None:
    """Count the errors of a hypothesis, in words or another unit; None without a reference."""
    if reference is None:
        return None
    counts = count_errors(reference, text, unit)
    return WordErrors(counts.errors, (counts.substitutions, counts.deletions, counts.insertions))


def counted_reference(texts: Sequence[str | None]) -> str | None:
    """Join the texts of a cut's supervisions into the reference of errors; None without a transcript."""
    return " ".join(map(str, texts)) if is_transcribed(texts) else None


def was_counted_against(contract: Mapping[str, Any], cuts: Sequence[CutRecord]) -> bool:
    """Whether these are all the cuts of a store, in its order, with unchanged transcripts."""
    digest = contract.get("cuts", {}).get("digest")
    return (
        "references" in contract
        and files.sha256_of([cut.digest for cut in cuts]) == digest
        and files.sha256_of([list(cut.texts) for cut in cuts]) == contract["references"]
    )


def stale_errors(nbest: Nbest, texts: Sequence[str | None], unit: Unit = WORD) -> str | None:
    """Describe errors that differ from the present transcript, as the end of a sentence; None if none do.

    Lists without errors and cuts without a transcript are not checked.

    Args:
        nbest: stored list.
        texts: texts of the cut's present supervisions.
        unit: unit of the store's errors.
    """
    reference, errors = counted_reference(texts), nbest.errors
    if reference is None or errors is None:
        return None
    spoken = units(reference, unit)
    recounted = levenshtein_distances(spoken, [units(text, unit) for text in nbest.texts])
    for text, stored, counted in zip(nbest.texts, errors, recounted, strict=True):
        if (stored, nbest.num_words) != (counted, len(spoken)):
            return (
                f"were counted against another transcript: {text[:60]!r} has {stored} in {nbest.num_words} "
                f"{unit.nouns} in the store, {counted} in {len(spoken)} by the present transcript"
            )
    return None
