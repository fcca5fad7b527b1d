"""N-best lists and stores of them, written out by hand."""

from collections.abc import Sequence
from pathlib import Path

from lhotse import MonoCut

from asrkd.core import files, output_folder
from asrkd.targets.nbest import RECORD, Nbest, StoredHypothesis, WordErrors
from asrkd.targets.store.nbest import nbest_line, write_nbest_lines
from asrkd.targets.store.shards import shard_name


def nbest(
    texts: Sequence[str],
    log_probs: Sequence[float],
    errors: Sequence[int] | None = None,
    num_words: int | None = None,
) -> Nbest:
    """A list of texts whose tokens are the codes of their letters and whose errors are substitutions."""
    listed = [
        StoredHypothesis(text, log_prob, tuple(text.encode()), {"length": len(text)})
        for text, log_prob in zip(texts, log_probs, strict=True)
    ]
    if errors is not None:
        counted = [WordErrors(count, (count, 0, 0)) for count in errors]
        listed = [
            StoredHypothesis(own.text, own.log_prob, own.tokens, own.parts, wrong)
            for own, wrong in zip(listed, counted, strict=True)
        ]
    return Nbest(tuple(listed), num_words)


def write_nbest_shard(path: Path, contract: str, cuts: Sequence[MonoCut], lists: Sequence[Nbest]) -> None:
    """Write one shard of lists; ``contract`` is the digest of the store's."""
    lines = [nbest_line(cut, nbest) for cut, nbest in zip(cuts, lists, strict=True)]
    write_nbest_lines(path, contract, cuts, lines)


def write_nbest_store(
    folder: Path, cuts: Sequence[MonoCut], lists: Sequence[Nbest], **contract: object
) -> Path:
    """A finished store of one shard, with more keys of its contract."""
    files.write_json(folder / "contract.json", {"kind": "nbest", "record": RECORD} | contract)
    contract = files.sha256(folder / "contract.json")
    write_nbest_shard(folder / shard_name(0, 1, ".jsonl"), contract, cuts, lists)
    output_folder.stamp(folder, {"num_shards": 1, "num_cuts": len(cuts)})
    return folder
