"""Audio of teachers: the encoders that read it, and a cut's samples, resampled and normalized for them.

Mean and variance are those of the cut alone. icefall and torchaudio compute
them over a padded batch, so that stored targets depend on the other
utterances of the batch.

Notation: N utterances, S samples, D size of a layer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from lhotse import MonoCut
from lhotse.utils import compute_num_samples
from torch import Tensor, nn

from asrkd.core.errors import AsrkdError
from asrkd.core.shell import command
from asrkd.data.corpora.recordings import samples_of
from asrkd.data.cuts.records import records


@dataclass(frozen=True)
class AudioInput:
    """Audio format of an encoder: rate, normalization and permitted lengths."""

    sampling_rate: int  # Hz
    epsilon: float | None  # added to a cut's variance before normalization; None: not normalized
    shortest: int  # samples; shorter audio gives no frame
    longest: int | None  # samples; None: no limit
    resample: bool = False  # whether audio of other rates is accepted

    def check(self, cuts: Sequence[MonoCut], where: str, reader: str) -> None:
        """Check rate and length of every cut by its record, without reading audio.

        Args:
            cuts: the cuts to encode.
            where: manifest of the cuts, for the message.
            reader: name of the teacher, for the message.

        Raises:
            AsrkdError: a cut has another sampling rate, or is too short or too long.
        """
        for record in records(cuts):
            if record.sampling_rate != self.sampling_rate and not self.resample:
                raise AsrkdError(
                    f"{where}: cut {record.id} has {record.sampling_rate} Hz, {reader} reads "
                    f"{self.sampling_rate} Hz; add --resample, or prepare the cuts again with: "
                    + command("asrkd", "prepare", "...", "--sampling-rate", str(self.sampling_rate))
                )
            samples = compute_num_samples(record.duration, self.sampling_rate)
            if samples < self.shortest:
                raise AsrkdError(
                    f"{where}: cut {record.id} has {record.duration:g} s, {reader} needs "
                    f"{self.shortest / self.sampling_rate:g} s for a frame; remove it from the manifest"
                )
            if self.longest is not None and samples > self.longest:
                raise AsrkdError(
                    f"{where}: cut {record.id} has {record.duration:g} s, {reader} reads "
                    f"{self.longest / self.sampling_rate:g} s at most; split it, or remove it"
                )

    def load(self, cut: MonoCut) -> Tensor:
        """Load the (num_samples,) of a cut in float32, resampled and normalized where needed.

        Raises:
            AsrkdError: the cut has no audio, or it cannot be read.
        """
        if cut.recording is None:
            raise AsrkdError(f"cut {cut.id}: has no audio, which this teacher needs")
        samples = torch.from_numpy(samples_of(cut))
        rate = cut.recording.sampling_rate
        if rate != self.sampling_rate:
            import torchaudio  # takes long to load, and no config needs it

            samples = torchaudio.functional.resample(samples, rate, self.sampling_rate)
            samples = samples[: compute_num_samples(cut.duration, self.sampling_rate)]
        return samples if self.epsilon is None else normalize(samples, self.epsilon)

    def contract(self) -> dict[str, Any]:
        """Return the audio format as a store's contract records it."""
        normalized = {"of": "each cut", "mean": 0, "variance": 1, "epsilon": self.epsilon}
        return {
            "sampling_rate": self.sampling_rate,
            "normalization": None if self.epsilon is None else normalized,
            "other_rates": "torchaudio.functional.resample" if self.resample else "refused",
        }


def normalize(samples: Tensor, epsilon: float) -> Tensor:
    """Normalize (num_samples,) to mean 0 and variance 1; ``epsilon`` is added to the variance."""
    centered = samples - samples.mean()
    return centered / (samples.var(unbiased=False) + epsilon).sqrt()


@dataclass(frozen=True)
class WaveformEncoder:
    """Encoder as its library built it, with the properties that batching, tapping and contracts need."""

    model: nn.Module
    stack: nn.Module  # the part that runs its list ``layers`` in order
    run: Callable[[Sequence[Tensor]], object]  # encodes utterances of (S,) samples each, padded to a batch
    dim: int  # D
    ends_in_norm: bool  # True: each layer; False: only the encoder as a whole
    batched: bool  # whether outputs are independent of padding and of other utterances
    audio: AudioInput
    frame_shift: float  # seconds
    first_frame: float  # seconds from the start of the audio to the first frame's center
    length_rule: dict[str, Any]  # see asrkd.models.frame_timing
    identity: dict[str, Any]  # family, hashes of weights and configuration
    versions: dict[str, str]  # versions of the library


def pad(utterances: Sequence[Tensor]) -> tuple[Tensor, Tensor | None]:
    """Pad N utterances (S,) with zeros to (N, S); also return their lengths (N,), None if all are equal."""
    counts = [len(samples) for samples in utterances]
    padded = torch.nn.utils.rnn.pad_sequence(list(utterances), batch_first=True)
    return padded, None if len(set(counts)) == 1 else torch.tensor(counts, device=padded.device)
