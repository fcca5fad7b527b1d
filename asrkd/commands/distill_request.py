"""Requests of `asrkd distill`: teacher, cuts and store of all its commands, and settings of a quantizer."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from asrkd.commands.dry_run import DryRun
from asrkd.core.command_record import current_command
from asrkd.core.device import pick_device
from asrkd.core.errors import AsrkdError
from asrkd.core.parallel import check_jobs
from asrkd.core.progress import announced
from asrkd.core.shared_work import ShardOf, Workers
from asrkd.data.cuts.manifests import read_cuts
from asrkd.data.cuts.packed import PackedCuts
from asrkd.quantizer.options import QuantizerOptions
from asrkd.targets.posteriors import ALL, TopK
from asrkd.targets.store.arrays import ArrayStore
from asrkd.targets.store.building import StorePlan
from asrkd.targets.store.contract import contract
from asrkd.targets.store.nbest import NbestStore
from asrkd.targets.store.provenance import Sources
from asrkd.teachers.loading import check_teacher, open_teacher
from asrkd.teachers.teacher import Teacher

DTYPES: Sequence[str] = ("float16", "float32")  # types of stored frames


@dataclass(frozen=True)
class DistillRequest:
    """Request of a store: teacher, cuts, output folder, device and processes."""

    teacher: Path
    cuts: tuple[Path, ...]
    out: Path
    device: str = "cpu"
    jobs: int = 1
    cuts_per_shard: int = 200
    shard_of: ShardOf | None = None  # share of the list of shards; None: all missing shards
    resample: bool = False  # resample audio to the sampling rate of a waveform teacher
    dry_run: DryRun | None = None  # measure a few cuts in place of the work

    @property
    def workers(self) -> Workers:
        """Worker processes of this request."""
        return Workers(self.jobs, self.shard_of)

    def open(self, kind: str = "") -> tuple[Teacher, PackedCuts]:
        """Open the teacher and the cuts.

        Args:
            kind: kind of targets, as a command of ``asrkd distill``; a teacher without tokens is
                refused for targets over text before it is fetched and loaded.

        Raises:
            AsrkdError: a number is out of range, the teacher or a manifest cannot be
                read, the teacher is no recognizer or cannot encode a cut, or an id is
                in two manifests.
        """
        self.check_numbers()
        if kind:
            check_teacher(self.teacher, kind)
        with announced(f"asrkd: opening {self.teacher} and the cuts"):
            teacher = open_teacher(self.teacher, str(pick_device(self.device)), resample=self.resample)
            return teacher, self.read_cuts(teacher)

    def check_numbers(self) -> None:
        """Raise AsrkdError if a number is out of range."""
        if self.cuts_per_shard < 1:
            raise AsrkdError(f"--cuts-per-shard {self.cuts_per_shard}: expected 1 or more")
        check_jobs(self.jobs)

    def read_cuts(self, teacher: Teacher | None = None) -> PackedCuts:
        """Read all cuts; AsrkdError if ``teacher`` cannot encode one, or an id is in two manifests."""
        manifests, seen = [], set[str]()
        for path in self.cuts:
            cuts = read_cuts(path)
            if teacher is not None:
                teacher.check_cuts(cuts, str(path))
            for record in cuts.records:
                if record.id in seen:
                    raise AsrkdError(
                        f"{path}: duplicate cut id {record.id!r}: it is in an earlier --cuts too"
                    )
                seen.add(record.id)
            manifests.append(cuts)
        return manifests[0] if len(manifests) == 1 else PackedCuts(chain(*manifests))

    def plan(
        self, teacher: Teacher, cuts: PackedCuts, kind: str, details: dict[str, Any], **models: Any
    ) -> StorePlan:
        """Plan the store of this request.

        Args:
            teacher: the teacher that :meth:`open` returned.
            cuts: the cuts of all manifests.
            kind: kind of the store, which is the command's name.
            details: fields of the contract that only this kind has.
            models: paths besides teacher and cuts, named as in
                :class:`~asrkd.targets.store.provenance.Sources`.
        """
        return StorePlan(
            out=self.out,
            contract=contract(kind, teacher, cuts, details | {"cuts_per_shard": self.cuts_per_shard}),
            sources=Sources(current_command(), self.teacher, self.cuts, **models),
            cuts=cuts,
            suffix=NbestStore.suffix if kind == "nbest" else ArrayStore.suffix,
            device=str(pick_device(self.device)),
            cuts_per_shard=self.cuts_per_shard,
        )


@dataclass(frozen=True)
class QuantizerRequest:
    """Settings of a quantizer to train on a layer of the teacher."""

    layer: int  # 1-based
    options: QuantizerOptions = QuantizerOptions()
    utterances: int = 1000  # drawn at random from the cuts, as in the MVQ-KD paper
    max_frames: int = 100_000  # frames in memory, drawn at random from these utterances
    tap: str | None = None  # 'before_norm' or 'after_norm'; None: the teacher's default


def quantizer_request(
    layer: int,
    codebooks: int,
    *,
    entries: int = 256,
    utterances: int = 1000,
    seed: int = 1,
    steps: int | None = None,
    tap: str | None = None,
) -> QuantizerRequest:
    """Build the settings of a quantizer from options of the command line.

    Args:
        layer: layer of the teacher, counted from 1.
        codebooks: number of codebooks, which is bytes per frame.
        entries: entries per codebook.
        utterances: number of utterances to train on.
        seed: seed of the choice of utterances and of the training.
        steps: steps of each of the two phases; None for the default.
        tap: 'before_norm' or 'after_norm'; None for the teacher's default.

    Raises:
        AsrkdError: a value is out of range.
    """
    sizes = {} if steps is None else {"phase_one_steps": steps, "phase_two_steps": steps}
    try:
        options = QuantizerOptions(num_codebooks=codebooks, codebook_size=entries, seed=seed, **sizes)
    except ValueError as error:
        raise AsrkdError(f"--codebooks, --entries, --steps: {error}") from None
    if utterances < 1:
        raise AsrkdError(f"--utterances {utterances}: expected 1 or more")
    return QuantizerRequest(layer, options, utterances, tap=tap)


def parse_top_k(text: str) -> TopK:
    """Parse ``--top-k``: a number of tokens, 1 or more, or all; AsrkdError if it is neither."""
    if text == ALL:
        return ALL
    if not re.fullmatch("[1-9][0-9]{0,8}", text):
        raise AsrkdError(f"--top-k {text}: expected 1 or more, or {ALL}")
    return int(text)


def check_dtype(name: str) -> None:
    """Raise AsrkdError unless ``name`` is one of :data:`DTYPES`."""
    if name not in DTYPES:
        raise AsrkdError(f"--dtype {name}: expected one of {', '.join(DTYPES)}")
