"""Model folders and token inventories."""

import hashlib
import json
import shutil
from pathlib import Path
from random import Random

from tests.fuzz.case import OUT, Command, Target
from tests.fuzz.configs import TRAIN
from tests.fuzz.corpora import inspect_prepared
from tests.fuzz.shared import SHARED
from tests.fuzz.stores import CUTS, copy_artifact

PREPARE = ["prepare", "tsv", "shared/corpus", "--out", str(OUT), "--num-mel-bins", "8"]


def _write_tokens(folder: Path, rng: Random) -> list[Command]:
    kind = "bpe" if rng.random() < 0.5 else "prepared"
    for name in ("tokens.txt", "bpe.model"):
        if (SHARED / kind / name).is_file():
            shutil.copyfile(SHARED / kind / name, folder / name)
    source = str(folder if rng.random() < 0.8 or kind == "bpe" else folder / "tokens.txt")
    if rng.random() < 0.6:
        return [[*PREPARE, "--token-source", source, "--max-bad", "0.8"]]
    return [["train", "shared/config.yaml", *TRAIN, "--set", f"data.tokens={json.dumps(source)}"]]


def _inspect_tokens(_outcomes: object) -> str | None:
    return inspect_prepared() if (OUT / "prepare.json").is_file() else None


def _write_model(folder: Path, rng: Random) -> list[Command]:
    copy_artifact(SHARED / "model", folder)
    for name in ("tensorboard", "checkpoints"):
        shutil.rmtree(folder / name)
    model = str(folder)
    return [
        rng.choice(
            (
                ["score", model, "--cuts", CUTS, "--out", str(OUT)],
                ["score", model, "--cuts", CUTS, "--out", str(OUT)],
                ["score", model, "--cuts", CUTS, "--search", "prefix-beam", "--beam", "2", "--out", str(OUT)],
                ["check", model],
                [
                    "distill",
                    "nbest",
                    "--teacher",
                    model,
                    "--cuts",
                    CUTS,
                    "--beam",
                    "2",
                    "--nbest",
                    "2",
                    "--out",
                    str(OUT),
                ],
                ["distill", "hidden", "--teacher", model, "--cuts", CUTS, "--layer", "1", "--out", str(OUT)],
                ["compare", model],
                ["report", model, "--out", str(OUT / "report.html")],
            )
        )
    ]


def _seal_model(folder: Path) -> None:
    """Name the tokens that are there, and score the weights that are there."""
    from asrkd.data.tokens import Tokens

    path = folder / "config.json"
    described = json.loads(path.read_text(encoding="utf-8"))
    described["tokens"] = Tokens.load(folder).identity()
    path.write_text(json.dumps(described), encoding="utf-8")
    request = folder / "score-test" / "request.json"
    asked = json.loads(request.read_text(encoding="utf-8"))
    asked["model"] = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    request.write_text(json.dumps(asked), encoding="utf-8")


TARGETS = (
    Target("tokens", _write_tokens, _inspect_tokens),
    Target("model", _write_model, seal=_seal_model),
)
