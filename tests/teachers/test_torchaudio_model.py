"""torchaudio's encoders: numbers of the library itself, frames by arithmetic, no neighbor seen."""

import json
import math

import pytest
import soundfile
import torch
import torchaudio
from safetensors.torch import load_file, save_file

from asrkd.core.errors import AsrkdError
from asrkd.models.encoder import Tap
from asrkd.models.frame_timing import expected_frames
from asrkd.teachers.loading import open_teacher
from tests.teachers.tiny import KINDS, arguments, torchaudio_model


def waveform(cut) -> torch.Tensor:
    """(1, S) samples of a cut, read by soundfile alone."""
    return torch.from_numpy(soundfile.read(cut.recording.sources[0].source, dtype="float32")[0])[None]


@pytest.mark.parametrize("kind", KINDS)
def test_every_layer_is_what_the_library_gives_of_one_utterance(kind, spoken_cuts, tmp_path):
    model = torchaudio_model(tmp_path, kind)
    teacher = open_teacher(tmp_path)
    taps = [teacher.tap(layer) for layer in (1, 2, 3)]
    for embedded in teacher.embeddings(spoken_cuts[:4], taps):
        samples = waveform(embedded.cut)
        if kind == "large":
            samples = torch.nn.functional.layer_norm(samples, samples.shape)
        with torch.no_grad():
            expected, _ = model.extract_features(samples)
        for tap in taps:
            torch.testing.assert_close(embedded.tapped[tap], expected[tap.layer - 1][0], rtol=0, atol=1e-5)


def test_a_layer_does_not_depend_on_other_requested_layers(spoken_cuts, tmp_path):
    torchaudio_model(tmp_path)
    teacher = open_teacher(tmp_path)
    (all_of_it,) = teacher.embeddings(spoken_cuts[:1], [Tap(1), Tap(3)])
    (alone,) = teacher.embeddings(spoken_cuts[:1], [Tap(1)])
    (again,) = teacher.embeddings(spoken_cuts[:1], [Tap(3)])
    assert torch.equal(alone.tapped[Tap(1)], all_of_it.tapped[Tap(1)])
    assert torch.equal(again.tapped[Tap(3)], all_of_it.tapped[Tap(3)])
    assert teacher.num_layers == 3


def test_the_final_norm_of_the_tap_before_it_is_the_layer(spoken_cuts, tmp_path):
    model = torchaudio_model(tmp_path)
    teacher = open_teacher(tmp_path)
    before, after = teacher.tap(2, "before_norm"), teacher.tap(2)
    assert after == Tap(2, "after_norm")
    (embedded,) = teacher.embeddings(spoken_cuts[:1], [before, after])
    normed = model.encoder.transformer.layers[1].final_layer_norm(embedded.tapped[before])
    torch.testing.assert_close(normed.detach(), embedded.tapped[after], rtol=0, atol=1e-5)


def test_unnormalized_layers_and_the_encoders_last_are_given(spoken_cuts, tmp_path):
    model = torchaudio_model(tmp_path, "large")
    teacher = open_teacher(tmp_path)
    assert teacher.tap(3) == Tap(3, "before_norm")
    last = teacher.tap(3, "after_norm")
    (embedded,) = teacher.embeddings(spoken_cuts[:1], [last])
    samples = waveform(spoken_cuts[0])
    with torch.no_grad():
        whole, _ = model(torch.nn.functional.layer_norm(samples, samples.shape))
    torch.testing.assert_close(embedded.tapped[last], whole[0], rtol=0, atol=1e-5)
    with pytest.raises(AsrkdError, match=r"--tap after_norm: layer 2 of .* can be tapped before_norm only"):
        teacher.tap(2, "after_norm")


@pytest.mark.parametrize("size", [1, 3, 16])
def test_neighbors_in_a_batch_are_not_seen(size, spoken_cuts, tmp_path):
    """Of encoders that are run in batches: those that norm each frame by itself."""
    torchaudio_model(tmp_path, "large")
    teacher = open_teacher(tmp_path)
    assert teacher.encoder.batched
    tap = teacher.tap(3)
    alone = {own.cut.id: own.tapped[tap] for own in teacher.embeddings(spoken_cuts, [tap])}
    for start in range(0, len(spoken_cuts), size):
        for own in teacher.encode(spoken_cuts[start : start + size], [tap]):
            torch.testing.assert_close(own.tapped[tap], alone[own.cut.id], rtol=0, atol=1e-5)


def test_an_encoder_with_a_group_norm_runs_cut_by_cut(spoken_cuts, tmp_path, monkeypatch):
    torchaudio_model(tmp_path)
    teacher = open_teacher(tmp_path)
    shortest, longest = (f(spoken_cuts, key=lambda cut: cut.duration) for f in (min, max))
    alone, _ = (teacher.encode([cut], [Tap(3)])[0] for cut in (shortest, longest))
    padded, _ = teacher.encode([shortest, longest], [Tap(3)])
    assert (padded.tapped[Tap(3)] - alone.tapped[Tap(3)]).abs().max() > 1e-3
    assert not teacher.encoder.batched
    teacher.device = torch.device("meta")  # anything but a CPU
    groups = []
    monkeypatch.setattr(teacher, "encode", lambda cuts, taps: groups.append(len(cuts)) or [])
    list(teacher.embeddings(spoken_cuts, [Tap(3)]))
    assert groups == [1] * 16


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that torch can use")
@pytest.mark.parametrize("kind", ["base", "large"])
def test_a_gpu_gives_what_the_cpu_gives(kind, spoken_cuts, tmp_path):
    torchaudio_model(tmp_path, kind)
    answers = []
    for device in ("cpu", "cuda"):
        teacher = open_teacher(tmp_path, device)
        answers.append(
            [own.tapped[teacher.tap(2)] for own in teacher.embeddings(spoken_cuts, [teacher.tap(2)])]
        )
    for ours, theirs in zip(*answers, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-3)


