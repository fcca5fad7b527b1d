"""Transducer head: a stateless predictor over the last tokens, and a joiner.

Sources: Graves, "Sequence Transduction with Recurrent Neural Networks",
arXiv:1211.3711, for the model; Ghodsi et al., "RNN-Transducer with stateless
prediction network", ICASSP 2020, for the predictor. The shape is that of
icefall's transducers: an embedding, a grouped convolution over ``context_size``
tokens, ReLU; tanh of the sum of both projections, and one linear map.

Before the first token the context holds the blank, and before that nothing, an
embedding of zero, as sherpa-onnx has it.

Notation: N utterances, S sequences, T encoder frames, U tokens, D size of an
encoder frame, P of the predictor, J of the joiner, V tokens with blank at 0, C
tokens of context.
"""

import torch
from torch import Tensor, nn

from asrkd.data.tokens import BLANK_ID
from asrkd.models.config import CHANNELS_OF_A_GROUP, TransducerConfig

NOTHING = -1  # a place of a context before the first blank


class Predictor(nn.Module):
    """Stateless prediction network: a function of the last C tokens."""

    def __init__(self, config: TransducerConfig, num_tokens: int) -> None:
        """Build for V tokens."""
        super().__init__()
        self.context_size, self.dim = config.context_size, config.predictor_dim
        self.embedding = nn.Embedding(num_tokens, config.predictor_dim)
        self.convolution: nn.Conv1d | None = None
        if config.context_size > 1:
            self.convolution = nn.Conv1d(
                config.predictor_dim,
                config.predictor_dim,
                config.context_size,
                groups=config.predictor_dim // CHANNELS_OF_A_GROUP,
                bias=False,
            )
        self.project = nn.Linear(config.predictor_dim, config.joiner_dim)

    def forward(self, tokens: Tensor) -> Tensor:
        """Compute the predictions of :meth:`hidden` in the joiner's size, (S, U + 1, J)."""
        projected: Tensor = self.project(self.hidden(tokens))
        return projected

    def hidden(self, tokens: Tensor) -> Tensor:
        """Compute the predictions before and after each token of sequences.

        Args:
            tokens: (S, U) ids; padding may hold any id of the inventory.

        Returns:
            (S, U + 1, P): entry u is after u tokens.
        """
        blanks = tokens.new_full((len(tokens), 1), BLANK_ID)
        before = tokens.new_full((len(tokens), self.context_size - 1), NOTHING)
        return self._vectors(torch.cat([before, blanks, tokens], dim=1))

    def after(self, contexts: Tensor) -> Tensor:
        """Compute the prediction after each (B, C) context, NOTHING before the first blank; (B, J)."""
        projected: Tensor = self.project(self._vectors(contexts)[:, 0])
        return projected

    def start(self, num: int) -> Tensor:
        """Return ``num`` contexts of sequences without a token, (num, C) int64."""
        contexts = torch.full((num, self.context_size), NOTHING, device=self.embedding.weight.device)
        contexts[:, -1] = BLANK_ID
        return contexts

    def _vectors(self, contexts: Tensor) -> Tensor:
        """Map (S, C - 1 + L) tokens to (S, L, P)."""
        vectors = self.embedding(contexts.clamp(min=0)) * (contexts >= 0)[..., None]
        if self.convolution is not None:
            vectors = self.convolution(vectors.transpose(1, 2)).transpose(1, 2)
        hidden: Tensor = vectors.relu()
        return hidden


class Transducer(nn.Module):
    """Predictor and joiner of a transducer: logits of the next token or blank at each frame."""

    def __init__(self, config: TransducerConfig, num_tokens: int, encoder_dim: int) -> None:
        """Build for V tokens and encoder frames of size D."""
        super().__init__()
        self.config = config
        self.predictor = Predictor(config, num_tokens)
        self.project = nn.Linear(encoder_dim, config.joiner_dim)
        self.out = nn.Linear(config.joiner_dim, num_tokens)

    def frames(self, encoded: Tensor) -> Tensor:
        """Project (..., D) encoder frames to the joiner's size, (..., J)."""
        projected: Tensor = self.project(encoded)
        return projected

    def join(self, frames: Tensor, predictions: Tensor) -> Tensor:
        """Return the logits (..., V) of frames and predictions, whose shapes broadcast to (..., J)."""
        logits: Tensor = self.out(torch.tanh(frames + predictions))
        return logits
