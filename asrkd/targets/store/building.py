"""Building of a store: claim the folder, write the missing shards, and stamp the store once it is whole.

A store is stamped by the process that finds all shards present, and in them
exactly the cuts of the plan, each once.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lhotse import MonoCut

from asrkd.core import files, output_folder
from asrkd.core.artifacts import CONTRACT, STAMP
from asrkd.core.errors import AsrkdError, warn
from asrkd.core.output_folder import State
from asrkd.core.shared_work import SMALLER_SHARDS, Workers, WorkResult, work
from asrkd.core.shell import command, make_again, remove
from asrkd.core.stopping import StopRequest
from asrkd.data.cuts.records import records
from asrkd.targets.store.provenance import Sources, remake_command, write_sources
from asrkd.targets.store.shards import Shard, ShardWriter, index_path, split_cuts
from asrkd.targets.store.store import read_indexes

MAX_NAMED = 20  # files in a message
COMPUTED_WITH = "computed_with"  # the part of a contract that records builds and devices


@dataclass(frozen=True)
class StorePlan:
    """Plan of a store: contract, provenance, cuts and shards."""

    out: Path
    contract: dict[str, Any]
    sources: Sources
    cuts: Sequence[MonoCut]
    suffix: str  # of the payload files
    device: str
    cuts_per_shard: int

    @property
    def command(self) -> str:
        """Return the command that makes this store."""
        if self.sources.command:
            return f"{self.sources.command} {command('--out', self.out)}"
        return remake_command(self.out, self.contract["kind"])

    @property
    def digest(self) -> str:
        """SHA-256 of the contract's file."""
        return hashlib.sha256(files.json_text(self.contract).encode("utf-8")).hexdigest()

    @property
    def stamp(self) -> dict[str, int]:
        """Summary in the stamp of the complete store."""
        return {"num_shards": -(-len(self.cuts) // self.cuts_per_shard), "num_cuts": len(self.cuts)}

    def shards(self, digest: str) -> list[Shard]:
        """List all shards of the store, present or not; ``digest`` is that of its contract."""
        model = self.sources.teacher or self.out
        split = split_cuts(self.out, self.cuts, self.cuts_per_shard, self.suffix)
        return [Shard(path, cuts, model, self.device, digest, indexed=True) for path, cuts in split]


@dataclass(frozen=True)
class StoreResult:
    """Result of building a store, or a part of it."""

    plan: StorePlan
    progress: WorkResult
    was_complete: bool  # before

    @property
    def is_complete(self) -> bool:
        """Whether the store is complete now."""
        return not self.progress.missing

    def text(self, details: str = "") -> str:
        """Return a human-readable line; ``details`` of the payload follow where the store is complete."""
        if not self.is_complete:
            return f"{self.plan.out}: this part is done; {self.progress.text()}"
        already = "already complete, " if self.was_complete and not self.progress.written else ""
        return f"{self.plan.out}: {already}{len(self.plan.cuts)} cuts{details}"


def make_store(plan: StorePlan, write: ShardWriter, workers: Workers, stop: StopRequest) -> StoreResult:
    """Write the missing shards, or those of the workers' share, and stamp a store that is whole.

    Args:
        plan: the plan of the store.
        write: function that writes a shard.
        workers: number of processes, and the share of the shards that they write.
        stop: request to stop, checked after every cut.

    Raises:
        AsrkdError: the folder holds something else, or its contents cannot be completed.
        StoppedInTime: a stop was requested; finished shards and parts of others stay.
    """
    plan = under_existing_contract(plan)
    state = output_folder.claim(plan.out, CONTRACT, plan.contract)
    if state is not State.COMPLETE:
        write_sources(plan.out, plan.sources)
    _check_contract(plan)
    digest = plan.digest
    planned = plan.shards(digest)
    progress = work(f"distill {plan.out.name}", planned, write, workers, stop, idle_remedy=SMALLER_SHARDS)
    if not progress.missing and (progress.written or state is not State.COMPLETE):
        _check_complete(plan, [shard.path for shard in planned], digest)
        output_folder.stamp(plan.out, plan.stamp)
    return StoreResult(plan, progress, state is State.COMPLETE)


def under_existing_contract(plan: StorePlan) -> StorePlan:
    """Take the contract of the plan's folder if it differs from the plan's in builds or devices alone.

    Shards of several torch builds or devices differ in their last bits, which gives a warning and no error.
    """
    existing = output_folder.inspect(plan.out, CONTRACT)
    if not isinstance(existing, dict) or existing == plan.contract:
        return plan
    if existing | {COMPUTED_WITH: None} != plan.contract | {COMPUTED_WITH: None}:
        return plan
    if not (plan.out / STAMP).is_file():
        difference = output_folder.first_difference(existing, plan.contract)
        warn(f"{plan.out}: {difference}: its shards will differ in their last bits")
    return replace(plan, contract=existing)


def _check_contract(plan: StorePlan) -> None:
    """Check that the contract's file holds the contract of the plan.

    Raises:
        AsrkdError: another command claimed the folder at the same time, or the file was edited.
    """
    difference = output_folder.first_difference(files.read_json(plan.out / CONTRACT), plan.contract)
    if difference:
        raise AsrkdError(
            f"{plan.out}: another command writes to this folder: {difference}; choose another --out"
        )
    if plan.digest != files.sha256(plan.out / CONTRACT):
        remedy = make_again(plan.out, plan.command, "the store")
        raise AsrkdError(f"{plan.out / CONTRACT}: was edited; {remedy}")


def _check_complete(plan: StorePlan, payloads: Sequence[Path], digest: str) -> None:
    """Raise AsrkdError unless the shards hold exactly the cuts of the plan, and no others are there."""
    stored = read_indexes(payloads, digest)
    planned = dict.fromkeys(cut.id for cut in records(plan.cuts))
    missing = [cut_id for cut_id in planned if cut_id not in stored]
    extra = [cut_id for cut_id in stored.ids() if cut_id not in planned]
    for problem, ids in (("lacks", missing), ("holds, beyond its cuts,", extra)):
        if ids:
            remedy = make_again(plan.out, plan.command)
            raise AsrkdError(f"{plan.out}: {problem} {len(ids)} cuts, the first {ids[0]}; {remedy}")
    known = {path for payload in payloads for path in (payload, index_path(payload))}
    foreign = sorted(path for path in plan.out.glob("shard-*") if path not in known)
    foreign = [path for path in foreign if path.suffix != ".partial"]
    if foreign:
        remedy = f"remove what is not: {remove(*foreign[:MAX_NAMED])}"
        raise AsrkdError(f"{foreign[0]}: is not a shard of this store; {remedy}")
