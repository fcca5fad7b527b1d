"""`asrkd check` of exports: whole, of their model's weights, and recognizing what it does."""

from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from asrkd.commands.check import check
from asrkd.commands.export import ExportRequest, export
from asrkd.deployment.export import ExportOptions
from tests.deployment.kinds import KINDS, saved
from tests.deployment.test_score_export import cuts  # noqa: F401 (a fixture)

pytest.importorskip("sherpa_onnx", reason="needs sherpa-onnx, an extra: pip install sherpa-onnx")


WHOLE = ExportOptions()


def exported(kind: str, folder: Path, options: ExportOptions = WHOLE, **more: bool) -> Path:
    export(ExportRequest(saved(kind, folder / "model"), folder / "export", options, **more))
    return folder / "export"


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        *((kind, WHOLE) for kind in KINDS),
        ("streaming-ctc", ExportOptions(chunk_frames=2, left_chunks=3)),
        ("streaming-transducer", ExportOptions(offline=True, chunk_frames=8)),
    ],
)
def test_an_export_recognizes_what_its_model_does(kind, options, cuts, tmp_path):  # noqa: F811
    folder = exported(kind, tmp_path, options)
    report = check(folder, [cuts])
    assert report.problems == ()
    (note,) = report.notes
    assert note.endswith(f"the same tokens at the same frames as {tmp_path / 'model'}")
    assert int(note.partition(" cuts, ")[2].split()[0]) > 10  # tokens
    assert "--cuts CUTS compares" in check(folder).notes[0]


def test_graphs_of_other_weights_are_noticed_though_all_hashes_agree(cuts, tmp_path, monkeypatch):  # noqa: F811
    """As an exporter would leave them that forgot a parameter: only recognizing shows it."""
    folder = exported("offline-ctc", tmp_path)
    monkeypatch.setattr("asrkd.models.layers.LayerNorm.forward", lambda self, frames: frames * 0.5)
    first, *_ = check(folder, [cuts]).problems
    assert "otherwise than" in first and "asrkd export" in first


def test_damage_other_weights_and_a_missing_model_are_named(cuts, tmp_path):  # noqa: F811
    folder, weights = exported("offline-transducer", tmp_path), tmp_path / "model/model.safetensors"
    whole = (folder / "joiner.onnx").read_bytes()
    (folder / "joiner.onnx").write_bytes(whole[:-1])
    (problem,) = check(folder, [cuts]).problems
    assert f"{folder}/joiner.onnx: missing, or not as it was written; export again: rm -r" in problem
    (folder / "joiner.onnx").write_bytes(whole)
    save_file({name: value + 1 for name, value in load_file(weights).items()}, weights)
    assert "of other weights" in check(folder).problems[0]
    weights.unlink()
    report = check(folder)
    assert report.problems == () and "is not there" in report.notes[0]


def test_matrices_of_8_bits_are_compared_without_a_verdict(cuts, tmp_path):  # noqa: F811
    pytest.importorskip("onnxruntime")
    report = check(exported("offline-ctc", tmp_path, int8=True), [cuts])
    assert report.problems == () and "8 bits are not exact" in report.notes[0]
