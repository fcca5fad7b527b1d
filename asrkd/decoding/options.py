"""Options of searches and of ranking, as the command line sets them."""

from dataclasses import dataclass
from pathlib import Path

from asrkd.core.errors import AsrkdError

NORMALIZATIONS = ("none", "length", "gnmt")


@dataclass(frozen=True)
class DecoderOptions:
    """Options of searches with an attention decoder, and of language models in any search.

    A hypothesis of L tokens is ranked by (log P(tokens | audio) + lm_weight *
    log P(tokens) + token_bonus * L) / norm; both probabilities include the
    end of the sentence. norm is 1 for 'none', L + 1 for 'length', and
    ((5 + L + 1) / 6) ** alpha for 'gnmt' (Wu et al., arXiv:1609.08144,
    equation 14); L + 1 counts the end too.

    A sentence may end only where log P(end) > eos_factor * max over tokens of
    log P(token), all under the decoder: Hannun et al., arXiv:1904.02619,
    section 2.3, whose factor is 1.5. As logarithms are negative, a larger
    factor allows more ends. At the maximum length an end is always allowed.

    Raises:
        AsrkdError: an option is out of range, or has no effect given the others.
    """

    length_norm: str = "none"  # one of NORMALIZATIONS
    alpha: float = 0.6  # exponent of 'gnmt', >= 0
    eos_factor: float | None = None  # > 0; None: a sentence may end anywhere
    max_length_ratio: float = 1.0  # maximum tokens per encoder frame, > 0
    lm_weight: float = 0.3  # weight of log P under a language model, > 0
    token_bonus: float = 0.0  # nats per token, either sign
    ctc_weight: float = 0.3  # share of log P under CTC in the joint score, 0..1; the rest is attention's

    def __post_init__(self) -> None:
        if self.length_norm not in NORMALIZATIONS:
            expected = ", ".join(NORMALIZATIONS)
            raise AsrkdError(f"--length-norm {self.length_norm}: expected one of {expected}")
        if not 0 <= self.alpha < float("inf"):
            raise AsrkdError(f"--alpha {self.alpha}: expected 0 or more")
        if self.alpha != DecoderOptions.alpha and self.length_norm != "gnmt":
            raise AsrkdError(f"--alpha {self.alpha}: has no effect without --length-norm gnmt; add it")
        if self.eos_factor is not None and not self.eos_factor > 0:
            raise AsrkdError(f"--eos-factor {self.eos_factor}: expected more than 0, such as 1.5")
        for name in ("max_length_ratio", "lm_weight"):
            if not 0 < getattr(self, name) < float("inf"):
                option = name.replace("_", "-")
                raise AsrkdError(f"--{option} {getattr(self, name)}: expected more than 0")
        if not abs(self.token_bonus) < float("inf"):
            raise AsrkdError(f"--token-bonus {self.token_bonus}: expected a number of nats")
        if not 0 <= self.ctc_weight <= 1:
            raise AsrkdError(f"--ctc-weight {self.ctc_weight}: expected 0 to 1")


@dataclass(frozen=True)
class SearchOptions:
    """Options of all searches; :data:`asrkd.decoding.searches.SEARCHES` lists those that a search reads.

    Raises:
        AsrkdError: an option is out of range, or ``num_best`` exceeds the beam.
    """

    beam: int = 8  # beam size: prefixes kept per frame of CTC or per token of a decoder, >= 1
    num_best: int = 1  # maximum hypotheses returned, 1..beam
    max_tokens_per_frame: int | None = None  # likeliest tokens of a frame that may be appended; None: all
    decoder: DecoderOptions = DecoderOptions()  # options of decoders and language models
    lm: Path | None = None  # language model, see asrkd/decoding/language_models.py

    def __post_init__(self) -> None:
        if self.beam < 1:
            raise AsrkdError(f"--beam {self.beam}: expected at least 1")
        if self.num_best < 1:
            raise AsrkdError(f"--nbest {self.num_best}: expected at least 1")
        if self.num_best > self.beam:
            raise AsrkdError(
                f"--nbest {self.num_best}: more than the beam size, {self.beam}; "
                f"give --beam {self.num_best} or more"
            )
        if self.max_tokens_per_frame is not None and self.max_tokens_per_frame < 1:
            raise AsrkdError(f"max_tokens_per_frame is {self.max_tokens_per_frame}: expected at least 1")
