"""Model folders of trainings that never were, with scores, configs, lineages, and logs of a chosen shape."""

import copy
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from asrkd.commands.compare import CompareRequest, compare
from asrkd.core import files
from asrkd.evaluation.compare.comparison import Comparison
from asrkd.evaluation.compare.systems import Roles
from tests.pipeline.test_compare import hypotheses, write

FIXTURE = Path(__file__).with_name("fsdd_ff4a383")  # resolved configs of the recipe at commit ff4a383
UNIGRAM = 2.51  # of the characters of spoken digits, in nats
STEPS = 2400
Shape = Callable[[float], float]  # of the share of the run


def config_at_ff4a383(name: str) -> dict[str, Any]:
    return json.loads((FIXTURE / f"{name}.json").read_text())


def settled(start: float, end: float) -> Shape:
    """Falls in the first half, then stays, with noise whose sum and trend are nil."""
    return lambda share: end + (start - end) * max(0.0, 1 - 2 * share) + 0.004 * end * zigzag(share)


def falling(start: float, end: float) -> Shape:
    return lambda share: start + (end - start) * share + 0.004 * end * zigzag(share)


def zigzag(share: float) -> float:
    return (0.5, -1.0, 1.0, -0.5)[round(share * STEPS / 100) % 4]


WER, DEV, TRAIN = settled(1.0, 0.3), settled(2.5, 0.8), settled(2.5, 0.1)


def write_log(
    folder: Path,
    experiment: dict[str, Any],
    *,
    wer: Shape = WER,
    dev: Shape = DEV,
    train: Shape = TRAIN,
    label: str = "ctc",
    steps: int = STEPS,
    every: int = 100,
    data: dict[str, Any] | None = None,
) -> None:
    """A log of a run, by curves over the share of the run; the schedule is a cosine unless it is constant."""
    optim = experiment["optim"]
    records: list[dict[str, Any]] = [
        {"kind": "data", "step": 0, "cuts": 800, "hours": 0.66, "unigram": UNIGRAM} | (data or {}),
        {"kind": "validation", "step": 0, "loss": 6.4, "wer": 1.0, "errors": 924, "words": 924},
    ]
    for step in range(20, steps + 1, 20):
        share = step / steps
        decay = 1.0 if optim["schedule"] == "constant" else 0.5 * (1 + math.cos(math.pi * share))
        rate = optim["lr"] * (optim["final_lr"] + (1 - optim["final_lr"]) * decay)
        losses = {"loss": 1.3 * train(share), f"loss_{label}": train(share)}
        records.append({"kind": "train", "step": step, **losses, "lr": rate, "epoch": step // 80})
        if step % every == 0 or step == steps:
            records.append({"kind": "validation", "step": step, "loss": dev(share), "wer": wer(share)})
    records.append({"kind": "end", "step": steps, "train_seconds": 10.0})
    files.write_jsonl(folder / "metrics.jsonl", records)


def make_run(
    folder: Path,
    errors: int,
    *,
    changes: dict[str, Any] | None = None,
    lineage: dict[str, Any] | None = None,
    seed: int = 1,
    of: str = "baseline",
    params: int = 53421,
    **log: Any,
) -> Path:
    """A scored model of the recipe at ff4a383, with changes to keys of its config, such as ``optim.lr``."""
    experiment = copy.deepcopy(config_at_ff4a383(of))
    experiment["seed"] = seed
    for key, value in (changes or {}).items():
        *path, last = key.split(".")
        section: Any = experiment
        for name in path:
            section = section[int(name) if name.isdigit() else name]
        section[int(last) if last.isdigit() else last] = value
    write(folder / "score-test", hypotheses(errors, errors + seed), params=params)
    features = {"type": "kaldi-fbank", "num_features": 80}
    architecture = {"num_tokens": 17, "features": features}
    files.write_json(folder / "config.json", {"experiment": experiment, "architecture": architecture})
    digests = {"train_cuts": "1c3157506b9958", "train_texts": "7edc03e3bbc48d", "dev_cuts": "f5d58c34e00587"}
    written = {"tokens": "fdda4610a2566d", "target_stores": {}, "experiment": experiment}
    files.write_json(folder / "lineage.json", digests | written | (lineage or {}))
    steps = log.get("steps", STEPS)
    files.write_json(folder / "stamp.json", {"params": params, "steps": steps, "validation": {}})
    write_log(folder, experiment, **log)
    return folder


def compared(folders: Sequence[Path], **roles: str) -> Comparison:
    return compare(CompareRequest(folders, roles=Roles(**roles)), None)


def sentence(comparison: Comparison, begin: str) -> str:
    """The one conclusion that begins so; '' if there is none."""
    (found,) = [each for each in comparison.conclusions if each.startswith(begin)] or [""]
    return found
