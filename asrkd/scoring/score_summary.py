"""The result of a scoring in one line, and as the record that ``score.json`` holds."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from asrkd.scoring.counts import Counts, EditCounts, corpus_counts
from asrkd.scoring.score_corpus import CHARACTER, CorpusScore
from asrkd.scoring.score_folder import ScoredUtterance, named_as_speakers, references_sha256
from asrkd.scoring.units import WORD, Unit
from asrkd.scoring.word_alignment import LEVENSHTEIN
from asrkd.significance.bootstrap import NUM_REPLICATES, wer_interval

SEED = 1  # of the resampling: a score has the same interval whenever it is made


def wer_line(counts: Counts, unit: Unit = WORD) -> str:
    """``%WER 2.04 [ 1075 / 52576, 92 ins, 104 del, 879 sub ]``, as Kaldi's compute-wer; or %CER, %MER.

    Raises:
        AsrkdError: the references hold no words.
    """
    return (
        f"%{unit.rate} {100 * counts.wer:.2f} [ {counts.errors} / {counts.num_words}, "
        f"{counts.insertions} ins, {counts.deletions} del, {counts.substitutions} sub ]"
    )


def summary(scored: CorpusScore) -> dict[str, Any]:
    """What ``score.json`` says of the corpus; the utterances have a file of their own.

    Returns:
        ``wer``, or of the mixed unit ``mer``, and ``cer``, fractions; ``interval`` of the
        unit's rate; ``num_utterances``; ``counts`` of units and ``character_counts``,
        each with its ``reference_length``; ``speakers``, with ``num_utterances`` and
        ``counts`` of each; ``unit``, ``alignment`` of units and ``character_alignment``,
        ``normaliser`` and ``references_sha256``: two scores that differ in one of these
        are of different things. A blank between two words is a character of
        ``character_counts``, unless the unit ignores blanks; of the unit ``char`` they
        are the ``counts``, and there is no rate but ``cer``.

    Raises:
        AsrkdError: there are no utterances, or the references hold no words.
    """
    utterances, rules = scored.utterances, scored.rules
    counts = scored.counts
    characters = corpus_counts(utterance.character_counts for utterance in utterances)
    return {
        **{rules.unit.rate.lower(): counts.wer, "cer": characters.cer},
        "interval": _interval(utterances),
        "num_utterances": len(utterances),
        "counts": _with_length(counts),
        "character_counts": _with_length(characters),
        "speakers": _speakers(utterances),
        "unit": asdict(rules.unit),
        "alignment": rules.alignment,
        "character_alignment": rules.alignment if rules.unit == CHARACTER else LEVENSHTEIN,
        "normaliser": asdict(rules.normaliser),
        "references_sha256": references_sha256((each.id, each.transcript) for each in utterances),
    }


def _interval(utterances: Sequence[ScoredUtterance]) -> dict[str, Any] | None:
    """Where the error rate lies, by a bootstrap over speakers; None where one, or no error, says nothing."""
    interval = wer_interval(
        np.array([utterance.counts.errors for utterance in utterances]),
        np.array([utterance.counts.num_words for utterance in utterances]),
        [utterance.speaker for utterance in utterances],
        SEED,
    )
    if interval is None:
        return None
    how = {"resampled": f"{named_as_speakers(utterances)}s", "replicates": NUM_REPLICATES, "seed": SEED}
    return asdict(interval) | how


def _speakers(scored: Sequence[ScoredUtterance]) -> list[dict[str, Any]]:
    by_speaker: dict[str, list[Counts]] = {}
    for utterance in scored:
        by_speaker.setdefault(utterance.speaker, []).append(utterance.counts)
    return [
        {"speaker": speaker, "num_utterances": len(counts), "counts": _with_length(corpus_counts(counts))}
        for speaker, counts in sorted(by_speaker.items())
    ]


def _with_length(counts: EditCounts) -> dict[str, int]:
    return {**asdict(counts), "reference_length": counts.reference_length}
