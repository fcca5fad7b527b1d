"""Asking a teacher about a shard of cuts and writing its answers: what worker processes run.

Letters: T frames of a cut, V tokens, k of them that are kept, D model size.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from asrkd.models.conformer import Tap
from asrkd.models.directory import load_model
from asrkd.models.inference import Answer, answers
from asrkd.quantizer.storage import load_quantizer
from asrkd.shards import Shard
from asrkd.targets.array_store import VALUES, write_array_shard
from asrkd.targets.top_tokens import top_tokens
from asrkd.teachers.opening import open_teacher


def codebook_writer(quantizer: Path, tap: Tap) -> Callable[[Shard], float]:
    """What writes a shard of codebook indexes, uint8 (T, codebooks) a cut, and gives its seconds of audio.

    Importable by worker processes.
    """
    return partial(_write_codebook, quantizer=quantizer, tap=tap)


def posterior_writer(top_k: int, dtype: str) -> Callable[[Shard], float]:
    """What writes a shard of posteriors, and gives its seconds of audio; importable by worker processes.

    A cut has ``values`` (T, k + 1), the natural logarithms of the k best and
    of the rest together, and ``tokens`` (T, k), whose they are.
    """
    return partial(_write_posteriors, top_k=top_k, dtype=dtype)


def hidden_writer(tap: Tap, dtype: str) -> Callable[[Shard], float]:
    """What writes a shard of hidden states, (T, D) a cut, and gives its seconds of audio.

    Importable by worker processes.
    """
    return partial(_write_hidden, tap=tap, dtype=dtype)


def _write_posteriors(shard: Shard, top_k: int, dtype: str) -> float:
    said = answers(load_model(shard.model, shard.device), shard.cuts)
    return _write_arrays(shard, [_posteriors(answer, top_k, dtype) for answer in said])


def _write_embeddings(shard: Shard, tap: Tap, take: Callable[[Tensor], Tensor]) -> float:
    """Write what ``take`` makes of each cut's (T, D) embeddings."""
    embedded = open_teacher(shard.model, shard.device).embeddings(shard.cuts, [tap])
    return _write_arrays(shard, [{VALUES: take(own.tapped[tap])} for own in embedded])


def _write_codebook(shard: Shard, quantizer: Path, tap: Tap) -> float:
    loaded = load_quantizer(quantizer).quantizer
    return _write_embeddings(shard, tap, lambda frames: loaded.encode(frames).to(torch.uint8))


def _write_hidden(shard: Shard, tap: Tap, dtype: str) -> float:
    return _write_embeddings(shard, tap, lambda frames: frames.to(getattr(torch, dtype)))


def _write_arrays(shard: Shard, arrays: Sequence[Mapping[str, Tensor]]) -> float:
    write_array_shard(shard.path, str(shard.contract), shard.cuts, arrays)
    return shard.audio_s


def _posteriors(answer: Answer, top_k: int, dtype: str) -> dict[str, Tensor]:
    values, tokens = top_tokens(answer.log_probs, top_k)
    return {VALUES: values.to(getattr(torch, dtype)), "tokens": tokens}
