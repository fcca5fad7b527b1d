"""The batches of a run: epoch after epoch, in groups that make an update each."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from asrkd.core.errors import AsrkdError
from asrkd.data.cuts.packed import CutsById
from asrkd.data.cuts.records import records
from asrkd.targets.sources.base import Changing, TargetSource
from asrkd.training.augment import Augmentation
from asrkd.training.checkpoint import Position
from asrkd.training.config import TrainConfig
from asrkd.training.data_config import TextDataConfig
from asrkd.training.environment import Environment
from asrkd.training.loader import Batch, BatchReader, Item, load_batches
from asrkd.training.plan import EpochPlan, plan_epoch


@dataclass(frozen=True)
class UpdateBatches:
    """The batches of an update that are this process's; there may be none where others have some."""

    size: int  # batches of the update, in all processes together
    batches: dict[int, Batch]  # by their number in the update


class UpdatePlan:
    """Cuts the plan of each epoch into groups, and reads this process's share of every group."""

    def __init__(self, config: TrainConfig, cuts: Sequence[Item], machine: Environment) -> None:
        """Args as they are read; AsrkdError if the noise of the augmentation cannot be used."""
        self.config, self.machine = config, machine
        self.cuts, self.records = CutsById(cuts), records(cuts)
        is_text = isinstance(config.data, TextDataConfig)
        self.augmentation = None if is_text else Augmentation(config.augment, config.seed)

    def per_epoch(self) -> int:
        """Groups of the first epoch; later ones may have a few more or less."""
        return -(-len(self._plan(0).batches) // self.config.optim.accumulate)

    def rest_of_epoch(
        self, position: Position, sources: Mapping[str, TargetSource]
    ) -> Iterator[UpdateBatches]:
        """The groups of the epoch that lie beyond ``position``; its plan is noted there.

        Args:
            position: how far the run has come; it may move while the groups are taken.
            sources: of the targets that go with each batch.

        Raises:
            AsrkdError: the plan is not the one that the position belongs to, or a cut cannot be read.
        """
        plan = self._plan(position.epoch)
        if position.batch and plan.digest != position.plan_digest:
            raise AsrkdError(
                f"epoch {position.epoch}: its plan differs from the checkpoint's; was lhotse updated? "
                "Start anew in another --out"
            )
        position.plan_digest = plan.digest
        own = {name: _of_epoch(source, position.epoch) for name, source in sources.items()}
        reader = BatchReader(self.cuts, own, self.augmentation, position.epoch)
        yield from self._read(reader, plan.batches[position.batch :])

    def _read(self, reader: BatchReader, left: Sequence[Sequence[str]]) -> Iterator[UpdateBatches]:
        """Groups of what is ``left``; as groups are shared evenly, a share of all is a share of each."""
        processes, accumulate = self.machine.processes, self.config.optim.accumulate
        batches = load_batches(reader, processes.share(left), workers=self.machine.workers)
        for begin in range(0, len(left), accumulate):
            size = min(accumulate, len(left) - begin)
            mine = processes.share(range(size))
            taken = islice(batches, len(mine))
            there = (batch.to(self.machine.device, reader.sources) for batch in taken)
            yield UpdateBatches(size, dict(zip(mine, there, strict=True)))

    def _plan(self, epoch: int) -> EpochPlan:
        data = self.config.data
        return plan_epoch(
            self.records,
            seed=self.config.seed,
            epoch=epoch,
            max_duration=data.batch_limit.size,
            num_buckets=data.num_buckets,
        )


def _of_epoch(source: TargetSource, epoch: int) -> TargetSource:
    return source.of_epoch(epoch) if isinstance(source, Changing) else source
