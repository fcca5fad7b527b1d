"""Codebook indexes to icefall and back: lhotse reads ours; what others wrote is exact or refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from lhotse import AudioSource, CutSet, MonoCut, NumpyFilesWriter, Recording
from lhotse.dataset.collation import collate_custom_field

from asrkd.commands.check import check
from asrkd.commands.targets import ExportRequest, ImportRequest, export_targets, import_targets
from asrkd.core import files, output_folder
from asrkd.core.errors import AsrkdError
from asrkd.core.stopping import StopRequest
from asrkd.data.cuts.manifests import read_cuts, write_cuts
from asrkd.targets.store.arrays import ArrayStore, write_array_shard


def exported(stores: Path, corpus: Path, out: Path, storage: str) -> CutSet:
    request = ExportRequest(stores / "codebook", corpus / "cuts_train.jsonl.gz", out, storage=storage)
    said = export_targets(request, StopRequest())
    assert said == f"{out / 'cuts.jsonl.gz'}: 30 cuts with codebook_indexes ({storage})"
    assert "already complete" in export_targets(request, StopRequest())
    return CutSet.from_file(out / "cuts.jsonl.gz")


both = pytest.mark.parametrize("storage", ["numpy_files", "numpy_hdf5"])


@both
def test_lhotse_reads_and_collates_an_export_as_icefall_does(stores, corpus, tmp_path, storage):
    if storage == "numpy_hdf5":
        pytest.importorskip("h5py")
    store = ArrayStore(stores / "codebook", "codebook")
    cuts = exported(stores, corpus, tmp_path / "out", storage).to_eager()
    assert len(cuts) == 30
    for cut in cuts:
        found = cut.load_codebook_indexes()
        assert found.dtype == np.uint8
        assert np.array_equal(found, store.read(cut.id).numpy())
        manifest = cut.codebook_indexes.to_dict()
        assert manifest["array"]["storage_type"] == storage
        assert (manifest["temporal_dim"], manifest["frame_shift"], manifest["start"]) == (0, 0.04, 0)
    some = CutSet.from_cuts(list(cuts)[:3])
    values, lengths = collate_custom_field(some, "codebook_indexes", pad_value=-100)
    assert lengths.tolist() == [store.entry(cut.id)[1].length for cut in some]
    for row, cut in enumerate(some):
        assert torch.equal(values[row, : lengths[row]], store.read(cut.id).to(values.dtype))
        assert (values[row, lengths[row] :] == -100).all()


@both
def test_an_export_is_imported_with_the_same_indexes(stores, corpus, config, tmp_path, storage):
    from asrkd.commands.train import TrainOptions, train

    if storage == "numpy_hdf5":
        pytest.importorskip("h5py")
    exported(stores, corpus, tmp_path / "out", storage)
    cuts = corpus / "cuts_train.jsonl.gz"
    request = ImportRequest(tmp_path / "out/cuts.jsonl.gz", tmp_path / "store", cuts, cuts_per_shard=7)
    assert (
        import_targets(request, StopRequest()) == f"{tmp_path / 'store'}: 30 cuts, 2 codebooks every 0.04 s"
    )
    ours, theirs = (ArrayStore(p, "codebook") for p in (stores / "codebook", tmp_path / "store"))
    for cut_id in ours.index.ids():
        assert torch.equal(ours.read(cut_id), theirs.read(cut_id))
    assert check(tmp_path / "store", deep=True).problems == ()
    objectives = f"phases=[{{steps: 2, objectives: [{{codebook: {{targets: {tmp_path}/store, layer: 1}}}}]}}]"
    train(config, tmp_path / "run", [objectives], TrainOptions("cpu", threads=1), StopRequest())


def icefall_manifest(corpus: Path, folder: Path, change=lambda values: values) -> Path:
    """What icefall's scripts leave: arrays made by lhotse, 50 Hz, one frame fewer than the cut has."""
    rng = np.random.default_rng(3)
    cuts = []
    with NumpyFilesWriter(folder / "arrays") as writer:
        for cut in read_cuts(corpus / "cuts_dev.jsonl.gz"):
            frames = int(cut.duration / 0.02) - 1
            values = change(rng.integers(0, 256, (frames, 8)).astype(np.uint8))
            manifest = writer.store_array(cut.id, values, frame_shift=0.02, temporal_dim=0, start=0)
            cuts.append(replace(cut, custom={"codebook_indexes": manifest}))
    write_cuts(folder / "cuts.jsonl.gz", cuts)
    return folder / "cuts.jsonl.gz"


def test_a_manifest_of_icefalls_is_imported_as_it_is(corpus, tmp_path):
    manifest = icefall_manifest(corpus, tmp_path)
    import_targets(ImportRequest(manifest, tmp_path / "store"), StopRequest())
    store = ArrayStore(tmp_path / "store", "codebook")
    assert store.contract["frame_shift"] == 0.02
    assert store.contract["quantizer"] == {"num_codebooks": 8, "codebook_size": 256}
    for cut in CutSet.from_file(manifest):
        assert np.array_equal(store.read(cut.id).numpy(), cut.codebook_indexes.load())


