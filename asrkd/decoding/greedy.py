"""Greedy search: the likeliest alignment of CTC, or the likeliest token of a decoder at every step.

Source: Graves et al., "Connectionist Temporal Classification", ICML 2006,
section 3.2 (best path decoding).

Notation: N utterances, T frames after padding, V symbols with blank at 0, D size of an encoder frame.
"""

from dataclasses import replace

import torch
from torch import Tensor

from asrkd.data.tokens import BLANK_ID
from asrkd.decoding.ctc_score import checked_lengths, rank
from asrkd.decoding.hypothesis import EncoderOutputs, Hypothesis
from asrkd.decoding.options import SearchOptions
from asrkd.decoding.transducer_streams import Emitted, GreedyStreams
from asrkd.models.recognizer import Recognizer, RecognizerOutput
from asrkd.models.stepwise import BOUNDARY, Stepwise
from asrkd.models.transducer import Transducer


def search(inputs: EncoderOutputs, options: SearchOptions) -> list[list[Hypothesis]]:
    """Find the likeliest alignment of each utterance: one hypothesis, with its exact score.

    Args:
        inputs: encoder outputs with a CTC head.
        options: options of the search, without effect, as there is no beam.

    Raises:
        ValueError: there is no CTC head, or the shapes do not fit together.
        AsrkdError: a real frame holds NaN.
    """
    log_probs, num_frames = inputs.for_ctc(), inputs.num_frames
    hypotheses = []
    for frames, length, emitted in zip(
        log_probs, num_frames.tolist(), ctc_emissions(log_probs, num_frames), strict=True
    ):
        (best,) = rank(frames[:length], [emitted.tokens], options.num_best)
        possible = best.tokens == emitted.tokens
        hypotheses.append([replace(best, frames=emitted.frames if possible else ())])
    return hypotheses


def greedy_tokens(recognizer: Recognizer, output: RecognizerOutput) -> list[list[int]]:
    """Decode N utterances greedily by the attention decoder, else by the transducer, else by the CTC head.

    Args:
        recognizer: the model.
        output: the model's output for N utterances.

    Returns:
        Token ids of each utterance.

    Raises:
        AsrkdError: the CTC head gives NaN for a real frame.
    """
    if recognizer.decoder is not None:
        return decoder_greedy_tokens(recognizer.decoder, output.memory(), output.num_frames)
    if recognizer.transducer is not None:
        return transducer_greedy_tokens(recognizer.transducer, output.memory(), output.num_frames)
    return ctc_best_paths(output.log_probs(), output.num_frames)


def ctc_best_paths(log_probs: Tensor, num_frames: Tensor) -> list[list[int]]:
    """Return the token ids of each utterance's likeliest alignment, given what :func:`ctc_emissions` is.

    Args:
        log_probs: (N, T, V) in nats.
        num_frames: (N,) real frames.
    """
    return [list(emitted.tokens) for emitted in ctc_emissions(log_probs, num_frames)]


def ctc_emissions(log_probs: Tensor, num_frames: Tensor) -> list[Emitted]:
    """Return the tokens of each utterance's likeliest alignment, each with the first frame of its run.

    Args:
        log_probs: shape (N, T, V), in nats; padding may hold anything.
        num_frames: shape (N,), integer; real frames per utterance, 0..T.

    Raises:
        ValueError: the shapes do not fit together.
        AsrkdError: a real frame holds NaN.
    """
    lengths = checked_lengths(log_probs, num_frames)
    best = log_probs.argmax(dim=2).cpu()  # (N, T)
    return [tokens_of_path(path[:length]) for path, length in zip(best, lengths, strict=True)]


def tokens_of_path(path: Tensor) -> Emitted:
    """Collapse an alignment (T,) to its tokens, each with the first frame of its run, as sherpa-onnx does."""
    symbols, counts = torch.unique_consecutive(path, return_counts=True)
    first = counts.cumsum(0) - counts
    spoken = symbols != BLANK_ID
    return Emitted(tuple(symbols[spoken].tolist()), tuple(first[spoken].tolist()))


@torch.no_grad()
def transducer_greedy_tokens(transducer: Transducer, encoded: Tensor, num_frames: Tensor) -> list[list[int]]:
    """Take the likeliest token or blank at each frame.

    Args:
        transducer: the transducer.
        encoded: (N, T, D) encoder frames; padding may hold anything.
        num_frames: (N,) encoder frames.

    Returns:
        Token ids of each utterance.
    """
    streams = GreedyStreams(transducer, len(num_frames))
    streams.advance(transducer.frames(encoded), num_frames)
    return [list(emitted.tokens) for emitted in streams.emitted]


@torch.no_grad()
def decoder_greedy_tokens(decoder: Stepwise, encoded: Tensor, num_frames: Tensor) -> list[list[int]]:
    """Append the likeliest token at every step, until the boundary is the likeliest.

    Args:
        decoder: attention decoder.
        encoded: (N, T, D) encoder frames; padding may hold anything.
        num_frames: (N,) encoder frames, also the limit of an utterance's tokens.

    Returns:
        Token ids of each utterance.
    """
    hypotheses: list[list[int]] = [[] for _ in num_frames]
    active = (num_frames > 0).nonzero().flatten()  # utterances that have not ended
    state = decoder.start(encoded, num_frames).take(active)
    tokens = torch.full_like(active, BOUNDARY)
    while len(active):
        log_probs, state = decoder.step(tokens, state)
        tokens = log_probs.argmax(dim=-1)
        for row, token in zip(active.tolist(), tokens.tolist(), strict=True):
            hypotheses[row] += [token] if token != BOUNDARY else []
        lengths = torch.tensor([len(hypotheses[row]) for row in active.tolist()], device=active.device)
        keep = ((tokens != BOUNDARY) & (lengths < num_frames[active])).nonzero().flatten()
        if len(keep) < len(active):
            active, tokens, state = active[keep], tokens[keep], state.take(keep)
    return hypotheses
