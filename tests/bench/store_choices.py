"""Bytes of an hour of audio for every choice of a store, and whether compressed chunks would pay.

Usage:   python -m tests.bench.store_choices TEACHER CUTS_MANIFEST [LAYER]

The teacher encodes the cuts once. Each choice is written as a store writes it;
sizes of layers that the teacher has not are made by repeating its dimensions,
and codebook indexes at random, which changes no byte count. A compressed chunk
is a cut's, as a batch reads single cuts: whole shards would compress no better.
"""

import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from lhotse import MonoCut
from torch import Tensor

from asrkd.core.parallel import one_thread
from asrkd.data.cuts.manifests import read_cuts
from asrkd.models.directory import load_model
from asrkd.models.encoder import Tap
from asrkd.models.inference import encode_cuts
from asrkd.targets.posteriors import top_tokens
from asrkd.targets.store.arrays import checksum, read_layouts, write_array_shard

CUTS_PER_SHARD = 200
DIMS, TOP_K, CODEBOOKS = (64, 96, 144), (1, 2, 4, 8, 16), (1, 4, 16)
ROUNDS = 3  # of reading, of which the quickest counts
Arrays = Mapping[str, Tensor]


class Encoded(NamedTuple):
    """Outputs of the teacher for a cut."""

    cut: MonoCut
    hidden: Tensor  # (T, D)
    log_probs: Tensor  # (T, V)


def choices(dim: int, num_tokens: int) -> Iterator[tuple[str, Callable[[Encoded], Arrays]]]:
    """Yield each choice with the arrays that it stores of a cut."""
    for dtype in (torch.float16, torch.float32):
        name = str(dtype).removeprefix("torch.")
        for size in DIMS:
            yield f"hidden, {size} dimensions, {name}", _hidden(size, dtype)
        for top_k in (*(k for k in TOP_K if k <= num_tokens), num_tokens):
            yield f"posterior, top {top_k} of {num_tokens}, {name}", _top(top_k, dtype)
        yield f"posterior, all {num_tokens} in order, {name}", _all(dtype)
    for count in CODEBOOKS:
        yield f"codebook, {count}", _codebook(count)


def _hidden(size: int, dtype: torch.dtype) -> Callable[[Encoded], Arrays]:
    return lambda of_cut: {"values": of_cut.hidden.repeat(1, 2)[:, :size].to(dtype)}


def _top(top_k: int, dtype: torch.dtype) -> Callable[[Encoded], Arrays]:
    def arrays(of_cut: Encoded) -> Arrays:
        values, tokens = top_tokens(of_cut.log_probs, top_k)
        return {"values": values.to(dtype), "tokens": tokens}

    return arrays


def _all(dtype: torch.dtype) -> Callable[[Encoded], Arrays]:
    return lambda of_cut: {"values": of_cut.log_probs.to(dtype)}


def _codebook(count: int) -> Callable[[Encoded], Arrays]:
    return lambda of_cut: {"values": torch.randint(256, (len(of_cut.hidden), count), dtype=torch.uint8)}


def main(teacher: str, manifest: str, layer: str = "1") -> None:
    """Print both tables."""
    with one_thread(), tempfile.TemporaryDirectory() as name:
        model, tap = load_model(Path(teacher)), Tap(int(layer))
        encoded = [
            Encoded(outputs.cut, outputs.tapped[tap], outputs.log_probs)
            for outputs in encode_cuts(model, read_cuts(Path(manifest)), [tap])
        ]
        hours = sum(of_cut.cut.duration for of_cut in encoded) / 3600
        print(f"{len(encoded)} cuts, {hours:.3f} h\n\n| store | payload, MB an hour | index | all |")
        print("|---|---|---|---|")
        for number, (what, arrays) in enumerate(choices(encoded[0].hidden.shape[1], model.tokens.size)):
            payload, index = _written(Path(name) / str(number), encoded, arrays)
            mb = [num_bytes / 1e6 / hours for num_bytes in (payload, index, payload + index)]
            print(f"| {what} | {mb[0]:.2f} | {mb[1]:.2f} | {mb[2]:.2f} |", flush=True)
        print("\n| payload | compressed by | x smaller | read, MB/s |\n|---|---|---|---|")
        for what, arrays in choices(encoded[0].hidden.shape[1], model.tokens.size):
            if " 96 " in what or "all" in what or "top 8" in what:
                _compressed(Path(name), what, [arrays(of_cut) for of_cut in encoded])


