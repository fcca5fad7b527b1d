"""Small recognizers of every kind, for tests."""

import torch

from asrkd.data.features.reading import FeatureConfig
from asrkd.models.config import EncoderDecoderArchitecture, EncoderDecoderConfig, TransducerConfig
from asrkd.models.recognizer import Recognizer

FEATURES = FeatureConfig(type="kaldi-fbank", num_features=20, frame_shift=0.01, sampling_rate=8000)
LAYERS = {"num_layers": 2, "dim": 16, "num_heads": 2, "feed_forward_dim": 24}
ENCODERS = {
    "conformer": {"conformer": LAYERS | {"kernel_size": 5, "front_end_channels": 3}},
    "transformer": {"transformer": LAYERS | {"front_end_channels": 3}},
    "las": {"las": {"num_layers": 2, "dim": 7, "channels": 3, "kernel_size": (5, 4)}},
    "jasper": {
        "jasper": {
            "prologue": {"channels": 6, "kernel_size": 9},
            "blocks": [{"channels": 7, "kernel_size": 3}, {"channels": 8, "kernel_size": 5, "repeat": 3}],
            "epilogue": [
                {"channels": 9, "kernel_size": 3, "dilation": 2},
                {"channels": 10, "kernel_size": 1},
            ],
        }
    },
    "quartznet": {
        "quartznet": {
            "prologue": {"channels": 6, "kernel_size": 11},
            "blocks": [{"channels": 7, "kernel_size": 5}, {"channels": 8, "kernel_size": 7}],
            "epilogue": [{"channels": 9, "kernel_size": 1}],
        }
    },
    "deepspeech2": {
        "deepspeech2": {
            "channels": 3, "kernel_sizes": ((5, 5), (5, 3)), "num_layers": 2, "dim": 7, "output_dim": 9,
        }
    },
}  # fmt: skip
DECODERS = {
    "transformer": {"transformer": LAYERS | {"dim": 12}},
    "las": {
        "las": {
            "num_layers": 2,
            "dim": 9,
            "embedding_dim": 5,
            "attention_channels": 6,
            "attention_kernel_size": 3,
        }
    },
}


def recognizer(
    encoder: str,
    decoder: str | None,
    *,
    ctc: bool = False,
    num_tokens: int = 7,
    subsampling: int = 4,
    transducer: TransducerConfig | None = None,
) -> Recognizer:
    """One with random weights, in evaluation mode."""
    chosen = None if decoder is None else DECODERS[decoder]
    sizes = {kind: sizes | {"subsampling": subsampling} for kind, sizes in ENCODERS[encoder].items()}
    parts = EncoderDecoderConfig(encoder=sizes, decoder=chosen, ctc=ctc, transducer=transducer)
    architecture = EncoderDecoderArchitecture(parts=parts, features=FEATURES, num_tokens=num_tokens)
    torch.manual_seed(3)
    return Recognizer(architecture).eval()
