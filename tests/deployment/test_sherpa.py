"""Exports in the real sherpa-onnx: tokens and frames of our searches, alone, in batches and in pieces."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from asrkd.commands.export import ExportRequest, export
from asrkd.core.artifacts import SHERPA_CALL
from asrkd.core.errors import AsrkdError
from asrkd.decoding.greedy import ctc_best_paths
from asrkd.decoding.transducer_streams import BeamStreams, GreedyStreams
from asrkd.deployment.export import ExportOptions
from asrkd.deployment.exported import ExportedModel
from asrkd.deployment.sherpa import SherpaProcess, SherpaResult
from asrkd.models.directory import load_model
from tests.deployment.kinds import KINDS, RATE, SYMBOLS, audio, saved

pytest.importorskip("sherpa_onnx", reason="needs sherpa-onnx, an extra: pip install sherpa-onnx")
kaldi_native_fbank = pytest.importorskip("kaldi_native_fbank", reason="needs kaldi-native-fbank")

# Lengths with T mod 4 of 0, 1, 2, 3, one frame, and nothing at all.
UTTERANCES = [audio(seed, size) for seed, size in enumerate((16000, 12160, 9920, 20640, 80, 3000))]
Emission = list[tuple[int, int]]  # tokens and frames


@pytest.fixture(scope="module")
def exports(tmp_path_factory) -> dict[str, ExportedModel]:
    """An export of each kind, beside its model."""
    exported = {}
    for kind in KINDS:
        folder = tmp_path_factory.mktemp(kind)
        export(ExportRequest(saved(kind, folder / "model"), folder / "export"))
        exported[kind] = ExportedModel.load(folder / "export")
        assert exported[kind].kind == kind
    return exported


def ours(exported: ExportedModel, samples: torch.Tensor, beam: int | None = None) -> Emission:
    """What asrkd decodes, of the masked whole with the silence that streams need."""
    recognizer = load_model(exported.path.parent / "model").recognizer
    padded = torch.cat([samples, torch.zeros(exported.tail_samples)]).numpy()
    features = kaldi_features(padded)
    if step := exported.tail_frames:
        features = features[: max(len(features) - 1, 0) // step * step]
    if len(features) == 0:
        return []
    with torch.no_grad():
        output = recognizer(features[None], torch.tensor([len(features)]))
    if recognizer.transducer is None:
        return ctc_emission(output.log_probs()[0, : int(output.num_frames)])
    frames = recognizer.transducer.frames(output.memory())
    if beam is None:
        streams = GreedyStreams(recognizer.transducer, 1)
        streams.advance(frames, output.num_frames)
        (best,) = streams.emitted
    else:
        beams = BeamStreams(recognizer.transducer, 1, beam)
        beams.advance(frames, output.num_frames)
        best = beams.hypotheses(0)[0][0]
    return list(zip(best.tokens, best.frames, strict=True))


def kaldi_features(samples: np.ndarray) -> torch.Tensor:
    """Features (T, 80) by the library that sherpa-onnx computes its own with; of 80 samples too."""
    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.samp_freq, options.frame_opts.dither = RATE, 0
    options.frame_opts.snip_edges = False
    options.mel_opts.num_bins, options.mel_opts.high_freq = 80, -400
    extractor = kaldi_native_fbank.OnlineFbank(options)
    extractor.accept_waveform(RATE, samples.tolist())
    extractor.input_finished()
    frames = [extractor.get_frame(t) for t in range(extractor.num_frames_ready)]
    return torch.from_numpy(np.stack(frames)) if frames else torch.zeros(0, 80)


def ctc_emission(log_probs: torch.Tensor) -> Emission:
    best = log_probs.argmax(-1).tolist()
    before = [0, *best[:-1]]
    pairs = enumerate(zip(best, before, strict=True))
    emission = [(token, frame) for frame, (token, last) in pairs if token and token != last]
    assert [token for token, _ in emission] == ctc_best_paths(log_probs[None], torch.tensor([len(best)]))[0]
    return emission


def ids(result: SherpaResult) -> Emission:
    symbols = {symbol: index for index, symbol in enumerate(SYMBOLS)} | {"\u2581": 1}
    return [(symbols[token], frame) for token, frame in zip(result.tokens, result.frames, strict=True)]


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_and_frames_are_ours_alone_and_in_a_batch(kind, exports):
    expected = [ours(exports[kind], samples) for samples in UTTERANCES]
    assert sum(len(emission) for emission in expected) > 20
    with SherpaProcess(exports[kind]) as process:
        alone = [ids(process.recognize([samples.numpy()])[0]) for samples in UTTERANCES]
        together = [ids(result) for result in process.recognize([s.numpy() for s in UTTERANCES])]
    assert alone == expected
    assert together == expected


@pytest.mark.parametrize("beam", [1, 4])
@pytest.mark.parametrize("kind", ["offline-transducer", "streaming-transducer"])
def test_beams_are_ours(kind, beam, exports):
    expected = [ours(exports[kind], samples, beam) for samples in UTTERANCES]
    search = {"decoding_method": "modified_beam_search", "max_active_paths": beam}
    with SherpaProcess(exports[kind], search) as process:
        assert [ids(result) for result in process.recognize([s.numpy() for s in UTTERANCES])] == expected


PIECES = """
import json, sys
import numpy as np, sherpa_onnx
call, size = json.loads(sys.argv[1]), int(sys.argv[2])
recognizer = getattr(sherpa_onnx.OnlineRecognizer, call["constructor"])(**call["arguments"])
samples = np.fromfile(sys.argv[3], dtype=np.float32)
stream = recognizer.create_stream()
for first in range(0, len(samples), size):
    stream.accept_waveform(call["sampling_rate"], samples[first : first + size])
    while recognizer.is_ready(stream):
        recognizer.decode_stream(stream)
