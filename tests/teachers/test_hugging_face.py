"""Encoders of transformers from a folder: numbers of the library itself, and nothing fetched."""

import json
import socket
import sys

import pytest
import soundfile
import torch
from safetensors.torch import load_file, save_file

from asrkd.commands.convert_teacher import convert
from asrkd.core.errors import AsrkdError
from asrkd.models.encoder import Tap
from asrkd.models.frame_timing import expected_frames
from asrkd.teachers.audio import AudioInput
from asrkd.teachers.loading import open_teacher
from tests.teachers.tiny import hugging_face_model

FAMILIES = [("wav2vec2", "base"), ("wav2vec2", "large"), ("hubert", "base"), ("hubert", "large")]
FAMILIES += [("wavlm", "base"), ("wavlm", "large")]


def hidden_states(model, cut) -> tuple[torch.Tensor, ...]:
    """What the library says of one utterance, its own feature extractor before it."""
    from transformers import Wav2Vec2FeatureExtractor

    samples = soundfile.read(cut.recording.sources[0].source, dtype="float32")[0]
    values = Wav2Vec2FeatureExtractor(do_normalize=True)(samples, sampling_rate=16000, return_tensors="pt")
    with torch.no_grad():
        return model(values.input_values, output_hidden_states=True).hidden_states


@pytest.mark.parametrize(("family", "kind"), FAMILIES)
def test_every_layer_is_what_the_library_gives_of_one_utterance(family, kind, spoken_cuts, tmp_path):
    model = hugging_face_model(tmp_path, family, kind)
    teacher = open_teacher(tmp_path)
    taps = [teacher.tap(layer) for layer in (1, 2)] + [teacher.tap(3, "after_norm")]
    for embedded in teacher.embeddings(spoken_cuts[:3], taps):
        expected = hidden_states(model, embedded.cut)
        for tap in taps:
            torch.testing.assert_close(embedded.tapped[tap], expected[tap.layer][0], rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [1, 3, 16])
@pytest.mark.parametrize("family", ["wav2vec2", "hubert", "wavlm"])
def test_neighbors_in_a_batch_are_not_seen(family, size, spoken_cuts, tmp_path, monkeypatch):
    """In double precision, where rounding, which these random weights magnify, hides nothing."""
    hugging_face_model(tmp_path, family, "large")
    teacher = open_teacher(tmp_path)
    assert teacher.encoder.batched
    teacher.encoder.model.double()
    load = AudioInput.load
    monkeypatch.setattr(AudioInput, "load", lambda own, cut: load(own, cut).double())
    alone = {own.cut.id: own.tapped[Tap(3)] for own in teacher.embeddings(spoken_cuts, [Tap(3)])}
    for start in range(0, len(spoken_cuts), size):
        for own in teacher.encode(spoken_cuts[start : start + size], [Tap(3)]):
            torch.testing.assert_close(own.tapped[Tap(3)], alone[own.cut.id], rtol=0, atol=1e-6)


def test_an_encoder_with_a_group_norm_is_run_one_cut_at_a_time(tmp_path):
    hugging_face_model(tmp_path, "hubert", "base")
    assert not open_teacher(tmp_path).encoder.batched


def test_a_contract_names_family_hashes_norm_and_version(tmp_path):
    model = hugging_face_model(tmp_path, "hubert")
    teacher = open_teacher(tmp_path)
    contract = teacher.contract()
    assert contract["teacher"]["family"] == "transformers hubert"
    assert contract["audio"]["normalization"]["epsilon"] == 1e-7
    assert (contract["frame_shift"], contract["first_frame_offset"]) == (0.02, 0.0125)
    assert teacher.versions().keys() == {"transformers"}
    for num_samples in (400, 719, 720, 16000):
        frames = model._get_feat_extract_output_lengths(torch.tensor(num_samples))
        assert expected_frames(contract, num_samples / 16000, 16000) == int(frames)


