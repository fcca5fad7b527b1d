"""The options of searches, which `asrkd score` and `asrkd distill nbest` share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from asrkd.decoding.search_options import SearchOptions

Lm = Annotated[
    Path | None,
    typer.Option(
        help="Language model: a folder of asrkd train over the same tokens; or word n-grams, ARPA or kenlm's."
    ),
]
LmWeight = Annotated[float | None, typer.Option(help="Of the language model's log-probability; 0.3.")]
TokenBonus = Annotated[float | None, typer.Option(help="Nats that each token adds to the score; 0.")]
LengthNorm = Annotated[
    str | None,
    typer.Option(help="What scores are divided by: none; length; gnmt, ((5 + length) / 6) ** alpha."),
]
Alpha = Annotated[float | None, typer.Option(help="Exponent of --length-norm gnmt; 0.6.")]
EosFactor = Annotated[
    float | None,
    typer.Option(help="attention: end only where log P(end) > this * that of the best token; 1.5 in papers."),
]
MaxLengthRatio = Annotated[
    float | None, typer.Option(help="attention: tokens a frame of the encoder, at most; 1.")
]
CtcWeight = Annotated[float | None, typer.Option(help="joint: of CTC, the rest is the decoder's; 0.3.")]

# Of the options above those that DecoderOptions has, which also has what they are where nobody gives them.
OF_DECODERS = (
    "lm_weight",
    "token_bonus",
    "length_norm",
    "alpha",
    "eos_factor",
    "max_length_ratio",
    "ctc_weight",
)
DEFAULTS: dict[str, Any] = {"lm": None} | dict.fromkeys(OF_DECODERS)


def search_options(flags: dict[str, Any], num_best: int) -> "SearchOptions":
    """The options of a command's flags by name: ``beam`` and those above; None is left to the defaults."""
    from asrkd.decoding.decoder_options import DecoderOptions
    from asrkd.decoding.search_options import SearchOptions

    given = {name: flags[name] for name in OF_DECODERS if flags[name] is not None}
    return SearchOptions(flags["beam"], num_best, decoder=DecoderOptions(**given), lm=flags["lm"])
