"""Settings of an experiment: data, model, optimizer, augmentation, and phases of objectives."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from asrkd.core.config import LaterKeys, Section
from asrkd.models.config import LanguageModelConfig, ModelConfig
from asrkd.objectives import ObjectiveEntry
from asrkd.targets.sources.settings import LiveTargets
from asrkd.training.data_config import AnyDataConfig, AugmentConfig, TextDataConfig
from asrkd.training.plateau import default_warmup

Beta = Annotated[float, Field(ge=0, lt=1)]


class OptimConfig(LaterKeys):
    """Settings of AdamW and of the schedule of its learning rate."""

    later_keys: ClassVar[frozenset[str]] = frozenset({"epoch_factor"})
    lr: float = Field(1e-3, gt=0, le=1e30)  # peak of the schedule; larger ones are infinite in float32
    betas: tuple[Beta, Beta] = (0.9, 0.98)
    weight_decay: float = Field(0.01, ge=0)  # weight decay of matrices; vectors are not decayed
    warmup_steps: int | None = Field(None, ge=0)  # lr rises linearly; None: a quarter, up to 10,000
    schedule: Literal["constant", "linear", "cosine", "exponential"] = "cosine"  # after the warm-up
    epoch_factor: float | None = Field(None, gt=0, lt=1)  # exponential: factor of lr for each completed epoch
    hold_share: float = Field(0.0, ge=0, lt=1)  # share of the steps after warm-up at peak lr
    decay_share: float = Field(1.0, gt=0, le=1)  # share of the steps after warm-up and hold: decay
    final_lr: float = Field(0.0, ge=0)  # as a share of lr
    clip_norm: float = Field(5.0, gt=0)  # norm of all gradients together
    accumulate: int = Field(1, ge=1)  # batches of an update

    def warmup(self, total_steps: int) -> int:
        """Return the updates of the warm-up in a schedule of ``total_steps`` updates."""
        if self.warmup_steps is not None:
            return self.warmup_steps
        return default_warmup(total_steps)

    @model_validator(mode="after")
    def _no_setting_without_effect(self) -> "OptimConfig":
        is_exponential = self.schedule == "exponential"
        if is_exponential != (self.epoch_factor is not None):
            raise ValueError(
                "schedule: exponential and epoch_factor go together, such as epoch_factor: 0.99; "
                "with another schedule it is epoch_factor: null"
            )
        shape = {"hold_share": 0.0, "decay_share": 1.0, "final_lr": 0.0}
        if is_exponential:
            del shape["final_lr"]  # its floor
        idle = [name for name, unused in shape.items() if getattr(self, name) != unused]
        if self.schedule in ("constant", "exponential") and idle:
            needed = ", ".join(f"{name}: {shape[name]:g}" for name in idle)
            raise ValueError(f"{', '.join(idle)}: no effect with schedule: {self.schedule}; set {needed}")
        return self


class ValidationConfig(LaterKeys):
    """Interval of validation, its batches, and the unit of errors."""

    later_keys: ClassVar[frozenset[str]] = frozenset({"unit"})
    every_steps: int = Field(500, ge=1)
    max_duration: float = Field(120.0, gt=0)  # seconds of audio in a batch
    unit: Literal["word", "char", "mixed"] = "word"  # unit of errors; see asrkd.scoring.units


class AveragingConfig(Section):
    """Averaging of the last snapshots, whose mean is validated and exported."""

    every_steps: int = Field(100, ge=1)
    last: int = Field(5, ge=1)  # snapshots; 1: the latest weights alone


class PhaseConfig(LaterKeys):
    """A phase of training with fixed objectives."""

    later_keys: ClassVar[frozenset[str]] = frozenset({"optim"})
    steps: int | None = Field(None, ge=1)
    epochs: float | None = Field(None, gt=0)  # updates of the first plan times the passes of an epoch
    objectives: list[ObjectiveEntry] = Field(min_length=1)  # type: ignore[valid-type]
    restart: bool = True  # optimizer and schedule start again
    optim: OptimConfig | None = None  # from this phase on; other keys are those of the experiment's optim

    @property
    def passes_per_epoch(self) -> int:
        """Passes over the cuts in an epoch: several where targets are expanded."""
        return max(entry.settings.passes_per_epoch for entry in self.objectives)

    @model_validator(mode="after")
    def _one_length(self) -> "PhaseConfig":
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("expected exactly one of steps and epochs in a phase")
        return self

    @model_validator(mode="after")
    def _optim_of_a_new_schedule(self) -> "PhaseConfig":
        if self.optim is not None and not self.restart:
            raise ValueError("optim of a phase needs restart: true, a new optimizer and schedule")
        return self


class TrainConfig(Section):
    """Settings that determine the result of a training run."""

    data: AnyDataConfig
    model: ModelConfig
    optim: OptimConfig = OptimConfig()
    augment: AugmentConfig = AugmentConfig()
    validation: ValidationConfig = ValidationConfig()
    averaging: AveragingConfig = AveragingConfig()
    stores: dict[str, LiveTargets | str] = {}  # names, for `targets`, of stores and live teachers
    phases: list[PhaseConfig] = Field(min_length=1)
    seed: int = Field(1, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _names_of_stores(cls, tree: Any) -> Any:
        """Replace names in ``targets`` of objectives by their stores."""
        stores = tree.get("stores") if isinstance(tree, dict) else None
        return _renamed(tree, stores) if isinstance(stores, dict) else tree

    @model_validator(mode="before")
    @classmethod
    def _complete_optim(cls, tree: Any) -> Any:
        """Complete the ``optim`` of phases by the keys of the experiment's."""
        if not isinstance(tree, dict) or not isinstance(tree.get("phases"), list):
            return tree
        return tree | {"phases": [_with_optim(phase, tree.get("optim")) for phase in tree["phases"]]}

    def optim_of(self, phase: int) -> OptimConfig:
        """Return the settings of the optimizer and schedule of a phase, numbered from 0.

        A phase without restart goes on with those of the one before.
        """
        while phase > 0 and not self.phases[phase].restart:
            phase -= 1
        return self.phases[phase].optim or self.optim

    @model_validator(mode="after")
    def _one_size_of_updates(self) -> "TrainConfig":
        if any(phase.optim and phase.optim.accumulate != self.optim.accumulate for phase in self.phases):
            raise ValueError(
                "phases: optim.accumulate must be one for all phases, that of the experiment's optim"
            )
        return self

    @model_validator(mode="after")
    def _text_is_for_language_models(self) -> "TrainConfig":
        named = {entry.name for phase in self.phases for entry in phase.objectives}
        is_lm, is_text = isinstance(self.model, LanguageModelConfig), isinstance(self.data, TextDataConfig)
        if is_lm != is_text:
            keys = "train_text and dev_text" if is_lm else "train and dev"
            raise ValueError(f"data: expected {keys} for this model")
        if is_lm != (named == {"language_model"}) or (not is_lm and "language_model" in named):
            raise ValueError(
                "objectives: language_model is the only one of a language model, and for no other"
            )
        if is_text and self.validation.unit != "word":
            raise ValueError("validation.unit: no effect on text, which has perplexity alone; remove it")
        if is_text and "augment" in self.model_fields_set:
            raise ValueError("augment: no effect on text; remove it")
        return self


def _with_optim(phase: Any, optim: Any) -> Any:
    both = isinstance(phase, dict) and isinstance(phase.get("optim"), dict) and isinstance(optim, dict)
    return phase | {"optim": optim | phase["optim"]} if both else phase


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
