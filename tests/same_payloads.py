"""Compare the payloads of two trees of outputs: features, stores, and every tensor's bytes in file order.

``python -m tests.same_payloads BEFORE AFTER FOLDER…`` compares ``BEFORE/FOLDER`` with ``AFTER/FOLDER``, for
example two checkouts after ``make demo SIZE=tiny``. Names of tensors and JSON metadata (contracts, lineages,
stamps, command lines) may differ; a renamed tensor is listed. Exit status 1: a payload differs or is missing.
"""

import hashlib
import json
import struct
import sys
from collections.abc import Sequence
from pathlib import Path

# Everything else is JSON metadata, a log, or a page made of these.
PAYLOADS = {".safetensors", ".lca", ".flac", ".trn", ".jsonl"}
TEXTS = ("recogs-*", "errs-*", "text", "tokens.txt")  # of scores and tokenizers
METADATA = {"metrics.jsonl"}  # holds seconds


def payloads(root: Path) -> list[Path]:
    """Files below ``root`` that hold features, targets, weights, audio, or hypotheses, relative to it."""
    return sorted(
        path.relative_to(root)
        for path in root.rglob("*")
        if path.is_file()
        and path.name not in METADATA
        and (path.suffix in PAYLOADS or any(path.match(pattern) for pattern in TEXTS))
    )


def digests(path: Path) -> tuple[list[str], list[str]]:
    """SHA-256 of each tensor's bytes in file order, and their names; of another file that of its bytes."""
    data = path.read_bytes()
    if path.suffix != ".safetensors":
        return [hashlib.sha256(data).hexdigest()], [""]
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    tensors = sorted(header.items(), key=lambda item: item[1]["data_offsets"])
    body = data[8 + length :]
    hashes = []
    for _, tensor in tensors:
        start, end = tensor["data_offsets"]
        kind = f"{tensor['dtype']} {tensor['shape']} ".encode()
        hashes.append(hashlib.sha256(kind + body[start:end]).hexdigest())
    return hashes, [name for name, _ in tensors]


def compare(before: Path, after: Path) -> tuple[int, list[str]]:
    """Count equal payloads of two folders, with a line for each that differs or has a renamed tensor."""
    equal, lines = 0, []
    old, new = set(payloads(before)), set(payloads(after))
    lines += [f"MISSING {path}" for path in sorted(old - new)] + [f"NEW {path}" for path in sorted(new - old)]
    for path in sorted(old & new):
        (hashes, names), (others, renamed) = digests(before / path), digests(after / path)
        if hashes != others:
            lines.append(f"DIFFERS {path}")
            continue
        equal += len(hashes)
        lines += [f"renamed {path}: {a} -> {b}" for a, b in zip(names, renamed, strict=True) if a != b]
    return equal, lines


def main(arguments: Sequence[str]) -> int:
    """Print what differs, and a line for each folder; 1 if a payload differs."""
    before, after, *folders = arguments
    status = 0
    for folder in folders:
        equal, lines = compare(Path(before, folder), Path(after, folder))
        for line in lines:
            print(line)
        wrong = sum(not line.startswith("renamed") for line in lines)
        status |= bool(wrong) or not equal
        print(f"{folder}: {equal} payloads equal, {wrong} differ, {len(lines) - wrong} tensors renamed")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
