"""Stores of N-best lists: JSON lines that a person can read, a line a cut."""

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lhotse import MonoCut

from asrkd.cut_records import cut_digest
from asrkd.errors import AsrkdError
from asrkd.targets.shard_index import DIGEST_LENGTH, Entry, write_shard
from asrkd.targets.store import Store, damage


@dataclass(frozen=True)
class Nbest:
    """A teacher's hypotheses for a cut, best first."""

    texts: list[str]
    log_probs: list[float]  # log P(hypothesis | audio) in nats
    errors: list[int] | None  # words wrong against the reference, where there is one
    num_words: int | None  # of the reference


class NbestStore(Store):
    """A store of N-best lists."""

    suffix = ".jsonl"

    def __init__(self, path: Path) -> None:
        """Open the finished store at ``path``."""
        super().__init__(path, "nbest")

    def read(self, cut_id: str) -> Nbest:
        """The hypotheses stored for a cut.

        Raises:
            AsrkdError: there are none, or their bytes are not those that were written.
        """
        shard, entry = self.entry(cut_id)
        try:
            with self.shards[shard].open("rb") as stream:
                stream.seek(entry.offset)
                line = stream.read(entry.length)
        except OSError as error:
            raise AsrkdError(damage(self.shards[shard], f"cannot be read ({error.strerror})")) from None
        if zlib.crc32(line) != entry.crc32:
            raise self.damaged(cut_id, shard)
        record = json.loads(line)
        hypotheses = record["hypotheses"]
        return Nbest(
            texts=[hypothesis["text"] for hypothesis in hypotheses],
            log_probs=[hypothesis["log_prob"] for hypothesis in hypotheses],
            errors=[h["errors"] for h in hypotheses] if record["num_words"] is not None else None,
            num_words=record["num_words"],
        )


def write_nbest_shard(path: Path, contract: str, cuts: Sequence[MonoCut], lists: Sequence[Nbest]) -> None:
    """Write one shard.

    Args:
        path: of the payload.
        contract: digest of the store's contract.
        cuts: of the shard, in order.
        lists: the hypotheses of each.
    """
    lines, entries, offset = [], [], 0
    for cut, nbest in zip(cuts, lists, strict=True):
        digest = cut_digest(cut)
        line = (json.dumps(_record(cut.id, digest, nbest), ensure_ascii=False) + "\n").encode()
        entries.append((cut.id, Entry(offset, len(line), digest[:DIGEST_LENGTH], zlib.crc32(line))))
        lines.append(line)
        offset += len(line)
    write_shard(path, contract, lambda partial: _write(partial, lines), entries)


def _write(path: Path, lines: Sequence[bytes]) -> None:
    path.write_bytes(b"".join(lines))


def _record(cut_id: str, digest: str, nbest: Nbest) -> dict[str, Any]:
    hypotheses = [
        {"text": text, "log_prob": log_prob}
        | ({} if nbest.errors is None else {"errors": nbest.errors[rank]})
        for rank, (text, log_prob) in enumerate(zip(nbest.texts, nbest.log_probs, strict=True))
    ]
    return {"id": cut_id, "digest": digest, "num_words": nbest.num_words, "hypotheses": hypotheses}
