"""N-best search through k2 lattices, ``--search k2``.

Paths sampled by k2 are alignments, not hypotheses: unordered, repeated, each
with the score of that alignment, and the best may be missing. They only
propose candidates, which are made unique, scored exactly and sorted, as in
prefix beam search.

k2 runs on the CPU, an utterance at a time: its newest release on the package
index has no kernels for GPUs after sm_86, and a batch's lattice may not fit
into memory.

Notation: N utterances, T frames after padding, V symbols with blank at 0.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from asrkd.core.installed import import_k2
from asrkd.data.tokens import BLANK_ID
from asrkd.decoding.best_alignment import with_frames
from asrkd.decoding.ctc_score import checked_lengths, rank
from asrkd.decoding.greedy import ctc_best_paths
from asrkd.decoding.hypothesis import EncoderOutputs, Hypothesis
from asrkd.decoding.options import SearchOptions
from asrkd.decoding.rescoring import select_best

OPTION, WITHOUT_K2 = "--search k2", "use --search prefix-beam, which needs no further package"

# Pruning inside k2: the defaults of k2.get_lattice, in nats and in states.
SEARCH_BEAM = 20.0
OUTPUT_BEAM = 8.0
MIN_ACTIVE_STATES = 30
MAX_ACTIVE_STATES = 10_000

# Factors of the lattice's scores before paths are sampled; above 1, likely paths are sampled more often.
# Scales below 1 miss most of the best hypotheses of peaky posteriors.
SAMPLING_SCALES = (4.0, 2.0, 1.0)
PATHS_PER_BEAM = 16  # paths sampled at each scale, per place in the beam; most repeat a hypothesis


@torch.no_grad()
def search(inputs: EncoderOutputs, options: SearchOptions) -> list[list[Hypothesis]]:
    """Find the likeliest hypotheses among paths through each utterance's lattice.

    The greedy hypothesis is always a candidate, and the only one where k2
    returns an empty lattice or there are no frames.

    Args:
        inputs: encoder outputs with a CTC head, and perhaps a language model.
        options: the beam size sets the number of sampled paths; a frame's
            arcs are its ``max_tokens_per_frame`` likeliest tokens.

    Returns:
        N lists of 1..``num_best`` different hypotheses, by falling exact
        score, equal ones by their tokens.

    Raises:
        ValueError: there is no CTC head, or the shapes do not fit together.
        AsrkdError: k2 is not installed, or a real frame holds NaN.
    """
    k2 = import_k2(OPTION, WITHOUT_K2)
    log_probs = inputs.for_ctc()
    lengths = checked_lengths(log_probs, inputs.num_frames)
    best_paths = ctc_best_paths(log_probs, inputs.num_frames)
    topology = k2.ctc_topo(log_probs.shape[2] - 1)
    hypotheses = []
    for frames, length, best_path in zip(log_probs.cpu(), lengths, best_paths, strict=True):
        real = frames[:length]
        candidates = {tuple(best_path)}
        if length > 0:
            pruned = _likeliest_tokens(real.float(), options.max_tokens_per_frame)
            lattice = _lattice(k2, pruned, topology)
            candidates |= {_tokens(labels) for labels, _ in paths(k2, lattice, PATHS_PER_BEAM * options.beam)}
        hypotheses.append(rank(real, candidates, options.beam))
    return with_frames(inputs, select_best(inputs, hypotheses, options))


def _likeliest_tokens(frames: Tensor, max_tokens: int | None) -> Tensor:
    """Set all but blank and the ``max_tokens`` likeliest tokens of each frame (T, V) to -inf."""
    if max_tokens is None or max_tokens >= frames.shape[1] - 1:
        return frames
    likeliest = frames[:, 1:].topk(max_tokens, dim=1).indices + 1
    pruned: Tensor = torch.full_like(frames, -torch.inf).scatter(1, likeliest, frames.gather(1, likeliest))
    pruned[:, BLANK_ID] = frames[:, BLANK_ID]
    return pruned


def _lattice(k2: Any, frames: Tensor, topology: Any) -> Any:
    """Build the lattice of one utterance, an FsaVec of one, from frames (T, V), float32."""
    segment = torch.tensor([[0, 0, len(frames)]], dtype=torch.int32)  # utterance, start, duration
    return k2.intersect_dense_pruned(
        topology,
        k2.DenseFsaVec(frames[None].contiguous(), segment),
        search_beam=SEARCH_BEAM,
        output_beam=OUTPUT_BEAM,
        min_active_states=MIN_ACTIVE_STATES,
        max_active_states=MAX_ACTIVE_STATES,
    )


def paths(k2: Any, lattice: Any, num_paths: int) -> Iterator[tuple[list[int], float]]:
    """Yield the best path and ``num_paths`` sampled at each scale, some repeatedly; none of an empty lattice.

    Args:
        k2: the module.
        lattice: an FsaVec of one utterance with aux_labels.
        num_paths: paths of a scale.

    Yields:
        Labels of a path's arcs, 0 where none is emitted and -1 at the end, and its score in nats.
    """
    if lattice.num_arcs == 0:
        return
    best = k2.shortest_path(lattice, use_double_scores=True)
    yield best.aux_labels.tolist(), float(best.scores.sum())
    scores = lattice.scores.clone()
    labels, of_arcs = lattice.aux_labels.tolist(), scores.tolist()
    for scale in SAMPLING_SCALES:
        lattice.scores = scores * scale
        sampled = k2.random_paths(
            lattice, use_double_scores=True, num_paths=num_paths
        )  # [utterance][path][arc]
        for arcs in sampled.tolist()[0]:
            yield [labels[arc] for arc in arcs], sum(of_arcs[arc] for arc in arcs)


def _tokens(aux_labels: list[int]) -> tuple[int, ...]:
    """Drop blanks (0) and the label of the final arc (-1)."""
    return tuple(label for label in aux_labels if label > BLANK_ID)
