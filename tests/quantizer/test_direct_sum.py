"""Encoding and decoding: the reference's indexes, any chunks alike, and frames that are sums."""

import dataclasses

import pytest
import torch

from asrkd.core.errors import AsrkdError
from asrkd.quantizer.direct_sum import DirectSumQuantizer
from asrkd.quantizer.search.search import REFERENCE, IndexSearch

KEPT = dataclasses.replace(REFERENCE, keep_better=True)


@pytest.fixture
def quantizer(generator):
    """Four codebooks of 16 entries in 12 dimensions, with an offset."""
    made = DirectSumQuantizer(12, num_codebooks=4, codebook_size=16)
    with torch.no_grad():
        made.centers.copy_(torch.randn(4, 16, 12, generator=generator))
        made.to_logits.weight.copy_(made.centers.flatten(0, 1))
        made.mean.copy_(20 * torch.randn(12, generator=generator))
    return made


def errors(quantizer, frames, indexes):
    return (quantizer.decode(indexes) - frames).square().sum(dim=1)


@pytest.mark.parametrize("refinements", [0, 1, 2, 5])
def test_indexes_are_those_of_the_reference_package(reference, refinements):
    encoded = reference.quantizer.encode(
        reference.frames, dataclasses.replace(REFERENCE, refinements=refinements)
    )
    assert encoded.dtype == torch.uint8
    assert torch.equal(encoded.long(), reference.indexes(refinements))


def test_decoded_frames_are_those_of_the_reference_package(reference):
    decoded = reference.quantizer.decode(reference.indexes(5))
    expected = torch.tensor(reference.record["decode_first_frame"])
    torch.testing.assert_close(decoded[0], expected, rtol=0, atol=2e-6)


def test_centers_sum_to_the_mean_of_the_reference_package(reference):
    mean = reference.quantizer.scaled_centers().mean(dim=1).sum(dim=0)
    torch.testing.assert_close(mean, torch.tensor(reference.record["data_mean"]), rtol=0, atol=2e-6)


def test_the_best_indexes_met_are_never_worse_than_the_last(reference):
    quantizer, frames = reference.quantizer, reference.frames
    kept = quantizer.encode(frames, KEPT, all_rounds=True)
    rounds = [errors(quantizer, frames, indexes) for indexes in kept]
    for before, after in zip(rounds, rounds[1:], strict=False):
        assert (after <= before).all()
    last = quantizer.encode(frames, REFERENCE)
    assert (rounds[-1] <= errors(quantizer, frames, last)).all()


def test_refinement_makes_no_frame_worse_unlike_the_reference():
    """Two entries a codebook that cancel: tried alone each helps, together they overshoot."""
    made = DirectSumQuantizer(1, num_codebooks=4, codebook_size=256)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        made.centers.copy_(torch.randn(4, 256, 1, generator=generator))
    frames = torch.randn(400, 1, generator=generator)
    last = made.encode(frames, REFERENCE, all_rounds=True)
    worse = [errors(made, frames, b) > errors(made, frames, a) for a, b in zip(last, last[1:], strict=False)]
    assert torch.stack(worse).any()
    best = made.encode(frames, KEPT, all_rounds=True)
    for before, after in zip(best, best[1:], strict=False):
        # To the unit of the search, 2^-28 of the largest center's square, here 13.
        assert (errors(made, frames, after) <= errors(made, frames, before) + 1e-6).all()


@pytest.mark.parametrize("chunk_frames", [16, 100, 128, 333, 1000])
def test_chunks_of_any_size_give_the_same_indexes(quantizer, generator, chunk_frames):
    frames = quantizer.mean + torch.randn(333, 12, generator=generator)
    together = quantizer.encode(frames, chunk_frames=333)
    assert torch.equal(quantizer.encode(frames, chunk_frames=chunk_frames), together)


def test_a_frame_has_the_same_indexes_alone_and_in_company(quantizer, generator):
    frames = quantizer.mean + torch.randn(30, 12, generator=generator)
    alone = torch.cat([quantizer.encode(frame[None]) for frame in frames])
    assert torch.equal(alone, quantizer.encode(frames))


def test_frames_that_are_sums_of_entries_are_found_again(generator):
    """In 64 dimensions random entries are nearly orthogonal, so only the true sum is near."""
    made = DirectSumQuantizer(64, num_codebooks=4, codebook_size=16)
    with torch.no_grad():
        made.centers.copy_(torch.randn(4, 16, 64, generator=generator))
        made.mean.fill_(20.0)
    indexes = torch.randint(16, (200, 4), generator=generator)
    frames = made.decode(indexes)
    assert torch.equal(made.encode(frames).long(), indexes)
    assert errors(made, frames, made.encode(frames)).max() < 1e-6


def test_decoding_adds_the_entries_and_the_mean_by_hand():
    made = DirectSumQuantizer(2, num_codebooks=2, codebook_size=2)
    with torch.no_grad():
        made.centers.copy_(torch.tensor([[[1.0, 2.0], [3.0, 4.0]], [[10.0, 20.0], [30.0, 40.0]]]))
        made.mean.copy_(torch.tensor([100.0, 200.0]))
    assert made.decode(torch.tensor([[1, 0], [0, 1]], dtype=torch.uint8)).tolist() == [[113, 224], [131, 242]]


def test_no_frames_give_no_indexes(quantizer):
    assert quantizer.encode(torch.zeros(0, 12)).shape == (0, 4)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_frame_that_is_not_finite_is_refused_by_its_number(quantizer, bad):
    frames = torch.zeros(5, 12)
    frames[3, 7] = bad
    with pytest.raises(AsrkdError, match="frame 3 of 5 has a NaN or an infinity"):
        quantizer.encode(frames)


def test_wrong_calls_are_refused(quantizer):
    with pytest.raises(ValueError, match=r"expected embeddings \(B, 12\), got \(3, 11\)"):
        quantizer.encode(torch.zeros(3, 11))
    with pytest.raises(ValueError, match=r"expected indexes \(B, 4\), got \(3, 5\)"):
        quantizer.decode(torch.zeros(3, 5, dtype=torch.long))
    with pytest.raises(ValueError, match=r"indexes must be in \[0, 16\)"):
        quantizer.decode(torch.full((3, 4), 16))
    with pytest.raises(ValueError, match="chunk_frames 0 is out of range"):
        quantizer.encode(torch.zeros(3, 12), chunk_frames=0)
    with pytest.raises(ValueError, match="beam 65 or refinements 3 is out of range"):
        IndexSearch(beam=65)
    with pytest.raises(ValueError, match="num_codebooks must be at least 1, got 0"):
        DirectSumQuantizer(12, num_codebooks=0)
    with pytest.raises(ValueError, match="codebook_size must be 2 to 256"):
        DirectSumQuantizer(12, num_codebooks=2, codebook_size=512)
