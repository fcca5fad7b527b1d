"""Word times of an utterance, from the events of espeak-ng."""

from dataclasses import dataclass

from asrkd.data.corpora.digits.espeak import SAMPLING_RATE, EspeakOutput


@dataclass(frozen=True)
class WordTime:
    """Word with its start and end, in seconds from the first spoken sample."""

    word: str
    start_s: float
    end_s: float


def word_times(text: str, speech: EspeakOutput) -> list[WordTime]:
    """Return one interval for each word of ``text``, in order, without overlap.

    A word lasts until the next word or a pause. espeak-ng sends a single event
    for "in the", "on the" or "of the": these words share its interval in
    proportion to their letters, so the boundary between them is an estimate.

    Raises:
        ValueError: ``speech`` is not of ``text``: its first event is not at the first word.
    """
    groups = _groups(text, speech)
    starts = [sample for _, sample in groups]
    ends = [*starts[1:], len(speech.pcm) // 2]
    times: list[WordTime] = []
    for (words, start), limit in zip(groups, ends, strict=True):
        times += _share(words, start, min(limit, _end_of_sound(speech, limit)))
    return times


def _groups(text: str, speech: EspeakOutput) -> list[tuple[list[str], int]]:
    """Return (words, first sample) of each word event; a word without an event joins the previous one."""
    samples = dict(speech.words)
    groups: list[tuple[list[str], int]] = []
    position = 0
    for word in text.split(" "):
        if position in samples:
            groups.append(([word], samples[position]))
        elif groups:
            groups[-1][0].append(word)
        else:
            raise ValueError(f"no event for the first word of {text!r}, only {speech.words}")
        position += len(word) + 1
    return groups


def _end_of_sound(speech: EspeakOutput, limit: int) -> int:
    """Return the end of the last phoneme before sample ``limit`` that is not a pause."""
    end = len(speech.pcm) // 2
    for name, sample in reversed(speech.phonemes):
        if sample < limit and not name.startswith("_"):
            break
        end = sample
    return end


def _share(words: list[str], start: int, end: int) -> list[WordTime]:
    """Divide samples ``start``..``end`` among ``words`` by their letters."""
    num_letters = sum(map(len, words))
    times: list[WordTime] = []
    before = 0
    for word in words:
        borders = (start + (end - start) * n / num_letters for n in (before, before + len(word)))
        first, last = (border / SAMPLING_RATE for border in borders)
        times.append(WordTime(word, first, last))
        before += len(word)
    return times
