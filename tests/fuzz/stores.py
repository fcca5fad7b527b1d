"""Stores of a teacher's answers, prepared folders, quantizers, and icefall's files of codebook indexes."""

import gzip
import hashlib
import json
import shutil
import zlib
from pathlib import Path
from random import Random

from tests.fuzz.case import OUT, Command, Target
from tests.fuzz.configs import TRAIN
from tests.fuzz.shared import SHARED

CUTS = "shared/prepared/cuts_train.jsonl.gz"
WEIGHTS_OPTIONS = {
    "--beta": ("1", "2"),
    "--set": ("num_hypotheses=2", "filter.max_repeats=3", "weights.beta=1", "filter.max_wer=0.5"),
    "--cuts": (CUTS,),
}
PREPARED = SHARED / "prepared"
DEV = str(PREPARED / "cuts_dev.jsonl.gz")


def copy_artifact(source: Path, folder: Path) -> None:
    """Copy a folder that asrkd made; the paths in it are as good from the copy."""
    shutil.copytree(source, folder, dirs_exist_ok=True)
    here = Path.cwd()
    for path in [*folder.rglob("*.jsonl.gz"), folder / "sources.json"]:
        if not path.is_file():
            continue
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8")
        text = text.replace(f"{here}/shared/audio", "../../shared/audio")
        text = text.replace("shared/exported/codebook_indexes", "codebook_indexes").replace(
            '"../', '"../../shared/'
        )
        text = text.replace('"../../shared/../', '"../../').replace(
            '"shared/prepared/', '"../../shared/prepared/'
        )
        path.write_bytes(gzip.compress(text.encode(), 1, mtime=0) if path.suffix == ".gz" else text.encode())


def _write_nbest(folder: Path, rng: Random) -> list[Command]:
    copy_artifact(SHARED / "nbest", folder)
    objective = f"phases.0.objectives=[{{ctc: {{targets: {json.dumps(str(folder))}, weights: {{beta: 2}}}}}}]"
    return [
        rng.choice(
            (
                ["targets", "weights", str(folder), "--beta", "1"],
                ["targets", "weights", str(folder), "--beta", "2", "--set", "filter.max_repeats=2"],
                ["check", str(folder)],
                ["check", str(folder), "--deep"],
                ["check", str(folder), "--rescore"],
                ["check", str(folder), "--cuts", CUTS],
                ["train", "shared/config.yaml", *TRAIN, "--set", objective],
            )
        )
    ]


def _write_codebook(folder: Path, rng: Random) -> list[Command]:
    copy_artifact(SHARED / "codebook", folder)
    objective = f"phases.0.objectives=[{{codebook: {{targets: {json.dumps(str(folder))}, layer: 1}}}}]"
    return [
        rng.choice(
            (
                ["check", str(folder)],
                ["check", str(folder), "--deep"],
                ["check", str(folder), "--cuts", CUTS],
                ["targets", "export", str(folder), "--cuts", CUTS, "--out", str(OUT)],
                ["train", "shared/config.yaml", *TRAIN, "--set", objective],
            )
        )
    ]


def _write_frames(folder: Path, rng: Random) -> list[Command]:
    kind = rng.choice(("hidden", "posterior", "likeliest"))
    copy_artifact(SHARED / kind, folder)
    targets = f"targets: {json.dumps(str(folder))}"
    loss = {
        "hidden": f"representation: {{{targets}, layer: 1, frame_weighting: false}}",
        "posterior": f"{rng.choice(('softmax', 'kl'))}: {{{targets}, temperature: 2}}",
        "likeliest": f"{rng.choice(('softmax', 'kl', 'guided_ctc'))}: {{{targets}, layer: 1}}",
    }[kind]
    return [
        rng.choice(
            (
                ["check", str(folder)],
                ["check", str(folder), "--deep"],
                ["check", str(folder), "--cuts", CUTS],
                ["targets", "weights" if kind == "hidden" else "sizes", str(folder)],
                ["train", "shared/config.yaml", *TRAIN, "--set", f"phases.0.objectives=[ctc, {{{loss}}}]"],
            )
        )
    ]


