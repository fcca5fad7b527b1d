"""Greedy search: the likeliest alignment of CTC, or the likeliest token of a decoder at every step.

Source: Graves et al., "Connectionist Temporal Classification", ICML 2006,
section 3.2 (best path decoding).

Notation: N utterances, T frames after padding, V symbols with blank at 0, D size of an encoder frame.
"""

import torch
from torch import Tensor

from asrkd.data.tokens import BLANK_ID
from asrkd.decoding.ctc_score import checked_lengths, rank
from asrkd.decoding.hypothesis import EncoderOutputs, Hypothesis
from asrkd.decoding.options import SearchOptions
from asrkd.decoding.transducer_streams import GreedyStreams
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
    best_paths = ctc_best_paths(log_probs, num_frames)
    return [
        rank(frames[:length], [tuple(tokens)], options.num_best)
        for frames, length, tokens in zip(log_probs, num_frames.tolist(), best_paths, strict=True)
    ]


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
    """Return the token ids of each utterance's likeliest alignment.

    Args:
        log_probs: shape (N, T, V), in nats; padding may hold anything.
        num_frames: shape (N,), integer; real frames per utterance, 0..T.

    Raises:
        ValueError: the shapes do not fit together.
        AsrkdError: a real frame holds NaN.
    """
    lengths = checked_lengths(log_probs, num_frames)
    best = log_probs.argmax(dim=2).cpu()  # (N, T)
    runs = [torch.unique_consecutive(symbols[:length]) for symbols, length in zip(best, lengths, strict=True)]
    return [symbols[symbols != BLANK_ID].tolist() for symbols in runs]


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