stream.input_finished()
while recognizer.is_ready(stream):
    recognizer.decode_stream(stream)
print(json.dumps([recognizer.tokens(stream), recognizer.timestamps(stream)]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["streaming-ctc", "streaming-transducer"])
def test_streams_in_pieces_are_the_masked_whole(kind, exports, tmp_path):
    exported, samples = exports[kind], UTTERANCES[3]
    np.concatenate([samples.numpy(), np.zeros(exported.tail_samples, np.float32)]).tofile(tmp_path / "audio")
    arguments = exported.arguments | {
        name: str(exported.path / file) for name, file in exported.files.items()
    }
    call = {"constructor": exported.constructor, "arguments": arguments, "sampling_rate": RATE}
    command = [sys.executable, "-c", PIECES, json.dumps(call), "800", str(tmp_path / "audio")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    tokens, seconds = json.loads(done.stdout.splitlines()[-1])
    result = SherpaResult(tuple(tokens), tuple(round(second / 0.04) for second in seconds), "")
    assert ids(result) == ours(exported, samples)


@pytest.mark.parametrize("kind", ["streaming-ctc", "streaming-transducer"])
def test_without_a_sample_nothing_is_emitted_and_nothing_ends(kind, exports):
    with SherpaProcess(exports[kind]) as process:
        (nothing,) = process.recognize([np.zeros(0, np.float32)])
        (silence,) = process.recognize([np.zeros(16000, np.float32)])
        assert ids(nothing) == ours(exports[kind], torch.zeros(0))
        assert ids(silence) == ours(exports[kind], torch.zeros(16000))
        assert process.recognize([]) == []


@pytest.mark.slow
@pytest.mark.parametrize("context_size", [1, 3])
def test_predictors_of_other_contexts_are_ours(context_size, tmp_path):
    export(
        ExportRequest(
            saved("offline-transducer", tmp_path / "model", context_size=context_size), tmp_path / "export"
        )
    )
    exported = ExportedModel.load(tmp_path / "export")
    with SherpaProcess(exported) as process:
        results = process.recognize([samples.numpy() for samples in UTTERANCES])
    assert [ids(result) for result in results] == [ours(exported, samples) for samples in UTTERANCES]


@pytest.mark.slow
def test_a_streaming_model_is_exported_offline_with_the_same_masks(tmp_path):
    model = saved("streaming-ctc", tmp_path / "model")
    export(ExportRequest(model, tmp_path / "export", ExportOptions(offline=True)))
    exported = ExportedModel.load(tmp_path / "export")
    assert exported.kind == "offline-ctc"
    with SherpaProcess(exported) as process:
        results = process.recognize([samples.numpy() for samples in UTTERANCES])
    assert [ids(result) for result in results] == [ours(exported, samples) for samples in UTTERANCES]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["offline-ctc", "streaming-transducer"])
def test_int8_loads_and_repeats_itself(kind, tmp_path):
    export(ExportRequest(saved(kind, tmp_path / "model"), tmp_path / "export", int8=True))
    exported = ExportedModel.load(tmp_path / "export")
    assert all("int8" in name for argument, name in exported.files.items() if argument != "tokens")
    with SherpaProcess(exported) as process:
        first, second = ([ids(process.recognize([s.numpy()])[0]) for s in UTTERANCES] for _ in range(2))
    assert first == second and sum(map(len, first)) > 20


def test_an_export_that_sherpa_does_not_load_is_a_line(exports, tmp_path):
    broken = tmp_path / "export"
    broken.mkdir()
    for path in exports["streaming-ctc"].path.iterdir():
        (broken / path.name).write_bytes(path.read_bytes())
    (broken / "model.onnx").write_bytes(b"not a graph")
    with pytest.raises(AsrkdError, match="export: sherpa-onnx ended with exit status .*; export the model"):
        SherpaProcess(ExportedModel.load(broken)).recognize([np.zeros(16000, np.float32)])
    (broken / SHERPA_CALL).unlink()
    with pytest.raises(AsrkdError, match="not an export, as it has no whole sherpa.json; make one"):
        ExportedModel.load(broken)
