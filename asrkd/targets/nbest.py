"""N-best lists of a teacher's hypotheses, and their human-readable JSON in a store."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

RECORD = 2  # format of a line; 2: tokens, parts of the score, errors by kind. 1 had text, log_prob, errors
PARTS = ("ctc", "attention", "lm", "length")


@dataclass(frozen=True)
class WordErrors:
    """Errors of a hypothesis against the reference, in words, or in the unit that the contract names."""

    total: int
    by_kind: tuple[int, int, int] | None = None  # substitutions, deletions, insertions; None: not stored


@dataclass(frozen=True)
class StoredHypothesis:
    """Hypothesis of a teacher for a cut."""

    text: str
    log_prob: float  # log P(hypothesis | audio) in nats, by the model of the search
    tokens: tuple[int, ...] | None = None  # the teacher's tokens; None in stores of record 1
    # Values by name, one of PARTS: log-probability in nats under one model, or the length in tokens.
    parts: Mapping[str, float] = field(default_factory=dict)
    errors: WordErrors | None = None  # None: the cut had no transcript
    score: float | None = None  # score that ranks the list; None: log_prob


@dataclass(frozen=True)
class Nbest:
    """Hypotheses of a teacher for a cut, best score first."""

    hypotheses: tuple[StoredHypothesis, ...]
    num_words: int | None  # words, or other units, of the reference; None: no reference

    @property
    def texts(self) -> list[str]:
        """Text of each hypothesis."""
        return [hypothesis.text for hypothesis in self.hypotheses]

    @property
    def log_probs(self) -> list[float]:
        """Log P(hypothesis | audio) of each hypothesis, in nats."""
        return [hypothesis.log_prob for hypothesis in self.hypotheses]

    @property
    def errors(self) -> list[int] | None:
        """Word errors, or errors in another unit, of each hypothesis; None without a reference."""
        if self.num_words is None:
            return None
        return [hyp.errors.total for hyp in self.hypotheses if hyp.errors is not None]

    @property
    def wers(self) -> list[float] | None:
        """Error rate of each hypothesis, which may exceed 1; None without a reference.

        Against an empty reference the rate is the number of errors.
        """
        errors = self.errors
        return None if errors is None else [count / max(self.num_words or 0, 1) for count in errors]


def as_record(cut_id: str, digest: str, nbest: Nbest) -> dict[str, Any]:
    """Convert the list of a cut to a line of a store; ``digest`` is that of the cut."""
    listed = [_hypothesis_record(hypothesis) for hypothesis in nbest.hypotheses]
    return {"id": cut_id, "digest": digest, "num_words": nbest.num_words, "hypotheses": listed}


def from_record(record: Mapping[str, Any]) -> Nbest:
    """Convert a line of a store, of any record, to a list; the inverse of :func:`as_record`.

    Raises:
        ValueError: some hypotheses lack word errors, or the errors are incomplete.
    """
    hypotheses = tuple(_hypothesis(row) for row in record["hypotheses"])
    counted = record["num_words"] is not None
    if any((hypothesis.errors is not None) != counted for hypothesis in hypotheses):
        raise ValueError("expected num_words and errors of all hypotheses, or none of them")
    return Nbest(hypotheses, record["num_words"])


def _hypothesis_record(hypothesis: StoredHypothesis) -> dict[str, Any]:
    record: dict[str, Any] = {"text": hypothesis.text, "log_prob": hypothesis.log_prob}
    if hypothesis.score is not None:
        record["score"] = hypothesis.score
    record |= {name: hypothesis.parts[name] for name in PARTS if name in hypothesis.parts}
    if hypothesis.errors is not None:
        record["errors"] = hypothesis.errors.total
        if hypothesis.errors.by_kind is not None:
            record |= dict(zip(("sub", "del", "ins"), hypothesis.errors.by_kind, strict=True))
    return record if hypothesis.tokens is None else record | {"tokens": list(hypothesis.tokens)}


def _hypothesis(record: Mapping[str, Any]) -> StoredHypothesis:
    errors = None
    if "errors" in record:
        kinds = [record[kind] for kind in ("sub", "del", "ins") if kind in record]
        if kinds and (len(kinds) < 3 or sum(kinds) != record["errors"]):
            raise ValueError(f"{record['errors']} errors are not the sum of sub, del and ins: {kinds}")
        by_kind = (kinds[0], kinds[1], kinds[2]) if kinds else None
        errors = WordErrors(record["errors"], by_kind)
    return StoredHypothesis(
        text=record["text"],
        log_prob=record["log_prob"],
        tokens=tuple(record["tokens"]) if "tokens" in record else None,
        parts={name: record[name] for name in PARTS if name in record},
        errors=errors,
        score=record.get("score"),
    )
