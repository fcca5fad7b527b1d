"""What a run learns from: cuts, or for a language model text. Paths are relative to the working directory."""

from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import Discriminator, Field, Tag

from asrkd.core.config import Section
from asrkd.data.cuts.folds import FoldSettings


class BatchLimit(NamedTuple):
    """The largest batch, and the key that says so."""

    key: str
    size: float  # seconds of audio, or tokens


class DataConfig(Section):
    """Which cuts, and how they make batches."""

    train: Path  # cuts to learn from
    dev: Path  # cuts to validate on
    tokens: Path  # folder with tokens.txt or bpe.model, as prepare leaves it
    max_duration: float = Field(60.0, gt=0)  # seconds of audio in a batch, padding counted
    num_buckets: int = Field(10, ge=1)  # cuts of like duration share a batch
    min_cut: float = Field(0.1, ge=0)  # seconds; shorter cuts are left out, and counted in the log
    max_cut: float = Field(30.0, gt=0)  # seconds; longer ones likewise
    folds: FoldSettings | None = None  # learn from all cuts but those of a fold

    @property
    def batch_limit(self) -> BatchLimit:
        """Seconds of audio."""
        return BatchLimit("max_duration", self.max_duration)


class TextDataConfig(Section):
    """Which text, and how its lines make batches.

    A file is plain text, a sentence a line, gzipped or not; or cuts (.jsonl,
    .jsonl.gz), of which the transcripts are taken.
    """

    train_text: Path  # to learn from
    dev_text: Path  # to validate on
    tokens: Path  # folder with tokens.txt or bpe.model, as prepare leaves it
    max_tokens: int = Field(4000, ge=1)  # in a batch, ends of sentences and padding counted
    num_buckets: int = Field(10, ge=1)  # sentences of like length share a batch
    max_sentence: int = Field(500, ge=1)  # tokens; longer sentences are left out, and counted in the log

    @property
    def batch_limit(self) -> BatchLimit:
        """Tokens."""
        return BatchLimit("max_tokens", self.max_tokens)


def _which_data(value: Any) -> str:
    """The class of an experiment's ``data``, by the keys it has."""
    keys = value if isinstance(value, dict) else getattr(type(value), "model_fields", {})
    return "TextDataConfig" if "train_text" in keys or "dev_text" in keys else "DataConfig"


AnyDataConfig = Annotated[
    Annotated[DataConfig, Tag("DataConfig")] | Annotated[TextDataConfig, Tag("TextDataConfig")],
    Discriminator(_which_data),
]
