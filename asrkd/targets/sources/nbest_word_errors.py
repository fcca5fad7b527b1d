"""Errors of an N-best store in words, or in its unit, held against the transcripts that its cuts have now.

Errors are counted when hypotheses are stored; a transcript that is corrected
afterwards would leave them wrong, and the weights that are made of them.
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
    """The errors of a hypothesis as they are stored, in words or another unit; None without a reference."""
    if reference is None:
        return None
    counts = count_errors(reference, text, unit)
    return WordErrors(counts.errors, (counts.substitutions, counts.deletions, counts.insertions))


def counted_reference(texts: Sequence[str | None]) -> str | None:
    """What errors are counted against, given the texts of a cut's supervisions; None: no transcript."""
    return " ".join(map(str, texts)) if is_transcribed(texts) else None


def was_counted_against(contract: Mapping[str, Any], cuts: Sequence[CutRecord]) -> bool:
    """Whether these are all the cuts of a store, in its order, with the transcripts of then."""
    asked = contract.get("cuts", {}).get("digest")
    return (
        "references" in contract
        and files.sha256_of([cut.digest for cut in cuts]) == asked
        and files.sha256_of([list(cut.texts) for cut in cuts]) == contract["references"]
    )


def stale_errors(nbest: Nbest, texts: Sequence[str | None], unit: Unit = WORD) -> str | None:
    """What is wrong with a list's errors, as the end of a sentence about them; None if nothing is.

    Nothing is wrong where there was no transcript then, or is none now.

    Args:
        nbest: as stored; every hypothesis in it is looked at.
        texts: of the supervisions that the cut has now.
        unit: of the store.
    """
    reference, errors = counted_reference(texts), nbest.errors
    if reference is None or errors is None:
        return None
    said = units(reference, unit)
    now = levenshtein_distances(said, [units(text, unit) for text in nbest.texts])
    for text, stored, counted in zip(nbest.texts, errors, now, strict=True):
        if (stored, nbest.num_words) != (counted, len(said)):
            return (
                f"were counted against another transcript: {text[:60]!r} has {stored} in {nbest.num_words} "
                f"{unit.nouns} by the store, {counted} in {len(said)} by the transcript that the cut has now"
            )
    return None
