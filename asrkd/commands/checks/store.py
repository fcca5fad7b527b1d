"""Check of target stores: whole, of one contract, not stale, and of the current cuts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asrkd.commands.checks.findings import Findings
from asrkd.commands.checks.nbest import audit_references
from asrkd.core import files, output_folder
from asrkd.core.artifacts import CONTRACT
from asrkd.core.errors import AsrkdError, counted, one_line
from asrkd.core.shell import make_again
from asrkd.data.cuts.manifests import stream_lines
from asrkd.data.cuts.records import CutRecord
from asrkd.targets.store import fields
from asrkd.targets.store.arrays import ArrayStore
from asrkd.targets.store.nbest import NbestStore
from asrkd.targets.store.provenance import check_sources, read_sources, remake_command
from asrkd.targets.store.shard_parts import num_begun
from asrkd.targets.store.shards import Payload, shard_name
from asrkd.targets.store.store import CutIndex, check_payload, damage, mismatch, read_contract, read_indexes


@dataclass(frozen=True)
class _Store:
    """Store to check."""

    path: Path
    contract: dict[str, Any]
    digest: str  # digest of the contract
    payloads: Sequence[Path]
    num_cuts: int  # number of cuts in the stamp
    remake: str


def audit_store(
    path: Path, cuts: Sequence[Path], findings: Findings, *, deep: bool, recount: bool = False
) -> None:
    """Check that a store is whole, of one contract, not stale, and of the current cuts.

    Args:
        path: folder of the store.
        cuts: manifests to compare the store with; if empty, the manifests that it was made from.
        findings: findings to add notes and problems to.
        deep: whether to read every byte of the payloads, and compare their hashes.
        recount: whether to count all errors of N-best lists again, even if no transcript changed.
    """
    with findings.collect(path):
        store = _open(path)
        if deep:
            for payload in store.payloads:
                with findings.collect(path):
                    check_payload(payload, store.digest, _measure_bytes)
        recount = recount and not findings.lines()  # damaged lists are problems already
        index = read_indexes(store.payloads, store.digest)
        findings.note(f"{path}: {len(index)} cuts in {len(store.payloads)} shards")
        if len(index) != store.num_cuts:
            findings.problem(
                f"{path}: has {len(index)} cuts, its stamp {store.num_cuts}; "
                f"{make_again(path, store.remake, 'the store')}"
            )
        with findings.collect(path):
            check_sources(path, store.contract)
        sources = read_sources(path)
        recorded = sources.cuts if sources else ()
        manifests = cuts or [path for path in recorded if path.is_file()]
        if manifests:
            complete = not cuts and len(manifests) == len(recorded)
            nbest_cuts = _compare(store, index, manifests, findings, complete=complete)
            if store.contract.get("kind") == "nbest" and len(index) == store.num_cuts:
                audit_references(path, nbest_cuts, findings, recount=recount)
        else:
            findings.note(f"{path}: its cuts manifests have moved; give them with --cuts")


def _open(path: Path) -> _Store:
    stored = files.read_json(path / CONTRACT)
    kind = str(stored.get("kind")) if isinstance(stored, dict) else "..."
    contract = read_contract(path, kind)
    remake = remake_command(path, kind)
    try:
        stamp = output_folder.read_stamp(path, remake, ["num_shards", "num_cuts"], fields.STAMP)
    except AsrkdError as error:
        num_written = len(list(path.glob("shard-*.index.jsonl.gz")))
        present = f"{counted(num_written, 'shard')} {'is' if num_written == 1 else 'are'} written"
        if unfinished := num_begun(path):
            present += f", and parts of {unfinished} more"
        fault = str(error).removeprefix(one_line(f"{path}: "))  # ends in a command: nothing may follow it
        raise AsrkdError(f"{path}: {present}, {fault}") from None
    suffix = NbestStore.suffix if kind == "nbest" else ArrayStore.suffix
    total = stamp["num_shards"]
    payloads = [path / shard_name(number, total, suffix) for number in range(total)]
    return _Store(path, contract, files.sha256(path / CONTRACT), payloads, stamp["num_cuts"], remake)


def _measure_bytes(path: Path, payload: Payload) -> int:
    size = path.stat().st_size
    if size == payload.num_bytes and files.sha256(path) != payload.sha256:
        raise AsrkdError(damage(path, "its bytes differ from those that were written"))
    return size


def _compare(
    store: _Store, index: CutIndex, manifests: Sequence[Path], findings: Findings, *, complete: bool
) -> list[CutRecord]:
    """Compare the index with manifests, line by line.

    Args:
        store: the store.
        index: index of the store.
        manifests: cut manifests.
        findings: findings to add notes and problems to.
        complete: whether every cut of the store must be in the manifests.

    Returns:
        The records of an N-best store's cuts, from the manifests; an empty list for other stores.
    """
    count, nbest_cuts = 0, list[CutRecord]()
    remedy = make_again(store.path, store.remake, "the store")
    for manifest in manifests:
        for number, _, _, cut in stream_lines(manifest):
            where = f"{manifest}:{number}: cut {cut.id}"
            if cut.id not in index:
                findings.problem(f"{where}: has no targets in {store.path}; {remedy}", kind="without targets")
                continue
            count += 1
            if store.contract.get("kind") == "nbest":
                nbest_cuts.append(cut)
            problem = mismatch(store.contract, index[cut.id][1], cut)
            if problem:
                findings.problem(
                    f"{where}: its targets {problem}; {remedy}", kind="with targets of another cut"
                )
    findings.note(f"{store.path}: compared with {', '.join(map(str, manifests))}")
    if complete and count < len(index):
        findings.problem(
            f"{store.path}: stale: {len(index) - count} of its cuts are no longer in its manifests; {remedy}"
        )
    return nbest_cuts
