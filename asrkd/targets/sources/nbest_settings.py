"""What an objective on token sequences can be told about its targets: which, of which cuts, with what weight.

All of it is applied when targets are read, from what is stored: another beta,
temperature or filter never decodes again.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from asrkd.core.config import Section

TRANSCRIPT = "transcript"

Bounds = tuple[Annotated[float, Field(ge=0)], Annotated[float, Field(ge=0)]]


class WeightSettings(Section):
    """The weight of each hypothesis in the loss; see :mod:`asrkd.targets.sources.nbest_weights`."""

    beta: float = Field(0.0, ge=0)  # ERR-KD's: weight exp(-beta * WER); the poster draws 1, 2 and 5
    posterior: bool = False  # times softmax(log_prob / temperature) over the list
    temperature: float = Field(1.0, gt=0)  # of that posterior
    rank_beta: float | None = Field(None, ge=0)  # times exp(-rank_beta * (rank - 1)), which sum to 1
    normalized: bool = False  # those of a cut sum to 1

    @model_validator(mode="after")
    def _nothing_without_effect(self) -> "WeightSettings":
        if self.temperature != 1 and not self.posterior:
            raise ValueError("temperature is that of the posterior: say posterior: true as well")
        return self


class FilterSettings(Section):
    """Which hypotheses are left out; see :mod:`asrkd.targets.sources.nbest_filters`. None leaves a rule out.

    Words and their error rate are those of the unit that the store counts in.
    """

    # Of the best hypothesis, on whose account all of the cut's go:
    min_confidence: float | None = Field(None, le=0)  # log_prob per token of the teacher, in nats
    min_posterior: float | None = Field(None, ge=0, le=1)  # its share of its list's probability
    # Of each hypothesis:
    words_per_second: Bounds | None = None  # least and most
    tokens_per_second: Bounds | None = None  # of the teacher's tokens, least and most
    max_repeats: int | None = Field(None, ge=1)  # how often some words may be said in a row
    max_wer: float | None = Field(None, ge=0)  # a fraction, against the cut's transcript

    @model_validator(mode="after")
    def _least_first(self) -> "FilterSettings":
        for name in ("words_per_second", "tokens_per_second"):
            bounds = getattr(self, name)
            if bounds is not None and bounds[0] > bounds[1]:
                raise ValueError(f"{name} {list(bounds)}: expected the least first")
        return self


class SequenceSettings(Section):
    """Settings of objectives on token sequences."""

    targets: str = TRANSCRIPT  # or the path of an N-best store
    cuts: Literal["all", "transcribed", "untranscribed"] = "all"  # that it is about; it leaves out others
    num_hypotheses: int = Field(5, ge=1)  # of an N-best store, the best so many; fewer where it has fewer
    expand: bool = False  # each visit takes one hypothesis, and an epoch is num_hypotheses times as long
    weights: WeightSettings = WeightSettings()
    filter: FilterSettings = FilterSettings()

    @property
    def needs_errors(self) -> bool:
        """Whether a cut's transcript must have been there when its hypotheses were stored."""
        return self.weights.beta > 0 or self.filter.max_wer is not None

    @property
    def passes_per_epoch(self) -> int:
        """How often an epoch goes over the cuts."""
        return self.num_hypotheses if self.expand else 1

    @model_validator(mode="after")
    def _fits_its_targets(self) -> "SequenceSettings":
        if self.targets == TRANSCRIPT:
            own = [("expand", self.expand), ("weights", self.weights != WeightSettings())]
            for name, is_set in (*own, ("filter", self.filter != FilterSettings())):
                if is_set:
                    raise ValueError(f"{name} is of N-best stores: give the path of one as targets")
            if self.cuts == "untranscribed":
                raise ValueError("cuts: untranscribed have no transcript; give an N-best store as targets")
        elif self.cuts == "untranscribed" and self.needs_errors:
            raise ValueError(
                "weights.beta and filter.max_wer need transcripts; cuts: untranscribed lack them"
            )
        return self
