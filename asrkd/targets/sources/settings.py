"""Settings of target sources: live teachers, and the selection and weights of token sequences.

Weights and filters are applied when stored hypotheses are read: another beta,
temperature or filter needs no new decoding.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from asrkd.core.config import Section

TRANSCRIPT = "transcript"

Bounds = tuple[Annotated[float, Field(ge=0)], Annotated[float, Field(ge=0)]]


class LiveTargets(Section):
    """A teacher that computes targets while the student is trained, in place of the path of a store."""

    teacher: str  # path or name, as for `asrkd distill --teacher`
    layer: int | None = Field(None, ge=1)  # layer of the teacher; None: the layer of the quantizer
    tap: Literal["before_norm", "after_norm"] | None = None  # place at that layer; None: the layer's output
    quantizer: str | None = None  # folder of a quantizer, for codebook indexes
    resample: bool = False  # whether a teacher that reads audio accepts other sampling rates


def named_targets(targets: LiveTargets | str) -> str:
    """Return how a message names targets: the path of a store, or of a live teacher."""
    return targets if isinstance(targets, str) else f"targets of {targets.teacher}"


class WeightSettings(Section):
    """Weights of hypotheses in the loss; see :mod:`asrkd.targets.sources.nbest_weights`."""

    beta: float = Field(0.0, ge=0)  # ERR-KD's: weight exp(-beta * WER); the poster draws 1, 2 and 5
    posterior: bool = False  # times softmax(log_prob / temperature) over the list
    temperature: float = Field(1.0, gt=0)  # temperature of that posterior
    rank_beta: float | None = Field(None, ge=0)  # times exp(-rank_beta * (rank - 1)), which sum to 1
    normalized: bool = False  # whether the weights of a cut sum to 1

    @model_validator(mode="after")
    def _no_setting_without_effect(self) -> "WeightSettings":
        if self.temperature != 1 and not self.posterior:
            raise ValueError("temperature has no effect without posterior; set posterior: true as well")
        return self


class FilterSettings(Section):
    """Filters for hypotheses; see :mod:`asrkd.targets.sources.nbest_filters`. None disables a rule.

    Words, and the word error rate, are in the unit of the store's errors.
    """

    # Rules on the best hypothesis, which remove the whole list of the cut:
    min_confidence: float | None = Field(None, le=0)  # log_prob per token of the teacher, in nats
    min_posterior: float | None = Field(None, ge=0, le=1)  # share of the hypothesis in its list's probability
    # Rules on each hypothesis:
    words_per_second: Bounds | None = None  # lowest and highest
    tokens_per_second: Bounds | None = None  # rates of the teacher's tokens, lowest and highest
    max_repeats: int | None = Field(None, ge=1)  # successive repetitions of some words
    max_wer: float | None = Field(None, ge=0)  # a fraction, against the cut's transcript

    @model_validator(mode="after")
    def _lowest_first(self) -> "FilterSettings":
        for name in ("words_per_second", "tokens_per_second"):
            bounds = getattr(self, name)
            if bounds is not None and bounds[0] > bounds[1]:
                raise ValueError(f"{name} {list(bounds)}: expected the lowest first")
        return self


class SequenceSettings(Section):
    """Settings of objectives on token sequences, shared by ``ctc`` and ``attention``."""

    targets: str = TRANSCRIPT  # 'transcript', or the path of an N-best store
    cuts: Literal["all", "transcribed", "untranscribed"] = "all"  # cuts that the objective uses
    num_hypotheses: int = Field(5, ge=1)  # the best of an N-best store's list, or all where there are fewer
    expand: bool = False  # each visit takes one hypothesis, and an epoch is num_hypotheses times as long
    weights: WeightSettings = WeightSettings()
    filter: FilterSettings = FilterSettings()

    @property
    def needs_errors(self) -> bool:
        """Whether hypotheses must have been stored with word errors, that is, of cuts with transcripts."""
        return self.weights.beta > 0 or self.filter.max_wer is not None

    @property
    def passes_per_epoch(self) -> int:
        """Passes over the cuts in an epoch."""
        return self.num_hypotheses if self.expand else 1

    @model_validator(mode="after")
    def _fits_its_targets(self) -> "SequenceSettings":
        if self.targets == TRANSCRIPT:
            nbest_only = {
                "expand": self.expand,
                "weights": self.weights != WeightSettings(),
                "filter": self.filter != FilterSettings(),
            }
            for name, is_set in nbest_only.items():
                if is_set:
                    raise ValueError(f"{name} is for N-best stores: give the path of one as targets")
            if self.cuts == "untranscribed":
                raise ValueError("cuts: untranscribed have no transcript; give an N-best store as targets")
        elif self.cuts == "untranscribed" and self.needs_errors:
            raise ValueError(
                "weights.beta and filter.max_wer need transcripts; cuts: untranscribed lack them"
            )
        return self
