"""The result of a scoring in one line, and as the record that ``score.json`` holds."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from asrkd.scoring.counts import Counts, EditCounts, corpus_counts
from asrkd.scoring.score_corpus import Rules
from asrkd.scoring.score_folder import ScoredUtterance, references_sha256


def wer_line(counts: Counts) -> str:
    """``%WER 2.04 [ 1075 / 52576, 92 ins, 104 del, 879 sub ]``, as Kaldi's compute-wer prints it.

    Raises:
        AsrkdError: the references hold no words.
    """
    return (
        f"%WER {100 * counts.wer:.2f} [ {counts.errors} / {counts.num_words}, {counts.insertions} ins, "
        f"{counts.deletions} del, {counts.substitutions} sub ]"
    )


def summary(scored: Sequence[ScoredUtterance], rules: Rules) -> dict[str, Any]:
    """What ``score.json`` says of the corpus; the utterances have a file of their own.

    Returns:
        ``wer`` and ``cer``, fractions; ``num_utterances``; ``counts`` of
        words and ``character_counts``, each with its ``reference_length``;
        ``speakers``, with ``num_utterances`` and word ``counts`` of each;
        ``alignment``, ``normaliser`` and ``references_sha256``: two scores
        that differ in one of these are of different things.

    Raises:
        AsrkdError: there are no utterances, or the references hold no words.
    """
    words = corpus_counts(utterance.counts for utterance in scored)
    characters = corpus_counts(utterance.character_counts for utterance in scored)
    return {
        "wer": words.wer,
        "cer": characters.cer,
        "num_utterances": len(scored),
        "counts": _with_length(words),
        "character_counts": _with_length(characters),
        "speakers": _speakers(scored),
        "alignment": rules.alignment,
        "normaliser": asdict(rules.normaliser),
        "references_sha256": references_sha256((each.id, each.reference) for each in scored),
    }


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
