"""Batches of each update, read epoch by epoch by the plan of the run."""

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
    """Batches of an update for this process; other processes may have some where it has none."""

    size: int  # batches of the update, in all processes together
    batches: dict[int, Batch]  # by number in the update


class UpdatePlan:
    """The plan of each epoch divided into updates, and this process's share of their batches."""

    def __init__(self, config: TrainConfig, cuts: Sequence[Item], environment: Environment) -> None:
        """Take the training cuts, and prepare the augmentation of their features.

        Args:
            config: the run's settings.
            cuts: training cuts or sentences.
            environment: processes of the run, as seen by this process, and its number of loaders.

        Raises:
            AsrkdError: the noise of the augmentation cannot be used.
        """
        self.config, self.environment = config, environment
        self.cuts, self.records = CutsById(cuts), records(cuts)
        is_text = isinstance(config.data, TextDataConfig)
        self.augmentation = None if is_text else Augmentation(config.augment, config.seed)

    def per_epoch(self) -> int:
        """Count the updates of the first epoch; later epochs may have a few more or less."""
        return -(-len(self._plan(0).batches) // self.config.optim.accumulate)

    def rest_of_epoch(
        self, position: Position, sources: Mapping[str, TargetSource]
    ) -> Iterator[UpdateBatches]:
        """Yield the updates of the epoch beyond ``position``, where the digest of its plan is set.

        Args:
            position: the position of the run; it may advance while updates are taken.
            sources: the sources of the targets of each batch, by label.

        Raises:
            AsrkdError: the position belongs to another plan, or a cut cannot be read.
        """
        plan = self._plan(position.epoch)
        if position.batch and plan.digest != position.plan_digest:
            raise AsrkdError(
                f"epoch {position.epoch}: its plan differs from the checkpoint's, expected the same; if "
                "lhotse was updated, go back to the earlier version, or train again in another --out"
            )
        position.plan_digest = plan.digest
        of_epoch = {name: _of_epoch(source, position.epoch) for name, source in sources.items()}
        reader = BatchReader(self.cuts, of_epoch, self.augmentation, position.epoch)
        yield from self._read(reader, plan.batches[position.batch :])

    def _read(self, reader: BatchReader, left: Sequence[Sequence[str]]) -> Iterator[UpdateBatches]:
        """Yield the updates of the batches ``left``; a share of all batches is a share of each update."""
        processes, accumulate = self.environment.processes, self.config.optim.accumulate
        batches = load_batches(reader, processes.share(left), workers=self.environment.workers)
        for begin in range(0, len(left), accumulate):
            size = min(accumulate, len(left) - begin)
            numbers = processes.share(range(size))
            read = islice(batches, len(numbers))
            on_device = (batch.to(self.environment.device, reader.sources) for batch in read)
            yield UpdateBatches(size, dict(zip(numbers, on_device, strict=True)))

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
