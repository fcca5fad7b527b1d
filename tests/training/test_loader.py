"""Batches: the same whoever makes them."""

import os
from pathlib import Path

import pytest
import torch

from asrkd.core.errors import AsrkdError
from asrkd.data.cuts.manifests import read_cuts
from asrkd.training.loader import BatchReader, load_batches


class Threads:
    """In place of an augmentation: writes into the features how many threads torch has."""

    def __call__(self, features: torch.Tensor, cut_id: str, epoch: int) -> torch.Tensor:
        return torch.full_like(features, torch.get_num_threads())


@pytest.fixture
def cuts(corpus: Path):
    return {cut.id: cut for cut in read_cuts(corpus / "cuts_train.jsonl.gz")[:4]}


@pytest.mark.parametrize("workers", [0, 1])
def test_batches_are_made_on_one_thread_here_and_in_a_worker(cuts, workers):
    """Sums over a cut in several threads have other last bits."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        reader = BatchReader(cuts, {}, Threads())  # type: ignore[arg-type]
        batches = list(load_batches(reader, [list(cuts)[:3], list(cuts)[3:]], workers=workers))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert [batch.cut_ids for batch in batches] == [tuple(list(cuts)[:3]), tuple(list(cuts)[3:])]
    for batch in batches:
        for features, frames in zip(batch.features, batch.num_frames, strict=True):
            assert (features[:frames] == 1).all()


def test_a_process_without_a_share_has_no_batches(cuts):
    assert list(load_batches(BatchReader(cuts, {}), [])) == []


@pytest.mark.parametrize("workers", [0, 1])
def test_an_unreadable_cut_is_an_error_without_a_traceback(cuts, workers):
    cuts["train-001"].features.storage_key = "nowhere.npy"
    with pytest.raises(AsrkdError, match="train-001"):
        list(load_batches(BatchReader(cuts, {}), [["train-000", "train-001"]], workers=workers))


def test_more_workers_than_processors_are_no_warning_of_torch(cuts, recwarn):
    workers = len(os.sched_getaffinity(0)) + 1
    batches = load_batches(BatchReader(cuts, {}), [[cut_id] for cut_id in cuts], workers=workers)
    assert len(list(batches)) == 4
    assert not [warning for warning in recwarn if "DataLoader" in str(warning.message)]
