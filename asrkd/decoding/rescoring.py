"""Hypotheses that some search found, ranked anew by exact scores of CTC, a decoder and a language model.

Source: Watanabe et al., "Hybrid CTC/Attention Architecture for End-to-End
Speech Recognition", IEEE JSTSP 11(8), 2017, section III-B.1 (rescoring): the
log-probabilities are mixed, w CTC's and 1 - w the decoder's.

Departure: the language model's is added with a weight of its own, as in shallow fusion.
"""

import math
from collections.abc import Mapping, Sequence

import torch

from asrkd.decoding.ctc_score import hypothesis_log_prob
from asrkd.decoding.forced_score import forced_log_prob
from asrkd.decoding.hypothesis import Hypothesis
from asrkd.decoding.options import SearchOptions
from asrkd.decoding.ranking import score
from asrkd.decoding.search_input import EncoderOutputs
from asrkd.models.stepwise import Stepwise

Candidates = Sequence[Sequence[tuple[int, ...]]]  # of each utterance
ACOUSTIC = ("ctc", "attention")


def rescore(
    heard: EncoderOutputs, candidates: Candidates, weights: Mapping[str, float], options: SearchOptions
) -> list[list[Hypothesis]]:
    """Per utterance the ``num_best`` candidates of the highest score, equal ones by their tokens.

    A candidate that a part with a weight above 0 finds impossible is left
    out; if none remains, the empty hypothesis stands, impossible.

    Args:
        heard: with all parts that have a weight, and perhaps a language model.
        candidates: different token sequences of each utterance.
        weights: of "ctc" and "attention"; ``log_prob`` is the sum of both with
            these weights. A part of weight 0 is scored and kept apart, but has no say.
        options: how many, the language model's weight, bonus and norm.

    Raises:
        ValueError: a part with a weight is missing, or a candidate holds a blank or boundary.
    """
    parts: dict[str, list[list[float]]] = {}
    if "ctc" in weights:
        parts["ctc"] = _ctc_scores(heard, candidates)
    if "attention" in weights:
        decoder, _ = heard.for_decoder()
        parts["attention"] = _forced_scores(decoder, heard, candidates)
    if heard.lm is not None:
        parts["lm"] = _forced_scores(heard.lm, heard, candidates)
        weights = {**weights, "lm": options.decoder.lm_weight}
    lists = []
    for row, own in enumerate(candidates):
        scored = {name: scores[row] for name, scores in parts.items()}
        lists.append(_ranked(own, scored, weights, options))
    return lists


def _ctc_scores(heard: EncoderOutputs, candidates: Candidates) -> list[list[float]]:
    utterances = zip(heard.for_ctc(), heard.num_frames.tolist(), candidates, strict=True)
    return [hypothesis_log_prob(frames[:length], own).tolist() for frames, length, own in utterances]


def _forced_scores(model: Stepwise, heard: EncoderOutputs, candidates: Candidates) -> list[list[float]]:
    """Of those with audio by the model; where there is none, only the empty hypothesis is possible."""
    is_heard = heard.num_frames > 0
    encoded = heard.encoded if heard.encoded is not None else heard.for_ctc()
    spoken = [own for own, has_audio in zip(candidates, is_heard.tolist(), strict=True) if has_audio]
    found = iter(forced_log_prob(model, encoded[is_heard], heard.num_frames[is_heard], spoken))
    return [
        next(found) if has_audio else [-math.inf if tokens else 0.0 for tokens in own]
        for own, has_audio in zip(candidates, is_heard.tolist(), strict=True)
    ]


def _ranked(
    candidates: Sequence[tuple[int, ...]],
    parts: Mapping[str, Sequence[float]],
    weights: Mapping[str, float],
    options: SearchOptions,
) -> list[Hypothesis]:
    """One utterance's hypotheses, given what each part says of its candidates."""
    found = []
    for place, tokens in enumerate(candidates):
        own = {name: scores[place] for name, scores in parts.items()}
        counted = {name: weights[name] * value for name, value in own.items() if weights[name] > 0}
        log_prob = sum(value for name, value in counted.items() if name in ACOUSTIC)
        total = torch.tensor(sum(counted.values()), dtype=torch.float64)
        ranked_by = score(total, torch.tensor(len(tokens)), options.decoder).item()
        found.append(Hypothesis(tokens, log_prob, ranked_by, own | {"length": float(len(tokens))}))
    possible = [own for own in found if own.score > -math.inf]
    possible.sort(key=lambda own: (-own.score, own.tokens))
    return possible[: options.num_best] or [Hypothesis((), -math.inf)]
