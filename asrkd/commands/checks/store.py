"""Target stores: whole, of one contract, not stale, and of the cuts that are there now."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asrkd.commands.checks.findings import Findings
from asrkd.commands.checks.references import audit_references
from asrkd.core import files, output_folder
from asrkd.core.artifacts import CONTRACT
from asrkd.core.errors import AsrkdError, one_line
from asrkd.core.shell import make_anew
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
    """What is looked over."""

    path: Path
    contract: dict[str, Any]
    digest: str  # of the contract
    payloads: Sequence[Path]
    num_cuts: int  # by its stamp
    remake: str


def audit_store(
    path: Path, cuts: Sequence[Path], findings: Findings, *, deep: bool, recount: bool = False
) -> None:
    """Look over a store.

    Args:
        path: its folder.
        cuts: manifests to compare it with; those that it was made from if there are none.
        findings: what is found goes here.
        deep: read every byte of the payloads and compare their hashes.
        recount: of N-best lists, count all word errors again, even where no transcript changed.
    """
    with findings.looking(path):
        store = _open(path)
        if deep:
            for payload in store.payloads:
                with findings.looking(path):
                    check_payload(payload, store.digest, _measure_bytes)
        recount = recount and not findings.lines()  # of damaged lists it was told already
        index = read_indexes(store.payloads, store.digest)
        findings.saw(f"{path}: {len(index)} cuts in {len(store.payloads)} shards")
        if len(index) != store.num_cuts:
            findings.wrong(
                f"{path}: holds {len(index)} cuts, its stamp says {store.num_cuts}; "
                f"{make_anew(path, store.remake, 'the store')}"
            )
        with findings.looking(path):
            check_sources(path, store.contract)
        sources = read_sources(path)
        own = sources.cuts if sources else ()
        manifests = cuts or [path for path in own if path.is_file()]
        if manifests:
            complete = not cuts and len(manifests) == len(own)
            met = _compare(store, index, manifests, findings, complete=complete)
            if store.contract.get("kind") == "nbest" and len(index) == store.num_cuts:
                audit_references(path, met, findings, recount=recount)
        else:
            findings.saw(f"{path}: its cuts are not where they were: give them with --cuts")


def _open(path: Path) -> _Store:
    found = files.read_json(path / CONTRACT)
    kind = str(found.get("kind")) if isinstance(found, dict) else "..."
    contract = read_contract(path, kind)
    remake = remake_command(path, kind)
    try:
        stamp = output_folder.read_stamp(path, remake, ["num_shards", "num_cuts"], fields.STAMP)
    except AsrkdError as error:
        there = f"{len(list(path.glob('shard-*.index.jsonl.gz')))} shards are there"
        if unfinished := num_begun(path):
            there += f", and parts of {unfinished} more"
        said = str(error).removeprefix(one_line(f"{path}: "))  # ends in a command, which nothing may follow
        raise AsrkdError(f"{path}: {there}, {said}") from None
    suffix = NbestStore.suffix if kind == "nbest" else ArrayStore.suffix
    total = stamp["num_shards"]
    payloads = [path / shard_name(number, total, suffix) for number in range(total)]
    return _Store(path, contract, files.sha256(path / CONTRACT), payloads, stamp["num_cuts"], remake)


def _measure_bytes(path: Path, payload: Payload) -> int:
    size = path.stat().st_size
    if size == payload.num_bytes and files.sha256(path) != payload.sha256:
        raise AsrkdError(damage(path, "its bytes are not those that were written"))
    return size


def _compare(
    store: _Store, index: CutIndex, manifests: Sequence[Path], findings: Findings, *, complete: bool
) -> list[CutRecord]:
    """Hold the index against the manifests, a line at a time; of an N-best store the cuts that it has.

    Args:
        store: whose index it is.
        index: of the store.
        manifests: of cuts.
        findings: what is found goes here.
        complete: whether every cut of the store must be in the manifests.
    """
    met, found = 0, list[CutRecord]()
    remedy = make_anew(store.path, store.remake, "the store")
    for manifest in manifests:
        for number, _, _, cut in stream_lines(manifest):
            where = f"{manifest}:{number}: cut {cut.id}"
            if cut.id not in index:
                findings.wrong(f"{where}: has no targets in {store.path}; {remedy}", kind="without targets")
                continue
            met += 1
            if store.contract.get("kind") == "nbest":
                found.append(cut)
            problem = mismatch(store.contract, index[cut.id][1], cut)
            if problem:
                findings.wrong(
                    f"{where}: its targets {problem}; {remedy}", kind="that do not match their targets"
                )
    findings.saw(f"{store.path}: compared with {', '.join(map(str, manifests))}")
    if complete and met < len(index):
        findings.wrong(
            f"{store.path}: stale: {len(index) - met} of its cuts are no longer in its manifests; {remedy}"
        )
    return found
