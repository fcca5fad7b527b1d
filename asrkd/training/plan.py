"""The plan of an epoch: an ordered list of batches of cut ids.

lhotse's dynamic bucketing makes it; the trainer owns it. A resumed run makes
the plan again from (cuts, seed, epoch) and slices it, because a sampler's own
state runs ahead of the trained step by what the loader has prefetched.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from lhotse import CutSet, MonoCut
from lhotse.dataset import DynamicBucketingSampler

from asrkd import files
from asrkd.training.randomness import derive


@dataclass(frozen=True)
class EpochPlan:
    """Batches of cut ids, in the order in which they are trained on."""

    batches: tuple[tuple[str, ...], ...]

    @property
    def digest(self) -> str:
        """Hash by which a checkpoint recognises its plan."""
        return files.sha256_of([list(batch) for batch in self.batches])


def plan_epoch(
    cuts: Sequence[MonoCut], *, seed: int, epoch: int, max_duration: float, num_buckets: int
) -> EpochPlan:
    """Shuffle ``cuts`` into batches of like duration.

    Args:
        cuts: each is in exactly one batch.
        seed: of the run.
        epoch: counted from 0; every epoch has another order.
        max_duration: seconds of audio in a batch, padding counted.
        num_buckets: fewer are used when there are few cuts.
    """
    with warnings.catch_warnings():
        # It advises lazy manifests; the trainer needs every cut by its id anyway.
        warnings.filterwarnings("ignore", message=".*eagerly read CutSet")
        sampler = _sampler(cuts, seed, max_duration, num_buckets)
    sampler.set_epoch(epoch)
    return EpochPlan(tuple(tuple(cut.id for cut in batch) for batch in sampler))


def _sampler(
    cuts: Sequence[MonoCut], seed: int, max_duration: float, num_buckets: int
) -> DynamicBucketingSampler:
    return DynamicBucketingSampler(
        CutSet.from_cuts(cuts),
        max_duration=max_duration,
        num_buckets=max(2, min(num_buckets, len(cuts) // 20)),
        shuffle=True,
        drop_last=False,
        seed=derive(seed, "plan") % 2**31,
        buffer_size=max(10_000, len(cuts)),
        world_size=1,
        rank=0,
    )


def plan_in_order(cuts: Sequence[MonoCut], max_duration: float) -> EpochPlan:
    """Batches for validation: longest cuts first, nothing shuffled.

    Args:
        cuts: each is in exactly one batch.
        max_duration: seconds of audio in a batch, padding counted.
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
