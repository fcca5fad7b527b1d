"""What is stored of a hypothesis beside what its parts give now, by the search options of the contract.

The sums are worked out here once more, from what :class:`asrkd.decoding.options.DecoderOptions`
says of them, so that the search's own arithmetic does not check itself.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from asrkd.targets.nbest import StoredHypothesis

Compared = tuple[str, float, float]  # what it is, as stored, now; log-probabilities in nats


@dataclass(frozen=True)
class Mixing:
    """How a search made log-probability and score of what its parts say."""

    search: Mapping[str, Any]  # of the contract

    def compare(self, hypothesis: StoredHypothesis, now: Mapping[str, float]) -> Iterator[Compared]:
        """Everything that is stored of a hypothesis's scores, and what it is by the parts ``now``.

        Of two parts each by itself and their mixture, "joint"; the part of a
        language model; and "score", where ranking is by more than the
        log-probability. A language model that was not asked says what is
        stored of it. Nothing of the empty hypothesis that stands where none was possible.
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
        if hypothesis.score is not None or self._ranks_by_more:
            stored = hypothesis.log_prob if hypothesis.score is None else hypothesis.score
            yield "score", stored, self._score(hypothesis, log_prob, now)

    def _joint(self, now: Mapping[str, float]) -> float:
        """Of CTC and the decoder; one of weight 0 has no say, not even where it finds a thing impossible."""
        weight = self.search["ctc_weight"]
        weights = {"ctc": weight, "attention": 1 - weight}
        return math.fsum(own * now[part] for part, own in weights.items() if own > 0)

    @property
    def _ranks_by_more(self) -> bool:
        """Whether scores are something else than log-probabilities."""
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
