"""Augmentation: masks and noise of known place and level, from (seed, epoch, cut id) alone."""

import math
import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from lhotse import Features, MonoCut, NumpyFilesWriter, Recording
from torch import Tensor

from asrkd.core.errors import AsrkdError
from asrkd.data.cuts.manifests import write_cuts
from asrkd.data.features.noise import NoiseConfig, mix
from asrkd.training.augment import Augmentation, FeatureMasks
from asrkd.training.data_config import AugmentConfig, SpecAugmentConfig

MASKS = SpecAugmentConfig(
    probability=1,
    num_feature_masks=2,
    feature_mask_size=4,
    num_frame_masks=3,
    frame_mask_size=8,
    frame_mask_share=1,
    max_frame_share=0.5,
)


@pytest.fixture
def features() -> Tensor:
    """(40, 10) values, no two alike."""
    return torch.randn(40, 10, generator=torch.Generator().manual_seed(7)) * 3 + 1


def write_noise(folder: Path, width: int = 10, frames: int = 9) -> Path:
    folder.mkdir()
    writer = NumpyFilesWriter(folder / "features")
    generator = torch.Generator().manual_seed(1)
    cuts = []
    for cut_id in ("hum", "street"):
        key = writer.write(cut_id, torch.randn(frames, width, generator=generator).numpy())
        duration = frames / 100
        cut = MonoCut(cut_id, 0, duration, 0, recording=Recording(cut_id, [], 8000, frames * 80, duration))
        cut.features = Features(
            "fbank",
            frames,
            width,
            0.01,
            8000,
            0,
            duration,
            writer.name,
            str(writer.storage_path),
            key,
            cut_id,
            0,
        )
        cuts.append(cut)
    write_cuts(folder / "cuts_noise.jsonl", cuts)
    return folder / "cuts_noise.jsonl"


@pytest.mark.parametrize("seed", range(5))
def test_masks_are_bands_and_spans_of_the_mean(features, seed):
    masked = Augmentation(AugmentConfig(specaugment=MASKS), seed)(features, "a", 0)
    changed = masked != features  # (T, F)
    assert torch.equal(masked[changed], features.mean().expand(int(changed.sum())))
    frames, bands = changed.all(dim=1), changed.all(dim=0)
    assert torch.equal(changed, frames[:, None] | bands[None])
    assert int(bands.sum()) <= 2 * 4
    assert int(frames.sum()) <= 0.5 * 40


def test_masking_is_random_and_not_always_by_default(features):
    config = AugmentConfig(specaugment=MASKS.model_copy(update={"probability": 0.5}))
    augment = Augmentation(config, 1)
    same = sum(torch.equal(augment(features, f"cut-{n}", 0), features) for n in range(200))
    assert 60 < same < 140  # 100 expected, 7 the standard deviation


@pytest.mark.parametrize(
    ("update", "frames", "bands"),
    [({"num_frame_masks": 0}, False, True), ({"num_feature_masks": 0}, True, False)],
)
def test_a_kind_of_mask_can_be_left_out(features, update, frames, bands):
    augment = Augmentation(AugmentConfig(specaugment=MASKS.model_copy(update=update)), 1)
    changed = [augment(features, f"cut-{n}", 0) != features for n in range(20)]
    assert any(bool(c.all(dim=1).any()) for c in changed) == frames
    assert any(bool(c.all(dim=0).any()) for c in changed) == bands


@pytest.mark.parametrize(("num_frames", "largest"), [(40, 3), (200, 9), (1000, 9), (15, 0)])
def test_a_frame_mask_is_limited_to_a_share_of_the_utterance(num_frames, largest):
    # 10 % of the frames, 10 at most; widths are drawn below that limit.
    update = {"num_frame_masks": 1, "num_feature_masks": 0, "frame_mask_size": 10, "frame_mask_share": 0.1}
    masks = FeatureMasks(MASKS.model_copy(update=update))
    features = torch.randn(num_frames, 4)
    widths = {int((masks(features) != features).all(dim=1).sum()) for _ in range(200)}
    assert widths == set(range(largest + 1))


