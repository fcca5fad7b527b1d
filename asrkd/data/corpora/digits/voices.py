"""The speakers of the corpus: a language voice of espeak-ng, a variant, a pitch and a pace.

No two speakers have both voice and variant in common. Of the 104 variants
those were taken that whisper, croak, clip and echo least, and whose long-term
spectra of one sentence differ from each other by more than 1.2 dB on average.
"""

from dataclasses import dataclass
from functools import lru_cache
from random import Random

from asrkd.core.errors import AsrkdError

VOICES = (
    "en", "en-029", "en-gb-scotland", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-gb-x-rp", "en-us", "en-us-nyc",
)  # fmt: skip
"""espeak-ng's English language voices, without the one for Shaw's alphabet."""

VARIANTS = (
    "Alex", "Denis", "Diogo", "Lee", "Mario", "Michael", "boris", "john", "m1", "m3",
    "m6", "m7", "m8", "max", "michel", "quincy", "rob", "victor",
    "Annie", "Nguyen", "aunty", "f1", "f2", "f3", "f4", "f5", "grandma", "linda", "shelby", "steph",
)  # fmt: skip
"""Eighteen deeper and twelve higher voices."""

NUM_SPEAKERS = len(VOICES) * len(VARIANTS)
"""How many speakers there are at most, over all splits."""

PITCHES, PITCH_RANGES, RATES = (25, 75), (30, 70), (140, 195)
"""Bounds, both included: espeak-ng's pitch and range (0..99), and words a minute."""


@dataclass(frozen=True)
class Speaker:
    """Somebody who speaks; every utterance of theirs has this voice and pitch."""

    id: str
    voice: str
    variant: str
    pitch: int  # 0..99 in espeak-ng's own units
    pitch_range: int  # 0..99
    rate: int  # words a minute


def speaker(seed: int, number: int) -> Speaker:
    """Speaker ``number`` of the corpus with this ``seed``.

    Raises:
        AsrkdError: there are fewer speakers than that.
    """
    if not 0 <= number < NUM_SPEAKERS:
        raise AsrkdError(f"--num-speakers: speaker {number + 1} asked for, there are {NUM_SPEAKERS}")
    voice, variant = _pairs(seed)[number]
    rng = Random(f"speaker {seed} {number}")
    return Speaker(
        id=f"digits-{number:03d}",
        voice=voice,
        variant=variant,
        pitch=rng.randint(*PITCHES),
        pitch_range=rng.randint(*PITCH_RANGES),
        rate=rng.randint(*RATES),
    )


@lru_cache(maxsize=8)
def _pairs(seed: int) -> list[tuple[str, str]]:
    """Every (voice, variant) once, in an order that ``seed`` decides."""
    pairs = [(voice, variant) for voice in VOICES for variant in VARIANTS]
    Random(f"voices {seed}").shuffle(pairs)
    return pairs