def test_the_contract_says_what_was_read_and_when_frames_are(spoken_cuts, tmp_path):
    model = torchaudio_model(tmp_path, "large")
    contract = open_teacher(tmp_path).contract()
    assert contract["teacher"]["family"] == "torchaudio wav2vec2_model"
    assert contract["audio"]["normalization"] == {
        "of": "each cut", "mean": 0, "variance": 1, "epsilon": 1e-5,
    }  # fmt: skip
    assert contract["audio"]["sampling_rate"] == 16000
    assert contract["frame_shift"] == 0.02
    assert contract["first_frame_offset"] == 0.0125  # the middle of 400 samples
    assert str(tmp_path) not in json.dumps(contract)
    for num_samples in (400, 719, 720, 16000, 16079, 16080):
        with torch.no_grad():
            features, _ = model.extract_features(torch.zeros(1, num_samples))
        assert expected_frames(contract, num_samples / 16000, 16000) == features[0].shape[1]


def test_frames_respond_to_samples_at_their_contract_center(tmp_path):
    """A frame of the convolutions has a gradient as far to the left of its center as to the right."""
    model = torchaudio_model(tmp_path)
    contract = open_teacher(tmp_path).contract()
    samples = torch.randn(1, 4000, requires_grad=True)
    frames = samples[:, None]
    for block in model.feature_extractor.conv_layers:
        frames = block.conv(frames)
    frames[0, :, 5].sum().backward()
    (reached,) = samples.grad[0].nonzero(as_tuple=True)
    middle = (reached[0] + reached[-1] + 1) / 2 / 16000
    assert math.isclose(middle, contract["first_frame_offset"] + 5 * contract["frame_shift"], rel_tol=1e-6)


def test_a_weights_file_with_a_description_is_a_teacher(spoken_cuts, tmp_path):
    torchaudio_model(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "tiny.safetensors")
    (tmp_path / "config.json").rename(tmp_path / "tiny.json")
    (embedded,) = open_teacher(tmp_path / "tiny.safetensors").embeddings(spoken_cuts[:1], [Tap(1)])
    assert embedded.tapped[Tap(1)].shape[1] == 16


def test_states_of_either_torch_and_with_heads_are_read_alike(spoken_cuts, tmp_path):
    torchaudio_model(tmp_path / "plain")
    state = load_file(str(tmp_path / "plain/model.safetensors"))
    new, old = (
        ("parametrizations.weight.original0", "parametrizations.weight.original1"),
        ("weight_g", "weight_v"),
    )
    have, want = (new, old) if any(name.endswith(new[0]) for name in state) else (old, new)
    renamed = {}
    for name, value in state.items():
        for ours, theirs in zip(have, want, strict=True):
            name = name.removesuffix(ours) + theirs if name.endswith(ours) else name
        renamed[f"model.{name}"] = value
    assert renamed.keys() != {f"model.{name}" for name in state}
    renamed["model.aux.weight"] = torch.zeros(4, 16)
    (tmp_path / "other").mkdir()
    save_file(renamed, str(tmp_path / "other/model.safetensors"))
    described = {"function": "wav2vec2_model", "arguments": arguments("base") | {"aux_num_out": 4}}
    (tmp_path / "other/config.json").write_text(json.dumps(described))
    ours, theirs = (
        next(open_teacher(tmp_path / name).embeddings(spoken_cuts[:1], [Tap(3)]))
        for name in ("plain", "other")
    )
    assert torch.equal(ours.tapped[Tap(3)], theirs.tapped[Tap(3)])


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"function": "conformer"}, r"config.json: function: .*wav2vec2_model"),
        ({"argument": {}}, "unknown key; did you mean 'arguments'"),
        ({"arguments": {"extractor_mode": "layer_norm"}}, "arguments: missing a required argument"),
        ({"arguments": arguments("base") | {"encoder_num_heads": 3}}, "arguments: .*divisible"),
        (
            {"arguments": arguments("base") | {"encoder_num_layers": 4}},
            "does not fit its configuration",
        ),
        (
            {"arguments": arguments("base") | {"encoder_embed_dim": 18}},
            "does not fit its configuration",
        ),
    ],
)
def test_a_description_that_does_not_fit_is_refused_in_a_line(tmp_path, change, complaint):
    torchaudio_model(tmp_path)
    described = json.loads((tmp_path / "config.json").read_text()) | change
    (tmp_path / "config.json").write_text(json.dumps(described))
    with pytest.raises(AsrkdError, match=complaint) as error:
        open_teacher(tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.skipif(hasattr(torchaudio.models, "wavlm_model"), reason="this torchaudio has WavLM")
def test_wavlm_on_a_torchaudio_without_it_says_what_to_use(tmp_path):
    torchaudio_model(tmp_path)
    described = {"function": "wavlm_model", "arguments": arguments("wavlm")}
    (tmp_path / "config.json").write_text(json.dumps(described))
    with pytest.raises(AsrkdError, match="has no wavlm_model; use the modern stack"):
        open_teacher(tmp_path)


def test_torn_weights_are_told_from_others(tmp_path):
    torchaudio_model(tmp_path)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(AsrkdError, match=r"model.safetensors: not safetensors"):
        open_teacher(tmp_path)
