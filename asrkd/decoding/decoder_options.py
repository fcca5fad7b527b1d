"""How the token sequences of a decoder are searched and ranked, as the command line gives it."""

from dataclasses import dataclass

from asrkd.errors import AsrkdError

NORMALISATIONS = ("none", "length", "gnmt")


@dataclass(frozen=True)
class DecoderOptions:
    """Options of searches over an attention decoder, and of language models beside any search.

    A hypothesis of L tokens is ranked by (log P(tokens | audio) + lm_weight *
    log P(tokens) + token_bonus * L) / norm; its end counts in both
    probabilities. norm is 1 for 'none', L + 1 for 'length', and
    ((5 + L + 1) / 6) ** alpha for 'gnmt' (Wu et al., arXiv:1609.08144,
    equation 14); L + 1 because a sentence's end is one of the factors.

    A sentence may end only where log P(end) > eos_factor * max over tokens of
    log P(token), all under the decoder: Hannun et al., arXiv:1904.02619,
    section 2.3 and their factor of 1.5. As logarithms are negative, a larger
    factor allows more ends; at the most tokens an end is always allowed.

    Raises:
        AsrkdError: an option is out of range, or has no effect beside the others.
    """

    length_norm: str = "none"  # one of NORMALISATIONS
    alpha: float = 0.6  # exponent of 'gnmt', >= 0
    eos_factor: float | None = None  # > 0; None: a sentence may end anywhere
    max_length_ratio: float = 1.0  # tokens a frame of the encoder, at most; > 0
    lm_weight: float = 0.3  # of log P under a language model, where there is one; > 0
    token_bonus: float = 0.0  # nats a token, either sign
    ctc_weight: float = 0.3  # of log P under CTC where both are joined, the rest is attention's; 0 to 1

    def __post_init__(self) -> None:
        if self.length_norm not in NORMALISATIONS:
            expected = ", ".join(NORMALISATIONS)
            raise AsrkdError(f"--length-norm {self.length_norm}: expected one of {expected}")
        if not 0 <= self.alpha < float("inf"):
            raise AsrkdError(f"--alpha {self.alpha}: expected 0 or more")
        if self.alpha != DecoderOptions.alpha and self.length_norm != "gnmt":
            raise AsrkdError(f"--alpha {self.alpha}: is the exponent of --length-norm gnmt; give that too")
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