@pytest.mark.parametrize("extra", [0, 1, 2, 3])
def test_no_frame_is_lost_for_any_length_and_name(tmp_path, extra):
    """Four feature frames make a target frame, the last of which may be of one to four."""
    frames = 120 + extra
    recording = Recording("r", [AudioSource("file", [0], "a.wav")], 8000, frames * 80, frames / 100)
    cut = MonoCut("speaker/1 a:b", 0.0, recording.duration, 0, recording=recording)
    write_cuts(tmp_path / "cuts.jsonl.gz", [cut])
    values = torch.arange(-(-frames // 4) * 2, dtype=torch.uint8).reshape(-1, 2)
    store = tmp_path / "store"
    contract = {"kind": "codebook", "frame_shift": 0.04, "quantizer": {"num_codebooks": 2}}
    files.write_json(store / "contract.json", contract)
    path = store / "shard-00000-of-00001.safetensors"
    write_array_shard(path, files.sha256(store / "contract.json"), [cut], [{"values": values}])
    output_folder.stamp(store, {"num_shards": 1, "num_cuts": 1})
    export_targets(ExportRequest(store, tmp_path / "cuts.jsonl.gz", tmp_path / "out"), StopRequest())
    import_targets(ImportRequest(tmp_path / "out/cuts.jsonl.gz", tmp_path / "back"), StopRequest())
    assert torch.equal(ArrayStore(tmp_path / "back", "codebook").read(cut.id), values)


HARD_IDS = [
    "今" * 36,
    "今" * 35 + "天", "x" * 300, "a/b", "a%2Fb", "../../up", "..", ".", "-rf", "A-1", "a-1", "a.npy",
    "a", "a.gz", "b\nb", "cafe\u0301", "caf\u00e9", "spk-utt_0.1", "aux", "utt " * 9, "k" * 150,
]  # fmt: skip


@both
def test_ids_that_are_no_file_names_are_exported_and_read(tmp_path, storage):
    if storage == "numpy_hdf5":
        pytest.importorskip("h5py")
    recording = Recording("r", [AudioSource("file", [0], "a.wav")], 8000, 8000 * 4, 4.0)
    cuts = [MonoCut(own, 0.0, 4.0, 0, recording=recording) for own in HARD_IDS]
    write_cuts(tmp_path / "cuts.jsonl.gz", cuts)
    values = {cut.id: torch.full((100, 2), row, dtype=torch.uint8) for row, cut in enumerate(cuts)}
    store, out = tmp_path / "store", tmp_path / "deep/er/out"
    contract = {"kind": "codebook", "frame_shift": 0.04, "quantizer": {"num_codebooks": 2}}
    files.write_json(store / "contract.json", contract)
    path = store / "shard-00000-of-00001.safetensors"
    rows = [{"values": values[cut.id]} for cut in cuts]
    write_array_shard(path, files.sha256(store / "contract.json"), cuts, rows)
    output_folder.stamp(store, {"num_shards": 1, "num_cuts": len(cuts)})
    export_targets(ExportRequest(store, tmp_path / "cuts.jsonl.gz", out, storage=storage), StopRequest())
    exported = CutSet.from_file(out / "cuts.jsonl.gz").to_eager()
    assert list(exported.ids) == HARD_IDS
    for cut in exported:
        assert np.array_equal(cut.load_codebook_indexes(), values[cut.id].numpy())
    keys = {cut.id: cut.codebook_indexes.array.storage_key.split("/")[-1] for cut in exported}
    assert len({key.lower() for key in keys.values()}) == len(HARD_IDS)
    suffix = ".npy" if storage == "numpy_files" else ""
    for kept in ("a", "a.gz", "spk-utt_0.1", "aux", "k" * 150):
        assert keys[kept] == kept + suffix
    assert not list((tmp_path / "deep").glob("*.npy")) and not list((tmp_path / "deep/er").glob("*.npy"))
    assert {path.name for path in tmp_path.iterdir()} == {"cuts.jsonl.gz", "store", "deep"}
    import_targets(ImportRequest(out / "cuts.jsonl.gz", tmp_path / "back"), StopRequest())
    back = ArrayStore(tmp_path / "back", "codebook")
    for cut_id, expected in values.items():
        assert torch.equal(back.read(cut_id), expected)


def test_an_export_of_other_transcripts_is_refused(stores, corpus, tmp_path):
    cuts = list(read_cuts(corpus / "cuts_train.jsonl.gz"))
    write_cuts(tmp_path / "cuts.jsonl.gz", cuts)
    request = ExportRequest(stores / "codebook", tmp_path / "cuts.jsonl.gz", tmp_path / "out")
    export_targets(request, StopRequest())
    cuts[0].supervisions[0].text = "OFF"
    write_cuts(tmp_path / "cuts.jsonl.gz", cuts)
    with pytest.raises(AsrkdError, match="created with other settings: texts has changed"):
        export_targets(request, StopRequest())


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda values: values[: len(values) // 2], "frames, expected about .*; export them from cuts"),
        (lambda values: np.concatenate([values, values[:30]]), "frames, expected about"),
        (lambda values: values.astype(np.int64) + 200, "expected 0 to 255"),
        (lambda values: values.astype(np.float32), "expected integers"),
    ],
)
def test_indexes_that_cannot_be_the_cuts_are_refused_by_cut(corpus, tmp_path, change, complaint):
    manifest = icefall_manifest(corpus, tmp_path, change)
    with pytest.raises(AsrkdError, match=complaint) as error:
        import_targets(ImportRequest(manifest, tmp_path / "store"), StopRequest())
    assert "cut dev-000" in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "store/stamp.json").exists()


