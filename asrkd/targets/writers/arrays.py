"""Writers of shards of codebook indexes, posteriors and hidden states, run by worker processes.

Notation: T frames of a cut, V tokens, k of them stored, D model size.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import load, save
from torch import Tensor

from asrkd.core.errors import AsrkdError
from asrkd.models.directory import load_model
from asrkd.models.encoder import Tap
from asrkd.models.inference import GPU_BATCH, encode_cuts
from asrkd.quantizer.storage import load_quantizer
from asrkd.targets.posteriors import ALL, TopK, top_tokens
from asrkd.targets.store.arrays import VALUES, write_array_shard
from asrkd.targets.store.shard_parts import SerializedOutputs, make_shard
from asrkd.targets.store.shards import Shard, ShardWriter
from asrkd.teachers.loading import open_teacher


def codebook_writer(quantizer: Path, tap: Tap) -> ShardWriter:
    """Return a writer of codebook indexes, uint8 (T, codebooks) for each cut."""
    return _writer(partial(_codebook, quantizer=quantizer, tap=tap))


def posterior_writer(top_k: TopK, dtype: str) -> ShardWriter:
    """Return a writer of posteriors.

    A cut has ``values`` (T, k + 1), log-probabilities in nats of the k best tokens
    and of all others together, and ``tokens`` (T, k), the k best; of all tokens
    ``values`` (T, V) alone, in their order.
    """
    return _writer(partial(_posteriors, top_k=top_k, dtype=dtype))


def hidden_writer(tap: Tap, dtype: str) -> ShardWriter:
    """Return a writer of hidden states, (T, D) for each cut."""
    return _writer(partial(_hidden, tap=tap, dtype=dtype))


def _writer(compute: Callable[[Shard, int], SerializedOutputs]) -> ShardWriter:
    return partial(make_shard, compute=compute, write=_write, gpu_batch=GPU_BATCH)


def _codebook(shard: Shard, first: int, quantizer: Path, tap: Tap) -> SerializedOutputs:
    """Yield the indexes of each cut from number ``first`` on."""
    loaded = load_quantizer(quantizer).quantizer
    for embedded in open_teacher(shard.model, shard.device).embeddings(shard.cuts[first:], [tap]):
        yield embedded.cut.duration, [_serialized(loaded.encode(embedded.tapped[tap]).to(torch.uint8))]


def _hidden(shard: Shard, first: int, tap: Tap, dtype: str) -> SerializedOutputs:
    """Yield the hidden states of each cut from number ``first`` on."""
    for embedded in open_teacher(shard.model, shard.device).embeddings(shard.cuts[first:], [tap]):
        values = embedded.tapped[tap]
        stored = values.to(getattr(torch, dtype))
        if not stored.isfinite().all():
            raise AsrkdError(f"cut {embedded.cut.id}: layer {tap.layer}, {tap.place}: {_not_finite(values)}")
        yield embedded.cut.duration, [_serialized(stored)]


def _posteriors(shard: Shard, first: int, top_k: TopK, dtype: str) -> SerializedOutputs:
    """Yield the posteriors of each cut from number ``first`` on."""
    stored = getattr(torch, dtype)
    for outputs in encode_cuts(load_model(shard.model, shard.device), shard.cuts[first:]):
        if outputs.log_probs.isnan().any():  # -inf is a probability of 0
            raise AsrkdError(
                f"cut {outputs.cut.id}: the posteriors of {shard.model}: {_not_finite(outputs.log_probs)}"
            )
        if top_k == ALL:
            yield outputs.cut.duration, [_serialized(outputs.log_probs.to(stored))]
        else:
            values, tokens = top_tokens(outputs.log_probs, top_k)
            yield outputs.cut.duration, [_serialized(values.to(stored), tokens=tokens)]


def _not_finite(values: Tensor) -> str:
    """Describe why the values (...) cannot be stored as numbers, with the remedy."""
    if values.isfinite().all():
        largest = float(values.abs().max())
        return f"values of up to {largest:.3g} are beyond float16, which ends at 65504; use --dtype float32"
    return "NaN or infinite values; the weights of the teacher or the features of the cut are damaged"


def _serialized(values: Tensor, **others: Tensor) -> bytes:
    return save({name: array.contiguous() for name, array in {VALUES: values, **others}.items()})


def _write(shard: Shard, outputs: Sequence[bytes]) -> None:
    write_array_shard(shard.path, shard.request, shard.cuts, [load(output) for output in outputs])
