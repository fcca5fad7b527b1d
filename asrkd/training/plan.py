"""Plan of an epoch: an ordered list of batches of cut ids, by lhotse's dynamic bucketing.

A resumed run computes the plan again from (cuts, seed, epoch) and slices it,
because the state of a sampler is ahead of the trained step by the batches
that the loader has prefetched.
"""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from lhotse import CutSet, MonoCut
from lhotse.dataset import DynamicBucketingSampler

from asrkd.core import files
from asrkd.core.randomness import derive


class Timed(Protocol):
    """A cut, or a record of one, with the attributes that a plan needs."""

    @property
    def id(self) -> str:
        """Id of the cut."""

    @property
    def duration(self) -> float:
        """Duration in seconds."""


@dataclass(frozen=True)
class EpochPlan:
    """Batches of cut ids, in the order of training."""

    batches: tuple[tuple[str, ...], ...]

    @property
    def digest(self) -> str:
        """Hash of the plan, for checkpoints."""
        return files.sha256_of([list(batch) for batch in self.batches])


def plan_epoch(
    cuts: Sequence[Timed], *, seed: int, epoch: int, max_duration: float, num_buckets: int
) -> EpochPlan:
    """Shuffle ``cuts`` into batches of like duration.

    Args:
        cuts: cuts or their records, each of which gets into exactly one batch.
        seed: the run's seed.
        epoch: number of the epoch from 0; every epoch has another order.
        max_duration: seconds of audio in a batch, with padding; a longer cut is a batch by itself.
        num_buckets: largest number of buckets; few cuts have fewer.
    """
    if len(cuts) == 1:  # lhotse needs a cut for each bucket, and two buckets
        return EpochPlan(((cuts[0].id,),))
    with warnings.catch_warnings():
        # lhotse recommends lazy manifests, but the trainer needs every cut by its id; another size of the
        # buffer, which holds all cuts here; and longer batches, but a cut may be longer than a batch.
        warnings.filterwarnings("ignore", category=UserWarning, module="lhotse")
        # lhotse takes the mean of the bounds between buckets; few cuts may have no bounds.
        warnings.filterwarnings("ignore", category=RuntimeWarning, module="numpy")
        sampler = _sampler(cuts, seed, max_duration, num_buckets)
        sampler.set_epoch(epoch)
        return EpochPlan(tuple(part for batch in sampler for part in _fitting(list(batch), max_duration)))


def _fitting(batch: Sequence[MonoCut], max_duration: float) -> Iterator[tuple[str, ...]]:
    """Yield the ids of a batch, or of its halves if its last cut makes it longer than ``max_duration``."""
    if len(batch) == 1 or len(batch) * max(cut.duration for cut in batch) <= max_duration:
        yield tuple(cut.id for cut in batch)
    else:
        middle = len(batch) // 2
        yield from _fitting(batch[:middle], max_duration)
        yield from _fitting(batch[middle:], max_duration)


def _sampler(
    cuts: Sequence[Timed], seed: int, max_duration: float, num_buckets: int
) -> DynamicBucketingSampler:
    return DynamicBucketingSampler(
        CutSet.from_cuts(MonoCut(cut.id, 0.0, cut.duration, 0) for cut in cuts),
        max_duration=max_duration,
        num_buckets=max(2, min(num_buckets, len(cuts) // 20)),
        shuffle=True,
        drop_last=False,
        seed=derive(seed, "plan") % 2**31,
        buffer_size=max(10_000, len(cuts)),
        world_size=1,
        rank=0,
    )


def plan_in_order(cuts: Sequence[Timed], max_duration: float) -> EpochPlan:
    """Plan batches for validation: longest cuts first, without shuffling.

    Args:
        cuts: cuts or their records, each of which gets into exactly one batch.
        max_duration: seconds of audio in a batch, with padding.
    """
    batches: list[list[str]] = []
    longest = 0.0
    for cut in sorted(cuts, key=lambda cut: (-cut.duration, cut.id)):
        if batches and longest * (len(batches[-1]) + 1) <= max_duration:
            batches[-1].append(cut.id)
        else:
            batches.append([cut.id])
            longest = cut.duration
    return EpochPlan(tuple(tuple(batch) for batch in batches))
