"""Loader of batches as tensors, by a plan, in this process or in worker processes.

Notation: N cuts, T feature frames, F features.
"""

import signal
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import torch
from lhotse import MonoCut
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from asrkd.core.errors import AsrkdError
from asrkd.core.parallel import one_thread
from asrkd.core.sockets import keep_sockets_short
from asrkd.data.features.reading import collate, load_features
from asrkd.targets.sources.base import TargetSource
from asrkd.targets.sources.text import Sentence
from asrkd.training.augment import Augmentation


@dataclass(frozen=True)
class Batch:
    """Features and targets of some cuts."""

    cut_ids: tuple[str, ...]
    features: Tensor  # (N, T, F); of sentences (N, 0, 0)
    num_frames: Tensor  # (N,)
    targets: dict[str, Any]  # by source, each in the order of the cuts; as fetched, until :meth:`to`
    audio_s: float  # seconds, without padding

    def to(self, device: torch.device, sources: Mapping[str, TargetSource]) -> "Batch":
        """Return the batch on the training device, where ``sources`` finish the targets that they fetched.

        Raises:
            AsrkdError: a live teacher cannot read a cut.
        """
        return replace(
            self,
            features=self.features.to(device),
            num_frames=self.num_frames.to(device),
            targets={key: sources[key].finish(value.to(device)) for key, value in self.targets.items()},
        )


Item: TypeAlias = MonoCut | Sentence  # a training example


class BatchReader(Dataset["Batch | AsrkdError"]):
    """Batches by lists of cut ids, with the augmentation of an epoch."""

    def __init__(
        self,
        cuts: Mapping[str, Item],
        sources: Mapping[str, TargetSource],
        augmentation: Augmentation | None = None,
        epoch: int = 0,
    ) -> None:
        """Keep the cuts, the sources of targets and the augmentation of an epoch.

        Args:
            cuts: cuts or sentences by id.
            sources: target sources by name.
            augmentation: augmentation of the features; None for none.
            epoch: number of the epoch from 0, on which the augmentation depends.
        """
        self.cuts, self.sources = cuts, sources
        self.augmentation, self.epoch = augmentation, epoch

    def __getitem__(self, cut_ids: Sequence[str]) -> "Batch | AsrkdError":
        """Read the batch of these cuts, in this order; an error is returned.

        It runs on one thread, as in loader processes: sums over a cut must not
        depend on the process that reads the batch.

        An error raised in a worker process would reach the trainer as a
        traceback in a string.
        """
        try:
            with one_thread():
                return self._batch(cut_ids)
        except AsrkdError as error:
            return error

    def _batch(self, cut_ids: Sequence[str]) -> Batch:
        cuts = [self.cuts[cut_id] for cut_id in cut_ids]
        features, num_frames = collate([self._features(cut) for cut in cuts])
        targets = {name: source.fetch(cuts) for name, source in self.sources.items()}
        audio_s = sum(cut.duration for cut in cuts if isinstance(cut, MonoCut))
        return Batch(tuple(cut_ids), features, num_frames, targets, audio_s)

    def _features(self, cut: Item) -> Tensor:
        if isinstance(cut, Sentence):
            return torch.zeros(0, 0)
        features = load_features(cut)
        return features if self.augmentation is None else self.augmentation(features, cut.id, self.epoch)


def load_batches(
    reader: BatchReader, batches: Sequence[Sequence[str]], *, workers: int = 0
) -> Iterator[Batch]:
    """Read the batches of a plan, in this process or in workers.

    Args:
        reader: the reader of the batches.
        batches: cut ids of each batch, in order.
        workers: number of loader processes; with 0 this process reads.

    Raises:
        AsrkdError: features or targets of a cut cannot be read.
    """
    keep_sockets_short()
    with warnings.catch_warnings():
        # More workers than CPUs: warned of once, by TrainOptions.
        warnings.filterwarnings("ignore", message="This DataLoader will create .* worker processes")
        loader: DataLoader[Batch | AsrkdError] = DataLoader(
            reader,
            batch_size=None,
            sampler=batches,  # type: ignore[arg-type]
            num_workers=workers,
            worker_init_fn=_leave_stopping_to_the_trainer,
            generator=torch.Generator(),  # or the loader would draw from the global one
        )
        iterator = iter(loader)
    for batch in iterator:
        if isinstance(batch, AsrkdError):
            raise batch
        yield batch


def _leave_stopping_to_the_trainer(_worker: int) -> None:
    """Ignore signals: a scheduler signals the process group, and a worker's death would end the trainer."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
