"""Mutations of files by their form, and of their places: missing, empty, a folder, a dead link."""

import gzip
import json
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random

from tests.fuzz.mutations import mutate_bytes, mutate_text
from tests.fuzz.odd_values import unmarked
from tests.fuzz.tree_mutations import mutate_json, mutate_json_lines, mutate_tree, mutate_yaml


def files_in(folder: Path) -> list[Path]:
    """All files below a folder, in the order of their names."""
    return sorted(path for path in folder.rglob("*") if path.is_file() or path.is_symlink())


def mutate_content(path: Path, rng: Random) -> str:
    """Mutate a file in the way of its form; a line about it."""
    data = path.read_bytes()
    mutate = mutation_of(path.name)
    if path.suffix == ".gz" and rng.random() < 0.9:
        try:
            path.write_bytes(gzip.compress(mutate(gzip.decompress(data), rng), 1, mtime=0))
            return f"{mutate.__name__} in {path.name}"
        except (OSError, EOFError, zlib.error):  # mutated before
            pass
    mutate = mutate_bytes if path.suffix == ".gz" or rng.random() < 0.05 else mutate
    path.write_bytes(mutate(data, rng))
    return f"{mutate.__name__} of {path.name}"


def mutation_of(name: str) -> Callable[[bytes, Random], bytes]:
    """The mutation that fits a file of this name."""
    name = name.removesuffix(".gz")
    for suffixes, mutate in _BY_SUFFIX.items():
        if name.endswith(suffixes):
            return mutate
    return mutate_text


def mutate_place(path: Path, rng: Random) -> str:
    """Remove a file, empty it, or put something else in its place; a line about it."""
    what = rng.choice(
        ("missing", "empty", "a folder", "a dead link", "a loop", "another's", "a special file")
    )
    kept = path.read_bytes() if path.is_file() else b""
    path.unlink()
    if what == "empty":
        path.write_bytes(b"")
    elif what == "a folder":
        path.mkdir()
    elif what == "a dead link":
        path.symlink_to("nowhere")
    elif what == "a loop":
        path.symlink_to(path.name)
    elif what == "a special file":
        path.symlink_to("/dev/null")
    elif what == "another's":
        others = [other for other in files_in(path.parent) if other.is_file()]
        if others:
            shutil.copyfile(rng.choice(others), path)
        else:
            path.write_bytes(kept)
    return f"{path.name}: {what}"


def mutate_safetensors(data: bytes, rng: Random) -> bytes:
    """Change one place of the header of a safetensors file, or its bytes."""
    length = int.from_bytes(data[:8], "little")
    if rng.random() < 0.3:
        return mutate_bytes(data, rng)
    try:
        header = unmarked(json.dumps(mutate_tree(json.loads(data[8 : 8 + length]), rng)))
    except ValueError:
        return mutate_bytes(data, rng)
    text = header.encode("utf-8", "replace")
    said = (
        len(text) if rng.random() < 0.9 else rng.choice((0, len(text) - 1, len(text) + 1, 2**40, 2**63 + 1))
    )
    return said.to_bytes(8, "little") + text + data[8 + length :]


def mutate_audio(data: bytes, rng: Random) -> bytes:
    """Change a field of the header, at the places that WAV files have them, or bytes."""
    if rng.random() < 0.4 or len(data) < 64:
        return mutate_bytes(data, rng)
    if data.startswith(b"NIST_1A"):
        return mutate_text(data[:1024], rng)[:1024].ljust(1024) + data[1024:]
    changed = bytearray(data)
    place, width = rng.choice(
        ((4, 4), (20, 2), (22, 2), (24, 4), (28, 4), (32, 2), (34, 2), (40, 4), (16, 4))
    )
    value = rng.choice((0, 1, 2, 3, 7, 255, 8000, 2**16 - 1, 2**31 - 1, 2**32 - 1, rng.randrange(2**32)))
    changed[place : place + width] = (value % 256**width).to_bytes(width, "little")
    return bytes(changed)


_BY_SUFFIX: dict[str | tuple[str, ...], Callable[[bytes, Random], bytes]] = {
    ".jsonl": mutate_json_lines,
    ".json": mutate_json,
    (".yaml", ".yml"): mutate_yaml,
    ".safetensors": mutate_safetensors,
    (".wav", ".flac", ".ogg", ".mp3", ".sph", ".opus"): mutate_audio,
    (".npy", ".llc", ".model", ".lca", ".pt"): mutate_bytes,
}
