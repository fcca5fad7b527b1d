"""Text as training data: sentences without audio, from a text file or from the transcripts of cuts.

Letters: N sentences, U tokens after padding.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asrkd.core import files
from asrkd.core.errors import AsrkdError, warn
from asrkd.data.cuts.manifests import stream_lines
from asrkd.data.cuts.records import reference
from asrkd.data.tokens import Tokens
from asrkd.targets.sequences import SequenceTargets, collate
from asrkd.targets.sources.base import ReadSource


@dataclass(frozen=True)
class Sentence:
    """A line of text."""

    id: str  # its number in the file, from 1, or the id of its cut
    text: str
    duration: float  # tokens, with the end: by this batches are made, as those of cuts are by seconds


class Sentences(Sequence[Sentence]):
    """Sentences, in the place of cuts."""

    def __init__(self, sentences: Sequence[Sentence]) -> None:
        """Take ``sentences``, whose ids differ."""
        self.records = sentences

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, row: Any) -> Any:
        return self.records[row]

    @property
    def num_words(self) -> int:
        """Of all together."""
        return sum(len(sentence.text.split()) for sentence in self.records)

    def digest(self) -> str:
        """Hex digest of the texts in their order."""
        return files.sha256_of([sentence.text for sentence in self.records])


def read_sentences(path: Path, tokens: Tokens, max_tokens: int) -> Sentences:
    """The sentences of a text file or of the cuts in a manifest; empty lines are none.

    Args:
        path: text, or cuts if it ends in .jsonl or .jsonl.gz.
        tokens: that spell them.
        max_tokens: longer ones are left out, which is said on stderr.

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
            f"{path}: holds no sentence of 1 to {max_tokens} tokens; expected text, a sentence a line"
        )
    return Sentences(kept)


class TextSource(ReadSource):
    """Sentences as targets."""

    def __init__(self, tokens: Tokens) -> None:
        self.tokens = tokens

    def fetch(self, cuts: Sequence[Any]) -> SequenceTargets:
        """The tokens of each of the sentences that stand in the place of ``cuts``."""
        return collate([[self.tokens.encode(sentence.text)] for sentence in cuts])

    def verify(self, cuts: Sequence[Any]) -> None:
        """Raise AsrkdError at the first sentence that no tokens spell."""
        for sentence in cuts:
            self.tokens.encode(sentence.text)


def _texts(path: Path) -> Iterator[tuple[str, str, str]]:
    """(id, place in words, text) of each sentence."""
    if path.name.endswith((".jsonl", ".jsonl.gz")):
        for line in stream_lines(path):
            yield line.cut.id, f"{path}: cut {line.cut.id}", reference(line.cut)
    else:
        for number, text in files.read_lines(path):
            yield str(number), f"{path}:{number}", text
