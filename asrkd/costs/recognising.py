"""Recognising one utterance from its features, as its costs are measured: batch 1, greedy search.

Letters: T feature frames, F features.
"""

import torch
from torch import Tensor

from asrkd.decoding.quick import quick_tokens
from asrkd.models.directory import LoadedModel


@torch.no_grad()
def recognise(model: LoadedModel, features: Tensor) -> str:
    """The words of an utterance of (T, F) features."""
    output = model.recogniser(features[None], torch.tensor([len(features)]))
    (tokens,) = quick_tokens(model.recogniser, output)
    return model.tokens.decode(tokens)
