"""What a corpus of digits can be asked for."""

from dataclasses import dataclass

from asrkd.core.errors import AsrkdError
from asrkd.data.corpora.digits.voices import NUM_SPEAKERS

SPLITS = ("train", "dev", "test")

SAMPLING_RATES = (8000, 12000, 16000, 24000, 32000, 44100, 48000)
"""Hz; 10 ms are whole samples in all, and a large common divisor with espeak-ng's 22,050 Hz keeps the
resampling filter small."""

HELD_OUT_SHARE = 0.12  # of the minutes of training speech, in dev and in test each
MAX_MINUTES = 60_000.0  # 1000 hours


@dataclass(frozen=True)
class DigitsOptions:
    """Everything that decides what the corpus holds.

    Attributes:
        minutes: of training speech, pauses included.
        dev_minutes: None for 12 % of ``minutes``.
        test_minutes: None for 12 % of ``minutes``.
        seed: another seed, other speakers, sentences and noise.
        sampling_rate: in Hz, one of :data:`SAMPLING_RATES`.
        num_speakers: who speak in train; dev and test have a fifth as many each, all different.
        snr_db: lowest and highest ratio of speech to noise, in dB, over the whole utterance.
        gain_db: lowest and highest peak of an utterance, in dB relative to full scale.

    Raises:
        AsrkdError: a value makes no sense; the message names its flag.
    """

    minutes: float = 60.0
    dev_minutes: float | None = None
    test_minutes: float | None = None
    seed: int = 1
    sampling_rate: int = 16000
    num_speakers: int = 40
    snr_db: tuple[float, float] = (10.0, 30.0)
    gain_db: tuple[float, float] = (-6.0, 0.0)

    def __post_init__(self) -> None:
        for split in SPLITS:
            flag = "--minutes" if split == "train" else f"--{split}-minutes"
            minutes = self.split_minutes(split)
            possible = 0 < minutes <= MAX_MINUTES
            _demand(possible, f"{flag} {minutes}", f"more than 0, at most {MAX_MINUTES:.0f}")
        _demand(self.seed >= 0, f"--seed {self.seed}", "0 or more")
        rate = self.sampling_rate
        _demand(rate in SAMPLING_RATES, f"--sampling-rate {rate}", f"one of {SAMPLING_RATES}")
        possible = self.num_speakers >= 1 and self.speaker_numbers("test").stop <= NUM_SPEAKERS
        _demand(
            possible,
            f"--num-speakers {self.num_speakers}",
            f"at least 1, and with a fifth as many each for dev and test at most {NUM_SPEAKERS}",
        )
        _demand_interval("--snr-db", self.snr_db, -20, 100)
        _demand_interval("--gain-db", self.gain_db, -60, 0)

    def split_minutes(self, split: str) -> float:
        """Minutes of speech that ``split`` should have."""
        asked = {"train": self.minutes, "dev": self.dev_minutes, "test": self.test_minutes}[split]
        return HELD_OUT_SHARE * self.minutes if asked is None else asked

    def speaker_numbers(self, split: str) -> range:
        """The speakers of ``split``; those of two splits are different ones."""
        held_out = max(1, self.num_speakers // 5)
        starts = {"train": 0, "dev": self.num_speakers, "test": self.num_speakers + held_out}
        return range(starts[split], starts[split] + (self.num_speakers if split == "train" else held_out))


def _demand(holds: bool, found: str, expected: str) -> None:
    if not holds:
        raise AsrkdError(f"{found}: expected {expected}")


def _demand_interval(flag: str, interval: tuple[float, float], low: float, high: float) -> None:
    possible = len(interval) == 2 and low <= interval[0] <= interval[1] <= high
    _demand(possible, f"{flag} {interval}", f"a lower and an upper value within {low}..{high} dB")
