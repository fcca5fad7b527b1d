"""Scores of exports by sherpa-onnx, and of models as streams: the same hypotheses."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import soundfile
import torch
from lhotse import AudioSource, Features, MonoCut, NumpyFilesWriter, Recording, SupervisionSegment
from lhotse.supervision import AlignmentItem

from asrkd.commands.export import ExportRequest, export
from asrkd.commands.score import ScoreRequest, score
from asrkd.core.errors import AsrkdError
from asrkd.core.stopping import StopRequest
from asrkd.data.cuts.manifests import read_cuts, write_cuts
from asrkd.data.features.fbank import make_extractor
from asrkd.decoding.options import SearchOptions
from asrkd.models.directory import load_model
from asrkd.models.masks import Chunks
from asrkd.models.streams import stream_features
from asrkd.scoring.score_folder import read_score
from tests.deployment.kinds import KINDS, RATE, audio, saved

pytest.importorskip("sherpa_onnx", reason="needs sherpa-onnx, an extra: pip install sherpa-onnx")
SIZES = (16000, 12160, 9920, 20640, 3000)


@pytest.fixture(scope="module")
def cuts(tmp_path_factory) -> Path:
    """Five cuts with audio and its features, without compression."""
    folder, made = tmp_path_factory.mktemp("cuts"), []
    writer = NumpyFilesWriter(folder / "features")
    for number, size in enumerate(SIZES):
        name, path = f"cut-{number}", folder / f"{number}.wav"
        soundfile.write(path, audio(number, size).numpy(), RATE, subtype="FLOAT")
        recording = Recording(name, [AudioSource("file", [0], str(path))], RATE, size, size / RATE)
        frames = make_extractor(80, RATE).extract(audio(number, size).numpy(), RATE)
        cut = MonoCut(name, 0.0, recording.duration, 0, recording=recording)
        cut.features = Features(
            "kaldi-fbank", len(frames), 80, 0.01, RATE, 0.0, recording.duration, writer.name,
            str(writer.storage_path), writer.write(name, frames), name, 0,
        )  # fmt: skip
        words = {"word": [AlignmentItem("A", 0.0, 0.1), AlignmentItem("B", 0.1, 0.05)]}
        cut.supervisions = [
            SupervisionSegment(name, name, 0.0, recording.duration, 0, "A B", speaker="s", alignment=words)
        ]
        cut.custom = {"audio_sha256": f"{number:064x}"}
        made.append(cut)
    write_cuts(folder / "cuts.jsonl.gz", made)
    return folder / "cuts.jsonl.gz"


def hypotheses(request: ScoreRequest) -> dict[str, str]:
    score(request, StopRequest())
    lines = [line for path in (request.out / "hypotheses").glob("*.jsonl") for line in path.open()]
    return {row["id"]: row["text"] for row in map(json.loads, lines)}


@pytest.mark.parametrize("kind", KINDS)
def test_what_ships_recognizes_what_the_model_does(kind, cuts, tmp_path):
    model = saved(kind, tmp_path / "model")
    export(ExportRequest(model, tmp_path / "export"))
    shipped = ScoreRequest(tmp_path / "export", cuts, tmp_path / "shipped", runtime="sherpa-onnx")
    search = "transducer-greedy" if kind.endswith("transducer") else "greedy"
    ours = ScoreRequest(model, cuts, tmp_path / "ours", search)
    if kind.startswith("streaming"):
        ours = replace(ours, chunk_frames=4)
    texts = hypotheses(ours)
    assert hypotheses(shipped) == texts and sum(map(len, texts.values())) > 20
    emitted = [[each.emission for each in read_score(out).utterances] for out in (shipped.out, ours.out)]
    assert emitted[0] == emitted[1] and all(emitted[0])
    times = [pair for each in emitted[0] for pair in each.chunk_times or ()]
    assert bool(times) == kind.startswith("streaming")
    assert all(round(second / 0.16, 6).is_integer() for pair in times for second in pair)  # 4 frames of 40 ms
    assert load_model(model).recognizer.encoder.chunks == Chunks(4, 2) if "streaming" in kind else True
    report = score(shipped, StopRequest())
    assert report.was_complete and report.counts.num_words == 10
    described = json.loads((shipped.out / "score.json").read_text())
    assert described["params"] > 1000 and described["search"]["decoding_method"] == "greedy_search"


def test_other_chunks_of_a_stream_are_a_score_of_their_own(cuts, tmp_path):
    model = saved("streaming-ctc", tmp_path / "model")
    usual = hypotheses(ScoreRequest(model, cuts, tmp_path / "usual", left_chunks=2))
    shorter = hypotheses(ScoreRequest(model, cuts, tmp_path / "shorter", chunk_frames=1, left_chunks=8))
    assert usual != shorter
    with pytest.raises(AsrkdError, match="frames"):
        score(ScoreRequest(model, cuts, tmp_path / "usual", chunk_frames=2), StopRequest())


def test_a_stream_has_a_whole_number_of_steps_and_all_of_the_audio(cuts):
    model = load_model(saved("streaming-ctc", cuts.parent / "model"))
    for cut, size in zip(read_cuts(cuts), SIZES, strict=True):
        frames = stream_features(cut, model.architecture.features, 16)
        assert len(frames) % 16 == 0 and 0 <= 100 * len(frames) - 100 * size / 160 < 1600
        whole = make_extractor(80, RATE).extract(
            torch.cat([audio(int(cut.id[-1]), size), torch.zeros(2560)]).numpy(), RATE
        )
        assert torch.equal(frames, torch.from_numpy(whole)[: len(frames)])


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            {"search": "joint"},
            "--search joint: sherpa-onnx decodes an export of the kind offline-ctc by greedy",
        ),
        ({"search": "transducer-beam"}, "--search transducer-beam: sherpa-onnx decodes"),
        ({"chunk_frames": 4}, "an export has its own; remove them, or export again"),
        ({"runtime": "kaldi"}, "--runtime kaldi: expected sherpa-onnx"),
        ({"options": SearchOptions(lm=Path("lm"))}, "--lm lm: has no effect with --runtime sherpa-onnx"),
    ],
)
def test_what_an_export_cannot_do_is_refused(more, message, cuts, tmp_path):
    export(ExportRequest(saved("offline-ctc", tmp_path / "model"), tmp_path / "export"))
    request = ScoreRequest(tmp_path / "export", cuts, tmp_path / "out", runtime="sherpa-onnx")
    with pytest.raises(AsrkdError, match=message):
        score(replace(request, **more), StopRequest())


def test_a_model_is_no_export_and_an_export_no_model(cuts, tmp_path):
    model = saved("offline-ctc", tmp_path / "model")
    with pytest.raises(AsrkdError, match="not an export.* asrkd export"):
        score(ScoreRequest(model, cuts, tmp_path / "out", runtime="sherpa-onnx"), StopRequest())
    with pytest.raises(AsrkdError, match="no streaming model"):
        score(ScoreRequest(model, cuts, tmp_path / "out", chunk_frames=4), StopRequest())
