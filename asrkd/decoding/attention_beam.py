"""Beam search with an attention decoder for a batch of utterances, with or without a language model.

Source: Sutskever et al., arXiv:1409.3215, section 3.2 (left to right, a
sequence that ends leaves the beam); shallow fusion as in Gulcehre et al.,
arXiv:1503.03535, section 4.1, the weighted sum of both log-probabilities.
Norms and the end rule: :class:`DecoderOptions`.

Departures: every prefix of the beam may end at every step, and an ended
hypothesis takes no place in the beam; an utterance is done when no prefix can
enter its N-best list any more, whatever follows, not when enough have ended.

Finished utterances leave the computation, unused places are not computed, and
prefixes compete within their utterance alone: other utterances of the batch
change nothing but the rounding of the models' steps.

Notation: N utterances, A of them active, B places in a beam, R prefixes in
all beams, V tokens with the boundary at 0, P parts (the decoder, a language
model), T encoder frames, D their size.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from asrkd.core.errors import AsrkdError
from asrkd.decoding import token_beam
from asrkd.decoding.hypothesis import EncoderOutputs, Finished, Hypothesis
from asrkd.decoding.options import SearchOptions
from asrkd.decoding.ranking import highest_score, score, weighted
from asrkd.decoding.token_beam import TokenBeam
from asrkd.models.stepwise import BOUNDARY, StepState, Stepwise

PARTS = ("attention", "lm")  # keys of a hypothesis's parts


@torch.no_grad()
def search(inputs: EncoderOutputs, options: SearchOptions) -> list[list[Hypothesis]]:
    """Find the hypotheses of the highest score for each utterance.

    Args:
        inputs: encoder outputs with an attention decoder, and perhaps a
            language model, which is added by shallow fusion.
        options: beam size, ``num_best``, and in ``decoder`` the rules of ranking.

    Returns:
        N lists of 1..``num_best`` different hypotheses, by falling score,
        equal ones by their tokens, with the exact parts "attention", "lm"
        and "length". Where no hypothesis can end, the empty one with log_prob
        -inf; where there is no audio, the empty one with log_prob 0.

    Raises:
        ValueError: there is no decoder, or the shapes do not fit together.
        AsrkdError: a model gives NaN.
    """
    (decoder, encoded), num_frames = inputs.for_decoder(), inputs.num_frames
    if encoded.dim() != 3 or num_frames.shape != encoded.shape[:1] or num_frames.is_floating_point():
        shapes = f"{tuple(encoded.shape)} and {tuple(num_frames.shape)} {num_frames.dtype}"
        raise ValueError(f"expected encoded (N, T, D) and num_frames (N,) integers, got {shapes}")
    has_audio = num_frames > 0
    beam_search = _BeamSearch([decoder, *([inputs.lm] if inputs.lm else [])], options)
    hypotheses = iter(beam_search.run(encoded[has_audio], num_frames[has_audio]))
    return [next(hypotheses) if audible else [_empty(0.0)] for audible in has_audio.tolist()]


def _empty(log_prob: float) -> Hypothesis:
    """Build the hypothesis without tokens."""
    return Hypothesis((), log_prob, parts={PARTS[0]: log_prob, "length": 0.0})


class _BeamSearch:
    """Beam search of one batch, step by step until every utterance is done."""

    def __init__(self, models: Sequence[Stepwise], options: SearchOptions) -> None:
        self.models = models
        self.options, self.rules = options, options.decoder
        self.weights = (1.0, self.rules.lm_weight)[: len(models)]

    def run(self, encoded: Tensor, num_frames: Tensor) -> list[list[Hypothesis]]:
        """Return N-best lists, given (N, T, D) encoder frames, (N,) of them real, at least 1 each."""
        finished = [Finished(self.options.num_best) for _ in num_frames]
        max_tokens = (num_frames.double() * self.rules.max_length_ratio).ceil().long().clamp(min=1)
        beam = token_beam.start(len(finished), self.options.beam, len(self.models), encoded.device)
        states = [model.start(encoded, num_frames) for model in self.models] if finished else []
        while len(beam.rows):
            log_probs, states = self._step(beam, states)
            sums = beam.sums[:, beam.used][..., None] + log_probs  # (P, R, V)
            may_end = self._may_end(log_probs[0], beam.length >= self._by_prefix(beam, max_tokens))
            self._collect(beam, sums[..., BOUNDARY], may_end, finished)
            beam, origin = token_beam.extend(beam, sums[..., 1:], weighted(sums[..., 1:], self.weights))
            keep = self._can_improve(beam, max_tokens[beam.rows], finished)
            origin, beam = origin[keep], beam.select(keep)
            states = [state.take(origin[beam.used]) for state in states]
        return [ended.best or [_empty(-math.inf)] for ended in finished]

    def _step(self, beam: TokenBeam, states: Sequence[StepState]) -> tuple[Tensor, list[StepState]]:
        """Compute log-probabilities of the next token, (P, R, V) float64 in nats, and the states after it."""
        last = beam.last
        steps = [model.step(last, state) for model, state in zip(self.models, states, strict=True)]
        # Rounding may raise a certain token's probability above 1; the bound needs sums that never rise.
        log_probs = torch.stack([part.double().clamp(max=0.0) for part, _ in steps])
        if bool(log_probs.isnan().any()):
            part = int(log_probs.isnan().flatten(1).any(dim=1).nonzero()[0])
            raise AsrkdError(
                f"the {PARTS[part]} model gives NaN for token {beam.length + 1} of a hypothesis: expected "
                "log-probabilities; its training diverged; use an earlier checkpoint"
            )
        return log_probs, [state for _, state in steps]

    def _by_prefix(self, beam: TokenBeam, by_utterance: Tensor) -> Tensor:
        """Repeat a value of each of the N utterances for each of the R prefixes."""
        return by_utterance[beam.rows][:, None].expand_as(beam.used)[beam.used]

    def _may_end(self, log_probs: Tensor, must_end: Tensor) -> Tensor:
        """Select the R prefixes that may end now, given the decoder's (R, V), and those that must, (R,)."""
        factor = self.rules.eos_factor
        if factor is None:
            return torch.ones_like(must_end)
        likeliest = log_probs[:, BOUNDARY + 1 :].amax(dim=1)
        return must_end | (log_probs[:, BOUNDARY] > factor * likeliest)

    def _collect(self, beam: TokenBeam, sums: Tensor, may_end: Tensor, finished: Sequence[Finished]) -> None:
        """Add the prefixes that may end, of (P, R) sums with the end, to their utterances' N-best lists."""
        length = torch.full_like(may_end, beam.length, dtype=torch.int64)
        scores = score(weighted(sums, self.weights), length, self.rules)
        worst = torch.tensor([ended.worst for ended in finished], dtype=torch.float64, device=scores.device)
        good = may_end & torch.isfinite(scores) & (scores >= self._by_prefix(beam, worst))
        if not bool(good.any()):
            return
        row = self._by_prefix(beam, torch.arange(len(finished), device=scores.device))
        tokens: list[list[int]] = beam.tokens[beam.used][good].tolist()
        rows, part_sums = row[good].tolist(), sums[:, good].T.tolist()
        for utterance, path, total, log_probs in zip(
            rows, tokens, scores[good].tolist(), part_sums, strict=True
        ):
            parts = dict(zip(PARTS, log_probs, strict=False)) | {"length": float(beam.length)}
            finished[utterance].offer(Hypothesis(tuple(path), log_probs[0], total, parts))

    def _can_improve(self, beam: TokenBeam, max_tokens: Tensor, finished: Sequence[Finished]) -> Tensor:
        """Select the A utterances whose N-best list a prefix of the beam may still enter, (A,)."""
        total = weighted(beam.sums, self.weights).masked_fill(~beam.used, -torch.inf).amax(dim=1)
        short = beam.length <= max_tokens
        bound = highest_score(total, beam.length, max_tokens.clamp(min=beam.length), self.rules)
        worst = torch.tensor([ended.worst for ended in finished], dtype=torch.float64, device=total.device)
        return beam.used.any(dim=1) & short & (bound >= worst[beam.rows])
