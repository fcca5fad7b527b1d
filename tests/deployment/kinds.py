"""Models of the four kinds that are exported, with random weights sharp enough for tokens to vary."""

from pathlib import Path

import torch

from asrkd.data.features.reading import FeatureConfig
from asrkd.data.tokens import CharTokens
from asrkd.models.config import EncoderDecoderArchitecture, EncoderDecoderConfig, TransducerConfig
from asrkd.models.directory import save_model
from asrkd.models.recognizer import Recognizer

RATE = 16000
KINDS = ("offline-ctc", "offline-transducer", "streaming-ctc", "streaming-transducer")
SYMBOLS = ["<blk>", " ", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ'"]


def recognizer(kind: str, *, num_features: int = 80, context_size: int = 2, **sizes: object) -> Recognizer:
    """Build a recognizer, its front end normalizing noise as :func:`audio` makes."""
    torch.manual_seed(4)
    conformer = {"num_layers": 2, "dim": 16, "num_heads": 2, "feed_forward_dim": 24, "kernel_size": 5}
    conformer |= {"front_end_channels": 3, "dropout": 0.0}
    if kind.startswith("streaming"):
        conformer |= {"causal": True, "chunk_frames": 4, "left_chunks": 2}
    head = TransducerConfig(context_size=context_size, predictor_dim=16, joiner_dim=12)
    parts = EncoderDecoderConfig(
        encoder={"conformer": conformer | sizes},
        ctc=kind.endswith("ctc"),
        transducer=head if kind.endswith("transducer") else None,
    )
    features = FeatureConfig(
        type="kaldi-fbank", num_features=num_features, frame_shift=0.01, sampling_rate=RATE
    )
    architecture = EncoderDecoderArchitecture(parts=parts, features=features, num_tokens=len(SYMBOLS))
    model = Recognizer(architecture).eval()
    with torch.no_grad():
        head_out = model.ctc_head if model.transducer is None else model.transducer.out
        head_out.weight.mul_(8)
        head_out.bias[0] += 2.0
    model.encoder.front_end.set_statistics(
        torch.full((num_features,), -6.0), torch.full((num_features,), 2.0)
    )
    return model


def saved(kind: str, folder: Path, **sizes: object) -> Path:
    """Write a model folder."""
    model = recognizer(kind, **sizes)
    tokens = CharTokens(SYMBOLS, where="tests")
    save_model(folder, model.architecture, model.state_dict(), tokens, {})
    return folder


def audio(seed: int, num_samples: int) -> torch.Tensor:
    """Noise whose loudness and color change, (S,)."""
    rng = torch.Generator().manual_seed(seed)
    noise = torch.randn(num_samples, generator=rng)
    loudness = torch.rand(num_samples // 800 + 1, generator=rng).repeat_interleave(800)[:num_samples]
    return 0.3 * loudness**2 * noise.cumsum(0).sub(noise.cumsum(0).mean()).sin()
