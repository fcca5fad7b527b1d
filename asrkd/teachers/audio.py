"""What teachers that read audio are given: samples of a cut, at their rate, normalized by themselves.

The mean and the spread are those of the cut alone. icefall and torchaudio
take them over a padded batch, so that what is stored depends on which
utterances happened to be neighbors.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torchaudio
from lhotse import MonoCut
from lhotse.utils import compute_num_samples
from torch import Tensor

from asrkd.core.errors import AsrkdError
from asrkd.core.shell import command
from asrkd.data.corpora.recordings import BadAudio, decode
from asrkd.data.cuts.records import records


@dataclass(frozen=True)
class AudioInput:
    """What audio an encoder reads."""

    sampling_rate: int  # Hz
    epsilon: float | None  # added to the variance by whose root a cut is divided; None: not normalized
    shortest: int  # samples; fewer give no frame
    longest: int | None  # samples; None: any number
    resample: bool = False  # audio of other rates is taken too

    def check(self, cuts: Sequence[MonoCut], where: str, reader: str) -> None:
        """Raise AsrkdError unless every cut is of the right rate and length; by records, without reading.

        Args:
            cuts: to be read.
            where: the manifest they are from.
            reader: who is to read them, for the message.
        """
        for record in records(cuts):
            if record.sampling_rate != self.sampling_rate and not self.resample:
                raise AsrkdError(
                    f"{where}: cut {record.id} has {record.sampling_rate} Hz, {reader} reads "
                    f"{self.sampling_rate} Hz; add --resample, or prepare the cuts anew with: "
                    + command("asrkd", "prepare", "...", "--sampling-rate", str(self.sampling_rate))
                )
            samples = compute_num_samples(record.duration, self.sampling_rate)
            if samples < self.shortest:
                raise AsrkdError(
                    f"{where}: cut {record.id} has {record.duration:g} s, {reader} needs "
                    f"{self.shortest / self.sampling_rate:g} s for a frame; take it out of the manifest"
                )
            if self.longest is not None and samples > self.longest:
                raise AsrkdError(
                    f"{where}: cut {record.id} has {record.duration:g} s, {reader} reads "
                    f"{self.longest / self.sampling_rate:g} s at most; cut it shorter, or take it out"
                )

    def load(self, cut: MonoCut) -> Tensor:
        """The (num_samples,) of a cut in float32, resampled and normalized where that is needed.

        Raises:
            AsrkdError: the audio cannot be read; the cut is named.
        """
        if cut.recording is None:
            raise AsrkdError(f"cut {cut.id}: has no audio, which this teacher reads")
        try:
            samples = torch.from_numpy(decode(cut))[0]
        except BadAudio as error:
            raise AsrkdError(f"cut {cut.id}: {error}; find what is wrong with: asrkd check --deep") from None
        rate = cut.recording.sampling_rate
        if rate != self.sampling_rate:
            samples = torchaudio.functional.resample(samples, rate, self.sampling_rate)
            samples = samples[: compute_num_samples(cut.duration, self.sampling_rate)]
        return samples if self.epsilon is None else normalize(samples, self.epsilon)

    def contract(self) -> dict[str, Any]:
        """What a store says of the audio that was read."""
        normalized = {"of": "each cut", "mean": 0, "variance": 1, "epsilon": self.epsilon}
        return {
            "sampling_rate": self.sampling_rate,
            "normalization": None if self.epsilon is None else normalized,
            "other_rates": "torchaudio.functional.resample" if self.resample else "refused",
        }


def normalize(samples: Tensor, epsilon: float) -> Tensor:
    """(num_samples,) less their mean, over the root of their variance and ``epsilon`` together."""
    centered = samples - samples.mean()
    return centered / (samples.var(unbiased=False) + epsilon).sqrt()
