"""Sizes of the models of ERR-KD, Seq-KD and TutorNet: configs against the papers' figures."""

from pathlib import Path

import pytest
import torch
from torch.overrides import TorchFunctionMode

from asrkd.core.config import load
from asrkd.data.features.reading import FeatureConfig
from asrkd.models.config import recognizer_architecture
from asrkd.models.recognizer import Recognizer, num_parameters
from asrkd.training.config import TrainConfig

CORPORA = Path(__file__).parents[2] / "stages/corpora"
FEATURES = FeatureConfig(type="kaldi-fbank", num_features=80, frame_shift=0.01, sampling_rate=16000)
MIB = 2**20


def built(config: str, num_features: int, num_tokens: int) -> Recognizer:
    experiment = load(TrainConfig, CORPORA / config)
    features = FEATURES.model_copy(update={"num_features": num_features})
    return Recognizer(recognizer_architecture(experiment.model, features, num_tokens))


def core(encoder_layers: int, decoder_layers: int, dim: int, filters: int) -> int:
    """Weights of the layers alone: 4 d^2 + 2 d f in an encoder layer, 8 d^2 + 2 d f in a decoder layer."""
    encoder, decoder = 4 * dim**2 + 2 * dim * filters, 8 * dim**2 + 2 * dim * filters
    return encoder_layers * encoder + decoder_layers * decoder


class _Meta(TorchFunctionMode):
    """Mode in which new tensors have a shape and no numbers."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func in (torch.empty, torch.zeros, torch.ones):
            kwargs["device"] = "meta"
        return func(*args, **kwargs)


KIM = [
    ("teacher", (6, 4, 512, 2048), 136.0, 141.0),
    ("student-a", (8, 2, 256, 1024), 32.0, 34.5),
    ("student-b", (10, 3, 256, 2048), 68.0, 70.6),
]


@pytest.mark.parametrize(("name", "sizes", "core_mib", "mib"), KIM, ids=[row[0] for row in KIM])
def test_the_transformers_of_kim_have_the_bytes_of_the_poster(name, sizes, core_mib, mib):
    model = built(f"librispeech/conf/kim-{name}.yaml", 80, 1024)  # the poster does not say how many units
    matrices = sum(
        parameter.numel()
        for part in (model.encoder.layers, model.decoder.layers)
        for parameter in part.parameters()
        if parameter.dim() > 1
    )
    assert matrices == core(*sizes)
    assert matrices * 4 / MIB == core_mib
    assert num_parameters(model) * 4 / MIB == pytest.approx(mib, rel=0.005)


@pytest.mark.parametrize(("name", "millions"), [("teacher", 16.8), ("mid", 6.1), ("small", 1.7)])
def test_the_las_models_of_munim_have_the_papers_parameters(name, millions):
    """161 bins of a 20 ms window at 16 kHz and 31 classes, as in the paper."""
    model = built(f"wsj/conf/munim-{name}.yaml", 161, 31)
    assert num_parameters(model) == pytest.approx(millions * 1e6, rel=0.03)


YOON = [
    ("jasper-dr", 332.63, 1e-5),
    ("jasper-mini", 8.19, 1e-3),
    ("quartznet", 13.09, 0.03),
    ("deepspeech2", 13.19, 0.005),
]


@pytest.mark.parametrize(("name", "millions", "tolerance"), YOON, ids=[row[0] for row in YOON])
def test_the_encoders_of_yoon_have_the_papers_parameters(name, millions, tolerance):
    """64 features and 29 characters; built without numbers, as a gigabyte would be drawn."""
    with _Meta():
        model = built(f"librispeech/conf/yoon-{name}.yaml", 64, 29)
    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}
    assert num_parameters(model) == pytest.approx(millions * 1e6, rel=tolerance)
    assert model.frame_shift == pytest.approx(0.02)


@pytest.mark.parametrize(
    ("small", "large", "ratio"),
    [
        ("ctc-mid", "ctc-teacher", 2.7),
        ("ctc-small", "ctc-teacher", 9.8),
        ("joint-mid", "joint-teacher", 2.7),
        ("joint-small", "joint-teacher", 9.8),
        ("las-mid", "las-teacher", 16.8 / 6.1),
        ("las-small", "las-teacher", 9.8),
        ("transformer-a", "transformer-teacher", 4.0),
        ("transformer-b", "transformer-teacher", 2.0),
    ],
)
def test_the_small_versions_of_the_demo_have_the_papers_ratios(small, large, ratio):
    sizes = [num_parameters(built(f"digits/conf/{name}.yaml", 80, 28)) for name in (large, small)]
    assert sizes[0] / sizes[1] == pytest.approx(ratio, rel=0.05)
