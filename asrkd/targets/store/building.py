"""Making a store: claim the folder, share the shards, and finish by set algebra.

The stamp is written by whoever finds that every shard is there and that the
cuts in them are exactly those that were asked about, each once.
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
from asrkd.core.shared_work import Workers, WorkResult, work
from asrkd.core.shell import command, make_anew, remove
from asrkd.core.stopping import StopRequest
from asrkd.data.cuts.records import records
from asrkd.targets.store.provenance import Sources, remake_command, write_sources
from asrkd.targets.store.shards import Shard, ShardWriter, index_path, split_cuts
from asrkd.targets.store.store import read_indexes

MOST_NAMED = 20  # files in a message
MACHINE = "computed_with"  # the part of a contract that tells builds and devices


@dataclass(frozen=True)
class StorePlan:
    """A store that is to be made."""

    out: Path
    contract: dict[str, Any]
    sources: Sources
    cuts: Sequence[MonoCut]
    suffix: str  # of the payload files
    device: str
    cuts_per_shard: int

    @property
    def command(self) -> str:
        """The command that makes this store."""
        line = self.sources.command
        return (
            f"{line} {command('--out', self.out)}"
            if line
            else remake_command(self.out, self.contract["kind"])
        )

    def shards(self, digest: str) -> list[Shard]:
        """All shards of the store, present or not; ``digest`` is that of its contract."""
        model = self.sources.teacher or self.out
        split = split_cuts(self.out, self.cuts, self.cuts_per_shard, self.suffix)
        return [Shard(path, cuts, model, self.device, digest, indexed=True) for path, cuts in split]


@dataclass(frozen=True)
class Made:
    """What came of it."""

    plan: StorePlan
    progress: WorkResult
    was_complete: bool

    @property
    def is_complete(self) -> bool:
        """Whether the store is finished now."""
        return not self.progress.missing

    def text(self) -> str:
        """A line for a person."""
        if not self.is_complete:
            return f"{self.plan.out}: this part is done; {self.progress.text()}"
        already = "already complete, " if self.was_complete and not self.progress.made else ""
        return f"{self.plan.out}: {already}{len(self.plan.cuts)} cuts"


def make_store(plan: StorePlan, write: ShardWriter, workers: Workers, stop: StopRequest) -> Made:
    """Write the shards that are missing, or those of the workers' shard, and stamp a store that is whole.

    Args:
        plan: what is to be made.
        write: makes a shard.
        workers: number of processes, and which of the shards they write.
        stop: asked after every cut.

    Raises:
        AsrkdError: the folder is something else's, or what is there cannot be completed.
        StoppedInTime: asked to stop; finished shards stay, and parts of others.
    """
    plan = _as_begun(plan)
    state = output_folder.claim(plan.out, CONTRACT, plan.contract)
    if state is not State.COMPLETE:
        write_sources(plan.out, plan.sources)
    digest = _contract_digest(plan)
    planned = plan.shards(digest)
    progress = work(f"distill {plan.out.name}", planned, write, workers, stop)
    if not progress.missing and (progress.made or state is not State.COMPLETE):
        _check_complete(plan, [shard.path for shard in planned], digest)
        output_folder.stamp(plan.out, {"num_shards": len(planned), "num_cuts": len(plan.cuts)})
    return Made(plan, progress, state is State.COMPLETE)


def _as_begun(plan: StorePlan) -> StorePlan:
    """The plan under the contract that the folder was begun with, if only the machine is another.

    Shards of several torch builds or device models differ in their last bits; that is said, not refused.
    """
    found = output_folder.inspect(plan.out, CONTRACT)
    if not isinstance(found, dict) or found == plan.contract:
        return plan
    if found | {MACHINE: None} != plan.contract | {MACHINE: None}:
        return plan
    if not (plan.out / STAMP).is_file():
        difference = output_folder.first_difference(found, plan.contract)
        warn(f"{plan.out}: {difference}: its shards will differ in their last bits")
    return replace(plan, contract=found)


def _contract_digest(plan: StorePlan) -> str:
    """SHA-256 of the file that holds the contract, which must be the plan's own.

    Raises:
        AsrkdError: another command claimed the folder in the same moment.
    """
    difference = output_folder.first_difference(files.read_json(plan.out / CONTRACT), plan.contract)
    if difference:
        raise AsrkdError(f"{plan.out}: another command writes here now: {difference}; give another --out")
    digest = hashlib.sha256(files.json_text(plan.contract).encode("utf-8")).hexdigest()
    if digest != files.sha256(plan.out / CONTRACT):
        remedy = make_anew(plan.out, plan.command, "the store")
        raise AsrkdError(f"{plan.out / CONTRACT}: was edited; {remedy}")
    return digest


def _check_complete(plan: StorePlan, payloads: Sequence[Path], digest: str) -> None:
    """Expected minus found and found minus expected are empty, and so are the files of other plans."""
    found = read_indexes(payloads, digest)
    asked = dict.fromkeys(cut.id for cut in records(plan.cuts))
    missing = [cut_id for cut_id in asked if cut_id not in found]
    extra = [cut_id for cut_id in found.ids() if cut_id not in asked]
    for words, ids in (("lacks", missing), ("was not asked about", extra)):
        if ids:
            remedy = make_anew(plan.out, plan.command)
            raise AsrkdError(f"{plan.out}: {words} {len(ids)} cuts, the first {ids[0]}; {remedy}")
    known = {path for payload in payloads for path in (payload, index_path(payload))}
    strangers = sorted(path for path in plan.out.glob("shard-*") if path not in known)
    strangers = [path for path in strangers if path.suffix != ".partial"]
    if strangers:
        remedy = f"remove what is not: {remove(*strangers[:MOST_NAMED])}"
        raise AsrkdError(f"{strangers[0]}: is not a shard of this store; {remedy}")
