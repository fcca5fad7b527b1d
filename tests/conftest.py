"""A corpus of a few seconds, small enough that a model is trained on it in a test; programs tests need."""

import os

# One thread of OpenMP for each process of tests, those of children included: several processes share the
# cores, and sums taken by one thread have the same bits everywhere. Read when torch is first imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from lhotse import AudioSource, Features, MonoCut, NumpyFilesWriter, Recording, SupervisionSegment
from safetensors.torch import load_file, save_file

from asrkd.data.cuts.manifests import write_cuts
from asrkd.data.tokens import train_char

pytest_plugins = ["tests.scheduling"]

# System programs that some tests need: what to install, by the name that ASRKD_REQUIRED knows it by.
PACKAGES = {"slurm": "slurm-wlm munge", "sctk": "sctk", "chromium": "chromium chromium-driver"}
SEARCHED = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"

WORDS = ["NO", "YES", "ON", "OFF"]
NUM_FEATURES = 8
SAMPLING_RATE = 8000


def pytest_configure() -> None:
    """Refuse a name in ASRKD_REQUIRED that requires nothing."""
    for name in required() - PACKAGES.keys():
        raise pytest.UsageError(f"ASRKD_REQUIRED: {name!r} is none of {', '.join(PACKAGES)}")


def required() -> set[str]:
    """The names in ASRKD_REQUIRED, which stand between commas or spaces."""
    return set(filter(None, re.split(r"[,\s]+", os.environ.get("ASRKD_REQUIRED", ""))))


@pytest.fixture(scope="session")
def need() -> Callable[..., str]:
    """``need("sctk", "sctk")``: the PATH on which all programs after the name are.

    Where one is missing the test is skipped, with the command that installs
    it; it fails if ASRKD_REQUIRED, which `.ci/run` sets, names what it needs.
    """

    def find(name: str, *programs: str) -> str:
        missing = [program for program in programs if not shutil.which(program, path=SEARCHED)]
        if missing:
            reason = f"no {missing[0]} here; to run it: sudo apt install {PACKAGES[name]}"
            (pytest.fail if name in required() else pytest.skip)(reason)
        return SEARCHED

    return find


def make_cuts(folder: Path, split: str, count: int) -> list[MonoCut]:
    """Cuts whose features spell their words: 12 frames a letter, a bump in the letter's band, noise."""
    rng = np.random.default_rng(len(split) + count)
    writer = NumpyFilesWriter(folder / f"features_{split}")
    cuts = []
    for number in range(count):
        text = " ".join(rng.choice(WORDS, size=1 + number % 3))
        frames = np.concatenate([_letter(letter, rng) for letter in text] + [_letter(" ", rng)])
        cut_id, num_samples = f"{split}-{number:03d}", len(frames) * SAMPLING_RATE // 100
        source = AudioSource("file", [0], str(folder / f"{cut_id}.wav"))
        recording = Recording(cut_id, [source], SAMPLING_RATE, num_samples, num_samples / SAMPLING_RATE)
        key = writer.write(cut_id, frames)
        cut = MonoCut(cut_id, 0.0, recording.duration, 0, recording=recording)
        cut.features = Features(
            "kaldi-fbank", len(frames), NUM_FEATURES, 0.01, SAMPLING_RATE, 0.0, recording.duration,
            writer.name, str(writer.storage_path), key, cut_id, 0,
        )  # fmt: skip
        cut.supervisions = [SupervisionSegment(cut_id, cut_id, 0.0, recording.duration, 0, text, speaker="s")]
        cut.custom = {"audio_sha256": f"{number:064x}"}
        cuts.append(cut)
    return cuts