def _written(
    folder: Path, encoded: Sequence[Encoded], arrays: Callable[[Encoded], Arrays]
) -> tuple[int, int]:
    """Return the bytes of the payloads and of the indexes of a store."""
    for start in range(0, len(encoded), CUTS_PER_SHARD):
        part = encoded[start : start + CUTS_PER_SHARD]
        path = folder / f"shard-{start:05d}-of-{len(encoded):05d}.safetensors"
        cuts = [of_cut.cut for of_cut in part]
        write_array_shard(path, "0" * 64, cuts, [arrays(of_cut) for of_cut in part])
    files = list(folder.iterdir())
    payload = sum(path.stat().st_size for path in files if path.suffix == ".safetensors")
    assert all(read_layouts(path) for path in files if path.suffix == ".safetensors")
    return payload, sum(path.stat().st_size for path in files) - payload


def _compressed(folder: Path, what: str, arrays: Sequence[Arrays]) -> None:
    """Print the rows of one payload: as it is, and by each method a cut at a time."""
    chunks = [b"".join(of_cut[name].numpy().tobytes() for name in sorted(of_cut)) for of_cut in arrays]
    widths = [next(iter(of_cut.values())).element_size() for of_cut in arrays]
    total = sum(map(len, chunks))
    methods: list[tuple[str, Callable[[bytes, int], bytes], Callable[[bytes, int], bytes]]] = [
        ("nothing", lambda data, _: data, lambda data, _: data)
    ]
    for level in (1, 6):
        methods.append((f"zlib {level}", _deflate(level, shuffled=False), _inflate(shuffled=False)))
        methods.append(
            (f"zlib {level}, bytes shuffled", _deflate(level, shuffled=True), _inflate(shuffled=True))
        )
    for method, pack, unpack in methods:
        packed = [pack(data, width) for data, width in zip(chunks, widths, strict=True)]
        path = folder / "packed"
        path.write_bytes(b"".join(packed))
        seconds = min(_read(path, list(map(len, packed)), widths, unpack) for _ in range(ROUNDS))
        ratio = total / path.stat().st_size
        print(f"| {what} | {method} | {ratio:.2f} | {total / 1e6 / seconds:.0f} |", flush=True)


def _read(
    path: Path, lengths: Sequence[int], widths: Sequence[int], unpack: Callable[[bytes, int], bytes]
) -> float:
    """Seconds of this process to read each chunk, with its checksum."""
    begun, offset = time.process_time(), 0
    for length, width in zip(lengths, widths, strict=True):
        with path.open("rb", buffering=0) as stream:
            stream.seek(offset)
            data = unpack(stream.read(length), width)
        checksum({"values": torch.frombuffer(bytearray(data), dtype=torch.uint8)})
        offset += length
    return time.process_time() - begun


def _deflate(level: int, *, shuffled: bool) -> Callable[[bytes, int], bytes]:
    def pack(data: bytes, width: int) -> bytes:
        if shuffled:
            data = np.frombuffer(data, np.uint8).reshape(-1, width).T.tobytes()
        return zlib.compress(data, level)

    return pack


def _inflate(*, shuffled: bool) -> Callable[[bytes, int], bytes]:
    def unpack(data: bytes, width: int) -> bytes:
        data = zlib.decompress(data)
        return np.frombuffer(data, np.uint8).reshape(width, -1).T.tobytes() if shuffled else data

    return unpack


if __name__ == "__main__":
    main(*sys.argv[1:])