@pytest.mark.parametrize("size", [1, 2, 50])
@pytest.mark.parametrize("share", [0.05, 0.15, 1.0])
def test_utterances_of_any_length_can_be_masked(size, share):
    config = MASKS.model_copy(update={"frame_mask_size": size, "max_frame_share": share})
    for num_frames in range(1, 30):
        masked = FeatureMasks(config)(torch.arange(10.0 * num_frames).view(num_frames, 10))
        assert masked.shape == (num_frames, 10)


def test_it_is_a_function_of_seed_epoch_and_cut_id(features, tmp_path):
    noise = NoiseConfig(cuts=write_noise(tmp_path / "noise"), probability=1)
    config = AugmentConfig(specaugment=MASKS, noise=noise)
    first = Augmentation(config, 1)(features, "a", 0)
    torch.rand(3)
    random.random()
    augment = Augmentation(config, 1)
    augment(features, "b", 0)
    assert torch.equal(augment(features, "a", 0), first)
    for other in (
        Augmentation(config, 2)(features, "a", 0),
        augment(features, "a", 1),
        augment(features, "b", 0),
    ):
        assert not torch.equal(other, first)


def test_features_and_global_generators_are_left_unchanged(features, tmp_path):
    noise = NoiseConfig(cuts=write_noise(tmp_path / "noise"), probability=1)
    augment = Augmentation(AugmentConfig(specaugment=MASKS, noise=noise), 1)
    kept, before = features.clone(), (random.getstate(), torch.get_rng_state())
    augment(features, "a", 0)
    assert torch.equal(features, kept)
    assert random.getstate() == before[0]
    assert torch.equal(torch.get_rng_state(), before[1])


def test_without_any_part_it_is_the_identity(features):
    assert torch.equal(Augmentation(AugmentConfig(specaugment=None), 1)(features, "a", 0), features)


@pytest.mark.parametrize("snr_db", [-10.0, 0.0, 20.0])
def test_noise_is_added_at_the_requested_snr(features, snr_db):
    speech, noise = (
        features.double(),
        torch.randn(40, 10, generator=torch.Generator().manual_seed(2)).double() - 5,
    )
    added = mix(speech, noise, snr_db).exp() - speech.exp()  # energy of the noise as it was scaled
    ratio = speech.exp().mean() / added.mean()
    assert 10 * math.log10(float(ratio)) == pytest.approx(snr_db, abs=1e-6)
    gain = added.sum() / noise.exp().sum()
    torch.testing.assert_close(added, gain * noise.exp())


def test_two_equal_signals_at_0_db_are_3_db_louder():
    signal = torch.full((5, 4), 2.0)
    torch.testing.assert_close(mix(signal, signal, 0.0), torch.full((5, 4), 2.0 + math.log(2)))


def test_short_noise_is_repeated_within_the_snr_range(features, tmp_path):
    noise = NoiseConfig(cuts=write_noise(tmp_path / "noise", frames=9), probability=1, snr_db=(5, 10))
    augment = Augmentation(AugmentConfig(specaugment=None, noise=noise), 1)
    levels = []
    for number in range(30):
        added = augment(features, f"cut-{number}", 0).double().exp() - features.double().exp()
        torch.testing.assert_close(added[9:], added[:-9], rtol=1e-2, atol=1e-4)  # a period of 9 frames
        levels.append(10 * math.log10(float(features.double().exp().mean() / added.mean())))
    assert 5 <= min(levels) < 6
    assert 9 < max(levels) <= 10


def test_noise_of_another_width_or_without_features_is_refused(features, tmp_path):
    narrow = NoiseConfig(cuts=write_noise(tmp_path / "noise", width=8), probability=1)
    with pytest.raises(AsrkdError, match="noise has 8 features per frame, the training cuts 10"):
        Augmentation(AugmentConfig(noise=narrow), 1)(features, "a", 0)
    bare = MonoCut("bare", 0, 1, 0, recording=Recording("r", [], 8000, 8000, 1.0))
    write_cuts(tmp_path / "bare.jsonl", [replace(bare)])
    with pytest.raises(AsrkdError, match="cut bare has no features"):
        Augmentation(AugmentConfig(noise=NoiseConfig(cuts=tmp_path / "bare.jsonl")), 1)
