"""Plan of every utterance of the digits corpus, before synthesis.

Everything is drawn from (seed, split, number of the utterance), so any process
can make any block. The number of utterances follows from the options too, as
their durations are estimated and not measured.
"""

from dataclasses import dataclass
from random import Random

from asrkd.data.corpora.digits.espeak import Request
from asrkd.data.corpora.digits.grammar import sentence
from asrkd.data.corpora.digits.options import DigitsOptions
from asrkd.data.corpora.digits.voices import Speaker, speaker

UTTERANCES_PER_BLOCK = 50

NOISES = ("white", "pink", "babble", "hum")

_SILENCE_S = (0.1, 0.4)  # before and after the words, each
_RATE_CHANGE = (0.94, 1.06)  # rate of an utterance, relative to its speaker

_FITTED_RATE = 175  # words per minute, of the next two constants
_LETTER_S, _WORD_S, _FIXED_S = 0.0518, 0.0509, 0.109


@dataclass(frozen=True)
class PlannedUtterance:
    """Planned utterance: text, speaker, rate, silences, noise and level."""

    id: str
    text: str  # lower-case words
    speaker: Speaker
    rate: int  # words per minute
    lead_s: float  # silence before the first word
    tail_s: float  # silence after the last word
    noise: str  # one of NOISES
    noise_seed: int
    snr_db: float
    gain_db: float  # peak, relative to full scale

    def request(self) -> Request:
        """Return the request to espeak-ng."""
        speaker = self.speaker
        return Request(
            self.text, speaker.voice, speaker.variant, self.rate, speaker.pitch, speaker.pitch_range
        )


@dataclass(frozen=True)
class Block:
    """Block of consecutive utterances of a split, synthesized together."""

    split: str
    number: int
    utterances: tuple[PlannedUtterance, ...]

    @property
    def name(self) -> str:
        """Name of the block's folder."""
        return f"block-{self.number:05d}"


def plan_blocks(options: DigitsOptions, split: str) -> list[Block]:
    """Plan the blocks of ``split``; all but the last have fifty utterances.

    The estimated durations add up to the requested minutes, to within half an
    utterance. The true durations differ from the estimates by less than 2 % in
    total, from about ten minutes on.
    """
    target_s = 60 * options.split_minutes(split)
    utterances: list[PlannedUtterance] = []
    total_s = 0.0
    while True:
        utterance = plan_utterance(options, split, len(utterances))
        next_s = estimated_s(utterance)
        if utterances and total_s + next_s / 2 > target_s:
            break
        utterances.append(utterance)
        total_s += next_s
    starts = range(0, len(utterances), UTTERANCES_PER_BLOCK)
    return [
        Block(split, number, tuple(utterances[start : start + UTTERANCES_PER_BLOCK]))
        for number, start in enumerate(starts)
    ]


def plan_utterance(options: DigitsOptions, split: str, number: int) -> PlannedUtterance:
    """Plan utterance ``number`` (from 0) of ``split``; the speakers take turns."""
    rng = Random(f"utterance {options.seed} {split} {number}")
    speakers = options.speaker_numbers(split)
    voice = speaker(options.seed, speakers[number % len(speakers)])
    block, index = divmod(number, UTTERANCES_PER_BLOCK)
    return PlannedUtterance(
        id=f"digits-{split}-{block:05d}-{index:04d}",
        text=sentence(rng),
        speaker=voice,
        rate=round(voice.rate * rng.uniform(*_RATE_CHANGE)),
        lead_s=round(rng.uniform(*_SILENCE_S), 3),
        tail_s=round(rng.uniform(*_SILENCE_S), 3),
        noise=rng.choice(NOISES),
        noise_seed=rng.getrandbits(53),
        snr_db=round(rng.uniform(*options.snr_db), 2),
        gain_db=round(rng.uniform(*options.gain_db), 2),
    )


def estimated_s(utterance: PlannedUtterance) -> float:
    """Estimate the duration of an utterance in seconds, silence included.

    The estimate is a linear least-squares fit in letters and words; spoken
    durations have a standard deviation of 8.5 % from it.
    """
    num_words = len(utterance.text.split())
    num_letters = len(utterance.text) - num_words + 1
    spoken_s = _FIXED_S + (_LETTER_S * num_letters + _WORD_S * num_words) * _FITTED_RATE / utterance.rate
    return utterance.lead_s + spoken_s + utterance.tail_s
