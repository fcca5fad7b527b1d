"""Log-mel features as Kaldi, lhotse and sherpa-onnx compute them.

25 ms povey windows every 10 ms, pre-emphasis 0.97, no dither, mel bands from
20 Hz to 400 Hz below half the sampling rate, natural logarithm. Samples are
in -1..1 (sherpa-onnx: ``normalize_samples=True``), and no statistics of the
utterance are used, so a streaming front end computes the same. The signal is
reflected at its ends, so T = round(num_samples / 10 ms) and frame t is
centered on (t + 1/2) * 10 ms.
"""

from dataclasses import dataclass

from lhotse import Fbank, FbankConfig

from asrkd.core.errors import AsrkdError

FRAME_SHIFT_S = 0.01
# lhotse's mel filters go from 20 Hz to 400 Hz below half the rate: at lower rates there are none.
MIN_SAMPLING_RATE = 2000
MAX_SAMPLING_RATE = 768_000  # Hz: of the fastest sound cards
MAX_MEL_BINS = 1000  # above the number of lines in the spectrum of a window
COMMON_RATE = 16000
FRAMES_PER_S = 100


@dataclass(frozen=True)
class FeatureOptions:
    """Options of the features.

    Raises:
        AsrkdError: a value is out of its range.
    """

    num_mel_bins: int = 80
    sampling_rate: int | None = None  # Hz; None: that of the corpus, without resampling

    def __post_init__(self) -> None:
        if self.sampling_rate is not None:
            check_sampling_rate(self.sampling_rate, f"--sampling-rate {self.sampling_rate}")
        if not 1 <= self.num_mel_bins <= MAX_MEL_BINS:
            raise AsrkdError(f"--num-mel-bins {self.num_mel_bins}: expected 1 to {MAX_MEL_BINS}")


def check_sampling_rate(rate: int, where: str) -> None:
    """Raise AsrkdError unless features exist at ``rate`` Hz; ``where`` begins the message.

    The frame shift must be a whole number of samples: 22,050 Hz (LJSpeech) and 11,025 Hz are refused.
    """
    if not MIN_SAMPLING_RATE <= rate <= MAX_SAMPLING_RATE:
        raise AsrkdError(
            f"{where}: expected {MIN_SAMPLING_RATE} to {MAX_SAMPLING_RATE} Hz; "
            f"resample all audio with --sampling-rate {COMMON_RATE}"
        )
    if rate % FRAMES_PER_S:
        raise AsrkdError(
            f"{where}: the frame shift of {1000 / FRAMES_PER_S:g} ms is {rate / FRAMES_PER_S:g} "
            f"samples, expected a whole number; resample all audio with --sampling-rate {COMMON_RATE}"
        )


def make_extractor(num_mel_bins: int, sampling_rate: int) -> Fbank:
    """Make lhotse's extractor of (T, num_mel_bins) log-mel energies from samples in -1..1.

    Args:
        num_mel_bins: number of mel bands.
        sampling_rate: sampling rate of the samples, in Hz.
    """
    return Fbank(
        FbankConfig(
            sampling_rate=sampling_rate,
            frame_shift=FRAME_SHIFT_S,
            num_filters=num_mel_bins,
            snip_edges=False,
            dither=0.0,
        )
    )
