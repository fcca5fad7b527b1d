"""Teachers that encode audio: batching and tapping of any library's encoder.

Notation: N utterances, S samples, T frames, D size of a layer.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import torch
from lhotse import MonoCut
from torch import Tensor, nn

from asrkd.core import faults
from asrkd.models.encoder import Tap
from asrkd.models.frame_timing import AUDIO, frames_of_samples
from asrkd.models.inference import GPU_BATCH
from asrkd.teachers.audio import WaveformEncoder
from asrkd.teachers.teacher import Embedded, Teacher


class WaveformTeacher(Teacher):
    """Teacher over an encoder of audio."""

    def __init__(self, name: str, encoder: WaveformEncoder, *, resample: bool) -> None:
        """Wrap ``encoder``, which is in evaluation mode, on the device that it is on.

        Args:
            name: the teacher's name on the command line.
            encoder: encoder from the module of its family.
            resample: whether to accept audio of other sampling rates too.
        """
        self.name, self.encoder = name, encoder
        self.frame_shift = encoder.frame_shift
        self.num_layers = len(_layers(encoder.stack))
        self.weights_sha256 = encoder.identity["weights_sha256"]
        self.device = next(encoder.model.parameters()).device
        self.audio = replace(encoder.audio, resample=resample)

    def places(self, layer: int) -> Collection[str]:
        """Return the places before and after the norm that ends each layer or follows the last."""
        if self.encoder.ends_in_norm:
            return ("after_norm", "before_norm")
        return ("before_norm", "after_norm") if layer == self.num_layers else ("before_norm",)

    def layer_dim(self, tap: Tap) -> int:
        """Return D, the size of every layer."""
        return self.encoder.dim

    def check_cuts(self, cuts: Sequence[MonoCut], where: str) -> None:
        """Raise AsrkdError unless all cuts have the teacher's sampling rate, and a permitted length."""
        self.audio.check(cuts, where, self.name)

    def embeddings(self, cuts: Sequence[MonoCut], taps: Collection[Tap]) -> Iterator[Embedded]:
        """Compute the (T, D) values of the tapped layers for each cut, in order."""
        together = GPU_BATCH if self.device.type != "cpu" and self.encoder.batched else 1
        for start in range(0, len(cuts), together):
            group = cuts[start : start + together]
            for embedded in self.encode(group, taps):
                faults.strike("answer")
                yield embedded

    @torch.no_grad()
    def encode(self, cuts: Sequence[MonoCut], taps: Collection[Tap]) -> list[Embedded]:
        """Compute the (T, D) values of cuts in one batch; of encoders that cannot batch, of a single cut."""
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
        """Return family and hashes, the audio format, and the frame timing."""
        return {
            "teacher": self.encoder.identity,
            "audio": self.audio.contract(),
            "frame_shift": self.frame_shift,
            "first_frame_offset": self.encoder.first_frame,
            "offset_from": AUDIO,
            "length_rule": self.encoder.length_rule,
        }

    def versions(self) -> dict[str, str]:
        """Return the version of the encoder's library."""
        return self.encoder.versions


@contextmanager
def _tapping(encoder: WaveformEncoder, taps: Collection[Tap]) -> Iterator[dict[Tap, Tensor]]:
    """Collect the taps' (N, T, D) values of a forward pass in the block, which ends at the deepest tap."""
    tapped: dict[Tap, Tensor] = {}
    layers = _layers(encoder.stack)
    with ExitStack() as undo:
        for tap in taps:
            undo.callback(_hook(encoder, layers[tap.layer - 1], tap, tapped).remove)
        encoder.stack.layers = layers[: max(tap.layer for tap in taps)]
        undo.callback(setattr, encoder.stack, "layers", layers)
        yield tapped


def _hook(encoder: WaveformEncoder, layer: nn.Module, tap: Tap, tapped: dict[Tap, Tensor]) -> Any:
    """Register a hook on ``layer`` that stores the tap's value in ``tapped``; return its handle."""
    if encoder.ends_in_norm and tap.place == "before_norm":
        norm = layer.get_submodule("final_layer_norm")
        return norm.register_forward_pre_hook(lambda _, inputs: tapped.update({tap: inputs[0]}))
    plain = encoder.ends_in_norm or tap.place == "before_norm"
    after = nn.Identity() if plain else encoder.stack.get_submodule("layer_norm")

    def store(_: nn.Module, __: object, output: Any) -> None:
        value = output[0] if isinstance(output, tuple) else output
        tapped[tap] = after(value)

    return layer.register_forward_hook(store)


def _layers(stack: nn.Module) -> nn.ModuleList:
    layers = stack.layers
    assert isinstance(layers, nn.ModuleList)
    return layers
