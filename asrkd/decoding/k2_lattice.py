"""N-best hypotheses through k2 lattices: the choice ``--search k2``.

k2's sampled paths are alignments, not hypotheses: unordered, repeated, each
with its own alignment's score, and the best may be missing. Here they only
propose candidates, which are then made unique, scored exactly and sorted, as
those of the prefix beam search are.

k2 runs on the CPU, an utterance at a time: the newest k2 on the package index
has no kernels for GPUs after sm_86, and the lattice of a batch may not fit.

Letters: N utterances, T frames after padding, V symbols with blank at 0.
"""

import importlib
from typing import Any

import torch
from torch import Tensor

from asrkd.core.errors import AsrkdError
from asrkd.decoding.ctc_score import BLANK, checked_lengths, rank
from asrkd.decoding.greedy import greedy_search
from asrkd.decoding.hypothesis import Hypothesis
from asrkd.decoding.options import SearchOptions

# Pruning inside k2: the defaults of k2.get_lattice, in nats and in states.
SEARCH_BEAM = 20.0
OUTPUT_BEAM = 8.0
MIN_ACTIVE_STATES = 30
MAX_ACTIVE_STATES = 10_000

# Lattice scores are multiplied by this before paths are sampled; above 1, likely ones are sampled more often.
# Of the 8 best that a beam of 8 found in peaky posteriors, these found 26 in 32, (1, 0.5, 0.25) found 4.
SAMPLING_SCALES = (4.0, 2.0, 1.0)
PATHS_PER_BEAM = 16  # paths sampled at each scale, for each place in the beam; most repeat a hypothesis


@torch.no_grad()
def search(log_probs: Tensor, num_frames: Tensor, options: SearchOptions) -> list[list[Hypothesis]]:
    """Per utterance, the likeliest hypotheses among paths through its lattice.

    Where k2 returns an empty lattice, or there are no frames, the greedy
    hypothesis stands alone; elsewhere it is one of the candidates.

    Args:
        log_probs: shape (N, T, V), log-softmax in nats; padding may hold anything.
        num_frames: shape (N,), integer; real frames per utterance, 0..T.
        options: ``beam`` sets how many paths are sampled; of each frame's
            tokens, the lattice has the ``max_tokens_per_frame`` likeliest.

    Returns:
        N lists of 1..``num_best`` different hypotheses, by falling exact
        log-probability, equal ones by their tokens.

    Raises:
        ValueError: the shapes do not fit together.
        AsrkdError: k2 is not installed, or a real frame holds NaN.
    """
    k2 = import_k2()
    lengths = checked_lengths(log_probs, num_frames)
    topology = k2.ctc_topo(log_probs.shape[2] - 1)
    hypotheses = []
    best_paths = greedy_search(log_probs, num_frames)
    for frames, length, greedy in zip(log_probs.cpu(), lengths, best_paths, strict=True):
        real = frames[:length]
        candidates = {tuple(greedy)}
        if length > 0:
            kept = _likeliest_tokens(real.float(), options.max_tokens_per_frame)
            candidates |= _paths(k2, _lattice(k2, kept, topology), PATHS_PER_BEAM * options.beam)
        hypotheses.append(rank(real, candidates, options.num_best))
    return hypotheses


def import_k2() -> Any:
    """The module k2.

    Raises:
        AsrkdError: it is absent, or was built for another torch.
    """
    try:
        return importlib.import_module("k2")
    except (ImportError, OSError, RuntimeError) as error:
        cause = " ".join(str(error).split())
        raise AsrkdError(
            f"--search k2: cannot import k2 ({cause}); install the k2 stack (Python 3.10, torch 1.13.1), "
            "or give --search prefix-beam, which needs nothing"
        ) from None


def _likeliest_tokens(frames: Tensor, max_tokens: int | None) -> Tensor:
    """The same (T, V), with -inf for all but blank and the ``max_tokens`` likeliest tokens of each frame."""
    if max_tokens is None or max_tokens >= frames.shape[1] - 1:
        return frames
    kept = frames[:, 1:].topk(max_tokens, dim=1).indices + 1
    pruned: Tensor = torch.full_like(frames, -torch.inf).scatter(1, kept, frames.gather(1, kept))
    pruned[:, BLANK] = frames[:, BLANK]
    return pruned


def _lattice(k2: Any, frames: Tensor, topology: Any) -> Any:
    """The lattice of one utterance, an FsaVec of one; ``frames`` has shape (T, V), float32."""
    segment = torch.tensor([[0, 0, len(frames)]], dtype=torch.int32)  # utterance, start, duration
    return k2.intersect_dense_pruned(
        topology,
        k2.DenseFsaVec(frames[None].contiguous(), segment),
        search_beam=SEARCH_BEAM,
        output_beam=OUTPUT_BEAM,
        min_active_states=MIN_ACTIVE_STATES,
        max_active_states=MAX_ACTIVE_STATES,
    )


def _paths(k2: Any, lattice: Any, num_paths: int) -> set[tuple[int, ...]]:
    """Tokens of the best path and of ``num_paths`` sampled at each scale; of an empty lattice, none."""
    if lattice.num_arcs == 0:
        return set()
    found = {_tokens(k2.shortest_path(lattice, use_double_scores=True).aux_labels.tolist())}
    scores = lattice.scores.clone()
    for scale in SAMPLING_SCALES:
        lattice.scores = scores * scale
        arcs = k2.random_paths(lattice, use_double_scores=True, num_paths=num_paths)  # [utterance][path][arc]
        found.update(_tokens(path) for path in k2.ragged.index(lattice.aux_labels, arcs).tolist()[0])
    return found


def _tokens(aux_labels: list[int]) -> tuple[int, ...]:
    """Without blanks (0) and the label of the final arc (-1)."""
    return tuple(label for label in aux_labels if label > BLANK)
