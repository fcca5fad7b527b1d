"""``errs-<set>.txt`` in icefall's form: what was wrong, utterance by utterance and word by word."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from asrkd import files
from asrkd.scoring.counts import Counts, corpus_counts, score_texts
from asrkd.scoring.word_alignment import WordPair, align_words, inline


@dataclass(frozen=True)
class WordStats:
    """How often each word was right, and in which way wrong."""

    hits: Counter[str] = field(default_factory=Counter)
    substitutions: Counter[tuple[str, str]] = field(default_factory=Counter)  # (said, heard)
    deletions: Counter[str] = field(default_factory=Counter)
    insertions: Counter[str] = field(default_factory=Counter)

    def word_lines(self) -> Iterator[str]:
        """``word correct errors in_reference in_hypothesis``, words with the most errors first.

        A substitution is an error of both its words.
        """
        said, heard = self.hits + self.deletions, self.hits + self.insertions
        errors = self.deletions + self.insertions
        for (reference, hypothesis), count in self.substitutions.items():
            said[reference] += count
            heard[hypothesis] += count
            errors.update({reference: count})
            errors.update({hypothesis: count})
        for word in sorted(said | heard, key=lambda word: (-errors[word], word)):
            yield f"{word}   {self.hits[word]} {errors[word]} {said[word]} {heard[word]}"


def word_stats(alignments: Iterable[list[WordPair]]) -> WordStats:
    """Sum over all aligned words."""
    stats = WordStats()
    for reference, hypothesis in (pair for pairs in alignments for pair in pairs):
        if reference is None and hypothesis is not None:
            stats.insertions[hypothesis] += 1
        elif hypothesis is None and reference is not None:
            stats.deletions[reference] += 1
        elif reference is not None and hypothesis is not None and reference != hypothesis:
            stats.substitutions[reference, hypothesis] += 1
        elif reference is not None:
            stats.hits[reference] += 1
    return stats


def write_error_stats(path: Path, references: Mapping[str, str], hypotheses: Mapping[str, str]) -> None:
    """Write the whole file; utterances are in the order of their ids.

    Raises:
        AsrkdError: the two are not of the same utterances, or the references hold no words.
    """
    counts = corpus_counts(score_texts(references, hypotheses).values())
    aligned = {utt_id: align_words(references[utt_id], hypotheses[utt_id]) for utt_id in sorted(references)}
    lines = [*_head(counts), *_utterances(aligned), *_words(word_stats(aligned.values()))]
    with files.create(path) as stream:
        stream.writelines(line + "\n" for line in lines)


def _head(counts: Counts) -> Iterator[str]:
    yield f"%WER = {100 * counts.wer:.2f}"
    yield (
        f"Errors: {counts.insertions} insertions, {counts.deletions} deletions, {counts.substitutions} "
        f"substitutions, over {counts.num_words} reference words ({counts.hits} correct)"
    )
    yield "Sections: PER-UTT DETAILS:, SUBSTITUTIONS:, DELETIONS:, INSERTIONS:, PER-WORD STATS:"


def _utterances(aligned: Mapping[str, list[WordPair]]) -> Iterator[str]:
    yield ""
    yield "PER-UTT DETAILS: corr or (ref->hyp)"
    for utt_id, pairs in aligned.items():
        yield f"{utt_id}:\t{inline(pairs)}"


def _words(stats: WordStats) -> Iterator[str]:
    substitutions = Counter({f"{ref} -> {hyp}": count for (ref, hyp), count in stats.substitutions.items()})
    for title, counter in (
        ("SUBSTITUTIONS: count ref -> hyp", substitutions),
        ("DELETIONS: count ref", stats.deletions),
        ("INSERTIONS: count hyp", stats.insertions),
    ):
        yield ""
        yield title
        for what, count in sorted(counter.items(), key=lambda item: (-item[1], item[0])):
            yield f"{count}   {what}"
    yield ""
    yield "PER-WORD STATS: word  corr tot_errs count_in_ref count_in_hyp"
    yield from stats.word_lines()
