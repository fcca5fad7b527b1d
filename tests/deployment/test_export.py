"""Exports without sherpa-onnx: the same bytes twice, metadata, and models that are refused."""

from pathlib import Path

import pytest
import torch

from asrkd.commands.export import ExportRequest, export
from asrkd.core.errors import AsrkdError
from asrkd.deployment.export import ExportOptions
from asrkd.deployment.graphs import Container
from asrkd.deployment.onnx_file import metadata_bytes
from asrkd.deployment.tokens_file import looks_like_byte_bpe, tokens_text
from tests.deployment.kinds import KINDS, SYMBOLS, recognizer, saved
from tests.models.small import recognizer as small


@pytest.mark.parametrize("kind", KINDS)
def test_two_exports_have_the_same_bytes(kind, tmp_path):
    model = saved(kind, tmp_path / "model")
    names = []
    for out in ("one", "two"):
        export(ExportRequest(model, tmp_path / out))
        names.append(sorted(path.name for path in (tmp_path / out).iterdir()))
    assert names[0] == names[1]
    for name in names[0]:
        if name not in ("command.json",):
            assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name
    assert export(ExportRequest(model, tmp_path / "one")).endswith("already complete, nothing to do")


def test_metadata_is_complete_and_sorted(tmp_path):
    onnx = pytest.importorskip("onnx", reason="needs onnx, an extra")
    model = saved("streaming-ctc", tmp_path / "model")
    export(ExportRequest(model, tmp_path / "export"))
    loaded = onnx.load(str(tmp_path / "export/model.onnx"))
    onnx.checker.check_model(loaded)
    metadata = [(entry.key, entry.value) for entry in loaded.metadata_props]
    assert metadata == sorted(metadata) and loaded.ir_version <= 8
    values = dict(metadata)
    assert values["T"] == values["decode_chunk_len"] == "16" and values["left_context_len"] == "8"
    assert values["cnn_module_kernels"] == "9" and values["query_head_dims"] == "8"
    assert len(values["asrkd_model_sha256"]) == 64 and '"num_features": 80' in values["asrkd_features"]


def test_metadata_of_long_texts_is_protobuf():
    onnx = pytest.importorskip("onnx", reason="needs onnx, an extra")
    texts = {"b": "x" * 20000, "a": "ü" * 100, "c": ""}
    parsed = onnx.ModelProto.FromString(metadata_bytes(texts))
    assert [(entry.key, entry.value) for entry in parsed.metadata_props] == sorted(texts.items())


def test_the_container_gives_back_what_it_is_given():
    encoder = recognizer("streaming-ctc").encoder
    container = Container.of(encoder)
    states = container.start(3)
    random = [torch.randn_like(state) if state.is_floating_point() else state + 3 for state in states]
    kept = container.unpack(random)
    again = container.unpack(container.pack(kept, random))
    for one, other in zip(_tensors(kept), _tensors(again), strict=True):
        assert torch.equal(one, other)
    assert [state.shape for state in container.pack(kept, random)] == [state.shape for state in states]
    assert len(container.names()) == len(container.batch_axes()) == len(states)
    assert all(state.shape[axis] == 3 for state, axis in zip(states, container.batch_axes(), strict=True))


def _tensors(state) -> list[torch.Tensor]:
    return [*state.front_end, *(value for layer in state.layers for value in layer), state.num_frames]


@pytest.mark.parametrize(
    ("kind", "sizes", "options", "message"),
    [
        (
            "offline-ctc",
            {"subsampling": 2},
            {},
            "frame every 2 feature frames, sherpa-onnx reckons with 4",
        ),
        (
            "streaming-ctc",
            {"left_chunks": None},
            {},
            r"left_chunks: null\), and a stream's state",
        ),
        (
            "streaming-ctc",
            {"num_features": 40},
            {},
            "reads 40 features, a streaming CTC .* 80; prepare",
        ),
        (
            "streaming-ctc",
            {"front_end_channels": 90},
            {},
            "keeps 7360 numbers .* room for 7296; train",
        ),
        ("offline-ctc", {}, {"chunk_frames": 4}, "no streaming model, so --chunk-frames"),
        ("offline-ctc", {}, {"offline": True}, "no streaming model"),
        ("offline-ctc", {}, {"head": "transducer"}, "--head transducer: the model has ctc"),
        ("streaming-ctc", {}, {"chunk_frames": 0}, "--chunk-frames 0: expected 1 or more"),
        ("streaming-ctc", {}, {"left_chunks": -1}, "--left-chunks -1: expected 0 or more"),
    ],
)
def test_what_sherpa_cannot_run_is_refused(kind, sizes, options, message, tmp_path):
    model = saved(kind, tmp_path / "model", **sizes)
    with pytest.raises(AsrkdError, match=message):
        export(ExportRequest(model, tmp_path / "export", ExportOptions(**options)))
    assert not (tmp_path / "export").exists()


def test_an_attention_model_is_refused(tmp_path, monkeypatch):
    from asrkd.data.tokens import CharTokens
    from asrkd.models.directory import save_model

    model = small("conformer", "transformer", num_tokens=len(SYMBOLS))
    save_model(tmp_path / "model", model.architecture, model.state_dict(), CharTokens(SYMBOLS), {})
    with pytest.raises(AsrkdError, match="an attention model, which sherpa-onnx cannot run; train"):
        export(ExportRequest(tmp_path / "model", tmp_path / "export"))


def test_tokens_are_written_as_sherpa_reads_them():
    assert tokens_text(["<blk>", " ", "A"], "m", offline_ctc=True) == "<blk> 0\n\u2581 1\nA 2\n"
    assert tokens_text(["<blk>", " ", "\u2581"], "m", offline_ctc=True).splitlines()[1] == "1"
    with pytest.raises(AsrkdError, match="offline CTC search drops tokens that are spelled 'SIL'"):
        tokens_text(["<blk>", "SIL"], "m", offline_ctc=True)
    assert tokens_text(["<blk>", "SIL"], "m", offline_ctc=False)
    with pytest.raises(AsrkdError, match="token 0 is 'A', sherpa-onnx finds the blank as one of <blk>"):
        tokens_text(["A", "B"], "m", offline_ctc=False)


def test_letters_that_would_be_lost_are_noticed():
    assert looks_like_byte_bpe(["<blk>", "a", "\u0189"])
    assert not looks_like_byte_bpe(["<blk>", "a", " "])
    assert not looks_like_byte_bpe(["<blk>", "a", "\u0189", "\u0416"])


def test_the_readme_has_the_call_and_the_silence(tmp_path):
    export(ExportRequest(saved("streaming-transducer", tmp_path / "model"), tmp_path / "export"))
    text = Path(tmp_path / "export/README.md").read_text()
    assert "sherpa_onnx.OnlineRecognizer.from_transducer(" in text and "Append 160 ms of silence" in text
    assert "--left-padding=0" in text and "numpy.zeros(2560" in text