def test_the_preprocessor_decides_about_normalization(spoken_cuts, tmp_path):
    model = hugging_face_model(tmp_path, "wavlm")
    plain = open_teacher(tmp_path).contract()["teacher"]["config_sha256"]
    (tmp_path / "preprocessor_config.json").write_text('{"do_normalize": false, "sampling_rate": 16000}')
    (tmp_path / "config.json").touch()
    teacher = open_teacher(tmp_path)
    assert teacher.contract()["audio"]["normalization"] is None
    assert teacher.contract()["teacher"]["config_sha256"] != plain
    (embedded,) = teacher.embeddings(spoken_cuts[:1], [Tap(1)])
    samples = soundfile.read(spoken_cuts[0].recording.sources[0].source, dtype="float32")[0]
    with torch.no_grad():
        expected = model(torch.from_numpy(samples)[None], output_hidden_states=True).hidden_states[1][0]
    torch.testing.assert_close(embedded.tapped[Tap(1)], expected, rtol=0, atol=1e-5)


def test_the_path_of_a_model_is_no_part_of_its_identity(tmp_path):
    hugging_face_model(tmp_path, "hubert")
    before = open_teacher(tmp_path).contract()
    described = json.loads((tmp_path / "config.json").read_text())
    described |= {"_name_or_path": "/another/place", "transformers_version": "4.40.0"}
    (tmp_path / "config.json").write_text(json.dumps(described))
    assert open_teacher(tmp_path).contract() == before


def test_a_model_with_a_head_is_read_without_it(spoken_cuts, tmp_path):
    model = hugging_face_model(tmp_path, "hubert")
    from transformers import HubertForCTC

    torch.manual_seed(5)
    recognizer = HubertForCTC(model.config).eval()
    recognizer.hubert.load_state_dict(model.state_dict())
    recognizer.save_pretrained(str(tmp_path / "ctc"), safe_serialization=True)
    ours, theirs = (
        next(open_teacher(path).embeddings(spoken_cuts[:1], [Tap(2)]))
        for path in (tmp_path, tmp_path / "ctc")
    )
    assert torch.equal(ours.tapped[Tap(2)], theirs.tapped[Tap(2)])


def test_weights_that_are_missing_are_not_made_up(tmp_path):
    """transformers itself warns, and goes on with random ones."""
    hugging_face_model(tmp_path, "hubert")
    path = str(tmp_path / "model.safetensors")
    weights = load_file(path)
    del weights["encoder.layers.1.attention.k_proj.weight"]
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(AsrkdError, match=r"lacks 1 weights .*encoder.layers.1.attention.k_proj.weight"):
        open_teacher(tmp_path)


def test_nothing_is_asked_of_a_network(tmp_path, monkeypatch, spoken_cuts):
    hugging_face_model(tmp_path, "wav2vec2")

    def refuse(*arguments, **options):
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    (tmp_path / "config.json").touch()
    next(open_teacher(tmp_path).embeddings(spoken_cuts[:1], [Tap(1)]))


def test_a_folder_with_a_pickle_alone_says_how_to_convert_it(tmp_path):
    hugging_face_model(tmp_path, "wav2vec2")
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(AsrkdError, match=r"asrkd distill convert .*pytorch_model.bin --out"):
        open_teacher(tmp_path)


def test_the_pickle_in_a_folder_becomes_what_the_library_reads(tmp_path, spoken_cuts):
    model = hugging_face_model(tmp_path, "wav2vec2")
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    before = next(open_teacher(tmp_path).embeddings(spoken_cuts[:1], [Tap(2)]))
    (tmp_path / "model.safetensors").unlink()
    convert(tmp_path / "pytorch_model.bin", tmp_path)
    after = next(open_teacher(tmp_path).embeddings(spoken_cuts[:1], [Tap(2)]))
    assert torch.equal(before.tapped[Tap(2)], after.tapped[Tap(2)])


def test_a_missing_library_names_its_install_command(tmp_path, monkeypatch):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "hubert"}))
    (tmp_path / "model.safetensors").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(AsrkdError, match=r"needs the package transformers .*pip install .*transformers$"):
        open_teacher(tmp_path)


def test_an_unknown_family_lists_the_known_ones(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(
        AsrkdError, match="model_type 'bert': expected one of wav2vec2, hubert, wavlm, whisper"
    ):
        open_teacher(tmp_path)
