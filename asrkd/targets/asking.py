"""Asking a teacher about a shard of cuts and writing its answers: what worker processes run.

Letters: T frames of a cut, V tokens, k of them that are kept, D model size.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import torch
from lhotse import MonoCut
from torch import Tensor

from asrkd.decoding import Hypothesis, SearchOptions
from asrkd.decoding.recognition import recognise
from asrkd.models.conformer import Tap
from asrkd.models.directory import LoadedModel, load_model
from asrkd.models.inference import Answer, answers
from asrkd.quantizer.storage import load_quantizer
from asrkd.scoring.counts import count_errors
from asrkd.shards import Shard
from asrkd.targets.array_store import VALUES, write_array_shard
from asrkd.targets.nbest import Nbest, StoredHypothesis, WordErrors
from asrkd.targets.nbest_store import write_nbest_shard
from asrkd.targets.top_tokens import top_tokens
from asrkd.teachers.opening import open_teacher


def nbest_writer(search: str, options: SearchOptions) -> Callable[[Shard], float]:
    """What writes a shard of N-best lists; importable by worker processes."""
    return partial(_write_nbest, search=search, options=options)


def codebook_writer(quantizer: Path, tap: Tap) -> Callable[[Shard], float]:
    """What writes a shard of codebook indexes, uint8 (T, codebooks) a cut; importable by worker processes."""
    return partial(_write_codebook, quantizer=quantizer, tap=tap)


def posterior_writer(top_k: int, dtype: str) -> Callable[[Shard], float]:
    """What writes a shard of posteriors; importable by worker processes.

    A cut has ``values`` (T, k + 1), the natural logarithms of the k best and
    of the rest together, and ``tokens`` (T, k), whose they are.
    """
    return partial(_write_posteriors, top_k=top_k, dtype=dtype)


def hidden_writer(tap: Tap, dtype: str) -> Callable[[Shard], float]:
    """What writes a shard of hidden states, (T, D) a cut; importable by worker processes."""
    return partial(_write_hidden, tap=tap, dtype=dtype)


def _write_nbest(shard: Shard, search: str, options: SearchOptions) -> float:
    model = load_model(shard.model, shard.device)
    lists = [_listed(model, cut, found) for cut, found in recognise(model, shard.cuts, search, options)]
    write_nbest_shard(shard.path, str(shard.contract), shard.cuts, lists)
    return shard.audio_s


def _listed(model: LoadedModel, cut: MonoCut, found: Sequence[Hypothesis]) -> Nbest:
    """What is stored of a cut's hypotheses, with their word errors if it has a transcript."""
    by_text: dict[str, Hypothesis] = {}  # two token sequences of one text: the likelier stands for both
    for hypothesis in found:
        by_text.setdefault(model.tokens.decode(list(hypothesis.tokens)), hypothesis)
    said = [supervision.text for supervision in cut.supervisions]
    reference = " ".join(map(str, said)) if said and None not in said else None
    listed = [
        StoredHypothesis(
            text=text,
            log_prob=own.log_prob,
            tokens=own.tokens,
            parts=own.parts,
            errors=_word_errors(reference, text),
            score=None if own.score == own.log_prob else own.score,
        )
        for text, own in by_text.items()
    ]
    return Nbest(tuple(listed), None if reference is None else len(reference.split()))


def _word_errors(reference: str | None, text: str) -> WordErrors | None:
    if reference is None:
        return None
    counts = count_errors(reference, text)
    return WordErrors(counts.errors, (counts.substitutions, counts.deletions, counts.insertions))


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
