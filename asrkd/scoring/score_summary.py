"""The result of a scoring in one line, and as the record that ``score.json`` holds."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from asrkd.scoring.counts import Counts, corpus_counts, score_characters, score_texts


def wer_line(counts: Counts) -> str:
    """``%WER 2.04 [ 1075 / 52576, 92 ins, 104 del, 879 sub ]``, as Kaldi's compute-wer prints it.

    Raises:
        AsrkdError: the references hold no words.
    """
    return (
        f"%WER {100 * counts.wer:.2f} [ {counts.errors} / {counts.num_words}, {counts.insertions} ins, "
        f"{counts.deletions} del, {counts.substitutions} sub ]"
    )


def summary(references: Mapping[str, str], hypotheses: Mapping[str, str]) -> dict[str, Any]:
    """What ``score.json`` holds; the order of the arguments' keys does not matter.

    Returns:
        ``wer`` and ``cer``, fractions; ``num_utterances``; ``counts`` of
        words and ``character_counts`` over the corpus, each with its
        ``reference_length``; ``utterances``, a list by id with the word
        counts of each (``id``, ``hits``, ``substitutions``, ``deletions``,
        ``insertions``), from which intervals and comparisons are made.

    Raises:
        AsrkdError: the two are not of the same utterances, or the references hold no words.
    """
    by_utterance = score_texts(references, hypotheses)
    words = corpus_counts(by_utterance.values())
    characters = corpus_counts(score_characters(references, hypotheses).values())
    return {
        "wer": words.wer,
        "cer": characters.cer,
        "num_utterances": len(by_utterance),
        "counts": {**asdict(words), "reference_length": words.num_words},
        "character_counts": {**asdict(characters), "reference_length": characters.num_characters},
        "utterances": [{"id": utt_id, **asdict(counts)} for utt_id, counts in by_utterance.items()],
    }
