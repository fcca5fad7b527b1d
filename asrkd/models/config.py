"""The sizes of a recogniser, as they stand in an experiment's config."""

from typing import Literal

from pydantic import Field, model_validator

from asrkd.config import Section


class ConformerConfig(Section):
    """Sizes and switches of a Conformer-CTC recogniser.

    Frames here are encoder frames: a quarter as many as feature frames.
    """

    num_layers: int = Field(12, ge=1)
    dim: int = Field(256, ge=2)  # of the residual stream
    num_heads: int = Field(4, ge=1)
    feed_forward_dim: int = Field(1024, ge=1)
    kernel_size: int = Field(15, ge=1)  # frames, of the depthwise convolution
    front_end_channels: int = Field(32, ge=1)
    dropout: float = Field(0.1, ge=0.0, lt=1.0)
    causal: bool = False  # no convolution looks ahead
    chunk_frames: int | None = Field(None, ge=1)  # attention in chunks of so many frames
    left_chunks: int | None = Field(None, ge=0)  # chunks of the past that are seen; None: all

    @model_validator(mode="after")
    def _fits_together(self) -> "ConformerConfig":
        if self.dim % self.num_heads or (self.dim // self.num_heads) % 2:
            raise ValueError(f"dim {self.dim} must be an even multiple of num_heads {self.num_heads}")
        if self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size {self.kernel_size} must be odd")
        if self.left_chunks is not None and self.chunk_frames is None:
            raise ValueError("left_chunks has a meaning only with chunk_frames")
        if self.chunk_frames is not None and not self.causal:
            raise ValueError("chunk_frames needs causal: true, or the convolutions would look past a chunk")
        return self


class FeatureConfig(Section):
    """What features a model reads; taken from the cuts it is trained on, checked on every other."""

    type: str  # lhotse's name of the extractor
    num_features: int = Field(ge=1)
    frame_shift: float = Field(gt=0)  # seconds
    sampling_rate: int = Field(ge=1)  # Hz


class Architecture(Section):
    """Everything needed to build a recogniser without its weights."""

    kind: Literal["conformer-ctc"] = "conformer-ctc"
    conformer: ConformerConfig
    features: FeatureConfig
    num_tokens: int = Field(ge=2)  # V, with blank
