"""Error statistics in icefall's format (``errs-<set>.txt``): errors by utterance and by word.

If the unit of the score is not the word, "words" are these units.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from asrkd.core import files
from asrkd.scoring.edits import HIT
from asrkd.scoring.score_corpus import CorpusScore
from asrkd.scoring.units import units
from asrkd.scoring.word_alignment import WordPair, inline, word_pairs


@dataclass(frozen=True)
class WordStats:
    """Counts of hits, substitutions, deletions and insertions of each word."""

    hits: Counter[str] = field(default_factory=Counter)
    substitutions: Counter[tuple[str, str]] = field(default_factory=Counter)  # (reference, hypothesis)
    deletions: Counter[str] = field(default_factory=Counter)
    insertions: Counter[str] = field(default_factory=Counter)

    def word_lines(self) -> Iterator[str]:
        """Yield lines ``word correct errors in_reference in_hypothesis``, words with the most errors first.

        A substitution counts as an error of both its words.
        """
        in_reference, in_hypothesis = self.hits + self.deletions, self.hits + self.insertions
        errors = self.deletions + self.insertions
        for (reference, hypothesis), count in self.substitutions.items():
            in_reference[reference] += count
            in_hypothesis[hypothesis] += count
            errors.update({reference: count})
            errors.update({hypothesis: count})
        for word in sorted(in_reference | in_hypothesis, key=lambda word: (-errors[word], word)):
            yield f"{word}   {self.hits[word]} {errors[word]} {in_reference[word]} {in_hypothesis[word]}"

    def add(self, pairs: Iterable[WordPair]) -> None:
        """Add the counts of an aligned utterance."""
        for reference, hypothesis in pairs:
            if reference is None and hypothesis is not None:
                self.insertions[hypothesis] += 1
            elif hypothesis is None and reference is not None:
                self.deletions[reference] += 1
            elif reference is not None and hypothesis is not None and reference != hypothesis:
                self.substitutions[reference, hypothesis] += 1
            elif reference is not None:
                self.hits[reference] += 1


def write_error_stats(path: Path, scored: CorpusScore) -> None:
    """Write the file; utterances are in the order of their ids.

    Raises:
        AsrkdError: the references have no words.
    """
    head, stats = _head(scored), WordStats()
    with files.create(path) as stream:
        for lines in (head, _utterances(scored, stats), _words(stats)):
            stream.writelines(line + "\n" for line in lines)


def _head(scored: CorpusScore) -> list[str]:
    counts, unit = scored.counts, scored.rules.unit
    optional = counts.hits - sum(edits.count(HIT) for edits in scored.edits)
    lines = [
        f"%{unit.rate} = {100 * counts.wer:.2f}",
        f"Errors: {counts.insertions} insertions, {counts.deletions} deletions, {counts.substitutions} "
        f"substitutions, over {counts.num_words} reference {unit.nouns} ({counts.hits} correct)",
        f"Alignment: {scored.rules.alignment}",
        "Sections: PER-UTT DETAILS:, SUBSTITUTIONS:, DELETIONS:, INSERTIONS:, PER-WORD STATS:",
    ]
    if optional:
        lines.insert(2, f"Correct without a counterpart, and not listed below: {optional} optional words")
    return lines


def _utterances(scored: CorpusScore, stats: WordStats) -> Iterator[str]:
    """Yield a line for each utterance, and add its aligned words to ``stats``."""
    yield ""
    yield "PER-UTT DETAILS: corr or (ref->hyp)"
    for utterance, edits in zip(scored.utterances, scored.edits, strict=True):
        words = units(utterance.reference, scored.rules.unit)
        if utterance.counts.errors == 0:
            stats.hits.update(words)
            yield f"{utterance.id}:\t{' '.join(words)}"
        else:
            pairs = word_pairs(words, units(utterance.hypothesis, scored.rules.unit), edits)
            stats.add(pairs)
            yield f"{utterance.id}:\t{inline(pairs)}"


def _words(stats: WordStats) -> Iterator[str]:
    substitutions = Counter({f"{ref} -> {hyp}": count for (ref, hyp), count in stats.substitutions.items()})
    for title, counter in (
        ("SUBSTITUTIONS: count ref -> hyp", substitutions),
        ("DELETIONS: count ref", stats.deletions),
        ("INSERTIONS: count hyp", stats.insertions),
    ):
        yield ""
        yield title
        for words, count in sorted(counter.items(), key=lambda item: (-item[1], item[0])):
            yield f"{count}   {words}"
    yield ""
    yield "PER-WORD STATS: word  corr tot_errs count_in_ref count_in_hyp"
    yield from stats.word_lines()
