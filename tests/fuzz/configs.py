"""Experiments: YAML files of `asrkd train`, and what --set puts in their place."""

import os
from pathlib import Path
from random import Random

from tests.fuzz.case import OUT, Command, Target
from tests.fuzz.shared import CONFIG, MODEL

TRAIN = ("--out", str(OUT), "--threads", "1", "--time-limit", "2s")
OBJECTIVES = (
    "[ctc]",
    "[{ctc: {targets: lists, num_hypotheses: 2, weights: {beta: 2}, filter: {max_repeats: 3}}}]",
    "[{ctc: {scale: 0.5}}, {codebook: {targets: bytes, layer: 1}}]",
    "[{ctc: {targets: shared/nbest, expand: true}}]",
    "[{representation: {targets: states, layer: 1, frame_weighting: false, scale: 0.5}}]",
    "[{representation: {targets: {teacher: shared/model, layer: 1}, layer: 1, frame_weighting: false}}]",
    "[ctc, {softmax: {targets: tokens, temperature: 2}}, {kl: {targets: shared/likeliest}}]",
    "[{ctc: {layer: 1}}, {guided_ctc: {targets: tokens}}, {softmax: {targets: shared/likeliest, layer: 1}}]",
    "[ctc, {kl: {targets: {teacher: shared/model}, temperature: 0.5, scale: 0.1}}]",
)
PHASES = """phases:
  - steps: 1
    optim: {lr: 0.003, schedule: linear}
    objectives: [{representation: {targets: states, layer: 1, frame_weighting: false}}]
  - epochs: 1
    optim: {betas: [0.95, 0.5]}
    objectives: [ctc, {softmax: {targets: tokens, scale: 0.25}}]
"""
ENCODERS = (
    "{jasper: {prologue: {channels: 4, kernel_size: 5}, "
    "blocks: [{channels: 4, kernel_size: 3, dilation: 2}], epilogue: []}}",
    "{quartznet: {prologue: {channels: 4, kernel_size: 9}, "
    "blocks: [{channels: 6, kernel_size: 3, repeat: 1}], "
    "residual: block, activation: relu, utterance_mean: true}}",
    "{deepspeech2: {channels: 2, kernel_sizes: [[3, 3], [5, 3]], num_layers: 1, dim: 4, output_dim: 6}}",
)
OVERRIDES = (
    "optim.lr=0.02", "optim.betas=[0.9, 0.99]", "optim.schedule=linear", "optim.warmup_steps=1", "seed=2",
    "phases.0.steps=1", "phases.0.objectives=[ctc]", "model.dim=16", "model={num_layers: 1, dim: 8}",
    "augment={specaugment: null}", "data.max_duration=3", "data.folds={count: 2, left_out: 0}",
    "data.min_cut=0.2", "data.max_cut=10", "data.num_buckets=1", "averaging.last=2",
    "validation.every_steps=2",
    "stores.lists=shared/nbest", "phases.0.restart=false", "model.kernel_size=3",
    "augment.noise={cuts: shared/prepared/cuts_dev.jsonl.gz, snr_db: [0, 10]}",
    "model={encoder: {transformer: {num_layers: 1, dim: 8, num_heads: 2, feed_forward_dim: 8}}, ctc: true}",
    *(f"model={{encoder: {encoder}, ctc: true}}" for encoder in ENCODERS),
    *(f"phases.0.objectives={objectives}" for objectives in OBJECTIVES),
    "phases.0.optim.lr=0.1", "phases.0.optim={schedule: constant, accumulate: 1}",
    "stores.states=shared/hidden",
)  # fmt: skip
OPTIONS = {
    "--seed": ("1", "2"),
    "--precision": ("fp32", "bf16", "fp16"),
    "--device": ("cpu", "auto", "cuda"),
    "--checkpoint-every": ("10m", "1s"),
    "--time-limit": ("1s", "2s"),
    "--resume": (),
}


def _write_config(folder: Path, rng: Random) -> list[Command]:
    text = CONFIG.replace("[ctc]", rng.choice(OBJECTIVES))
    if rng.random() < 0.15:
        text = text[: text.index("phases:")] + PHASES + "seed: 1\n"
    if rng.random() < 0.25:
        text = text.replace(MODEL, f"{{encoder: {rng.choice(ENCODERS)}, ctc: true}}")
    path = folder / "config.yaml"
    if rng.random() < 0.15:
        (folder / "base.yaml").write_text(text, encoding="utf-8")
        text = "base: base.yaml\noptim: {lr: 0.02}\nseed: 2\n"
    path.write_text(text, encoding="utf-8")
    return [["train", str(path), *TRAIN]]


def _write_overrides(folder: Path, rng: Random) -> list[Command]:
    chosen = rng.sample(OVERRIDES, rng.choice((1, 1, 2, 3)))
    (folder / "overrides").write_text("\n".join(chosen), encoding="utf-8")
    return [["train", "shared/config.yaml", *TRAIN]]


def _with_overrides(folder: Path, commands: list[Command]) -> list[Command]:
    """The commands with a --set for each line, as the shell would give it: no NUL, any other byte."""
    path = folder / "overrides"
    lines = path.read_bytes().split(b"\n") if path.is_file() else []
    for line in lines[:8]:
        commands[0] += ["--set", os.fsdecode(line.replace(b"\x00", b"")[:5000])]
    return commands


TARGETS = (
    Target("config", _write_config, options=OPTIONS),
    Target("overrides", _write_overrides, finish=_with_overrides, options=OPTIONS),
)
