"""An experiment: data, model, optimizer, augmentation, and phases of objectives."""

from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from asrkd.core.config import Section
from asrkd.data.features.noise import NoiseConfig
from asrkd.models.config import LanguageModelConfig, ModelConfig
from asrkd.objectives import ObjectiveEntry
from asrkd.targets.sources.live import LiveTargets
from asrkd.training.data_config import AnyDataConfig, TextDataConfig

Beta = Annotated[float, Field(ge=0, lt=1)]


class OptimConfig(Section):
    """AdamW and its schedule."""

    lr: float = Field(1e-3, gt=0)  # at the top of the schedule
    betas: tuple[Beta, Beta] = (0.9, 0.98)
    weight_decay: float = Field(0.01, ge=0)  # of matrices; vectors are never decayed
    warmup_steps: int = Field(200, ge=0)  # lr rises linearly
    schedule: Literal["constant", "linear", "cosine", "exponential"] = "cosine"  # after the warm-up
    epoch_factor: float | None = Field(None, gt=0, lt=1)  # exponential: of lr, for each epoch that is over
    hold_share: float = Field(0.0, ge=0, lt=1)  # of the steps after warm-up: at full lr
    decay_share: float = Field(1.0, gt=0, le=1)  # of those after warm-up and hold: going down; then final_lr
    final_lr: float = Field(0.0, ge=0)  # as a share of lr
    clip_norm: float = Field(5.0, gt=0)  # of all gradients together
    accumulate: int = Field(1, ge=1)  # batches per step

    @model_validator(mode="after")
    def _nothing_without_use(self) -> "OptimConfig":
        is_exponential = self.schedule == "exponential"
        if is_exponential != (self.epoch_factor is not None):
            raise ValueError("schedule: exponential and epoch_factor go together, such as epoch_factor: 0.99")
        shape = {"hold_share": 0.0, "decay_share": 1.0, "final_lr": 0.0}
        if is_exponential:
            del shape["final_lr"]  # its floor
        idle = [name for name, unused in shape.items() if getattr(self, name) != unused]
        if self.schedule in ("constant", "exponential") and idle:
            needed = ", ".join(f"{name}: {shape[name]:g}" for name in idle)
            raise ValueError(f"schedule: {self.schedule} has no use for what is set; it needs {needed}")
        return self

    @model_serializer(mode="wrap")
    def _as_used(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without a factor that there is not, so that the lineage of other schedules is what it was."""
        own: dict[str, Any] = dump(self)
        return {name: value for name, value in own.items() if name != "epoch_factor" or value is not None}


class SpecAugmentConfig(Section):
    """Masks over frequency and time, without time warp; the mask holds the utterance's mean."""

    probability: float = Field(0.9, ge=0, le=1)
    num_feature_masks: int = Field(2, ge=0)
    feature_mask_size: int = Field(27, ge=2)  # mel bins; lhotse draws widths below it
    num_frame_masks: int = Field(10, ge=0)
    frame_mask_size: int = Field(50, ge=2)  # feature frames; lhotse draws widths below it
    max_frame_share: float = Field(0.15, gt=0, le=1)  # of the utterance behind frame masks together


class AugmentConfig(Section):
    """What is done to the features of training cuts; null leaves a kind out."""

    specaugment: SpecAugmentConfig | None = SpecAugmentConfig()
    noise: NoiseConfig | None = None


class ValidationConfig(Section):
    """When dev cuts are looked at, in how large batches, and what their errors are counted in."""

    every_steps: int = Field(500, ge=1)
    max_duration: float = Field(120.0, gt=0)  # seconds of audio in a batch
    unit: Literal["word", "char", "mixed"] = "word"  # of errors; see asrkd.scoring.units

    @model_serializer(mode="wrap")
    def _as_used(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without the unit where it is the word, so that the lineage of such a run is what it was."""
        own: dict[str, Any] = dump(self)
        return {name: value for name, value in own.items() if name != "unit" or value != "word"}


class AveragingConfig(Section):
    """The exported and validated weights are the mean of the last snapshots."""

    every_steps: int = Field(100, ge=1)
    last: int = Field(5, ge=1)  # snapshots; 1 takes the latest weights alone


class PhaseConfig(Section):
    """A stretch of training under fixed objectives."""

    steps: int | None = Field(None, ge=1)
    epochs: float | None = Field(None, gt=0)  # in updates of the first plan, times the passes of an epoch
    objectives: list[ObjectiveEntry] = Field(min_length=1)  # type: ignore[valid-type]
    restart: bool = True  # begin optimizer and schedule anew

    @property
    def passes_per_epoch(self) -> int:
        """How often an epoch of this phase goes over the cuts: more than once where targets say so."""
        return max(entry.settings.passes_per_epoch for entry in self.objectives)

    @model_validator(mode="after")
    def _one_length(self) -> "PhaseConfig":
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("a phase has exactly one of steps and epochs")
        return self


class TrainConfig(Section):
    """Everything that decides what a training run learns."""

    data: AnyDataConfig
    model: ModelConfig
    optim: OptimConfig = OptimConfig()
    augment: AugmentConfig = AugmentConfig()
    validation: ValidationConfig = ValidationConfig()
    averaging: AveragingConfig = AveragingConfig()
    stores: dict[str, LiveTargets | str] = {}  # names for target stores, or for whom to ask, in `targets`
    phases: list[PhaseConfig] = Field(min_length=1)
    seed: int = Field(1, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _names_of_stores(cls, tree: Any) -> Any:
        """Put the path of a store wherever an objective's ``targets`` names it."""
        stores = tree.get("stores") if isinstance(tree, dict) else None
        return _renamed(tree, stores) if isinstance(stores, dict) else tree

    @model_validator(mode="after")
    def _text_is_for_language_models(self) -> "TrainConfig":
        named = {entry.name for phase in self.phases for entry in phase.objectives}
        is_lm, is_text = isinstance(self.model, LanguageModelConfig), isinstance(self.data, TextDataConfig)
        if is_lm != is_text:
            keys = "train_text and dev_text" if is_lm else "train and dev"
            raise ValueError(f"data: this model learns from {keys}")
        if is_lm != (named == {"language_model"}) or (not is_lm and "language_model" in named):
            raise ValueError("objectives: language_model is that of a language model, and its only one")
        if is_text and self.validation.unit != "word":
            raise ValueError("validation.unit: of text perplexity is measured, not errors; leave it out")
        if is_text and "augment" in self.model_fields_set:
            raise ValueError("augment: of text nothing is augmented; leave it out")
        return self


def _renamed(tree: Any, stores: dict[str, Any]) -> Any:
    if isinstance(tree, list):
        return [_renamed(item, stores) for item in tree]
    if not isinstance(tree, dict):
        return tree
    return {
        key: stores.get(value, value)
        if key == "targets" and isinstance(value, str)
        else _renamed(value, stores)
        for key, value in tree.items()
    }
