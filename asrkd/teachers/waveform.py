"""Encoders that read audio, whoever's library built them: loading, batching, tapping.

Letters: N utterances, S samples, T frames, D size of a layer.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from lhotse import MonoCut
from torch import Tensor, nn

from asrkd.core import faults
from asrkd.models.conformer import Tap
from asrkd.models.frame_timing import AUDIO, frames_of_samples
from asrkd.models.inference import GPU_BATCH
from asrkd.teachers.audio import AudioInput
from asrkd.teachers.teacher import Embedded, Teacher


@dataclass(frozen=True)
class WaveformEncoder:
    """An encoder as its library built it, and what must be known of it."""

    model: nn.Module
    stack: nn.Module  # the part that goes through its own list ``layers``
    run: Callable[[Sequence[Tensor]], object]  # encodes utterances of (S,) samples each, padded together
    dim: int  # D
    ends_in_norm: bool  # each layer does; otherwise only the encoder as a whole
    batched: bool  # no utterance sees its neighbors or its padding
    audio: AudioInput
    frame_shift: float  # seconds
    first_frame: float  # seconds from the start of the audio to the first frame's center
    length_rule: dict[str, Any]  # of asrkd.models.frame_timing
    identity: dict[str, Any]  # family, hashes of weights and configuration
    versions: dict[str, str]  # of the library


class WaveformTeacher(Teacher):
    """A teacher that is an encoder of audio."""

    def __init__(self, name: str, encoder: WaveformEncoder, *, resample: bool) -> None:
        """Take the encoder as it is, in evaluation mode, on the device that it is on.

        Args:
            name: as it was given on the command line.
            encoder: from the module of its family.
            resample: take audio of other sampling rates as well.
        """
        self.name, self.encoder = name, encoder
        self.dim, self.frame_shift = encoder.dim, encoder.frame_shift
        self.num_layers = len(_layers(encoder.stack))
        self.weights_sha256 = encoder.identity["weights_sha256"]
        self.device = next(encoder.model.parameters()).device
        self.audio = replace(encoder.audio, resample=resample)

    def places(self, layer: int) -> Collection[str]:
        """Before and after the norm that each layer ends in, or that comes after the last."""
        if self.encoder.ends_in_norm:
            return ("after_norm", "before_norm")
        return ("before_norm", "after_norm") if layer == self.num_layers else ("before_norm",)

    def check_cuts(self, cuts: Sequence[MonoCut], where: str) -> None:
        """Raise AsrkdError unless all cuts are of the teacher's sampling rate, and not too short or long."""
        self.audio.check(cuts, where, self.name)

    def embeddings(self, cuts: Sequence[MonoCut], taps: Collection[Tap]) -> Iterator[Embedded]:
        """The (T, D) values of the tapped layers for each cut, in order."""
        together = GPU_BATCH if self.device.type != "cpu" and self.encoder.batched else 1
        for start in range(0, len(cuts), together):
            group = cuts[start : start + together]
            for embedded in self.encode(group, taps):
                faults.strike("answer")
                yield embedded

    @torch.no_grad()
    def encode(self, cuts: Sequence[MonoCut], taps: Collection[Tap]) -> list[Embedded]:
        """The (T, D) values for cuts that are run together, for encoders that can do that; one for any."""
        utterances = [self.audio.load(cut) for cut in cuts]
        with _tapping(self.encoder, taps) as tapped:
            self.encoder.run([samples.to(self.device) for samples in utterances])
        values = {tap: value.float().cpu() for tap, value in tapped.items()}
        counts = [frames_of_samples(self.encoder.length_rule, len(samples)) for samples in utterances]
        return [
            Embedded(cut, {tap: value[row, :count].clone() for tap, value in values.items()})
            for row, (cut, count) in enumerate(zip(cuts, counts, strict=True))
        ]

    def contract(self) -> dict[str, Any]:
        """Family, hashes, what is done to the audio, and when frames are."""
        return {
            "teacher": self.encoder.identity,
            "audio": self.audio.contract(),
            "frame_shift": self.frame_shift,
            "first_frame_offset": self.encoder.first_frame,
            "offset_from": AUDIO,
            "length_rule": self.encoder.length_rule,
        }

    def versions(self) -> dict[str, str]:
        """Of the library that the encoder is from."""
        return self.encoder.versions


@contextmanager
def _tapping(encoder: WaveformEncoder, taps: Collection[Tap]) -> Iterator[dict[Tap, Tensor]]:
    """What the taps (N, T, D) held in the forward pass of the block, which ends at the deepest of them."""
    tapped: dict[Tap, Tensor] = {}
    layers = _layers(encoder.stack)
    with ExitStack() as undo:
        for tap in taps:
            undo.callback(_hook(encoder, layers[tap.layer - 1], tap, tapped).remove)
        encoder.stack.layers = layers[: max(tap.layer for tap in taps)]
        undo.callback(setattr, encoder.stack, "layers", layers)
        yield tapped


def _hook(encoder: WaveformEncoder, layer: nn.Module, tap: Tap, tapped: dict[Tap, Tensor]) -> Any:
    """Make ``layer`` leave what is tapped in ``tapped``; what is returned can be removed."""
    if encoder.ends_in_norm and tap.place == "before_norm":
        norm = layer.get_submodule("final_layer_norm")
        return norm.register_forward_pre_hook(lambda _, given: tapped.update({tap: given[0]}))
    plain = encoder.ends_in_norm or tap.place == "before_norm"
    after = nn.Identity() if plain else encoder.stack.get_submodule("layer_norm")

    def keep(_: nn.Module, __: object, given: Any) -> None:
        value = given[0] if isinstance(given, tuple) else given
        tapped[tap] = after(value)

    return layer.register_forward_hook(keep)


def _layers(stack: nn.Module) -> nn.ModuleList:
    layers = stack.layers
    assert isinstance(layers, nn.ModuleList)
    return layers


def pad(utterances: Sequence[Tensor]) -> tuple[Tensor, Tensor | None]:
    """N utterances (S,) as (N, S), zeros at the end, and how many are real, (N,); None where all are."""
    counts = [len(samples) for samples in utterances]
    padded = torch.nn.utils.rnn.pad_sequence(list(utterances), batch_first=True)
    return padded, None if len(set(counts)) == 1 else torch.tensor(counts, device=padded.device)
