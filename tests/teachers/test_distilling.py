"""From a teacher that reads audio to a student: quantizer, stores, training; and each mistake in a line."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from lhotse import MonoCut

from asrkd.commands import distill, distill_quantizer
from asrkd.commands.check import check
from asrkd.commands.distill_request import DistillRequest, quantizer_request
from asrkd.commands.train import TrainOptions, train
from asrkd.core import output_folder
from asrkd.core.command_record import command_line
from asrkd.core.errors import AsrkdError
from asrkd.core.stopping import StopRequest
from asrkd.data.cuts.manifests import read_cuts, write_cuts
from asrkd.data.cuts.records import FeatureKind
from asrkd.decoding import SearchOptions
from asrkd.models.frame_timing import offset_problem
from asrkd.targets.store.arrays import ArrayStore
from asrkd.teachers.loading import open_teacher
from tests.conftest import TINY
from tests.teachers.tiny import CONVOLUTIONS, arguments, hugging_face_model, torchaudio_model, whisper_model

STOP = StopRequest()
REQUEST = quantizer_request(2, 2, steps=3)


@pytest.fixture(scope="module")
def hubert(tmp_path_factory) -> Path:
    """A tiny HuBERT of torchaudio."""
    folder = tmp_path_factory.mktemp("hubert")
    torchaudio_model(folder)
    return folder


@pytest.fixture
def ask(hubert, spoken, tmp_path):
    """A question to it about the training cuts, answered into a folder of that name."""
    return lambda name, **changes: replace(
        DistillRequest(hubert, (spoken / "cuts_train.jsonl.gz",), tmp_path / name, cuts_per_shard=6),
        **changes,
    )


def learn(spoken: Path, tmp_path: Path, objectives: str) -> Path:
    (tmp_path / "config.yaml").write_text(TINY.format(folder=spoken))
    phases = f"phases=[{{steps: 3, objectives: {objectives}}}]"
    out = tmp_path / "student"
    train(tmp_path / "config.yaml", out, [phases], TrainOptions("cpu", threads=1), STOP)
    return out


def test_a_student_learns_from_the_codebook_indexes_of_a_hubert(ask, spoken, tmp_path):
    distill_quantizer.quantizer(ask("quantizer"), REQUEST, STOP)
    said = distill.codebook(ask("codebook"), tmp_path / "quantizer", STOP)
    assert said == f"{tmp_path}/codebook: 16 cuts, 2 codebooks of layer 2"
    store = ArrayStore(tmp_path / "codebook", "codebook")
    for cut in read_cuts(spoken / "cuts_train.jsonl.gz"):
        assert store.read(cut.id).shape == ((cut.num_samples - 400) // 320 + 1, 2)
    for name in ("quantizer", "codebook"):
        assert check(tmp_path / name).problems == ()
    learned = learn(spoken, tmp_path, f"[ctc, {{codebook: {{targets: {tmp_path}/codebook, layer: 1}}}}]")
    assert output_folder.read_stamp(learned, "")["steps"] == 3
    assert check(learned).problems == ()


@pytest.mark.parametrize("family", ["hubert", "whisper"])
def test_a_student_learns_from_hidden_states_of_transformers(family, ask, spoken, tmp_path):
    """Both have 50 frames a second, the student 25: two of theirs to one of its own."""
    model = tmp_path / "model"
    if family == "whisper":
        whisper_model(model)
    else:
        hugging_face_model(model, "hubert", "large")
    distill.hidden(ask("hidden", teacher=model), 2, "float32", STOP)
    store = ArrayStore(tmp_path / "hidden", "hidden")
    assert store.contract["tap"] == "before_norm"
    teacher = open_teacher(model)
    cuts = list(read_cuts(spoken / "cuts_train.jsonl.gz"))
    for embedded in teacher.embeddings(cuts[:3], [teacher.tap(2)]):
        stored = store.read(embedded.cut.id)
        torch.testing.assert_close(stored, embedded.tapped[teacher.tap(2)], rtol=0, atol=1e-5)
    unweighted = "layer: 1, frame_weighting: false"  # random weights: the means of frames hardly differ
    learn(spoken, tmp_path, f"[ctc, {{representation: {{targets: {tmp_path}/hidden, {unweighted}}}}}]")
    assert check(tmp_path / "hidden").problems == ()


@pytest.mark.slow
def test_two_jobs_write_the_bytes_of_one(ask, tmp_path):
    distill.hidden(ask("one"), 2, "float16", STOP)
    distill.hidden(ask("two", jobs=2), 2, "float16", STOP)
    one, two = (
        {path.name: path.read_bytes() for path in sorted((tmp_path / name).iterdir())}
        for name in ("one", "two")
    )
    assert one == two


def test_the_resample_flag_is_needed_and_recorded(ask, spoken_cuts, tmp_path):
    low = [replace(cut.drop_features().resample(8000), id=cut.id) for cut in spoken_cuts]
    write_cuts(tmp_path / "low.jsonl.gz", low)
    asked = ask("hidden", cuts=(tmp_path / "low.jsonl.gz",))
    with pytest.raises(AsrkdError, match=r"low.jsonl.gz: cut u00 has 8000 Hz, .* add --resample"):
        distill.hidden(asked, 2, "float16", STOP)
    assert not asked.out.exists()
    with command_line(["asrkd", "distill", "hidden", "--resample"]):
        distill.hidden(replace(asked, resample=True), 2, "float16", STOP)
    contract = json.loads((asked.out / "contract.json").read_text())
    assert contract["audio"]["other_rates"] == "torchaudio.functional.resample"
    sources = json.loads((asked.out / "sources.json").read_text())
    assert sources["command"].endswith(" --resample")
    assert check(asked.out).problems == ()


@pytest.mark.parametrize("kind", ["nbest", "posterior"])
def test_text_targets_are_refused_with_the_possible_ones(kind, ask, tmp_path):
    asked = ask(kind, cuts=(tmp_path / "not-read.jsonl.gz",))
    need = {"nbest": "hypotheses", "posterior": "probabilities of tokens"}[kind]
    refusal = rf": {need} need a model trained by asrkd; .* cannot be the teacher of: asrkd distill {kind}; "
    with pytest.raises(AsrkdError, match=rf"{refusal}.* codebook, hidden or quant"):
        if kind == "nbest":
            distill.nbest(asked, "greedy", SearchOptions(1, 1), STOP)
        else:
            distill.posterior(asked, 4, "float16", STOP)
    assert not asked.out.exists()


def test_a_layer_or_a_place_that_there_is_not_is_refused(ask):
    with pytest.raises(AsrkdError, match="--layer 4: the encoder has layers 1 to 3"):
        distill.hidden(ask("hidden"), 4, "float16", STOP)
    with pytest.raises(AsrkdError, match="--tap middle: layer 1 of .* after_norm and before_norm only"):
        distill.hidden(ask("hidden"), 1, "float16", STOP, "middle")


def test_a_tap_before_the_norm_needs_its_store_and_quantizer(ask, tmp_path):
    distill.hidden(ask("hidden"), 1, "float16", STOP)
    with pytest.raises(AsrkdError, match="tap was 'after_norm', is now 'before_norm'"):
        distill.hidden(ask("hidden"), 1, "float16", STOP, "before_norm")
    distill_quantizer.quantizer(ask("quantizer"), replace(REQUEST, tap="before_norm"), STOP)
    distill.codebook(ask("codebook"), tmp_path / "quantizer", STOP)
    assert json.loads((tmp_path / "codebook/contract.json").read_text())["tap"] == "before_norm"


def test_a_quantizer_of_another_teacher_is_refused(ask, tmp_path):
    distill_quantizer.quantizer(ask("quantizer"), REQUEST, STOP)
    torchaudio_model(tmp_path / "other", seed=9)
    with pytest.raises(AsrkdError, match="was trained on another teacher"):
        distill.codebook(ask("codebook", teacher=tmp_path / "other"), tmp_path / "quantizer", STOP)


def test_equal_weights_of_another_config_are_another_teacher(ask, tmp_path):
    torchaudio_model(tmp_path / "model")
    asked = ask("quantizer", teacher=tmp_path / "model")
    distill_quantizer.quantizer(asked, REQUEST, STOP)
    described = {"function": "wav2vec2_model", "arguments": arguments("base"), "normalize": True}
    (tmp_path / "model/config.json").write_text(json.dumps(described))
    with pytest.raises(AsrkdError, match="was trained on another teacher .config_sha256"):
        distill.codebook(replace(asked, out=tmp_path / "codebook"), tmp_path / "quantizer", STOP)


def test_a_teacher_that_was_made_anew_makes_its_store_stale(ask, spoken, tmp_path):
    torchaudio_model(tmp_path / "model")
    distill.hidden(ask("hidden", teacher=tmp_path / "model"), 2, "float32", STOP)
    torchaudio_model(tmp_path / "model", seed=9)
    with pytest.raises(AsrkdError, match="stale: its teacher"):
        learn(spoken, tmp_path, f"[{{representation: {{targets: {tmp_path}/hidden, layer: 1}}}}]")


def test_frames_offset_by_over_half_a_frame_are_refused(ask, spoken, tmp_path):
    model = tmp_path / "model"
    torchaudio_model(model)
    stack = [*CONVOLUTIONS[:-1], [8, 20, 2]]  # 3280 samples: centered at 102.5 ms
    described = {"function": "wav2vec2_model", "arguments": arguments("base")}
    described["arguments"]["extractor_conv_layer_config"] = stack
    (model / "config.json").write_text(json.dumps(described))
    import torchaudio
    from safetensors.torch import save_file

    far = torchaudio.models.wav2vec2_model(**described["arguments"])
    save_file({k: v.contiguous() for k, v in far.state_dict().items()}, str(model / "model.safetensors"))
    distill.hidden(ask("hidden", teacher=model), 2, "float32", STOP)
    with pytest.raises(
        AsrkdError, match=r"begin 102.5 ms into the audio and the student's frames 5 ms: more"
    ):
        learn(spoken, tmp_path, f"[{{representation: {{targets: {tmp_path}/hidden, layer: 1}}}}]")
    assert not (tmp_path / "student").exists()


@pytest.mark.parametrize(("offset", "fits"), [(0.0125, True), (0.0, True), (0.015, True), (0.0151, False)])
def test_first_frames_may_lie_half_a_frame_of_the_faster_apart(offset, fits):
    contract = {"first_frame_offset": offset, "offset_from": "start of the audio", "frame_shift": 0.02}
    student = FeatureKind("kaldi-fbank", 80, 0.01, 16000)  # its first frame is centered at 5 ms
    assert (offset_problem(contract, student) is None) == fits


def test_our_stores_begin_where_students_do_or_do_not_say():
    student = FeatureKind("kaldi-fbank", 80, 0.01, 16000)
    ours = {"first_frame_offset": 0.0, "features": {"frame_shift": 0.01}, "frame_shift": 0.04}
    assert offset_problem(ours, student) is None
    assert offset_problem({"first_frame_offset": 0.0, "frame_shift": 0.04}, student) is None


def test_a_store_with_a_frame_too_few_is_found_by_check(ask, spoken, tmp_path, monkeypatch):
    from asrkd.teachers.waveform import WaveformTeacher

    encode = WaveformTeacher.encode

    def shortened(self, cuts: list[MonoCut], taps):
        whole = encode(self, cuts, taps)
        return [replace(own, tapped={tap: value[:-1] for tap, value in own.tapped.items()}) for own in whole]

    monkeypatch.setattr(WaveformTeacher, "encode", shortened)
    distill.hidden(ask("hidden"), 2, "float16", STOP)
    problems = check(tmp_path / "hidden").problems
    assert any("frames, expected" in problem for problem in problems)


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("state.pt", b"", r"state.pt: a pickle, .* asrkd distill convert .*state.pt --out DIR"),
        ("gone.safetensors", None, r"gone.safetensors: no such file; a torchaudio teacher is"),
        ("nothing", None, "nothing: no such model folder"),
    ],
)
def test_what_is_no_teacher_is_refused_with_what_mends_it(ask, tmp_path, name, content, complaint):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(AsrkdError, match=complaint):
        distill.hidden(ask("hidden", teacher=tmp_path / name), 1, "float16", STOP)


def test_an_unknown_model_family_lists_the_known_ones(ask, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model/config.json").write_text("{}")
    with pytest.raises(AsrkdError, match=r"unknown model family: expected asrkd's own"):
        distill.hidden(ask("hidden", teacher=tmp_path / "model"), 1, "float16", STOP)


def test_resampling_is_not_for_a_teacher_that_reads_features(teacher, corpus, tmp_path):
    asked = DistillRequest(teacher, (corpus / "cuts_dev.jsonl.gz",), tmp_path / "hidden", resample=True)
    with pytest.raises(AsrkdError, match="--resample: .* reads stored features, not audio; remove it"):
        distill.hidden(asked, 1, "float16", STOP)
