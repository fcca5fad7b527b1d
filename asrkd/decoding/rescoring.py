"""Rescoring: candidates of a search, ranked by exact scores of CTC, a decoder and a language model.

Source: Watanabe et al., "Hybrid CTC/Attention Architecture for End-to-End
Speech Recognition", IEEE JSTSP 11(8), 2017, section III-B.1 (rescoring): w
times CTC's log-probability plus 1 - w times the decoder's.

Departure: the language model's log-probability is added with a separate
weight, as in shallow fusion.
"""

import math
from collections.abc import Mapping, Sequence

import torch

from asrkd.decoding.ctc_score import hypothesis_log_prob
from asrkd.decoding.forced_score import forced_log_prob
from asrkd.decoding.hypothesis import EncoderOutputs, Hypothesis
from asrkd.decoding.options import SearchOptions
from asrkd.decoding.ranking import score
from asrkd.models.stepwise import Stepwise

Candidates = Sequence[Sequence[tuple[int, ...]]]  # token sequences of each utterance
ACOUSTIC = ("ctc", "attention")


def select_best(
    inputs: EncoderOutputs, hypotheses: Sequence[Sequence[Hypothesis]], options: SearchOptions
) -> list[list[Hypothesis]]:
    """Return the ``num_best`` of a CTC search's hypotheses, ranked with the language model if there is one.

    Args:
        inputs: encoder outputs with a CTC head, and perhaps a language model.
        hypotheses: the whole beam of each utterance, by falling CTC score.
        options: ``num_best``; with a language model, its weight, bonus and norm.
    """
    if inputs.lm is None:
        return [list(beam[: options.num_best]) for beam in hypotheses]
    candidates = [[hypothesis.tokens for hypothesis in beam] for beam in hypotheses]
    return rescore(inputs, candidates, {"ctc": 1.0}, options)


def rescore(
    inputs: EncoderOutputs, candidates: Candidates, weights: Mapping[str, float], options: SearchOptions
) -> list[list[Hypothesis]]:
    """Return the ``num_best`` candidates of each utterance by falling score, equal ones by their tokens.

    Candidates that are impossible under a part with a weight above 0 are
    dropped. If none remains, the empty hypothesis with log_prob -inf is returned.

    Args:
        inputs: encoder outputs with all parts in ``weights``, and perhaps a language model.
        candidates: different token sequences of each utterance.
        weights: weights of "ctc" and "attention"; ``log_prob`` is their
            weighted sum. A part of weight 0 is recorded without effect on the score.
        options: ``num_best``; weight of the language model, bonus and norm.

    Raises:
        ValueError: a part with a weight is missing, or a candidate holds a blank or boundary.
    """
    parts: dict[str, list[list[float]]] = {}
    if "ctc" in weights:
        parts["ctc"] = _ctc_scores(inputs, candidates)
    if "attention" in weights:
        decoder, _ = inputs.for_decoder()
        parts["attention"] = _forced_scores(decoder, inputs, candidates)
    if inputs.lm is not None:
        parts["lm"] = _forced_scores(inputs.lm, inputs, candidates)
        weights = {**weights, "lm": options.decoder.lm_weight}
    return [
        _rank(paths, {name: scores[row] for name, scores in parts.items()}, weights, options)
        for row, paths in enumerate(candidates)
    ]


def _ctc_scores(inputs: EncoderOutputs, candidates: Candidates) -> list[list[float]]:
    """Score the candidates by CTC."""
    utterances = zip(inputs.for_ctc(), inputs.num_frames.tolist(), candidates, strict=True)
    return [hypothesis_log_prob(frames[:length], paths).tolist() for frames, length, paths in utterances]


def _forced_scores(model: Stepwise, inputs: EncoderOutputs, candidates: Candidates) -> list[list[float]]:
    """Score the candidates by a stepwise model; without audio only the empty hypothesis is possible."""
    has_audio = inputs.num_frames > 0
    encoded = inputs.encoded if inputs.encoded is not None else inputs.for_ctc()
    audible = has_audio.tolist()
    scored = [paths for paths, is_audible in zip(candidates, audible, strict=True) if is_audible]
    scores = iter(forced_log_prob(model, encoded[has_audio], inputs.num_frames[has_audio], scored))
    return [
        next(scores) if is_audible else [-math.inf if tokens else 0.0 for tokens in paths]
        for paths, is_audible in zip(candidates, audible, strict=True)
    ]


def _rank(
    candidates: Sequence[tuple[int, ...]],
    parts: Mapping[str, Sequence[float]],
    weights: Mapping[str, float],
    options: SearchOptions,
) -> list[Hypothesis]:
    """Rank one utterance's candidates, given the log-probabilities of each part."""
    hypotheses = []
    for place, tokens in enumerate(candidates):
        log_probs = {name: scores[place] for name, scores in parts.items()}
        terms = {name: weights[name] * value for name, value in log_probs.items() if weights[name] > 0}
        log_prob = sum(value for name, value in terms.items() if name in ACOUSTIC)
        total = torch.tensor(sum(terms.values()), dtype=torch.float64)
        rank_score = score(total, torch.tensor(len(tokens)), options.decoder).item()
        hypotheses.append(
            Hypothesis(tokens, log_prob, rank_score, log_probs | {"length": float(len(tokens))})
        )
    possible = [hypothesis for hypothesis in hypotheses if hypothesis.score > -math.inf]
    possible.sort(key=lambda hypothesis: (-hypothesis.score, hypothesis.tokens))
    return possible[: options.num_best] or [Hypothesis((), -math.inf)]
