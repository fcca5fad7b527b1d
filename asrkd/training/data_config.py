"""Settings of the data of a run: cuts, or text for a language model, and the augmentation of features.

Paths are relative to the working directory.
"""

from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import Discriminator, Field, PlainValidator, Tag

from asrkd.core.config import Section
from asrkd.data.cuts.folds import FoldSettings
from asrkd.data.cuts.manifests import set_name
from asrkd.data.features.noise import NoiseConfig


class BatchLimit(NamedTuple):
    """The largest batch, and the key that sets it."""

    key: str
    size: float  # seconds of audio, or tokens


def _dev_manifests(value: Any) -> Path | list[Path]:
    """Validate ``dev``; ValueError unless it is a path, or a list of paths whose sets differ in name."""
    if isinstance(value, (str, Path)):
        return Path(value)
    if not isinstance(value, list) or not all(isinstance(each, (str, Path)) for each in value):
        raise ValueError("expected a path, or a list of paths")
    paths = [Path(each) for each in value]
    if not paths:
        raise ValueError("expected a path, or a list of at least one path")
    names = [set_name(path) for path in paths]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(
            f"two manifests of the name {twice[0]!r}, under which errors are recorded; rename one of them"
        )
    return paths


DevManifests = Annotated[Path | list[Path], PlainValidator(_dev_manifests)]


class DataConfig(Section):
    """Cuts, and the size of their batches."""

    train: Path  # training cuts
    dev: DevManifests  # validation cuts; of several sets together, and the errors of each
    tokens: Path  # folder with tokens.txt or bpe.model, from `asrkd prepare`
    max_duration: float = Field(60.0, gt=0)  # seconds of audio in a batch, with padding
    num_buckets: int = Field(10, ge=1)  # cuts of like duration share a batch
    min_cut: float = Field(0.1, ge=0)  # seconds; shorter cuts are left out, with a warning
    max_cut: float = Field(30.0, gt=0)  # seconds; longer cuts are left out, with a warning
    folds: FoldSettings | None = None  # fold whose cuts are left out of the training

    @property
    def dev_manifests(self) -> list[Path]:
        """The manifests of the validation cuts, one or more."""
        return self.dev if isinstance(self.dev, list) else [self.dev]

    @property
    def batch_limit(self) -> BatchLimit:
        """The limit of a batch in seconds of audio."""
        return BatchLimit("max_duration", self.max_duration)


class TextDataConfig(Section):
    """Text, and the size of its batches.

    A file is plain text, a sentence a line, gzipped or not; or a cuts manifest
    (.jsonl, .jsonl.gz), whose transcripts are read.
    """

    train_text: Path  # training text
    dev_text: Path  # validation text
    tokens: Path  # folder with tokens.txt or bpe.model, from `asrkd prepare`
    max_tokens: int = Field(4000, ge=1)  # tokens of a batch, with ends of sentences and padding
    num_buckets: int = Field(10, ge=1)  # sentences of like length share a batch
    max_sentence: int = Field(500, ge=1)  # tokens; longer sentences are left out, with a warning

    @property
    def batch_limit(self) -> BatchLimit:
        """The limit of a batch in tokens."""
        return BatchLimit("max_tokens", self.max_tokens)


def _which_data(value: Any) -> str:
    """Choose the class of an experiment's ``data`` by its keys."""
    keys = value if isinstance(value, dict) else getattr(type(value), "model_fields", {})
    return "TextDataConfig" if "train_text" in keys or "dev_text" in keys else "DataConfig"


AnyDataConfig = Annotated[
    Annotated[DataConfig, Tag("DataConfig")] | Annotated[TextDataConfig, Tag("TextDataConfig")],
    Discriminator(_which_data),
]


class SpecAugmentConfig(Section):
    """Masks over frequency and time, without time warp; masked values are the utterance's mean."""

    probability: float = Field(0.9, ge=0, le=1)
    num_feature_masks: int = Field(2, ge=0)
    feature_mask_size: int = Field(27, ge=2)  # mel bins; lhotse draws widths below it
    num_frame_masks: int = Field(10, ge=0)
    frame_mask_size: int = Field(50, ge=2)  # feature frames; lhotse draws widths below it
    frame_mask_share: float = Field(0.05, gt=0, le=1)  # largest mask, as a share of the utterance
    max_frame_share: float = Field(0.15, gt=0, le=1)  # share of the utterance under all frame masks together


class AugmentConfig(Section):
    """Augmentation of the features of training cuts; null disables a kind."""

    specaugment: SpecAugmentConfig | None = SpecAugmentConfig()
    noise: NoiseConfig | None = None
