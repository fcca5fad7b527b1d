"""Smallest pipeline: a corpus of tones, and every command that writes files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile

from asrkd.core import files
from asrkd.core.artifacts import METRICS

CONFIG = """\
data: {train: data/cuts_train.jsonl.gz, dev: data/cuts_dev.jsonl.gz, tokens: data, max_duration: 6}
model: {num_layers: 2, dim: 16, num_heads: 2, feed_forward_dim: 24, kernel_size: 5, front_end_channels: 2}
optim: {lr: 0.01, warmup_steps: 3}
validation: {every_steps: 3}
averaging: {every_steps: 2, last: 2}
stores: {nbest: exp/nbest, codebook: exp/codebook}
phases: [{steps: 9, objectives: [ctc]}]
"""
STUDENT = (
    "phases=[{steps: 9, objectives: [{ctc: {targets: nbest}}, {codebook: {targets: codebook, layer: 1}}]}]"
)
ASK = ("--teacher", "exp/teacher", "--cuts", "data/cuts_train.jsonl.gz", "--cuts-per-shard")
SAMPLING_RATE = 8000


@dataclass(frozen=True)
class Step:
    """Command and its output folder."""

    name: str
    words: tuple[str, ...]
    out: str  # relative to the working folder


def steps() -> list[Step]:
    """Return the commands in order, as typed in a folder beside the corpus."""
    train = ("train", "../config.yaml", "--threads", "1", "--resume")
    by = ("--quantizer", "exp/quantizer")
    quantizer = ("--layer", "2", "--codebooks", "2", "--steps", "4")
    return [
        _step("prepare", "data", "prepare", "tsv", "../corpus", "--cuts-per-shard", "5", "--speeds", "1.1"),
        _step("train teacher", "exp/teacher", *train),
        _step("distill nbest", "exp/nbest", "distill", "nbest", *ASK, "20", "--beam", "3", "--nbest", "3"),
        _step("distill quantizer", "exp/quantizer", "distill", "quantizer", *ASK[:4], *quantizer),
        _step("distill codebook", "exp/codebook", "distill", "codebook", *ASK, "6", *by),
        _step("train student", "exp/student", *train, "--set", STUDENT),
        _step("score", "exp/score", "score", "exp/student", "--cuts", "data/cuts_dev.jsonl.gz"),
    ]


def _step(name: str, out: str, *words: str) -> Step:
    return Step(name, (*words, "--out", out), out)


def write_corpus(folder: Path) -> None:
    """Write ``corpus/``, tones with made-up transcripts, and ``config.yaml`` below ``folder``."""
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(20)
    rows = ["utt_id\taudio\tspeaker\ttext\tsplit"]
    for number in range(26):
        split = "dev" if number % 13 == 12 else "train"
        pitches = rng.choice([300.0, 700.0, 1500.0], size=1 + number % 3)
        seconds = [_tone(pitch, rng) for pitch in pitches]
        text = " ".join({300.0: "LOW", 700.0: "MID", 1500.0: "HIGH"}[pitch] for pitch in pitches)
        soundfile.write(corpus / f"{number}.wav", np.concatenate(seconds), SAMPLING_RATE, subtype="PCM_16")
        rows.append(f"tone-{number:02d}\t{number}.wav\t{split}-{number % 4}\t{text}\t{split}")
    with files.create(corpus / "transcripts.tsv") as stream:
        stream.write("\n".join(rows) + "\n")
    with files.create(folder / "config.yaml") as stream:
        stream.write(CONFIG)


def _tone(pitch: float, rng: np.random.Generator) -> npt.NDArray[Any]:
    """Return 0.6 s of a tone in noise."""
    time = np.arange(int(0.6 * SAMPLING_RATE)) / SAMPLING_RATE
    return 0.3 * np.sin(2 * np.pi * pitch * time) + rng.normal(0.0, 0.02, len(time))


def digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of the files below an output folder that must not depend on faults.

    Logs, checkpoints, TensorBoard and leftovers of killed writers are left out.
    """
    return {
        str(path.relative_to(folder)): files.sha256(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not _may_differ(path.relative_to(folder))
    }


def _may_differ(path: Path) -> bool:
    return (
        path.suffix in (".partial", ".lock")
        or path.name.startswith(".tmp")  # leftovers of safetensors after a kill
        or path.name.endswith(".partial.lca")
        or path.name == METRICS
        or path.parts[0] in ("checkpoints", "tensorboard")
    )
