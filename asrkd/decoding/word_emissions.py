"""Emission times of the words of a hypothesis, from the encoder frames of its tokens."""

from collections.abc import Sequence
from dataclasses import dataclass

from asrkd.data.tokens import SPACE, WORD_START
from asrkd.models.recognizer import LoadedModel
from asrkd.models.streams import is_streaming
from asrkd.scoring.word_times import Emission

_DECIMALS = 6  # of seconds


@dataclass(frozen=True)
class EmissionClock:
    """Clock of a recognizer: the length of an encoder frame, and how many make a chunk of its streams."""

    frame_s: float
    chunk_frames: int | None = None  # None: not decoded in chunks

    def emission(self, pieces: Sequence[str], frames: Sequence[int], text: str) -> Emission | None:
        """Return the emission times of the words of ``text``; None unless the tokens spell as many words.

        Args:
            pieces: symbols of the tokens.
            frames: encoder frame of each token, from 0.
            text: words that they spell.
        """
        words = word_tokens([" " if piece == SPACE else piece for piece in pieces], WORD_START)
        if len(words) != len(text.split()):
            return None
        of_words = [(frames[first], frames[last]) for first, last in words]
        times = tuple((self._end(first), self._end(last)) for first, last in of_words)
        if (size := self.chunk_frames) is None:
            return Emission(times)
        chunks = [
            (first // size * size + size - 1, last // size * size + size - 1) for first, last in of_words
        ]
        return Emission(times, tuple((self._end(first), self._end(last)) for first, last in chunks))

    def _end(self, frame: int) -> float:
        """Return the time at which an encoder frame ends, in seconds."""
        return round((frame + 1) * self.frame_s, _DECIMALS)


def emission_clock(model: LoadedModel) -> EmissionClock:
    """Return the clock of a model; of one that streams, with the chunks that its encoder has now."""
    encoder = model.recognizer.encoder
    frame_s = encoder.subsampling * model.architecture.features.frame_shift
    return EmissionClock(frame_s, encoder.chunks.frames if is_streaming(encoder) else None)


def word_tokens(pieces: Sequence[str], blanks: Sequence[str]) -> list[tuple[int, int]]:
    """Return the first and the last token of each word that tokens spell.

    Args:
        pieces: text of each token.
        blanks: characters that separate words, beside whitespace.
    """
    words: list[tuple[int, int]] = []
    inside = False
    for token, piece in enumerate(pieces):
        for character in piece:
            if character.isspace() or character in blanks:
                inside = False
            elif inside:
                words[-1] = words[-1][0], token
            else:
                words.append((token, token))
                inside = True
    return words
