"""Transcripts of cuts, and sentences without audio, as token sequences.

Sentences are read from a text file or from the transcripts of cuts.

Notation: N sentences, U tokens after padding.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lhotse import MonoCut

from asrkd.core import files
from asrkd.core.errors import AsrkdError, warn
from asrkd.data.cuts.manifests import stream_lines
from asrkd.data.cuts.records import is_transcribed, records, reference, transcript
from asrkd.data.tokens import Tokens
from asrkd.targets.sequences import SequenceTargets, collate, encode
from asrkd.targets.sources.base import ReadSource, Selection, Watch, ignore


class TranscriptSource(ReadSource):
    """Transcripts of cuts as targets, one sequence for each cut."""

    def __init__(self, tokens: Tokens, *, optional: bool = False) -> None:
        """Keep the tokens for transcripts.

        Args:
            tokens: tokens of the student.
            optional: whether a cut may lack a transcript, and has no sequence then.
        """
        self.tokens, self.optional = tokens, optional

    def fetch(self, cuts: Sequence[MonoCut]) -> SequenceTargets:
        """Tokenize each cut's transcript; AsrkdError as :meth:`verify` raises it."""
        return collate([self._sequences(cut) for cut in cuts])

    def examine(self, cuts: Sequence[MonoCut], watch: Watch = ignore) -> Selection:
        """Select the cuts with transcripts; AsrkdError if one is missing, or has unknown symbols."""
        ids = set()
        for record in records(cuts):
            if self.optional and not is_transcribed(record.texts):
                continue
            watch(record, encode(self.tokens, reference(record), record.id))
            ids.add(record.id)
        return Selection(ids)

    def verify(self, cuts: Sequence[MonoCut], student_shift: float | None = None) -> None:
        """Raise AsrkdError at the first cut whose transcript is missing or has unknown symbols."""
        self.examine(cuts)

    def _sequences(self, cut: MonoCut) -> list[list[int]]:
        texts = [supervision.text for supervision in cut.supervisions]
        if self.optional and not is_transcribed(texts):
            return []
        return [encode(self.tokens, transcript(cut), cut.id)]


@dataclass(frozen=True)
class Sentence:
    """Sentence of a text file or of a cut."""

    id: str  # number of the line, from 1, or id of the cut
    text: str
    duration: float  # number of tokens with the end, by which batches are planned as those of cuts by seconds


class Sentences(Sequence[Sentence]):
    """Sentences, in place of cuts."""

    def __init__(self, sentences: Sequence[Sentence]) -> None:
        """Index ``sentences``, whose ids are unique."""
        self.records = sentences

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, row: Any) -> Any:
        return self.records[row]

    @property
    def num_words(self) -> int:
        """Number of words of all sentences."""
        return sum(len(sentence.text.split()) for sentence in self.records)

    def digest(self) -> str:
        """Compute the hex digest of the texts in their order."""
        return files.sha256_of([sentence.text for sentence in self.records])


def read_sentences(path: Path, tokens: Tokens, max_tokens: int) -> Sentences:
    """Read the sentences of a text file or of the cuts in a manifest; empty lines are skipped.

    Args:
        path: text file, or a cuts manifest if it ends in .jsonl or .jsonl.gz.
        tokens: tokens of the model.
        max_tokens: number of tokens above which a sentence is left out, with a warning.

    Raises:
        AsrkdError: no such file, a cut without a transcript, a symbol that no token spells, or no text.
    """
    kept, left_out = [], 0
    for sentence_id, where, text in _texts(path):
        try:
            num_tokens = len(tokens.encode(text))
        except AsrkdError as error:
            raise AsrkdError(f"{where}: {error}") from None
        if num_tokens > max_tokens:
            left_out += 1
        elif num_tokens:
            kept.append(Sentence(sentence_id, text, float(num_tokens + 1)))
    if left_out:
        warn(f"{path}: {left_out} sentences left out, of more than {max_tokens} tokens")
    if not kept:
        raise AsrkdError(
            f"{path}: no sentence of 1 to {max_tokens} tokens; expected text with a sentence on each line"
        )
    return Sentences(kept)


class TextSource(ReadSource):
    """Sentences as targets, one sequence for each."""

    def __init__(self, tokens: Tokens) -> None:
        self.tokens = tokens

    def fetch(self, cuts: Sequence[Any]) -> SequenceTargets:
        """Tokenize each of the sentences, which are in place of ``cuts``."""
        return collate([[self.tokens.encode(sentence.text)] for sentence in cuts])

    def verify(self, cuts: Sequence[Any], student_shift: float | None = None) -> None:
        """Raise AsrkdError at the first sentence that tokens cannot spell."""
        for sentence in cuts:
            self.tokens.encode(sentence.text)


def _texts(path: Path) -> Iterator[tuple[str, str, str]]:
    """Yield (id, place for messages, text) of each sentence."""
    if path.name.endswith((".jsonl", ".jsonl.gz")):
        for line in stream_lines(path):
            yield line.cut.id, f"{path}: cut {line.cut.id}", reference(line.cut)
    else:
        for number, text in files.read_lines(path):
            yield str(number), f"{path}:{number}", text
