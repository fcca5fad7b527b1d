"""Options of the digits corpus: sizes, seed and sampling rate."""

from dataclasses import dataclass

from asrkd.core.errors import AsrkdError
from asrkd.data.corpora.digits.voices import NUM_SPEAKERS

SPLITS = ("train", "dev", "test")

SAMPLING_RATES = (8000, 12000, 16000, 24000, 32000, 44100, 48000)
"""Hz. 10 ms is a whole number of samples, and a large common divisor with espeak-ng's 22,050 Hz keeps the
resampling filter small."""

HELD_OUT_SHARE = 0.12  # dev and test each, as a share of the minutes of training speech
MAX_MINUTES = 60_000.0  # 1000 hours


@dataclass(frozen=True)
class DigitsOptions:
    """Options that decide the contents of the corpus.

    Attributes:
        minutes: minutes of speech in train, pauses included.
        dev_minutes: minutes of speech in dev; None for 12 % of ``minutes``.
        test_minutes: minutes of speech in test; None for 12 % of ``minutes``.
        seed: seed of speakers, sentences and noise.
        sampling_rate: sampling rate in Hz, one of :data:`SAMPLING_RATES`.
        num_speakers: number of speakers in train; dev and test have a fifth as many each, all different.
        snr_db: lowest and highest ratio of speech to noise, in dB, over the whole utterance.
        gain_db: lowest and highest peak of an utterance, in dB relative to full scale.

    Raises:
        AsrkdError: a value is out of its range; the message has its option.
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
            is_valid = 0 < minutes <= MAX_MINUTES
            _check(is_valid, f"{flag} {minutes}", f"more than 0, at most {MAX_MINUTES:.0f}")
        _check(self.seed >= 0, f"--seed {self.seed}", "0 or more")
        rate = self.sampling_rate
        _check(rate in SAMPLING_RATES, f"--sampling-rate {rate}", f"one of {SAMPLING_RATES}")
        is_valid = self.num_speakers >= 1 and self.speaker_numbers("test").stop <= NUM_SPEAKERS
        _check(
            is_valid,
            f"--num-speakers {self.num_speakers}",
            f"at least 1, and with a fifth as many each for dev and test at most {NUM_SPEAKERS}",
        )
        _check_interval("--snr-db", self.snr_db, -20, 100)
        _check_interval("--gain-db", self.gain_db, -60, 0)

    def split_minutes(self, split: str) -> float:
        """Return the minutes of speech of ``split``."""
        minutes = {"train": self.minutes, "dev": self.dev_minutes, "test": self.test_minutes}[split]
        return HELD_OUT_SHARE * self.minutes if minutes is None else minutes

    def speaker_numbers(self, split: str) -> range:
        """Return the speaker numbers of ``split``, disjoint from those of other splits."""
        held_out = max(1, self.num_speakers // 5)
        starts = {"train": 0, "dev": self.num_speakers, "test": self.num_speakers + held_out}
        return range(starts[split], starts[split] + (self.num_speakers if split == "train" else held_out))


def _check(is_valid: bool, setting: str, expected: str) -> None:
    if not is_valid:
        raise AsrkdError(f"{setting}: expected {expected}")


def _check_interval(flag: str, interval: tuple[float, float], low: float, high: float) -> None:
    is_valid = len(interval) == 2 and low <= interval[0] <= interval[1] <= high
    _check(is_valid, f"{flag} {interval}", f"a lower and an upper value within {low}..{high} dB")
