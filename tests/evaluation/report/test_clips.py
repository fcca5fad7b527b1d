"""Clips: sample for sample what is on disk, no more than asked for, no more than there is room for."""

import base64
import io

import numpy as np
import pytest
import soundfile

from asrkd.data.cuts.manifests import read_cuts
from asrkd.evaluation.report import clips


@pytest.fixture
def cuts(scored):
    return {cut.id: cut for cut in read_cuts(scored.cuts)}


def test_a_clip_is_flac_of_the_very_samples(scored, cuts):
    encoded = clips.read_clips(cuts, ["mended"], 5)
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(encoded["mended"])), dtype="int16")
    expected, expected_rate = soundfile.read(scored.cuts.parent / "audio/mended.wav", dtype="int16")
    assert rate == expected_rate
    np.testing.assert_array_equal(samples, expected)
    assert base64.b64decode(encoded["mended"])[:4] == b"fLaC"


def test_no_more_than_asked_for_and_in_the_order_of_choice(cuts):
    assert list(clips.read_clips(cuts, ["new", "nobody", "mended", "shared"], 2)) == ["new", "mended"]
    assert clips.read_clips(cuts, ["new"], 0) == {}


def test_audio_that_is_gone_is_passed_over(scored, cuts):
    (scored.cuts.parent / "audio/new.wav").unlink()
    assert list(clips.read_clips(cuts, ["new", "mended"], 2)) == ["mended"]


def test_a_clip_without_room_is_passed_over(cuts, monkeypatch):
    sizes = {utt_id: len(audio) for utt_id, audio in clips.read_clips(cuts, cuts, 99).items()}
    monkeypatch.setattr(clips, "MOST_BYTES", sizes["all-right"] + sizes["mended"])
    assert set(clips.read_clips(cuts, ["all-right", "silence", "mended"], 9)) == {"all-right", "mended"}
