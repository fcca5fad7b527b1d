"""The sizes of Transformer layers and of attention decoders."""

from pydantic import Field, model_validator

from asrkd.config import OneOf, Section


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
    def _centred(self) -> "LasDecoderConfig":
        if self.attention_kernel_size % 2 == 0:
            raise ValueError(f"attention_kernel_size {self.attention_kernel_size} must be odd")
        return self


class DecoderConfig(OneOf):
    """Exactly one kind of attention decoder with its sizes."""

    transformer: TransformerLayers | None = None
    las: LasDecoderConfig | None = None
