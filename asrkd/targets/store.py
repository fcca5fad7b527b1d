"""Stores of a teacher's answers: written shard by shard, read by cut id.

A store is a folder: ``contract.json`` says what the answers are and whose,
``shard-00000-of-00012.*`` hold them, ``stamp.json`` says that all are there.
Arrays are one safetensors tensor ``values`` a shard with the index of its
cuts in the header; N-best lists are JSON lines that a person can read.
Every answer carries the digest of the cut it was asked about.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lhotse import MonoCut
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from asrkd import files, outputs
from asrkd.errors import AsrkdError
from asrkd.manifests import cut_digest
from asrkd.shards import shard_name

CONTRACT = "contract.json"


class Entry(NamedTuple):
    """Where the answer for a cut is."""

    shard: int
    offset: int  # rows of the shard's tensor, or bytes of its lines
    length: int
    digest: str  # of the cut, see asrkd.manifests.cut_digest


@dataclass(frozen=True)
class Nbest:
    """A teacher's hypotheses for a cut, best first."""

    texts: list[str]
    log_probs: list[float]  # log P(hypothesis | audio) in nats
    errors: list[int] | None  # words wrong against the reference, where there is one
    num_words: int | None  # of the reference


class _Store:
    """What stores of all kinds share: contract, index, verification."""

    suffix: str

    def __init__(self, path: Path, kind: str) -> None:
        self.path = path
        outputs.read_stamp(path, f"asrkd distill {kind}")
        self.contract: dict[str, Any] = files.read_json(path / CONTRACT)
        if not isinstance(self.contract, dict):
            raise AsrkdError(f"{path / CONTRACT}: not a contract; make the store with: asrkd distill {kind}")
        if self.contract.get("kind") != kind:
            raise AsrkdError(
                f"{path}: holds {self.contract.get('kind')!r} targets, expected {kind!r}; "
                f"make such a store with: asrkd distill {kind}"
            )
        total = outputs.read_stamp(path, f"asrkd distill {kind}", ["num_shards"])["num_shards"]
        self.shards = [path / shard_name(number, total, self.suffix) for number in range(total)]
        for shard in self.shards:
            if not shard.is_file():
                raise AsrkdError(f"{shard}: missing; run the asrkd distill command again to make it anew")
        self.index: dict[str, Entry] = {}
        for number, shard in enumerate(self.shards):
            self.index.update(self._read_index(number, shard))

    def _read_index(self, number: int, shard: Path) -> dict[str, Entry]:
        raise NotImplementedError

    def entry(self, cut_id: str) -> Entry:
        """Where a cut's answer is; AsrkdError if there is none."""
        if cut_id not in self.index:
            raise AsrkdError(
                f"{self.path}: no targets for cut {cut_id}; make a store of all training cuts "
                f"with: asrkd distill {self.contract['kind']} --cuts ..."
            )
        return self.index[cut_id]

    def verify(self, cuts: Sequence[MonoCut]) -> None:
        """Raise AsrkdError at the first cut without an answer, or whose answer is for other audio."""
        for cut in cuts:
            found, expected = self.entry(cut.id).digest, cut_digest(cut)
            if found != expected:
                raise AsrkdError(
                    f"{self.path}: the targets of cut {cut.id} were made of other audio "
                    f"(digest {found[:12]}, the cut has {expected[:12]}); make the store anew "
                    f"with: asrkd distill {self.contract['kind']} --cuts ..."
                )


class ArrayStore(_Store):
    """A store of an array of frames for each cut; opened as the kind that its contract must name."""

    suffix = ".safetensors"

    def _read_index(self, number: int, shard: Path) -> dict[str, Entry]:
        try:
            with safe_open(str(shard), framework="pt") as stream:
                rows = json.loads(stream.metadata()["index"])
            return {row["id"]: Entry(number, row["offset"], row["length"], row["digest"]) for row in rows}
        except (SafetensorError, ValueError, TypeError, KeyError) as error:
            raise AsrkdError(
                f"{shard}: broken ({error}); remove it and run the asrkd distill command again"
            ) from None

    def read(self, cut_id: str) -> Tensor:
        """The (T, ...) values stored for a cut."""
        entry = self.entry(cut_id)
        with safe_open(str(self.shards[entry.shard]), framework="pt") as stream:
            values: Tensor = stream.get_slice("values")[entry.offset : entry.offset + entry.length]
        return values


class NbestStore(_Store):
    """A store of N-best lists."""

    suffix = ".jsonl"

    def __init__(self, path: Path) -> None:
        super().__init__(path, "nbest")

    def _read_index(self, number: int, shard: Path) -> dict[str, Entry]:
        index: dict[str, Entry] = {}
        offset = 0
        with shard.open("rb") as stream:
            for count, line in enumerate(stream, start=1):
                try:
                    record = json.loads(line)
                    index[record["id"]] = Entry(number, offset, len(line), record["digest"])
                except (ValueError, KeyError, TypeError) as error:
                    raise AsrkdError(
                        f"{shard}:{count}: broken ({error}); remove the file and run "
                        "the asrkd distill nbest command again"
                    ) from None
                offset += len(line)
        return index

    def read(self, cut_id: str) -> Nbest:
        """The hypotheses stored for a cut."""
        entry = self.entry(cut_id)
        with self.shards[entry.shard].open("rb") as stream:
            stream.seek(entry.offset)
            record = json.loads(stream.read(entry.length))
        hypotheses = record["hypotheses"]
        return Nbest(
            texts=[hypothesis["text"] for hypothesis in hypotheses],
            log_probs=[hypothesis["log_prob"] for hypothesis in hypotheses],
            errors=[h["errors"] for h in hypotheses] if record["num_words"] is not None else None,
            num_words=record["num_words"],
        )


def write_array_shard(path: Path, cuts: Sequence[MonoCut], arrays: Sequence[Tensor]) -> None:
    """Write the (T, ...) arrays of ``cuts``, in their order, as one shard."""
    rows, offset = [], 0
    for cut, array in zip(cuts, arrays, strict=True):
        rows.append({"id": cut.id, "offset": offset, "length": len(array), "digest": cut_digest(cut)})
        offset += len(array)
    # One metadata key only: safetensors writes several in an order that is not fixed.
    with files.create_aside(path) as partial:
        save_file({"values": torch.cat(list(arrays))}, str(partial), metadata={"index": json.dumps(rows)})


def write_nbest_shard(path: Path, cuts: Sequence[MonoCut], lists: Sequence[Nbest]) -> None:
    """Write the hypotheses of ``cuts``, in their order, as one shard of JSON lines."""
    files.write_jsonl(path, (_nbest_record(cut, nbest) for cut, nbest in zip(cuts, lists, strict=True)))


def _nbest_record(cut: MonoCut, nbest: Nbest) -> dict[str, Any]:
    hypotheses = [
        {"text": text, "log_prob": log_prob}
        | ({} if nbest.errors is None else {"errors": nbest.errors[rank]})
        for rank, (text, log_prob) in enumerate(zip(nbest.texts, nbest.log_probs, strict=True))
    ]
    return {
        "id": cut.id,
        "digest": cut_digest(cut),
        "num_words": nbest.num_words,
        "hypotheses": hypotheses,
    }
