"""Beam search over an attention decoder for a batch of utterances, with or without a language model.

Source: Sutskever et al., arXiv:1409.3215, section 3.2 (left to right, a
sequence that ends leaves the beam); shallow fusion is that of Gulcehre et
al., arXiv:1503.03535, section 4.1: log-probabilities of both are added with a
weight. Norms and the rule for ends: :class:`DecoderOptions`.

Departures: all beginnings in the beam may end at every step and what ends
takes no place from those that go on; an utterance is done when no beginning
can come among its best any more, whatever follows, not when enough have ended.

Utterances that are done leave the computation, places that are not used are
not computed, and a beginning is compared with those of its own utterance
alone: neighbors matter no more than to the rounding of the models' steps.

Letters: N utterances, A of them still searched, B places in a beam,
R beginnings in all beams, V tokens with the boundary at 0, P parts (the
decoder, a language model).
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from asrkd.core.errors import AsrkdError
from asrkd.decoding import token_beam
from asrkd.decoding.hypothesis import Finished, Hypothesis
from asrkd.decoding.options import SearchOptions
from asrkd.decoding.ranking import highest_score, score, weighted
from asrkd.decoding.token_beam import TokenBeam
from asrkd.models.stepwise import BOUNDARY, StepState, Stepwise

PARTS = ("attention", "lm")  # by their names in a hypothesis


@torch.no_grad()
def attention_beam_search(
    decoder: Stepwise,
    encoded: Tensor,
    num_frames: Tensor,
    options: SearchOptions,
    lm: Stepwise | None = None,
) -> list[list[Hypothesis]]:
    """Per utterance, the hypotheses of the highest score that a beam finds.

    Args:
        decoder: whose probability ``log_prob`` is; V tokens.
        encoded: (N, T, D), what it attends to; padding may hold anything.
        num_frames: (N,), integer; real frames per utterance, 0..T.
        options: ``beam`` is B, ``num_best`` may not exceed it; ``decoder`` has the rules of ranking.
        lm: a language model over the same tokens, added by shallow fusion.

    Returns:
        N lists of 1..``num_best`` different hypotheses, by falling score,
        equal ones by their tokens, with the exact parts "attention", "lm"
        and "length". Where nothing can end the empty one stands, impossible;
        where there is no audio, certain.

    Raises:
        ValueError: the shapes do not fit together.
        AsrkdError: a model gives NaN.
    """
    if encoded.dim() != 3 or num_frames.shape != encoded.shape[:1] or num_frames.is_floating_point():
        shapes = f"{tuple(encoded.shape)} and {tuple(num_frames.shape)} {num_frames.dtype}"
        raise ValueError(f"expected encoded (N, T, D) and num_frames (N,) integers, got {shapes}")
    heard = num_frames > 0
    found = iter(_Search([decoder, *([lm] if lm else [])], options).run(encoded[heard], num_frames[heard]))
    return [next(found) if is_heard else [_empty(0.0)] for is_heard in heard.tolist()]


def _empty(log_prob: float) -> Hypothesis:
    return Hypothesis((), log_prob, parts={PARTS[0]: log_prob, "length": 0.0})


class _Search:
    """One search of a batch: step by step, until every utterance is done."""

    def __init__(self, models: Sequence[Stepwise], options: SearchOptions) -> None:
        self.models = models
        self.options, self.rules = options, options.decoder
        self.weights = (1.0, self.rules.lm_weight)[: len(models)]

    def run(self, encoded: Tensor, num_frames: Tensor) -> list[list[Hypothesis]]:
        """The N-best lists of (N, T, D) and (N,), at least a frame each."""
        finished = [Finished(self.options.num_best) for _ in num_frames]
        most_tokens = (num_frames.double() * self.rules.max_length_ratio).ceil().long().clamp(min=1)
        beam = token_beam.start(len(finished), self.options.beam, len(self.models), encoded.device)
        states = [model.start(encoded, num_frames) for model in self.models] if finished else []
        while len(beam.rows):
            log_probs, states = self._ask(beam, states)
            sums = beam.sums[:, beam.used][..., None] + log_probs  # (P, R, V)
            may_end = self._may_end(log_probs[0], beam.length >= self._by_place(beam, most_tokens))
            self._collect(beam, sums[..., BOUNDARY], may_end, finished)
            beam, origin = token_beam.extend(beam, sums[..., 1:], weighted(sums[..., 1:], self.weights))
            keep = self._can_still_win(beam, most_tokens[beam.rows], finished)
            origin, beam = origin[keep], beam.only(keep)
            states = [state.take(origin[beam.used]) for state in states]
        return [own.best or [_empty(-math.inf)] for own in finished]

    def _ask(self, beam: TokenBeam, states: Sequence[StepState]) -> tuple[Tensor, list[StepState]]:
        """Log-probabilities of the next token, (P, R, V) float64 in nats, and the states after it."""
        last = beam.last
        answers = [model.step(last, state) for model, state in zip(self.models, states, strict=True)]
        # Rounding may put a certain token's probability above 1; a bound counts on what never rises.
        log_probs = torch.stack([said.double().clamp(max=0.0) for said, _ in answers])
        if bool(log_probs.isnan().any()):
            part = int(log_probs.isnan().flatten(1).any(dim=1).nonzero()[0])
            raise AsrkdError(
                f"the {PARTS[part]} model gives NaN for token {beam.length + 1} of a hypothesis: expected "
                "log-probabilities; its training diverged, take an earlier checkpoint"
            )
        return log_probs, [state for _, state in answers]

    def _by_place(self, beam: TokenBeam, of_utterances: Tensor) -> Tensor:
        """A value of each of the N utterances for each of the R beginnings."""
        return of_utterances[beam.rows][:, None].expand_as(beam.used)[beam.used]

    def _may_end(self, log_probs: Tensor, must_end: Tensor) -> Tensor:
        """Which of the R beginnings may end now, given the decoder's (R, V) and who has the most tokens."""
        factor = self.rules.eos_factor
        if factor is None:
            return torch.ones_like(must_end)
        likeliest = log_probs[:, BOUNDARY + 1 :].amax(dim=1)
        return must_end | (log_probs[:, BOUNDARY] > factor * likeliest)

    def _collect(self, beam: TokenBeam, sums: Tensor, may_end: Tensor, finished: Sequence[Finished]) -> None:
        """Offer the beginnings that may end, given their (P, R) sums with the end, to their utterances."""
        length = torch.full_like(may_end, beam.length, dtype=torch.int64)
        scores = score(weighted(sums, self.weights), length, self.rules)
        worst = torch.tensor([own.worst for own in finished], dtype=torch.float64, device=scores.device)
        good = may_end & torch.isfinite(scores) & (scores >= self._by_place(beam, worst))
        if not bool(good.any()):
            return
        row = self._by_place(beam, torch.arange(len(finished), device=scores.device))
        tokens: list[list[int]] = beam.tokens[beam.used][good].tolist()
        found = zip(row[good].tolist(), tokens, scores[good].tolist(), sums[:, good].T.tolist(), strict=True)
        for utterance, own, own_score, own_sums in found:
            parts = dict(zip(PARTS, own_sums, strict=False)) | {"length": float(beam.length)}
            finished[utterance].offer(Hypothesis(tuple(own), own_sums[0], own_score, parts))

    def _can_still_win(self, beam: TokenBeam, most_tokens: Tensor, finished: Sequence[Finished]) -> Tensor:
        """Which of the A utterances a beginning in the beam may still change, (A,)."""
        total = weighted(beam.sums, self.weights).masked_fill(~beam.used, -torch.inf).amax(dim=1)
        short = beam.length <= most_tokens
        bound = highest_score(total, beam.length, most_tokens.clamp(min=beam.length), self.rules)
        worst = torch.tensor([own.worst for own in finished], dtype=torch.float64, device=total.device)
        return beam.used.any(dim=1) & short & (bound >= worst[beam.rows])
