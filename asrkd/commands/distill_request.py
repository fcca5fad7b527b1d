"""What `asrkd distill` is asked: the question that all its commands share, and the quantizer's sizes."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from asrkd.core.command_record import current_command
from asrkd.core.device import pick_device
from asrkd.core.errors import AsrkdError
from asrkd.core.parallel import check_jobs
from asrkd.core.progress import announced
from asrkd.core.shared_work import ShardOf, Workers
from asrkd.data.cuts.manifests import read_cuts
from asrkd.data.cuts.packed import PackedCuts
from asrkd.quantizer.options import QuantizerOptions
from asrkd.targets.store.arrays import ArrayStore
from asrkd.targets.store.building import StorePlan
from asrkd.targets.store.contract import contract
from asrkd.targets.store.nbest import NbestStore
from asrkd.targets.store.provenance import Sources
from asrkd.teachers.loading import open_teacher
from asrkd.teachers.teacher import Teacher


@dataclass(frozen=True)
class DistillRequest:
    """Whom to ask, about what, where to keep the answers, and with what machine."""

    teacher: Path
    cuts: tuple[Path, ...]
    out: Path
    device: str = "cpu"
    jobs: int = 1
    cuts_per_shard: int = 200
    shard_of: ShardOf | None = None  # of the list of shards; None: all that are missing
    resample: bool = False  # for a teacher that reads audio: take that of other sampling rates too

    @property
    def workers(self) -> Workers:
        """Worker processes of this request."""
        return Workers(self.jobs, self.shard_of)

    def open(self) -> tuple[Teacher, PackedCuts]:
        """The teacher, and all cuts, which must fit it.

        Raises:
            AsrkdError: a number makes no sense, the teacher or a manifest cannot be
                read, a cut does not fit, or an id is in two manifests.
        """
        if self.cuts_per_shard < 1:
            raise AsrkdError(f"--cuts-per-shard {self.cuts_per_shard}: expected 1 or more")
        check_jobs(self.jobs)
        with announced(f"asrkd: opening {self.teacher} and the cuts"):
            teacher = open_teacher(self.teacher, str(pick_device(self.device)), resample=self.resample)
            return teacher, self._read_cuts(teacher)

    def _read_cuts(self, teacher: Teacher) -> PackedCuts:
        """All cuts, which must fit the teacher, each once."""
        manifests, seen = [], set[str]()
        for path in self.cuts:
            own = read_cuts(path)
            teacher.check_cuts(own, str(path))
            for record in own.records:
                if record.id in seen:
                    raise AsrkdError(f"{path}: cut {record.id} is in an earlier --cuts too")
                seen.add(record.id)
            manifests.append(own)
        return manifests[0] if len(manifests) == 1 else PackedCuts(chain(*manifests))

    def plan(
        self, teacher: Teacher, cuts: PackedCuts, kind: str, details: dict[str, Any], **models: Any
    ) -> StorePlan:
        """Plan the store of this request.

        Args:
            teacher: opened, with ``cuts``, by :meth:`open`.
            cuts: of all manifests.
            kind: of the store, which is the command's name.
            details: of this kind, for the contract.
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
    """A quantizer to be trained on a layer of the teacher."""

    layer: int  # 1-based
    options: QuantizerOptions = QuantizerOptions()
    utterances: int = 1000  # drawn at random from the cuts, as the MVQ-KD paper has it
    max_frames: int = 100_000  # kept in memory, drawn at random from those utterances
    tap: str | None = None  # 'before_norm' or 'after_norm'; None: the usual one of the teacher


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
    """A request as the command line gives it.

    Args:
        layer: of the teacher, from 1.
        codebooks: bytes of a frame.
        entries: of a codebook.
        utterances: to learn from.
        seed: of the utterances and the training.
        steps: of each of the two phases; None for the defaults.
        tap: 'before_norm' or 'after_norm'; None for the teacher's default.

    Raises:
        AsrkdError: a value is out of its range.
    """
    sizes = {} if steps is None else {"phase_one_steps": steps, "phase_two_steps": steps}
    try:
        options = QuantizerOptions(num_codebooks=codebooks, codebook_size=entries, seed=seed, **sizes)
    except ValueError as error:
        raise AsrkdError(f"--codebooks, --entries, --steps: {error}") from None
    if utterances < 1:
        raise AsrkdError(f"--utterances {utterances}: expected 1 or more")
    return QuantizerRequest(layer, options, utterances, tap=tap)


def check_dtype(name: str) -> None:
    """Raise AsrkdError unless ``name`` is a type that frames are stored in."""
    if name not in DTYPES:
        raise AsrkdError(f"--dtype {name}: expected one of {', '.join(DTYPES)}")


DTYPES: Sequence[str] = ("float16", "float32")
