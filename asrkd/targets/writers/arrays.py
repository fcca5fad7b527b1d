"""Writers of shards of codebook indexes, posteriors and hidden states, run by worker processes.

Notation: T frames of a cut, V tokens, k of them stored, D model size.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import load, save
from torch import Tensor

from asrkd.core.task_monitor import TaskMonitor
from asrkd.models.directory import load_model
from asrkd.models.encoder import Tap
from asrkd.models.inference import GPU_BATCH, CutOutputs, encode_cuts
from asrkd.quantizer.storage import load_quantizer
from asrkd.targets.store.arrays import VALUES, write_array_shard
from asrkd.targets.store.shard_parts import SerializedOutputs, make_shard
from asrkd.targets.store.shards import Shard, ShardWriter
from asrkd.teachers.loading import open_teacher


def top_tokens(log_probs: Tensor, top_k: int) -> tuple[Tensor, Tensor]:
    """Select the best ``top_k`` tokens of each frame.

    Args:
        log_probs: (T, V) normalized, in nats.
        top_k: number of tokens, at least 1; all if V or more.

    Returns:
        values (T, k + 1): log-probabilities, best first, and last that of all
        other tokens, -inf if there are none; tokens (T, k), int16 if V allows it.
    """
    ranked, order = log_probs.sort(dim=-1, descending=True, stable=True)
    k = min(top_k, log_probs.shape[-1])
    rest = ranked[:, k:].logsumexp(dim=-1, keepdim=True)  # (T, 1); -inf for no tokens
    narrow = torch.int16 if log_probs.shape[-1] <= torch.iinfo(torch.int16).max else torch.int32
    return torch.cat([ranked[:, :k], rest], dim=-1), order[:, :k].to(narrow)


_Arrays = tuple[float, Mapping[str, Tensor]]  # duration of a cut in seconds, its (T, ...) arrays by name


def codebook_writer(quantizer: Path, tap: Tap) -> ShardWriter:
    """Return a writer of codebook indexes, uint8 (T, codebooks) for each cut."""
    return partial(_write_codebook, quantizer=quantizer, tap=tap)


def posterior_writer(top_k: int, dtype: str) -> ShardWriter:
    """Return a writer of posteriors.

    A cut has ``values`` (T, k + 1), log-probabilities in nats of the k best tokens
    and of all others together, and ``tokens`` (T, k), the k best.
    """
    return partial(_write_posteriors, top_k=top_k, dtype=dtype)


def hidden_writer(tap: Tap, dtype: str) -> ShardWriter:
    """Return a writer of hidden states, (T, D) for each cut."""
    return partial(_write_hidden, tap=tap, dtype=dtype)


def _write_posteriors(shard: Shard, monitor: TaskMonitor, top_k: int, dtype: str) -> None:
    def compute(first: int) -> Iterator[_Arrays]:
        for outputs in encode_cuts(load_model(shard.model, shard.device), shard.cuts[first:]):
            yield outputs.cut.duration, _posteriors(outputs, top_k, dtype)

    _write_arrays(shard, monitor, compute)


def _write_embeddings(
    shard: Shard, monitor: TaskMonitor, tap: Tap, convert: Callable[[Tensor], Tensor]
) -> None:
    """Write the values to which ``convert`` maps the (T, D) embeddings of each cut."""

    def compute(first: int) -> Iterator[_Arrays]:
        for embedded in open_teacher(shard.model, shard.device).embeddings(shard.cuts[first:], [tap]):
            yield embedded.cut.duration, {VALUES: convert(embedded.tapped[tap])}

    _write_arrays(shard, monitor, compute)


def _write_codebook(shard: Shard, monitor: TaskMonitor, quantizer: Path, tap: Tap) -> None:
    loaded = load_quantizer(quantizer).quantizer
    _write_embeddings(shard, monitor, tap, lambda frames: loaded.encode(frames).to(torch.uint8))


def _write_hidden(shard: Shard, monitor: TaskMonitor, tap: Tap, dtype: str) -> None:
    _write_embeddings(shard, monitor, tap, lambda frames: frames.to(getattr(torch, dtype)))


def _write_arrays(shard: Shard, monitor: TaskMonitor, compute: Callable[[int], Iterator[_Arrays]]) -> None:
    """Write a shard of arrays; on a GPU parts hold whole batches."""

    def write(outputs: Sequence[bytes]) -> None:
        write_array_shard(shard.path, shard.request, shard.cuts, [load(output) for output in outputs])

    batch = 1 if torch.device(shard.device).type == "cpu" else GPU_BATCH
    make_shard(shard, lambda first: _serialized(compute(first)), write, monitor, batch)


def _serialized(outputs: Iterator[_Arrays]) -> SerializedOutputs:
    for audio_s, arrays in outputs:
        yield audio_s, [save({name: value.contiguous() for name, value in arrays.items()})]


def _posteriors(outputs: CutOutputs, top_k: int, dtype: str) -> dict[str, Tensor]:
    values, tokens = top_tokens(outputs.log_probs, top_k)
    return {VALUES: values.to(getattr(torch, dtype)), "tokens": tokens}
