"""N-best lists: what a store keeps of a teacher's hypotheses, and its JSON that a person can read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

RECORD = 2  # form of a line; 2: tokens, parts of the score, errors by kind. 1 had text, log_prob, errors
PARTS = ("ctc", "attention", "lm", "length")


@dataclass(frozen=True)
class WordErrors:
    """Errors of a hypothesis against the reference, in words, or in the unit that the contract names."""

    total: int
    by_kind: tuple[int, int, int] | None = None  # substitutions, deletions, insertions; None: not kept then


@dataclass(frozen=True)
class StoredHypothesis:
    """One of a teacher's answers to a cut."""

    text: str
    log_prob: float  # log P(hypothesis | audio) in nats, under the model that searched
    tokens: tuple[int, ...] | None = None  # of the teacher; None: a store of record 1 did not keep them
    # Of PARTS those that there are: log-probabilities in nats by one model each, and length in tokens.
    parts: Mapping[str, float] = field(default_factory=dict)
    errors: WordErrors | None = None  # None: the cut had no transcript
    score: float | None = None  # what it was ranked by; None: its log_prob


@dataclass(frozen=True)
class Nbest:
    """A teacher's hypotheses for a cut, those of the highest score first."""

    hypotheses: tuple[StoredHypothesis, ...]
    num_words: int | None  # or other units of the reference, where there is one

    @property
    def texts(self) -> list[str]:
        """Of the hypotheses."""
        return [hypothesis.text for hypothesis in self.hypotheses]

    @property
    def log_probs(self) -> list[float]:
        """log P(hypothesis | audio) of each, in nats."""
        return [hypothesis.log_prob for hypothesis in self.hypotheses]

    @property
    def errors(self) -> list[int] | None:
        """Words, or other units, wrong in each; None without a reference."""
        if self.num_words is None:
            return None
        return [own.errors.total for own in self.hypotheses if own.errors is not None]

    @property
    def wers(self) -> list[float] | None:
        """Error rate of each, which may exceed 1; None without a reference.

        Against a reference without words each word is an error of 1.
        """
        errors = self.errors
        return None if errors is None else [count / max(self.num_words or 0, 1) for count in errors]


def as_record(cut_id: str, digest: str, nbest: Nbest) -> dict[str, Any]:
    """The line of a cut, as JSON; ``digest`` is that of the cut."""
    listed = [_hypothesis_record(hypothesis) for hypothesis in nbest.hypotheses]
    return {"id": cut_id, "digest": digest, "num_words": nbest.num_words, "hypotheses": listed}


def from_record(record: Mapping[str, Any]) -> Nbest:
    """What :func:`as_record` was given, also by a store of record 1.

    Raises:
        ValueError: word errors are told of some hypotheses and not of others, or in part.
    """
    hypotheses = tuple(_hypothesis(own) for own in record["hypotheses"])
    counted = record["num_words"] is not None
    if any((own.errors is not None) != counted for own in hypotheses):
        raise ValueError("word errors are there for all hypotheses, and num_words with them, or for none")
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