def _letter(letter: str, rng: np.random.Generator) -> np.ndarray:
    frames = rng.normal(0.0, 0.3, (12, NUM_FEATURES)).astype(np.float32)
    if letter != " ":
        frames[2:10, "NOYESF".index(letter)] += 4.0
    return frames


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared folder: cuts_train, cuts_dev and tokens, as `asrkd prepare` leaves them."""
    folder = tmp_path_factory.mktemp("corpus")
    for split, count in (("train", 30), ("dev", 6)):
        cuts = make_cuts(folder, split, count)
        write_cuts(folder / f"cuts_{split}.jsonl.gz", cuts)
        if split == "train":
            train_char([cut.supervisions[0].text for cut in cuts]).save(folder)
    return folder


TINY = """
data: {{train: {folder}/cuts_train.jsonl.gz, dev: {folder}/cuts_dev.jsonl.gz, tokens: {folder},
        max_duration: 6, num_buckets: 2}}
model: {{num_layers: 2, dim: 16, num_heads: 2, feed_forward_dim: 24, kernel_size: 5, front_end_channels: 2}}
optim: {{lr: 0.01, warmup_steps: 3}}
augment: {{specaugment: {{num_frame_masks: 1, frame_mask_size: 4, num_feature_masks: 1,
                          feature_mask_size: 2}}}}
validation: {{every_steps: 4}}
averaging: {{every_steps: 2, last: 2}}
phases: [{{steps: 8, objectives: [ctc]}}]
"""


@pytest.fixture(scope="session")
def teacher(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder after sixty steps on the corpus: it recognizes something, and still errs."""
    from asrkd.commands.train import TrainOptions, train
    from asrkd.core.stopping import StopRequest

    folder = tmp_path_factory.mktemp("trained")
    (folder / "config.yaml").write_text(TINY.format(folder=corpus))
    plain = ("optim.lr=0.02", "augment={specaugment: null}")
    overrides = ["phases.0.steps=60", "validation.every_steps=60", *plain]
    options = TrainOptions("cpu", threads=1)
    train(folder / "config.yaml", folder / "teacher", overrides, options, StopRequest())
    return folder / "teacher"


@pytest.fixture(scope="session")
def retouched(teacher: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The teacher with one weight changed: another model, as far as stores are concerned."""
    folder = tmp_path_factory.mktemp("retouched") / "teacher"
    shutil.copytree(teacher, folder, ignore=shutil.ignore_patterns("checkpoints"))
    weights = load_file(str(folder / "model.safetensors"))
    weights["ctc_head.bias"] = weights["ctc_head.bias"] + 0.01
    save_file(weights, str(folder / "model.safetensors"))
    return folder


@pytest.fixture(scope="session")
def stores(teacher: Path, corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nbest, quantizer and codebook of the training cuts, for layer 2 of the teacher."""
    from asrkd.commands.distill import codebook, nbest
    from asrkd.commands.distill_quantizer import quantizer
    from asrkd.commands.distill_request import DistillRequest, quantizer_request
    from asrkd.core.stopping import StopRequest
    from asrkd.decoding import SearchOptions

    folder, stop = tmp_path_factory.mktemp("stores"), StopRequest()

    def ask(name: str) -> DistillRequest:
        return DistillRequest(teacher, (corpus / "cuts_train.jsonl.gz",), folder / name, cuts_per_shard=12)

    nbest(ask("nbest"), "prefix-beam", SearchOptions(beam=4, num_best=4), stop)
    quantizer(ask("quantizer"), quantizer_request(2, 2, steps=3), stop)
    codebook(ask("codebook"), folder / "quantizer", stop)
    return folder


@pytest.fixture
def config(corpus: Path, tmp_path: Path) -> Path:
    """A config that trains a very small model on the corpus for eight steps."""
    path = tmp_path / "config.yaml"
    path.write_text(TINY.format(folder=corpus))
    return path


@pytest.fixture(scope="module")
def lasting_config(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, for runs that several tests look at."""
    path = tmp_path_factory.mktemp("lasting") / "config.yaml"
    path.write_text(TINY.format(folder=corpus))
    return path
