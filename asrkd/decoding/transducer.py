"""Transducer searches, greedy and beam: hypotheses with their exact probabilities over all alignments.

An unknown token, which no text holds, is not emitted, as in sherpa-onnx.

Notation: N utterances, T encoder frames, J size of the joiner, V tokens with
blank at 0.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from asrkd.core.errors import AsrkdError
from asrkd.decoding.hypothesis import EncoderOutputs, Finished, Hypothesis
from asrkd.decoding.options import SearchOptions
from asrkd.decoding.ranking import score
from asrkd.decoding.transducer_streams import BeamStreams, Emitted, GreedyStreams
from asrkd.models.masks import frame_mask, zero_padding
from asrkd.models.transducer import Transducer
from asrkd.models.transducer_loss import full_losses


def greedy_search(inputs: EncoderOutputs, options: SearchOptions) -> list[list[Hypothesis]]:
    """Find the likeliest token or blank of each frame: one hypothesis, with its exact score.

    Args:
        inputs: encoder outputs of a transducer.
        options: options of the search, without effect, as there is no beam.

    Raises:
        ValueError: there is no transducer.
        AsrkdError: a real frame holds NaN.
    """
    transducer, frames = projected_frames(inputs)
    streams = GreedyStreams(transducer, len(inputs), inputs.silent)
    streams.advance(frames, inputs.num_frames)
    return ranked(inputs, frames, [[emitted] for emitted in streams.emitted], options)


def beam_search(inputs: EncoderOutputs, options: SearchOptions) -> list[list[Hypothesis]]:
    """Find the likeliest token sequences of each utterance by modified beam search.

    Args:
        inputs: encoder outputs of a transducer.
        options: the beam size, and the number of hypotheses.

    Returns:
        N lists of 1..``num_best`` hypotheses by falling score, equal ones by their tokens; the score is the
        exact log-probability unless the rules of ranking have it otherwise.

    Raises:
        ValueError: there is no transducer.
        AsrkdError: a real frame holds NaN.
    """
    transducer, frames = projected_frames(inputs)
    streams = BeamStreams(transducer, len(inputs), options.beam, inputs.silent)
    streams.advance(frames, inputs.num_frames)
    candidates = [[emitted for emitted, _ in streams.hypotheses(row)] for row in range(len(inputs))]
    return ranked(inputs, frames, candidates, options)


def projected_frames(inputs: EncoderOutputs) -> tuple[Transducer, Tensor]:
    """Return the transducer and its projected frames (N, T, J), 0 in padding; AsrkdError if they hold NaN."""
    transducer, encoded = inputs.for_transducer()
    frames = zero_padding(transducer.frames(encoded), frame_mask(inputs.num_frames, encoded.shape[1]))
    bad = frames.isnan().any(dim=2)
    if bad.any():
        utterance, frame = bad.nonzero()[0].tolist()
        raise AsrkdError(
            f"the model gives NaN at output frame {frame} of utterance {utterance} of the batch: expected "
            "encoder frames; its training diverged; use an earlier checkpoint"
        )
    return transducer, frames


@torch.no_grad()
def ranked(
    inputs: EncoderOutputs,
    frames: Tensor,
    candidates: Sequence[Sequence[Emitted]],
    options: SearchOptions,
) -> list[list[Hypothesis]]:
    """Score token sequences exactly, over all alignments, and return the best of each utterance.

    Args:
        inputs: encoder outputs of a transducer.
        frames: (N, T, J) projected frames.
        candidates: different token sequences of each utterance, with their frames.
        options: maximum length of a list, and the rules of ranking.
    """
    tokens = [[emitted.tokens for emitted in of_utterance] for of_utterance in candidates]
    log_probs = iter(exact_log_probs(inputs, frames, tokens))
    lists = []
    for of_utterance in candidates:
        best = Finished(options.num_best)
        for emitted in of_utterance:
            log_prob = next(log_probs)
            total, length = torch.tensor(log_prob), torch.tensor(len(emitted.tokens))
            ranking = float(score(total, length, options.decoder))
            best.offer(Hypothesis(emitted.tokens, log_prob, ranking, frames=emitted.frames))
        lists.append(best.best)
    return lists


def exact_log_probs(
    inputs: EncoderOutputs, frames: Tensor, candidates: Sequence[Sequence[tuple[int, ...]]]
) -> list[float]:
    """Compute log P(tokens | audio) in nats of all candidates, utterance by utterance.

    Without a frame the empty sequence has probability 1, and others 0.
    """
    transducer, _ = inputs.for_transducer()
    lengths = inputs.num_frames.tolist()
    flat = [(row, tokens) for row, of_utterance in enumerate(candidates) for tokens in of_utterance]
    aligned = [place for place, (row, _) in enumerate(flat) if lengths[row]]
    scores = [0.0 if not tokens else float("-inf") for _, tokens in flat]
    if not aligned:
        return scores
    num_tokens = torch.tensor([len(flat[place][1]) for place in aligned], device=frames.device)
    padded = torch.zeros(len(aligned), max(1, int(num_tokens.max())), dtype=torch.long, device=frames.device)
    for index, place in enumerate(aligned):
        padded[index, : len(flat[place][1])] = torch.tensor(flat[place][1], dtype=torch.long)
    utterance = torch.tensor([flat[place][0] for place in aligned], device=frames.device)
    losses = full_losses(
        transducer, frames, inputs.num_frames, transducer.predictor(padded), (padded, num_tokens, utterance)
    )
    for place, loss in zip(aligned, losses.tolist(), strict=True):
        scores[place] = -loss
    return scores
