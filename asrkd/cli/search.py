"""The options of searches, which `asrkd score` and `asrkd distill nbest` share."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from asrkd.cli.options import with_more_options

if TYPE_CHECKING:
    from asrkd.decoding.options import SearchOptions

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


def searching(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options above; it takes them as ``given_search``, by name, None where not given."""

    def searched(
        *,
        lm: Lm = None,
        lm_weight: LmWeight = None,
        token_bonus: TokenBonus = None,
        length_norm: LengthNorm = None,
        alpha: Alpha = None,
        eos_factor: EosFactor = None,
        max_length_ratio: MaxLengthRatio = None,
        ctc_weight: CtcWeight = None,
        **own: Any,
    ) -> None:
        given = {name: value for name, value in locals().items() if name not in ("own", "command")}
        command(**own, given_search=given)

    return with_more_options(searched, command)


def search_options(beam: int, num_best: int, given: dict[str, Any]) -> "SearchOptions":
    """Options from those that :func:`searching` gives; None is left to what DecoderOptions has.

    Raises:
        AsrkdError: one is out of range.
    """
    from asrkd.decoding.options import DecoderOptions, SearchOptions

    of_decoders = {name: value for name, value in given.items() if name != "lm" and value is not None}
    return SearchOptions(beam, num_best, decoder=DecoderOptions(**of_decoders), lm=given["lm"])