def _write_imported(folder: Path, rng: Random) -> list[Command]:
    copy_artifact(SHARED / "exported", folder)
    command = ["targets", "import", str(folder / "cuts.jsonl.gz"), "--out", str(OUT)]
    return [command + (["--cuts", CUTS] if rng.random() < 0.5 else [])]


def _write_quantizer(folder: Path, rng: Random) -> list[Command]:
    copy_artifact(SHARED / "quantizer", folder)
    ask = ["distill", "codebook", "--teacher", "shared/model", "--cuts", CUTS, "--out", str(OUT)]
    return [
        rng.choice(
            (
                ["check", str(folder)],
                [*ask, "--quantizer", str(folder)],
                [*ask, "--quantizer", str(folder)],
                ["quantizer", "export", str(folder), "--out", str(OUT / "q.safetensors")],
                ["quantizer", "plot", str(folder), "--out", str(OUT / "q.svg")],
            )
        )
    ]


def _write_manifest(folder: Path, rng: Random) -> list[Command]:
    copy_artifact(PREPARED, folder)
    cuts = str(folder / "cuts_train.jsonl.gz")
    held_out = str(folder / "cuts_heldout.jsonl.gz")
    ask = ["--teacher", "shared/model", "--cuts", cuts, "--out", str(OUT)]
    return [
        rng.choice(
            (
                ["check", str(folder)],
                ["check", str(folder), "--deep"],
                ["check", cuts, "--deep"],
                ["score", "shared/model", "--cuts", cuts, "--out", str(OUT)],
                ["distill", "nbest", *ask, "--beam", "2", "--nbest", "2"],
                ["distill", "codebook", *ask, "--quantizer", "shared/quantizer"],
                ["distill", "hidden", *ask, "--layer", "1"],
                ["distill", "posterior", *ask, "--top-k", "2"],
                ["distill", rng.choice(("nbest", "posterior")), *ask, "--dry-run"],
                ["check", "shared/nbest", "--cuts", cuts],
                ["train", "shared/config.yaml", *TRAIN, "--set", f"data.train={json.dumps(cuts)}"],
                ["train", "shared/config.yaml", *TRAIN, "--set", f"data.dev={json.dumps(cuts)}"],
                ["train", "shared/config.yaml", *TRAIN, "--set", f"data.dev={json.dumps([DEV, cuts])}"],
                ["prepare", "subset", cuts, "--hold-out", "1", "--out", held_out],
            )
        )
    ]


def seal_store(folder: Path) -> None:
    """Make the indexes of a store fit its payloads and its contract, so that reading comes far."""
    contract = hashlib.sha256((folder / "contract.json").read_bytes()).hexdigest()
    for index in sorted(folder.glob("shard-*.index.jsonl.gz")):
        (payload,) = [path for path in folder.glob(index.name.split(".")[0] + ".*") if path != index]
        rows = [json.loads(line) for line in gzip.decompress(index.read_bytes()).splitlines()]
        data = payload.read_bytes()
        rows[0] |= {"num_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), "contract": contract}
        if payload.suffix == ".jsonl":
            offset = 0
            for row, line in zip(rows[1:], data.splitlines(keepends=True), strict=False):
                row |= {"offset": offset, "length": len(line), "crc32": zlib.crc32(line)}
                offset += len(line)
        text = "".join(json.dumps(row) + "\n" for row in rows)
        index.write_bytes(gzip.compress(text.encode(), 1, mtime=0))


def _seal_quantizer(folder: Path) -> None:
    """Name the weights that are there."""
    path = folder / "quantizer.json"
    described = json.loads(path.read_text())
    described["identity"] = hashlib.sha256((folder / "quantizer.safetensors").read_bytes()).hexdigest()
    path.write_text(json.dumps(described))


TARGETS = (
    Target("nbest", _write_nbest, seal=seal_store),
    Target("codebook", _write_codebook, seal=seal_store),
    Target("frames", _write_frames, seal=seal_store),
    Target("imported", _write_imported, options={"--cuts-per-shard": ("1", "2"), "--format": ("icefall",)}),
    Target("quantizer", _write_quantizer, seal=_seal_quantizer),
    Target("manifest", _write_manifest),
)
