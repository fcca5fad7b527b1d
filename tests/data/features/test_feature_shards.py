"""Shards against lhotse's own extraction, and what is left when one is interrupted."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from lhotse import CutSet, Fbank, FbankConfig, LilcomChunkyWriter

from asrkd.data.corpora.recordings import audio_sha256, make_cut, read_recording
from asrkd.data.corpora.utterances import CorpusUtterance
from asrkd.data.cuts.packed import PackedCuts, resolve
from asrkd.data.features import shards
from tests.watching import unwatched

RATE = 8000
# lilcom rounds to multiples of 2^-5 (LilcomChunkyWriter's tick_power).
LILCOM_STEP = 2**-5


@pytest.fixture
def cuts(tmp_path):
    """Five cuts of half a second and more, each its own recording."""

    def make(path: Path):
        item = CorpusUtterance(path.stem, path, "train", "x:1", "ONE", "s")
        return make_cut(item, read_recording(path, path.stem))

    rng = np.random.default_rng(11)
    made = []
    for index in range(5):
        path = tmp_path / "audio" / f"c{index}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, 0.1 * rng.standard_normal(4000 + 801 * index), RATE)
        made.append(make(path))
    return made


def plan(out: Path, **options: object) -> shards.Plan:
    return shards.Plan(
        **{"out": out, "num_mel_bins": 80, "sampling_rate": RATE, "cuts_per_shard": 2, **options}
    )


def compute(out: Path, cuts, split: str = "train", **options: object):
    """All finished cuts, with their paths resolved, and what was set aside."""
    finished, bad = [], []
    for shard in shards.plan_shards(plan(out, **options), {split: PackedCuts(cuts)}):
        shards.compute_shard(shard, unwatched())
        done, aside = shards.read_ledger(shard)
        finished += [resolve(cut, out) for cut in done]
        bad += aside
    return finished, bad


def test_boundaries_follow_from_the_list_alone(tmp_path, cuts):
    planned = shards.plan_shards(
        plan(tmp_path), {"train": PackedCuts(cuts), "dev": PackedCuts(cuts[:1]), "test": PackedCuts()}
    )
    assert [(s.split, s.index, s.count, [c.id for c in s.cuts]) for s in planned] == [
        ("train", 0, 3, ["c0", "c1"]),
        ("train", 1, 3, ["c2", "c3"]),
        ("train", 2, 3, ["c4"]),
        ("dev", 0, 1, ["c0"]),
    ]
    assert str(planned[1].archive) == "features/train/shard-00001-of-00003.lca"


@pytest.mark.parametrize("target", [RATE, 16000])
def test_features_are_those_that_lhotse_computes_and_stores(tmp_path, cuts, target):
    found, _ = compute(tmp_path / "out", cuts, sampling_rate=target, speeds=(0.9, 1.1))
    originals = CutSet.from_cuts(cuts).resample(target)
    perturbed = [copy for cut in originals for copy in (cut, cut.perturb_speed(0.9), cut.perturb_speed(1.1))]
    extractor = Fbank(FbankConfig(sampling_rate=target, num_filters=80, snip_edges=False))
    theirs = CutSet.from_cuts(perturbed).compute_and_store_features(
        extractor, tmp_path / "theirs", storage_type=LilcomChunkyWriter, progress_bar=False
    )
    assert [cut.id for cut in found] == [cut.id for cut in theirs]
    for cut, other in zip(found, theirs, strict=True):
        np.testing.assert_array_equal(cut.load_features(), other.load_features())
        np.testing.assert_allclose(
            cut.load_features(), extractor.extract(cut.load_audio(), target), atol=LILCOM_STEP
        )
        assert (cut.num_samples, cut.num_frames, cut.duration) == (
            other.num_samples,
            other.num_frames,
            other.duration,
        )


def test_the_hash_is_of_the_audio_before_perturbation(tmp_path, cuts):
    for folder, options in (("a", {"speeds": (0.9,)}), ("b", {"sampling_rate": 16000})):
        found, _ = compute(tmp_path / folder, cuts, **options)
        expected = {cut.id: audio_sha256(cut.load_audio()) for cut in cuts}
        assert {cut.id: cut.audio_sha256 for cut in found} == {
            cut.id: expected[cut.id.removesuffix("_sp0.9")] for cut in found
        }


def test_only_train_is_perturbed(tmp_path, cuts):
    found, _ = compute(tmp_path / "out", cuts, split="dev", speeds=(0.9,))
    assert [cut.id for cut in found] == [cut.id for cut in cuts]


def test_a_bad_file_is_set_aside_and_the_others_are_computed(tmp_path, cuts):
    Path(cuts[2].recording.sources[0].source).write_bytes(b"")
    found, bad = compute(tmp_path / "out", cuts, speeds=(1.1,))
    assert [cut.id for cut in found] == [f"c{i}{copy}" for i in (0, 1, 3, 4) for copy in ("", "_sp1.1")]
    assert [(item.id, item.split, item.cause[:10]) for item in bad] == [("c2", "train", "unreadable")]


def test_computing_twice_gives_the_same_bytes(tmp_path, cuts):
    for out in ("a", "b"):
        compute(tmp_path / out, cuts, speeds=(0.9,))
    first, second = (sorted(p for p in (tmp_path / out).rglob("*") if p.is_file()) for out in ("a", "b"))
    assert [p.name for p in first] == [p.name for p in second]
    assert len(first) == 6
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


def test_a_shard_that_is_interrupted_has_no_file(tmp_path, cuts, monkeypatch):
    (shard, *_) = shards.plan_shards(plan(tmp_path / "out", cuts_per_shard=5), {"train": PackedCuts(cuts)})
    real, calls = shards.decode, []

    def decode_two(cut):
        calls.append(cut.id)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(cut)

    monkeypatch.setattr(shards, "decode", decode_two)
    with pytest.raises(KeyboardInterrupt):
        shards.compute_shard(shard, unwatched())
    assert not shard.is_done()
    assert [p for p in (tmp_path / "out").rglob("*") if p.is_file()] == []


def test_a_shard_needs_both_its_files(tmp_path, cuts):
    (shard,) = shards.plan_shards(plan(tmp_path, cuts_per_shard=9), {"dev": PackedCuts(cuts)})
    shards.compute_shard(shard, unwatched())
    for path in (shard.archive, shard.ledger):
        content = (tmp_path / path).read_bytes()
        assert shard.is_done()
        (tmp_path / path).unlink()
        assert not shard.is_done()
        (tmp_path / path).write_bytes(content)
