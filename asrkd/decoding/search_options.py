"""How hard to search, as the command line gives it."""

from dataclasses import dataclass
from pathlib import Path

from asrkd.decoding.decoder_options import DecoderOptions
from asrkd.errors import AsrkdError


@dataclass(frozen=True)
class SearchOptions:
    """The options of all searches; which of them a search reads, it says itself.

    Raises:
        AsrkdError: an option is out of range, or more hypotheses are wanted
            than the beam can hold.
    """

    beam: int = 8  # prefixes kept at each frame of CTC or at each token of a decoder, >= 1
    num_best: int = 1  # hypotheses returned at most, 1..beam
    max_tokens_per_frame: int | None = None  # only a frame's likeliest tokens may be appended; None: all
    decoder: DecoderOptions = DecoderOptions()  # of decoders and language models
    lm: Path | None = None  # a language model that has a say: see asrkd/decoding/language_models.py

    def __post_init__(self) -> None:
        if self.beam < 1:
            raise AsrkdError(f"--beam {self.beam}: expected at least 1")
        if self.num_best < 1:
            raise AsrkdError(f"--nbest {self.num_best}: expected at least 1")
        if self.num_best > self.beam:
            raise AsrkdError(
                f"--nbest {self.num_best}: a beam of {self.beam} holds no more than {self.beam} hypotheses; "
                f"give --beam {self.num_best} or more"
            )
        if self.max_tokens_per_frame is not None and self.max_tokens_per_frame < 1:
            raise AsrkdError(f"max_tokens_per_frame is {self.max_tokens_per_frame}: expected at least 1")
