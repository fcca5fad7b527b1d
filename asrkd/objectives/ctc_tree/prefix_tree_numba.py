"""Forward and backward passes over a prefix tree, compiled for CPUs by numba; see one_pass.py.

Sums are relative to the largest of their frame, not logarithms: a state costs
five operations without exp or log. Sums that underflow are negligible, or the
result is reported as not exact (:func:`_is_exact`).

Notation: S sequences of an utterance, P nodes of their tree, T frames, C
different tokens in the tree with blank in column 0, U tokens after padding, V
tokens of the inventory.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit

Array = np.ndarray[Any, Any]

LOST = 600.0  # nats below the largest of a frame at which a sum may underflow; exp(-708) is the limit
MARGIN = 30.0  # nats by which all underflowed sums must be below a score
LARGEST = 1e300


class Tree(NamedTuple):
    """Prefix tree of token sequences; node 0 is the empty prefix, parents are before children."""

    parent: Array  # (P,)
    column: Array  # (P,) column of the last token; 0 for the root
    ends: Array  # (S,) node of each sequence


@njit(nogil=True, cache=True)
def grow(tokens: Array, num_tokens: Array, columns: Array) -> Tree:
    """Build the tree of sequences.

    Args:
        tokens: (S, U) tokens, with arbitrary padding.
        num_tokens: (S,) numbers of tokens, at most U.
        columns: (V,) column of each token, 0 of blank.
    """
    size = 1 + num_tokens.sum()
    parent, column = np.zeros(size, np.int64), np.zeros(size, np.int64)
    child, sibling = np.zeros(size, np.int64), np.zeros(size, np.int64)  # 0: none
    ends, count = np.zeros(len(tokens), np.int64), 1
    for s in range(len(tokens)):
        node = 0
        for u in range(num_tokens[s]):
            wanted, branch = columns[tokens[s, u]], child[node]
            while branch and column[branch] != wanted:
                branch = sibling[branch]
            if not branch:
                branch, count = count, count + 1
                parent[branch], column[branch] = node, wanted
                sibling[branch], child[node] = child[node], branch
            node = branch
        ends[s] = node
    return Tree(parent[:count].copy(), column[:count].copy(), ends)


@njit(nogil=True, cache=True)
def forward(emitted: Array, tree: Tree) -> tuple[Array, Array]:
    """Sum over all alignments of each node's tokens.

    Args:
        emitted: (T, C) probabilities, of each frame relative to its largest.
        tree: prefix tree of P nodes.

    Returns:
        (T, P, 2) sums of alignments that end in blank and in the last token, of
        each frame relative to its largest; and (T,) the largest of each frame,
        1 where all are 0.
    """
    num_frames, size = len(emitted), len(tree.parent)
    sums, scales = np.zeros((num_frames, size, 2)), np.ones(num_frames)
    before = np.zeros((size, 2))
    before[0, 0] = 1.0
    for t in range(num_frames):
        now, frame = sums[t], emitted[t]
        now[0, 0] = before[0, 0] * frame[0]
        for p in range(1, size):
            parent, column = tree.parent[p], tree.column[p]
            arrive = before[p, 1] + before[parent, 0]
            if tree.column[parent] != column:
                arrive += before[parent, 1]
            now[p, 0] = (before[p, 0] + before[p, 1]) * frame[0]
            now[p, 1] = arrive * frame[column]
        largest = now.max()
        if largest > 0:
            scales[t] = largest
            now /= largest
        before = now
    return sums, scales


@njit(nogil=True, cache=True)
def backward(emitted: Array, tree: Tree, passed: tuple[Array, Array], last: Array) -> Array:
    """Compute the weighted sum, over sequences, of the probability that a frame emits a column.

    Args:
        emitted: (T, C) probabilities, as in :func:`forward`.
        tree: prefix tree of P nodes, as in :func:`forward`.
        passed: result of :func:`forward`, (T, P, 2) and (T,).
        last: (P,) weight of the sequences that end in each node, over their sum in the last frame.

    Returns:
        (T, C) weighted probabilities.
    """
    sums, scales = passed
    num_frames, size = len(emitted), len(tree.parent)
    occupied = np.zeros(emitted.shape)
    after = np.zeros((size, 2))
    after[:, 0] = last
    after[:, 1] = last
    for t in range(num_frames - 1, -1, -1):
        frame, now = emitted[t] / scales[t], sums[t]
        before = np.zeros((size, 2))
        for p in range(size - 1, -1, -1):
            parent, column = tree.parent[p], tree.column[p]
            occupied[t, 0] += now[p, 0] * after[p, 0]
            stay = after[p, 0] * frame[0]
            before[p, 0] += stay
            if p:
                occupied[t, column] += now[p, 1] * after[p, 1]
                go = after[p, 1] * frame[column]
                before[p, 1] += stay + go
                before[parent, 0] += go
                if tree.column[parent] != column:
                    before[parent, 1] += go
        after = np.minimum(before, LARGEST)
    return occupied


@njit(nogil=True, cache=True)
def one_utterance(log_emitted: Array, tree: Tree, weights: Array, occupied: Array) -> tuple[bool, float]:
    """Compute the weighted sum of -log P over an utterance's sequences.

    Args:
        log_emitted: (T, C) log-probabilities in nats.
        tree: prefix tree of the S sequences.
        weights: (S,) weights of the sum.
        occupied: (T, C) output, filled with the result of :func:`backward`, unless
            it has no frames or the result is not exact.

    Returns:
        Whether the result is exact, and the sum in nats, 0 if it is not.
    """
    num_frames = len(log_emitted)
    tops = np.array([log_emitted[t].max() for t in range(num_frames)])
    if not np.isfinite(tops).all():
        return False, 0.0
    emitted = np.exp(log_emitted - tops.reshape(-1, 1))
    sums, scales = forward(emitted, tree)
    levels = np.cumsum(np.log(scales) + tops)
    totals = np.array([sums[-1, p].sum() for p in tree.ends])
    if not _is_exact(totals, levels, tops, len(tree.parent)):
        return False, 0.0
    if len(occupied):
        last = np.zeros(len(tree.parent))
        for s in range(len(weights)):
            last[tree.ends[s]] += weights[s] / totals[s]
        occupied[:] = backward(emitted, tree, (sums, scales), last)
    return True, -(weights * (np.log(totals) + levels[-1])).sum()


@njit(nogil=True, cache=True)
def _is_exact(totals: Array, levels: Array, tops: Array, size: int) -> bool:
    """Return whether all sums that may have underflowed are far below every score.

    An underflowed sum at frame t is at most exp(levels[t] - LOST), and later
    frames multiply it by at most the largest probability of each.
    """
    lowest, rest, highest = totals.min(), 0.0, -np.inf
    if not lowest > 0:
        return False
    for t in range(len(tops) - 1, -1, -1):
        highest = max(highest, levels[t] + rest)
        rest += tops[t]
    lost = highest - LOST + np.log(2.0 * size * len(tops))
    return lost + MARGIN < np.log(lowest) + levels[-1] and np.log(lowest) > -LOST / 2
