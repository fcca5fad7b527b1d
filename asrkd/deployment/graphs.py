"""Graphs of exported models, with the inputs and outputs that sherpa-onnx calls by their order.

Offline CTC is its ``zipformer2_ctc``: features and lengths to log-probabilities
and lengths. Transducers are three graphs: encoder with the projection to the
joiner's size, decoder (the predictor, with its projection), and joiner. Streams
are its ``zipformer2``, whose states it makes as zeros from the metadata, stacks
and hands back unread: a container, in which a Conformer keeps its own
(:class:`Container`).

Notation: N utterances or streams, T feature frames, F features, T' encoder
frames, L left context, C frames of a chunk, D size of a frame, J size of the
joiner, V tokens, K frames of the Conformer's convolution.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from asrkd.models.conformer import Conformer, LayerState, StreamState
from asrkd.models.recognizer import Recognizer
from asrkd.models.transducer import Transducer


class OfflineCtc(nn.Module):
    """Encoder and CTC head: features and lengths to log-probabilities and lengths."""

    def __init__(self, recognizer: Recognizer) -> None:
        super().__init__()
        self.recognizer = recognizer

    def forward(self, features: Tensor, num_frames: Tensor) -> tuple[Tensor, Tensor]:
        """Map (N, T, F) features of (N,) int64 frames each to (N, T', V) log-probabilities and (N,) int64."""
        output = self.recognizer(features, num_frames)
        return output.log_probs(), output.num_frames


class OfflineEncoder(nn.Module):
    """Encoder of a transducer, and the projection to the joiner's size."""

    def __init__(self, recognizer: Recognizer, transducer: Transducer) -> None:
        super().__init__()
        self.encoder, self.project = recognizer.encoder, transducer.project

    def forward(self, features: Tensor, num_frames: Tensor) -> tuple[Tensor, Tensor]:
        """Map (N, T, F) features of (N,) int64 frames each to (N, T', J) frames and (N,) int64."""
        output = self.encoder(features, num_frames)
        return self.project(output.frames), output.num_frames


class PredictorGraph(nn.Module):
    """Predictor of a transducer, as sherpa-onnx's decoder."""

    def __init__(self, transducer: Transducer) -> None:
        super().__init__()
        self.predictor = transducer.predictor

    def forward(self, contexts: Tensor) -> Tensor:
        """Map (N, context size) int64 tokens, -1 before the first blank, to (N, J)."""
        return self.predictor.after(contexts)


class JoinerGraph(nn.Module):
    """Joiner of a transducer."""

    def __init__(self, transducer: Transducer) -> None:
        super().__init__()
        self.transducer = transducer

    def forward(self, frames: Tensor, predictions: Tensor) -> Tensor:
        """Map (N, J) frames and (N, J) predictions to (N, V) logits."""
        return self.transducer.join(frames, predictions)


STATES_OF_A_LAYER = ("key", "nonlin_attn", "val1", "val2", "conv1", "conv2")
EMBED_CHANNELS, EMBED_FRAMES = 128, 3  # of the state of a Zipformer's front end
CTC_EMBED_WIDTH = 19  # its bands, a constant of the program for CTC


@dataclass(frozen=True)
class Container:
    """States of sherpa-onnx's ``zipformer2`` that hold those of a Conformer, with one stack of its layers.

    Of a layer, key, val1 and conv1 hold the Conformer's keys (before rotation), values and gated frames; the
    others return as they came. ``embed_states`` holds the front end's frames, flat, and ``processed_lens``
    the frames so far, at most the left context.
    """

    num_layers: int
    num_heads: int
    dim: int  # D
    kernel_size: int  # K
    left: int  # L
    chunk: int  # C
    num_features: int
    front_end: tuple[tuple[int, ...], ...]  # shape of each of its states, without the streams

    @classmethod
    def of(cls, conformer: Conformer) -> "Container":
        """Describe the container of a Conformer; ValueError without a limited left context."""
        state, chunk = conformer.start(1), conformer.chunks.frames
        assert chunk is not None
        return cls(
            num_layers=len(state.layers),
            num_heads=conformer.config.num_heads,
            dim=conformer.dim,
            kernel_size=conformer.config.kernel_size,
            left=state.layers[0].key.shape[1],
            chunk=chunk,
            num_features=len(conformer.front_end.mean),
            front_end=tuple(tuple(each.shape[1:]) for each in state.front_end),
        )

    @property
    def embed_width(self) -> int:
        """Bands of ``embed_states``, by the number of features."""
        return ((self.num_features - 1) // 2 - 1) // 2

    @property
    def embed_room(self) -> int:
        """Numbers that ``embed_states`` can hold of a stream."""
        return EMBED_CHANNELS * EMBED_FRAMES * self.embed_width

    @property
    def embed_needed(self) -> int:
        """Numbers that the front end keeps of a stream."""
        return sum(int(torch.Size(shape).numel()) for shape in self.front_end)

    def names(self) -> list[str]:
        """Return the names of the states, in the order of the program."""
        of_layers = [f"{name}_{layer}" for layer in range(self.num_layers) for name in STATES_OF_A_LAYER]
        return [*of_layers, "embed_states", "processed_lens"]

    def batch_axes(self) -> list[int]:
        """Return the axis of the streams of each state."""
        return [1, 1, 1, 1, 0, 0] * self.num_layers + [0, 0]

    def start(self, num: int) -> list[Tensor]:
        """Return the states of ``num`` streams before their first frame, zeros, as the program makes them."""
        attention = (self.left, num, self.dim)
        nonlin = (1, num, self.left, 3 * self.dim // 4)
        convolution = (num, self.dim, self.kernel_size - 1)
        layer = (attention, nonlin, attention, attention, convolution, convolution)
        embed = (num, EMBED_CHANNELS, EMBED_FRAMES, self.embed_width)
        states = [torch.zeros(shape) for shape in (*layer * self.num_layers, embed)]
        return [*states, torch.zeros(num, dtype=torch.long)]

    def unpack(self, states: Sequence[Tensor]) -> StreamState:
        """Return the Conformer's state in these of the container."""
        layers = [
            LayerState(
                states[first].transpose(0, 1),
                states[first + 2].transpose(0, 1),
                states[first + 4].transpose(1, 2),
            )
            for first in range(0, len(states) - 2, len(STATES_OF_A_LAYER))
        ]
        flat, pieces, place = states[-2].flatten(1), [], 0
        for shape in self.front_end:
            size = int(torch.Size(shape).numel())
            pieces.append(flat[:, place : place + size].reshape(-1, *shape))
            place += size
        return StreamState(tuple(pieces), tuple(layers), states[-1])

    def pack(self, state: StreamState, before: Sequence[Tensor]) -> list[Tensor]:
        """Return the container's states after a step; ``before`` are those that the step began with."""
        packed = []
        for number, layer in enumerate(state.layers):
            _, nonlin, _, val2, _, conv2 = before[number * 6 : number * 6 + 6]
            key, value = layer.key.transpose(0, 1), layer.value.transpose(0, 1)
            packed += [key, nonlin, value, val2, layer.convolution.transpose(1, 2), conv2]
        flat = torch.cat([each.flatten(1) for each in state.front_end], dim=1)
        padded = nn.functional.pad(flat, (0, self.embed_room - self.embed_needed))
        embed = padded.reshape(-1, EMBED_CHANNELS, EMBED_FRAMES, self.embed_width)
        return [*packed, embed, state.num_frames]

    def metadata(self, subsampling: int) -> dict[str, str]:
        """Return what the program reads: sizes, and feature frames of a step."""
        step = self.chunk * subsampling
        head = self.dim // self.num_heads
        numbers = {
            "encoder_dims": self.dim,
            "query_head_dims": head,
            "value_head_dims": head,
            "num_heads": self.num_heads,
            "num_encoder_layers": self.num_layers,
            "cnn_module_kernels": 2 * (self.kernel_size - 1) + 1,
            "left_context_len": self.left,
            "T": step,
            "decode_chunk_len": step,
        }
        return {name: str(number) for name, number in numbers.items()} | {"model_type": "zipformer2"}


class StreamingEncoder(nn.Module):
    """A step of a streaming Conformer, and the CTC head or the projection to the joiner's size."""

    def __init__(self, conformer: Conformer, head: nn.Module, *, log_probs: bool) -> None:
        """Keep encoder and head; ``log_probs`` says whether the head's outputs are logits of tokens."""
        super().__init__()
        self.conformer, self.head, self._log_probs = conformer, head, log_probs
        self.container = Container.of(conformer)

    def forward(self, features: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """Map (N, S * C, F) features and the container's states to (N, C, V or J) and the states after."""
        frames, after = self.conformer.step(features, self.container.unpack(states))
        outputs = self.head(frames)
        if self._log_probs:
            outputs = outputs.log_softmax(dim=-1)
        return (outputs, *self.container.pack(after, states))
