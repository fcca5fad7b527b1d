"""What a search gives: a token sequence and its probability."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Hypothesis:
    """One answer of the recogniser to one utterance."""

    tokens: tuple[int, ...]  # token ids, no blanks
    log_prob: float  # log P(tokens | audio) in nats, over all alignments; -inf where impossible
