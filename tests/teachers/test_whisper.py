"""Whisper's encoder: its own front end, its window, and of the frames those of the audio."""

import json

import pytest
import soundfile
import torch
from lhotse import MonoCut

from asrkd.core.errors import AsrkdError
from asrkd.models.encoder import Tap
from asrkd.models.frame_timing import expected_frames
from asrkd.teachers.loading import open_teacher
from tests.teachers.tiny import whisper_model


def samples(cut: MonoCut):
    return soundfile.read(cut.recording.sources[0].source, dtype="float32")[0]


def test_layers_equal_the_librarys_without_the_padding(spoken_cuts, tmp_path):
    model = whisper_model(tmp_path)
    from transformers import WhisperFeatureExtractor

    front_end = WhisperFeatureExtractor(feature_size=80, chunk_length=2)
    teacher = open_teacher(tmp_path)
    taps = [teacher.tap(1), teacher.tap(2), teacher.tap(3, "after_norm")]
    for embedded in teacher.embeddings(spoken_cuts[:3], taps):
        own = samples(embedded.cut)
        features = front_end(own, sampling_rate=16000, return_tensors="pt").input_features
        with torch.no_grad():
            expected = model.encoder(features, output_hidden_states=True).hidden_states
        for tap in taps:
            length = -(-len(own) // 320)
            assert embedded.tapped[tap].shape == (length, 16)
            torch.testing.assert_close(
                embedded.tapped[tap], expected[tap.layer][0, :length], rtol=0, atol=1e-5
            )


@pytest.mark.parametrize("size", [1, 3, 16])
def test_neighbors_in_a_batch_are_not_seen(size, spoken_cuts, tmp_path):
    whisper_model(tmp_path)
    teacher = open_teacher(tmp_path)
    tap = teacher.tap(3)
    alone = {own.cut.id: own.tapped[tap] for own in teacher.embeddings(spoken_cuts, [tap])}
    for start in range(0, len(spoken_cuts), size):
        for own in teacher.encode(spoken_cuts[start : start + size], [tap]):
            torch.testing.assert_close(own.tapped[tap], alone[own.cut.id], rtol=0, atol=1e-5)


def test_a_click_moves_the_frame_that_is_centered_on_it_most(tmp_path):
    """Frame k of its front end lies at sample 320 k: both convolutions together, without attention."""
    model = whisper_model(tmp_path)
    teacher = open_teacher(tmp_path)
    contract = teacher.contract()
    assert (contract["first_frame_offset"], contract["frame_shift"]) == (0.0, 0.02)
    encoder = model.encoder
    features = torch.zeros(1, 80, 200, requires_grad=True)
    frames = encoder.conv2(encoder.conv1(features))
    frames[0, :, 40].sum().backward()
    (reached,) = features.grad[0].abs().sum(0).nonzero(as_tuple=True)
    middle = (reached[0] + reached[-1]) / 2  # mel frame m is centered on sample 160 m
    assert float(middle) * 160 == 40 * 320
    for num_samples, frames in ((1, 1), (320, 1), (321, 2), (16000, 50)):
        assert expected_frames(contract, num_samples / 16000, 16000) == frames


def test_audio_beyond_the_window_is_refused_at_once(spoken_cuts, tmp_path):
    whisper_model(tmp_path, positions=50)  # one second
    teacher = open_teacher(tmp_path)
    longer = [cut for cut in spoken_cuts if cut.duration > 1]
    with pytest.raises(AsrkdError, match=rf"here: cut {longer[0].id} has .* reads 1 s at most; split it"):
        teacher.check_cuts(spoken_cuts, "here")
    teacher.check_cuts([cut for cut in spoken_cuts if cut.duration <= 1], "here")


def test_a_whole_recognizer_is_read_for_its_encoder(spoken_cuts, tmp_path):
    model = whisper_model(tmp_path)
    from transformers import WhisperForConditionalGeneration

    recognizer = WhisperForConditionalGeneration(model.config)
    recognizer.model.load_state_dict(model.state_dict())
    recognizer.save_pretrained(str(tmp_path / "whole"), safe_serialization=True)
    ours, theirs = (
        next(open_teacher(path).embeddings(spoken_cuts[:1], [Tap(2)]))
        for path in (tmp_path, tmp_path / "whole")
    )
    assert torch.equal(ours.tapped[Tap(2)], theirs.tapped[Tap(2)])


def test_a_preprocessor_of_another_model_is_refused(tmp_path):
    whisper_model(tmp_path)
    described = {"feature_extractor_type": "WhisperFeatureExtractor", "chunk_length": 30, "feature_size": 80}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(described))
    with pytest.raises(AsrkdError, match="80 mel bands of 480000 samples, the encoder reads 80 of 32000"):
        open_teacher(tmp_path)


def test_the_default_tap_of_the_last_layer_is_before_the_norm(spoken_cuts, tmp_path):
    model = whisper_model(tmp_path)
    teacher = open_teacher(tmp_path)
    assert teacher.tap(3) == Tap(3, "before_norm")
    both = [teacher.tap(3), teacher.tap(3, "after_norm")]
    (embedded,) = teacher.embeddings(spoken_cuts[:1], both)
    normed = model.encoder.layer_norm(embedded.tapped[both[0]]).detach()
    torch.testing.assert_close(normed, embedded.tapped[both[1]], rtol=0, atol=1e-5)
