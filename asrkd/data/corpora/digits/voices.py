"""Speakers of the digits corpus: a language voice of espeak-ng, a variant, a pitch and a rate.

No two speakers have the same voice and variant. The variants are those of
espeak-ng's 104 without whispering, croaking, clipping and echo, whose long-term
spectra of one sentence differ by more than 1.2 dB on average.
"""

from dataclasses import dataclass
from functools import lru_cache
from random import Random

from asrkd.core.errors import AsrkdError

VOICES = (
    "en", "en-029", "en-gb-scotland", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-gb-x-rp", "en-us", "en-us-nyc",
)  # fmt: skip
"""English language voices of espeak-ng, without the one for the Shavian alphabet."""

VARIANTS = (
    "Alex", "Denis", "Diogo", "Lee", "Mario", "Michael", "boris", "john", "m1", "m3",
    "m6", "m7", "m8", "max", "michel", "quincy", "rob", "victor",
    "Annie", "Nguyen", "aunty", "f1", "f2", "f3", "f4", "f5", "grandma", "linda", "shelby", "steph",
)  # fmt: skip
"""Eighteen deeper and twelve higher voices."""

NUM_SPEAKERS = len(VOICES) * len(VARIANTS)
"""Maximum number of speakers, over all splits."""

PITCHES, PITCH_RANGES, RATES = (25, 75), (30, 70), (140, 195)
"""Inclusive bounds: pitch and pitch range of espeak-ng (0..99), and words per minute."""


@dataclass(frozen=True)
class Speaker:
    """Speaker: the voice and pitch of all of its utterances."""

    id: str
    voice: str
    variant: str
    pitch: int  # 0..99 in units of espeak-ng
    pitch_range: int  # 0..99
    rate: int  # words per minute


def speaker(seed: int, number: int) -> Speaker:
    """Return speaker ``number`` of the corpus with this ``seed``.

    Raises:
        AsrkdError: there are fewer speakers.
    """
    if not 0 <= number < NUM_SPEAKERS:
        raise AsrkdError(f"--num-speakers: speaker {number + 1} requested, there are {NUM_SPEAKERS}")
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
    """Return every (voice, variant) once, in an order that ``seed`` decides."""
    pairs = [(voice, variant) for voice in VOICES for variant in VARIANTS]
    Random(f"voices {seed}").shuffle(pairs)
    return pairs
