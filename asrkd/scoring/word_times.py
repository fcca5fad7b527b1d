"""Times of words: true times in a reference, emission times of a hypothesis, and the words they belong to.

All times are seconds from the start of the cut. An *emission time* is the end of the encoder frame that
emits a token. In a stream the *chunk time* is the end of the chunk that holds this frame: no part of the
chunk is encoded before all of it was recorded.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from asrkd.core.schema import Finite, Schema
from asrkd.scoring.normalizer import Normalizer, normalize

Times = tuple[tuple[float, float], ...]  # two times of each word
TimesRecord = list[tuple[Finite, Finite]]  # the same in JSON
_TIMES: Schema[TimesRecord] = Schema(TimesRecord)


@dataclass(frozen=True)
class Emission:
    """Times at which the first and the last token of each word of a hypothesis are emitted."""

    times: Times
    chunk_times: Times | None = None  # ends of the chunks of these frames; None: not decoded as a stream

    def to_record(self) -> dict[str, Times]:
        """Return the times as JSON: ``emission_times``, and ``chunk_times`` of a stream."""
        chunks = {} if self.chunk_times is None else {"chunk_times": self.chunk_times}
        return {"emission_times": self.times, **chunks}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Emission | None":
        """Read :meth:`to_record`; None where there are no times.

        Raises:
            ValueError: they are not two numbers of each word.
        """
        if "emission_times" not in record:
            return None
        chunks = record.get("chunk_times")
        return cls(read_times(record["emission_times"]), None if chunks is None else read_times(chunks))

    def of_words(self, text: str, normalized: str, normalizer: Normalizer) -> "Emission | None":
        """Return the times of the words of a normalized text; None where they do not fit."""
        times = fitted(self.times, text, normalized, normalizer)
        if times is None or self.chunk_times is None:
            return None if times is None else Emission(times)
        chunks = fitted(self.chunk_times, text, normalized, normalizer)
        return None if chunks is None else Emission(times, chunks)


def read_times(rows: Any) -> Times:
    """Read times from JSON; ValueError unless they are two numbers of each word."""
    return tuple((first, last) for first, last in _TIMES.check(rows))


def fitted(times: Times, text: str, normalized: str, normalizer: Normalizer) -> Times | None:
    """Return the times of the words of a normalized text, given those of the text's words.

    A word that the normalizer writes as several gives its times to each of them; one that it removes has
    none. Where it does not work word by word, as on two words that it joins, no times are known.
    """
    words = text.split()
    if len(words) != len(times):
        return None
    if words == normalized.split():
        return times
    parts = [normalize(word, normalizer).split() for word in words]
    if [word for part in parts for word in part] != normalized.split():
        return None
    return tuple(pair for part, pair in zip(parts, times, strict=True) for _ in part)
