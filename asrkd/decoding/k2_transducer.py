"""N-best search of transducers through k2 lattices, ``--search transducer-k2``.

Source: Kang et al., "Fast and parallel decoding for transducer", arXiv:2211.00484,
k2's ``RnntDecodingStreams``, with a graph that allows all token sequences. States
of equal context are one, so that a lattice holds more hypotheses than a beam. A
frame emits one token at most, as in the other searches of transducers.

As with CTC (:mod:`asrkd.decoding.k2_lattice`), sampled paths only propose
candidates, which are made unique and scored exactly, each with the frames of its likeliest path;
k2 runs on the CPU, an utterance at a time.

Notation: N utterances, T encoder frames, J size of the joiner, V tokens with
blank at 0, C tokens of context, K contexts.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from asrkd.core.installed import import_k2
from asrkd.data.tokens import BLANK_ID
from asrkd.decoding.hypothesis import EncoderOutputs, Hypothesis
from asrkd.decoding.k2_lattice import paths
from asrkd.decoding.options import SearchOptions
from asrkd.decoding.transducer import projected_frames, ranked
from asrkd.decoding.transducer_streams import Emitted, GreedyStreams
from asrkd.models.transducer import NOTHING, Transducer

OPTION, WITHOUT_K2 = "--search transducer-k2", "use --search transducer-beam, which needs no further package"

# Pruning inside k2: icefall's defaults, in nats and in numbers a frame; a larger --beam has more of both.
BEAM = 20.0
MIN_CONTEXTS, STATES_PER_CONTEXT = 8, 8
PATHS_PER_BEAM = 4  # paths sampled at each scale, per place in the beam; each candidate is scored exactly


@torch.no_grad()
def search(inputs: EncoderOutputs, options: SearchOptions) -> list[list[Hypothesis]]:
    """Find the likeliest hypotheses among paths through each utterance's lattice.

    The greedy hypothesis is always a candidate, and the only one where k2 returns an empty lattice or there
    are no frames.

    Args:
        inputs: encoder outputs of a transducer.
        options: the beam size sets the numbers of contexts and of sampled paths.

    Returns:
        N lists of 1..``num_best`` hypotheses by falling score, as of the transducer's beam search.

    Raises:
        ValueError: there is no transducer.
        AsrkdError: k2 is not installed, or a real frame holds NaN.
    """
    k2 = import_k2(OPTION, WITHOUT_K2)
    transducer, frames = projected_frames(inputs)
    greedy = GreedyStreams(transducer, len(inputs), inputs.silent)
    greedy.advance(frames, inputs.num_frames)
    graph = k2.trivial_graph(transducer.out.out_features - 1)
    candidates = []
    for row, length in enumerate(inputs.num_frames.tolist()):
        proposed = {}
        if length > 0:
            lattice = _lattice(k2, graph, transducer, frames[row, :length], inputs.silent, options.beam)
            proposed = _likeliest(paths(k2, lattice, PATHS_PER_BEAM * options.beam))
        proposed.setdefault(greedy.emitted[row].tokens, greedy.emitted[row])
        candidates.append([proposed[tokens] for tokens in sorted(proposed)])
    return ranked(inputs, frames, candidates, options)


def _lattice(
    k2: Any, graph: Any, transducer: Transducer, frames: Tensor, silent: tuple[int, ...], beam: int
) -> Any:
    """Build the lattice of one utterance, an FsaVec of one, from projected frames (T, J)."""
    contexts = max(MIN_CONTEXTS, beam)
    config = k2.RnntDecodingConfig(
        vocab_size=transducer.out.out_features,
        decoder_history_len=transducer.config.context_size,
        beam=BEAM,
        max_states=STATES_PER_CONTEXT * contexts,
        max_contexts=contexts,
    )
    streams = k2.RnntDecodingStreams([k2.RnntDecodingStream(graph)], config)
    for frame in frames:
        _, histories = streams.get_contexts()
        predicted = transducer.predictor.after(_contexts(histories.long()).to(frame.device))
        log_probs = transducer.join(frame, predicted).float().log_softmax(dim=-1)
        streams.advance(_merge_silent(log_probs, silent).cpu().contiguous())
    # k2 1.23.4 drops the tokens of the last frame for arcs to the end: a frame of blank alone stands behind.
    _, histories = streams.get_contexts()
    blank = torch.full((len(histories), transducer.out.out_features), -2 * BEAM)
    blank[:, BLANK_ID] = 0.0
    streams.advance(blank)
    streams.terminate_and_flush_to_streams()
    return k2.connect(streams.format_output([len(frames) + 1]))


def _likeliest(sampled: Iterable[tuple[list[int], float]]) -> dict[tuple[int, ...], Emitted]:
    """Return each token sequence of some paths with the frames at which the likeliest of them emits it."""
    best: dict[tuple[int, ...], tuple[Emitted, float]] = {}
    for labels, score in sampled:
        frames = tuple(frame for frame, label in enumerate(labels) if label > BLANK_ID)
        tokens = tuple(labels[frame] for frame in frames)
        if tokens not in best or score > best[tokens][1]:
            best[tokens] = Emitted(tokens, frames), score
    return {tokens: emitted for tokens, (emitted, _) in best.items()}


def _contexts(histories: Tensor) -> Tensor:
    """Convert k2's histories (K, C), which begin with blanks, to those of the predictor, with one blank."""
    contexts = histories.clone()
    contexts[:, :-1][histories[:, 1:] == BLANK_ID] = NOTHING
    return contexts


def _merge_silent(log_probs: Tensor, silent: tuple[int, ...]) -> Tensor:
    """Add the probabilities of tokens that are not emitted to that of blank; (K, V) in nats."""
    merged = log_probs.clone()
    merged[:, list(silent)] = -torch.inf
    merged[:, BLANK_ID] = log_probs[:, list(silent)].logsumexp(dim=1)
    return merged
