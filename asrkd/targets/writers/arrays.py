"""Asking a teacher about a shard of cuts and writing its answers: what worker processes run.

Letters: T frames of a cut, V tokens, k of them that are kept, D model size.
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
from asrkd.targets.store.shard_parts import Answers, make_shard
from asrkd.targets.store.shards import Shard, ShardWriter
from asrkd.teachers.loading import open_teacher


def top_tokens(log_probs: Tensor, top_k: int) -> tuple[Tensor, Tensor]:
    """Keep the best ``top_k`` tokens of each frame.

    Args:
        log_probs: (T, V) normalized, in nats.
        top_k: at least 1; all are kept if it is V or more.

    Returns:
        values (T, k + 1): log-probabilities, best first, and last that of the
        rest, -inf where there is none; tokens (T, k), int16 if V allows it.
    """
    ranked, order = log_probs.sort(dim=-1, descending=True, stable=True)
    kept = min(top_k, log_probs.shape[-1])
    rest = ranked[:, kept:].logsumexp(dim=-1, keepdim=True)  # (T, 1); -inf of nothing
    narrow = torch.int16 if log_probs.shape[-1] <= torch.iinfo(torch.int16).max else torch.int32
    return torch.cat([ranked[:, :kept], rest], dim=-1), order[:, :kept].to(narrow)


_Arrays = tuple[float, Mapping[str, Tensor]]  # duration of a cut in seconds, its (T, ...) arrays by name


def codebook_writer(quantizer: Path, tap: Tap) -> ShardWriter:
    """What writes a shard of codebook indexes, uint8 (T, codebooks) a cut.

    Importable by worker processes.
    """
    return partial(_write_codebook, quantizer=quantizer, tap=tap)


def posterior_writer(top_k: int, dtype: str) -> ShardWriter:
    """What writes a shard of posteriors; importable by worker processes.

    A cut has ``values`` (T, k + 1), the natural logarithms of the k best and
    of the rest together, and ``tokens`` (T, k), whose they are.
    """
    return partial(_write_posteriors, top_k=top_k, dtype=dtype)


def hidden_writer(tap: Tap, dtype: str) -> ShardWriter:
    """What writes a shard of hidden states, (T, D) a cut.

    Importable by worker processes.
    """
    return partial(_write_hidden, tap=tap, dtype=dtype)


def _write_posteriors(shard: Shard, monitor: TaskMonitor, top_k: int, dtype: str) -> None:
    def ask(first: int) -> Iterator[_Arrays]:
        for answer in encode_cuts(load_model(shard.model, shard.device), shard.cuts[first:]):
            yield answer.cut.duration, _posteriors(answer, top_k, dtype)

    _write_arrays(shard, monitor, ask)


def _write_embeddings(shard: Shard, monitor: TaskMonitor, tap: Tap, take: Callable[[Tensor], Tensor]) -> None:
    """Write what ``take`` makes of each cut's (T, D) embeddings."""

    def ask(first: int) -> Iterator[_Arrays]:
        for own in open_teacher(shard.model, shard.device).embeddings(shard.cuts[first:], [tap]):
            yield own.cut.duration, {VALUES: take(own.tapped[tap])}

    _write_arrays(shard, monitor, ask)


def _write_codebook(shard: Shard, monitor: TaskMonitor, quantizer: Path, tap: Tap) -> None:
    loaded = load_quantizer(quantizer).quantizer
    _write_embeddings(shard, monitor, tap, lambda frames: loaded.encode(frames).to(torch.uint8))


def _write_hidden(shard: Shard, monitor: TaskMonitor, tap: Tap, dtype: str) -> None:
    _write_embeddings(shard, monitor, tap, lambda frames: frames.to(getattr(torch, dtype)))


def _write_arrays(shard: Shard, monitor: TaskMonitor, ask: Callable[[int], Iterator[_Arrays]]) -> None:
    """Write a shard of arrays; on a GPU, where neighbors are run together, parts hold whole batches."""

    def write(kept: Sequence[bytes]) -> None:
        write_array_shard(shard.path, shard.request, shard.cuts, [load(own) for own in kept])

    batch = 1 if torch.device(shard.device).type == "cpu" else GPU_BATCH
    make_shard(shard, lambda first: _as_bytes(ask(first)), write, monitor, batch)


def _as_bytes(arrays: Iterator[_Arrays]) -> Answers:
    for audio_s, own in arrays:
        yield audio_s, [save({name: value.contiguous() for name, value in own.items()})]


def _posteriors(answer: CutOutputs, top_k: int, dtype: str) -> dict[str, Tensor]:
    values, tokens = top_tokens(answer.log_probs, top_k)
    return {VALUES: values.to(getattr(torch, dtype)), "tokens": tokens}
