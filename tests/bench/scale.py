"""A store of a million cuts: its size on disk, how long `asrkd check` takes, and what it needs of memory."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import torch
from lhotse import AudioSource, Features, MonoCut, Recording, SupervisionSegment

from asrkd.core import files, output_folder
from asrkd.core.progress import meter
from asrkd.data.cuts.manifests import write_cuts
from asrkd.targets.store.arrays import write_array_shard
from asrkd.targets.store.provenance import Sources, write_sources
from asrkd.targets.store.shards import shard_name
from tests.bench.row import Row

CUTS = int(os.environ.get("ASRKD_BENCH_CUTS", "1000000"))
CUTS_PER_SHARD = 1000
SECONDS, FRAME_SHIFT, CODEBOOKS = 12.0, 0.02, 8
FRAMES = int(SECONDS / FRAME_SHIFT)
EMBEDDING_BYTES = 1024 * 4  # of a frame, in float32
CHECK_S, CHECK_GIB, PLAN_GIB = 90.0, 1.0, 2.0
# What distill, score and train do with a manifest before they begin.
PLAN = """
import sys
from pathlib import Path
from asrkd.targets.store.shards import Shard, split_cuts
from asrkd.data.cuts.records import cuts_digest, texts_digest
from asrkd.data.cuts.manifests import read_cuts
cuts = read_cuts(Path(sys.argv[1]))
cuts_digest(cuts), texts_digest(cuts)
[Shard(path, part, Path("m"), "cpu") for path, part in split_cuts(Path("x"), cuts, 200, ".safetensors")]
"""
DEMO = Path("exp/demo/codebook")  # looked at where it is


def measure() -> Iterator[Row]:
    """Sizes beside the payload, the check beside its limits, and with every byte read beside sha256sum."""
    if DEMO.is_dir():
        yield payload_overhead(DEMO)
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR", "exp")) as name:
        folder = Path(name)
        store, manifest = folder / "codebook", folder / "cuts_train.jsonl.gz"
        make(store, manifest, CUTS, CODEBOOKS)
        payload = CUTS * FRAMES * CODEBOOKS
        yield Row(
            f"store of {CUTS} cuts, MB, beside its payload", size(store) / 1e6, payload / 1e6, "<= 1.03"
        )
        yield _beside_embeddings(folder)
        seconds, peak = run("-m", "asrkd", "check", str(store))
        yield Row("asrkd check of it, s, beside the limit", seconds, CHECK_S, "<= 1")
        yield Row("asrkd check of it, peak GiB, beside the limit", peak / 2**30, CHECK_GIB, "<= 1")
        deep, _ = run("-m", "asrkd", "check", str(store), "--deep")
        beside = seconds + sha256sum(store)
        yield Row("asrkd check --deep, s, beside the check and sha256sum", deep, beside, "about 1")
        _, peak = run("-c", PLAN, str(manifest))
        yield Row("its cuts divided into shards, peak GiB, beside the limit", peak / 2**30, PLAN_GIB, "<= 1")


def _beside_embeddings(folder: Path) -> Row:
    store, num_cuts = folder / "codebook-16", 20 * CUTS_PER_SHARD
    make(store, folder / "cuts_few.jsonl.gz", num_cuts, 16)
    embeddings = num_cuts * FRAMES * EMBEDDING_BYTES
    name = f"embeddings of {num_cuts} cuts, MB, beside their store of 16 codebooks"
    return Row(name, embeddings / 1e6, size(store) / 1e6, ">= 250")


def size(folder: Path) -> int:
    """Bytes of the files in it."""
    return sum(path.stat().st_size for path in folder.iterdir())


def make(store: Path, manifest: Path, num_cuts: int, codebooks: int) -> None:
    """Write the store of so many cuts and codebooks and the manifest, a shard at a time."""
    store.mkdir(parents=True)
    total = -(-num_cuts // CUTS_PER_SHARD)
    contract = {
        "kind": "codebook",
        "features": {"frame_shift": 0.01},
        "frame_shift": FRAME_SHIFT,
        "length_rule": {"of": "feature frames", "divisor": 2, "round": "up"},
        "quantizer": {"num_codebooks": codebooks, "codebook_size": 256},
    }
    files.write_json(store / "contract.json", contract)
    digest = files.sha256(store / "contract.json")
    write_sources(store, Sources("asrkd distill codebook", None, (manifest,)))
    values = torch.from_numpy(np.random.default_rng(1).integers(0, 256, (FRAMES, codebooks), np.uint8))

    def shards() -> Iterator[MonoCut]:
        with meter("store", total, "shards") as shown:
            for number in range(total):
                start = number * CUTS_PER_SHARD
                cuts = [cut(i) for i in range(start, min(num_cuts, start + CUTS_PER_SHARD))]
                path = store / shard_name(number, total, ".safetensors")
                write_array_shard(
                    path, digest, cuts, [{"values": values.roll(i, 0)} for i in range(len(cuts))]
                )
                shown.advance()
                yield from cuts

    write_cuts(manifest, shards())
    output_folder.stamp(store, {"num_shards": total, "num_cuts": num_cuts})


def cut(number: int) -> MonoCut:
    """A cut as `asrkd prepare` leaves it, named as LibriSpeech's are."""
    name = f"{1000 + number // 1000}-{100000 + number % 1000}-{number % 100:04d}-{number}"
    samples = int(SECONDS * 16000)
    source = AudioSource("file", [0], f"../../corpus/train-clean-360/{name}.flac")
    made = MonoCut(name, 0.0, SECONDS, 0, recording=Recording(name, [source], 16000, samples, SECONDS))
    text = "WHAT WAS SAID IN THESE TWELVE SECONDS IS LONG ENOUGH TO BE LIKE THE REAL THING " * 2
    made.supervisions = [SupervisionSegment(name, name, 0.0, SECONDS, 0, text.strip(), speaker=name[:4])]
    made.features = Features(
        "kaldi-fbank", 1200, 80, 0.01, 16000, 0.0, SECONDS, "lilcom_chunky",
        f"features/train/shard-{number // 250:05d}-of-04000.lca", "0,61000,122000", name, 0,
    )  # fmt: skip
    made.custom = {"audio_sha256": f"{number:064x}"}
    return made


def run(*words: str) -> tuple[float, float]:
    """(seconds, bytes at the peak) of a Python process, which must succeed."""
    started_at = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    peak, watched = 0, psutil.Process(process.pid)
    while process.poll() is None:
        try:
            peak = max(peak, watched.memory_info().rss)
        except psutil.NoSuchProcess:
            break
        time.sleep(0.1)
    out, err = process.communicate()
    if process.returncode:
        raise SystemExit(f"{words} ended with {process.returncode}: {out}{err}")
    return time.perf_counter() - started_at, peak


def sha256sum(store: Path) -> float:
    """Seconds that coreutils takes for the same payloads."""
    started_at = time.perf_counter()
    payloads = [str(path) for path in sorted(store.glob("*.safetensors"))]
    subprocess.run(["sha256sum", *payloads], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started_at


def payload_overhead(folder: Path) -> Row:
    """The payload files of a store that is there, beside the values in them."""
    values = files_size = 0
    for path in folder.glob("*.safetensors"):
        data = path.read_bytes()
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        values += header["values"]["data_offsets"][1]
        files_size += len(data)
    return Row(f"payload files of {folder}, bytes, beside the values", files_size, values, "<= 1.01")
