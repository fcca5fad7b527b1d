"""Tiny encoders with random weights, as their libraries save them: 50 Hz, 16 numbers a frame, 3 layers."""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch
import torchaudio
from safetensors.torch import save_file
from torch import nn

CONVOLUTIONS = [[8, 10, 5], *[[8, 3, 2]] * 4, *[[8, 2, 2]] * 2]  # strides and kernels are the real ones
WAVLM = pytest.mark.skipif(
    not hasattr(torchaudio.models, "wavlm_model"), reason=f"torchaudio {version('torchaudio')} has no WavLM"
)
KINDS = ["base", "large", pytest.param("wavlm", marks=WAVLM)]


def arguments(kind: str) -> dict[str, Any]:
    """Of torchaudio's function: 'base' (group norm, norms last), 'large' (layer norms, first), 'wavlm'."""
    large = kind == "large"
    relative = {"encoder_num_buckets": 8, "encoder_max_distance": 16} if kind == "wavlm" else {}
    return relative | {
        "extractor_mode": "layer_norm" if large else "group_norm",
        "extractor_conv_layer_config": CONVOLUTIONS,
        "extractor_conv_bias": large,
        "encoder_embed_dim": 16,
        "encoder_projection_dropout": 0.1,
        "encoder_pos_conv_kernel": 8,
        "encoder_pos_conv_groups": 2,
        "encoder_num_layers": 3,
        "encoder_num_heads": 2,
        "encoder_attention_dropout": 0.1,
        "encoder_ff_interm_features": 24,
        "encoder_ff_interm_dropout": 0.1,
        "encoder_dropout": 0.1,
        "encoder_layer_norm_first": large,
        "encoder_layer_drop": 0.1,
        "aux_num_out": None,
    }


def torchaudio_model(folder: Path, kind: str = "base", seed: int = 0) -> nn.Module:
    """A model of torchaudio, saved into ``folder`` as a teacher."""
    torch.manual_seed(seed)
    function = "wavlm_model" if kind == "wavlm" else "wav2vec2_model"
    model: nn.Module = getattr(torchaudio.models, function)(**arguments(kind)).eval()
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: value.contiguous() for name, value in model.state_dict().items()}
    save_file(state, str(folder / "model.safetensors"))
    (folder / "config.json").write_text(json.dumps({"function": function, "arguments": arguments(kind)}))
    return model


def hugging_face_model(folder: Path, family: str, kind: str = "base") -> nn.Module:
    """A model of transformers, saved into ``folder``; the test is skipped where transformers is not."""
    library = pytest.importorskip(
        "transformers", reason="no transformers; install it with: pip install -e .[hf]"
    )
    name = {"wav2vec2": "Wav2Vec2", "hubert": "Hubert", "wavlm": "WavLM"}[family]
    large = kind == "large"
    settings = getattr(library, f"{name}Config")(
        hidden_size=16,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=24,
        conv_dim=[size for size, _, _ in CONVOLUTIONS],
        num_conv_pos_embeddings=8,
        num_conv_pos_embedding_groups=2,
        feat_extract_norm="layer" if large else "group",
        conv_bias=large,
        do_stable_layer_norm=large,
        num_buckets=8,
        max_bucket_distance=16,
    )
    torch.manual_seed(1)
    model: nn.Module = getattr(library, f"{name}Model")(settings).eval()
    model.save_pretrained(str(folder), safe_serialization=True)  # type: ignore[operator]
    return model


def whisper_model(folder: Path, positions: int = 100) -> nn.Module:
    """Whisper with a window of ``positions`` frames of 20 ms, saved into ``folder``."""
    library = pytest.importorskip(
        "transformers", reason="no transformers; install it with: pip install -e .[hf]"
    )
    settings = library.WhisperConfig(
        d_model=16,
        encoder_layers=3,
        encoder_attention_heads=2,
        encoder_ffn_dim=24,
        decoder_layers=1,
        decoder_attention_heads=2,
        decoder_ffn_dim=24,
        max_source_positions=positions,
        vocab_size=60,
        pad_token_id=1,
        bos_token_id=1,
        eos_token_id=1,
        decoder_start_token_id=1,
        suppress_tokens=None,
        begin_suppress_tokens=None,
    )
    torch.manual_seed(2)
    model: nn.Module = library.WhisperModel(settings).eval()
    model.save_pretrained(str(folder), safe_serialization=True)  # type: ignore[operator]
    return model
