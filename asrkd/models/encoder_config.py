"""The sizes of encoders. Frames here are encoder frames: a quarter as many as feature frames."""

from pydantic import Field, model_validator

from asrkd.core.config import OneOf, Section


class TransformerLayers(Section):
    """Sizes of Transformer layers, of an encoder, a decoder or a language model."""

    num_layers: int = Field(6, ge=1)
    dim: int = Field(512, ge=2)  # of the residual stream
    num_heads: int = Field(8, ge=1)
    feed_forward_dim: int = Field(2048, ge=1)
    dropout: float = Field(0.1, ge=0.0, lt=1.0)

    @model_validator(mode="after")
    def _splits(self) -> "TransformerLayers":
        if self.dim % self.num_heads or (self.dim // self.num_heads) % 2:
            raise ValueError(f"dim {self.dim} must be an even multiple of num_heads {self.num_heads}")
        return self


class LasDecoderConfig(Section):
    """Sizes of a GRU decoder with location-aware attention, as of "Listen, attend and spell"."""

    num_layers: int = Field(3, ge=1)
    dim: int = Field(384, ge=1)  # of the GRU
    embedding_dim: int = Field(32, ge=1)  # of tokens
    attention_channels: int = Field(128, ge=1)  # of the convolution over the last alignment
    attention_kernel_size: int = Field(15, ge=1)  # frames, an odd number
    dropout: float = Field(0.4, ge=0.0, lt=1.0)

    @model_validator(mode="after")
    def _centered(self) -> "LasDecoderConfig":
        if self.attention_kernel_size % 2 == 0:
            raise ValueError(f"attention_kernel_size {self.attention_kernel_size} must be odd")
        return self


class DecoderConfig(OneOf):
    """Exactly one kind of attention decoder with its sizes."""

    transformer: TransformerLayers | None = None
    las: LasDecoderConfig | None = None


class ConformerConfig(Section):
    """Sizes and switches of a Conformer, by itself those of a Conformer-CTC recognizer."""

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


class TransformerEncoderConfig(TransformerLayers):
    """Sizes of a Transformer encoder behind the Conformer's front end."""

    front_end_channels: int = Field(32, ge=1)


class LasEncoderConfig(Section):
    """Sizes of a convolutional and bidirectional GRU encoder, as of "Listen, attend and spell"."""

    num_layers: int = Field(5, ge=1)
    dim: int = Field(384, ge=1)  # of the GRU of each direction; a frame has twice as many values
    channels: int = Field(32, ge=1)  # of both convolutions
    kernel_size: tuple[int, int] = (5, 8)  # of both, in frames (an odd number) and features
    dropout: float = Field(0.4, ge=0.0, lt=1.0)

    @model_validator(mode="after")
    def _centered(self) -> "LasEncoderConfig":
        if min(self.kernel_size) < 1 or self.kernel_size[0] % 2 == 0:
            raise ValueError(f"kernel_size {list(self.kernel_size)}: expected an odd number of frames first")
        return self


class EncoderConfig(OneOf):
    """Exactly one kind of encoder with its sizes."""

    conformer: ConformerConfig | None = None
    transformer: TransformerEncoderConfig | None = None
    las: LasEncoderConfig | None = None

    @property
    def dropout(self) -> float:
        """Of the kind that is chosen, at what leaves the encoder too."""
        return float(getattr(self.chosen, "dropout"))  # noqa: B009
