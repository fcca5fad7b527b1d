"""Exact scores of given hypotheses by a teacher's CTC head, its decoder and a language model.

Decoders and language models compute whole hypotheses at once here, and one
token at a time in a search; their combination is worked out again from
:class:`asrkd.decoding.options.DecoderOptions`. So no code checks itself.

Notation: N utterances, S hypotheses of all of them, T encoder frames, D their size, U tokens after padding,
V tokens; T' feature frames, F features.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lhotse import MonoCut
from torch import Tensor

from asrkd.core.device import Precision
from asrkd.data.features.reading import collate as collate_features
from asrkd.data.features.reading import load_features
from asrkd.decoding.ctc_score import hypothesis_log_prob
from asrkd.decoding.language_models import NATS, WordNgram, open_lm
from asrkd.models.masks import frame_mask
from asrkd.models.recognizer import LanguageModel, LoadedModel
from asrkd.models.stepwise import Decoder, labels
from asrkd.targets.nbest import StoredHypothesis
from asrkd.targets.sequences import collate

Scores = dict[str, list[list[float]]]  # scores by part, of the hypotheses of each utterance


@torch.no_grad()
def teacher_scores(
    model: LoadedModel,
    cuts: Sequence[MonoCut],
    hypotheses: Sequence[Sequence[list[int]]],
    precision: str,
    read: Callable[[MonoCut], Tensor] = load_features,
) -> Scores:
    """Compute the log-probability of each hypothesis by each part of a teacher, in nats.

    Args:
        model: teacher, on the CPU.
        cuts: cuts of one batch.
        hypotheses: token sequences of each cut.
        precision: 'fp32' or 'bf16'.
        read: function that loads the (T', F) features of a cut.

    Raises:
        AsrkdError: features cannot be read, or the precision is unknown.
    """
    recognizer, scores = model.recognizer, Scores()
    features, num_frames = collate_features([read(cut) for cut in cuts])
    with Precision(precision, torch.device("cpu")).autocast():
        output = recognizer(features, num_frames)
        if recognizer.decoder is not None:
            scores["attention"] = sequence_log_probs(
                recognizer.decoder, output.memory(), output.num_frames, hypotheses
            )
    if recognizer.has_ctc:
        utterances = zip(output.log_probs(), output.num_frames.tolist(), hypotheses, strict=True)
        scores["ctc"] = [hypothesis_log_prob(frames[:n], listed).tolist() for frames, n, listed in utterances]
    return scores


@torch.no_grad()
def lm_scores(
    path: Path, model: LoadedModel, hypotheses: Sequence[Sequence[list[int]]], precision: str
) -> list[list[float]]:
    """Compute log P of each hypothesis with its end under the language model at ``path``, in nats.

    Args:
        path: model folder, or n-grams, which kenlm scores.
        model: teacher whose tokens the hypotheses have.
        hypotheses: token sequences of each utterance.
        precision: 'fp32' or 'bf16'; no effect on n-grams.

    Raises:
        AsrkdError: the model cannot be read, or has other tokens than the teacher.
    """
    lm = open_lm(path, model)
    if isinstance(lm, WordNgram):
        spelled = [
            ["".join(lm.spelled[token] for token in tokens) for tokens in listed] for listed in hypotheses
        ]
        return [[NATS * lm.model.score(text, bos=True, eos=True) for text in texts] for texts in spelled]
    assert isinstance(lm, LanguageModel)
    no_frames, zeros = torch.zeros(len(hypotheses), 0, 0), torch.zeros(len(hypotheses), dtype=torch.int64)
    with Precision(precision, torch.device("cpu")).autocast():
        return sequence_log_probs(lm.decoder, no_frames, zeros, hypotheses)


def sequence_log_probs(
    decoder: Decoder, encoded: Tensor, num_frames: Tensor, hypotheses: Sequence[Sequence[list[int]]]
) -> list[list[float]]:
    """Compute log P of each hypothesis with its end under a decoder, whole sequences at once, in nats.

    Args:
        decoder: decoder of a recognizer or of a language model.
        encoded: (N, T, D) encoder frames; padding may hold anything; (N, 0, 0) for a language model.
        num_frames: (N,) encoder frames, at least 1 each; zeros for a language model.
        hypotheses: token sequences of each utterance, without the boundary.
    """
    sequences = collate(hypotheses)
    tokens, num_tokens = sequences.tokens, sequences.num_tokens
    logits = decoder(encoded, num_frames, tokens, num_tokens, sequences.utterance)  # (S, U + 1, V)
    log_probs = logits.float().log_softmax(dim=-1)
    of_tokens = log_probs.gather(2, labels(tokens, num_tokens)[..., None])[..., 0].double()
    real = frame_mask(num_tokens + 1, of_tokens.shape[1])
    totals = iter(of_tokens.masked_fill(~real, 0.0).sum(dim=1).tolist())
    return [[next(totals) for _ in listed] for listed in hypotheses]


@dataclass(frozen=True)
class ScoreCombination:
    """Combination of the parts' log-probabilities into a hypothesis's log-probability and score."""

    search: Mapping[str, Any]  # options of the search, from the contract

    def compare(
        self, hypothesis: StoredHypothesis, now: Mapping[str, float]
    ) -> Iterator[tuple[str, float, float]]:
        """Yield each stored score of a hypothesis beside the one computed now.

        The parts are the teacher's CTC head and decoder, and "joint" if there are
        both; "lm", if the language model was loaded; and "score", if hypotheses
        are not ranked by log-probability alone. The empty hypothesis in place of
        an empty list has no scores.

        Args:
            hypothesis: the stored hypothesis.
            now: log-probability by part, in nats.

        Yields:
            (part, stored, now), in nats.
        """
        if hypothesis.log_prob == -math.inf and not hypothesis.tokens:
            return
        acoustic = [part for part in now if part != "lm" and part in hypothesis.parts]
        if len(acoustic) > 1 and "ctc_weight" in self.search:
            yield from ((part, hypothesis.parts[part], now[part]) for part in acoustic)
            log_prob = self._joint(now)
            yield "joint", hypothesis.log_prob, log_prob
        else:
            part = acoustic[0] if acoustic else "ctc" if "ctc" in now else "attention"
            log_prob = now[part]
            yield part, hypothesis.log_prob, log_prob
        if "lm" in hypothesis.parts and "lm" in now:
            yield "lm", hypothesis.parts["lm"], now["lm"]
        if hypothesis.score is not None or self._has_scores:
            stored = hypothesis.log_prob if hypothesis.score is None else hypothesis.score
            yield "score", stored, self._score(hypothesis, log_prob, now)

    def _joint(self, now: Mapping[str, float]) -> float:
        """Combine CTC and decoder; a part of weight 0 is left out, even if its log-probability is -inf."""
        ctc_weight = self.search["ctc_weight"]
        weights = {"ctc": ctc_weight, "attention": 1 - ctc_weight}
        return math.fsum(weight * now[part] for part, weight in weights.items() if weight > 0)

    @property
    def _has_scores(self) -> bool:
        """Whether scores differ from log-probabilities."""
        normed = self.search.get("length_norm", "none") != "none"
        return normed or "lm" in self.search or self.search.get("token_bonus", 0) != 0

    def _score(self, hypothesis: StoredHypothesis, log_prob: float, now: Mapping[str, float]) -> float:
        length, total = len(hypothesis.tokens or ()), log_prob
        if "lm" in hypothesis.parts and "lm_weight" in self.search:
            total += float(self.search["lm_weight"]) * now.get("lm", hypothesis.parts["lm"])
        total += float(self.search.get("token_bonus", 0)) * length
        norm = self.search.get("length_norm", "none")
        if norm == "length":
            return total / (length + 1)
        return total / math.pow((5 + length + 1) / 6, self.search["alpha"]) if norm == "gnmt" else total