def test_cuts_of_another_length_or_name_are_refused(corpus, tmp_path):
    manifest = icefall_manifest(corpus, tmp_path)
    cuts = list(read_cuts(corpus / "cuts_dev.jsonl.gz"))
    for changed, complaint in (
        (
            replace(cuts[2].perturb_speed(1.1), id="dev-002"),
            "cut dev-002 has .* other audio of the same id",
        ),
        (replace(cuts[2], id="dev-2"), f"cut dev-2 is missing in {manifest}"),
    ):
        write_cuts(tmp_path / "mine.jsonl.gz", [*cuts[:2], changed])
        with pytest.raises(AsrkdError, match=complaint):
            request = ImportRequest(manifest, tmp_path / "store", tmp_path / "mine.jsonl.gz")
            import_targets(request, StopRequest())
    assert not (tmp_path / "store").exists()


def test_a_store_of_other_cuts_is_not_exported(stores, corpus, tmp_path):
    request = ExportRequest(stores / "codebook", corpus / "cuts_dev.jsonl.gz", tmp_path / "out")
    with pytest.raises(AsrkdError, match="no targets for cut dev-000"):
        export_targets(request, StopRequest())
    with pytest.raises(AsrkdError, match="--storage zip: expected one of numpy_files, numpy_hdf5"):
        cuts = corpus / "cuts_train.jsonl.gz"
        export_targets(replace(request, cuts=cuts, storage="zip"), StopRequest())
    assert not (tmp_path / "out").exists()


def stripped(manifest: Path, out: Path) -> Path:
    """The same cuts without recording and features, as icefall's scripts store them."""
    rows = [row for _, row in files.read_jsonl(manifest)]
    for row in rows:
        row.pop("recording"), row.pop("features", None)
    files.write_jsonl(out, rows)
    return out


def test_what_icefall_strips_is_taken_from_the_training_cuts(corpus, tmp_path):
    whole = icefall_manifest(corpus, tmp_path)
    bare = stripped(whole, tmp_path / "bare.jsonl.gz")
    cuts = corpus / "cuts_dev.jsonl.gz"
    for manifest, name in ((whole, "a"), (bare, "b")):
        import_targets(ImportRequest(manifest, tmp_path / name, cuts), StopRequest())
    first, second = (ArrayStore(tmp_path / name, "codebook") for name in "ab")
    for cut_id in first.index.ids():
        assert torch.equal(first.read(cut_id), second.read(cut_id))


def test_without_those_cuts_the_option_is_named(corpus, tmp_path):
    bare = stripped(icefall_manifest(corpus, tmp_path), tmp_path / "bare.jsonl.gz")
    with pytest.raises(
        AsrkdError, match=r"bare\.jsonl\.gz:1: cut .* has neither recording nor .*--cuts CUTS"
    ):
        import_targets(ImportRequest(bare, tmp_path / "out"), StopRequest())


def test_a_refused_manifest_leaves_the_folder_usable(corpus, tmp_path):
    manifest = icefall_manifest(corpus, tmp_path)
    good = manifest.read_bytes()
    rows = [row for _, row in files.read_jsonl(manifest)]
    rows[2]["custom"]["codebook_indexes"]["array"]["storage_key"] = "not/there.npy"
    files.write_jsonl(manifest, rows)
    request = ImportRequest(manifest, tmp_path / "store", corpus / "cuts_dev.jsonl.gz")
    with pytest.raises(AsrkdError, match="of cut .* cannot be read"):
        import_targets(request, StopRequest())
    assert not (tmp_path / "store").exists()
    manifest.write_bytes(good)
    import_targets(request, StopRequest())
    assert check(tmp_path / "store").problems == ()


@pytest.mark.parametrize(
    ("place", "value", "complaint"),
    [
        ("frame_shift", "0.02", "frame_shift is '0.02', expected a number"),
        ("frame_shift", 0, "frame_shift is 0, expected a number greater than 0"),
        ("start", float("nan"), "start is nan, expected a finite number"),
    ],
)
def test_indexes_of_wrong_types_are_refused_by_cut(corpus, tmp_path, place, value, complaint):
    manifest = icefall_manifest(corpus, tmp_path)
    rows = [row for _, row in files.read_jsonl(manifest)]
    rows[1]["custom"]["codebook_indexes"][place] = value
    files.write_jsonl(manifest, rows)
    request = ImportRequest(manifest, tmp_path / "store", corpus / "cuts_train.jsonl.gz")
    with pytest.raises(AsrkdError, match=f"codebook_indexes of cut {rows[1]['id']}: {complaint}"):
        import_targets(request, StopRequest())
