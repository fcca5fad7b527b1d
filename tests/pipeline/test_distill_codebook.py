"""The stages `distill quantizer` and `distill codebook`: the teacher's embeddings in a few bytes a frame."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from asrkd.commands import distill, distill_quantizer
from asrkd.commands.check import check
from asrkd.commands.distill_request import DistillRequest, quantizer_request
from asrkd.core.errors import AsrkdError, StoppedInTime
from asrkd.core.stopping import StopRequest
from asrkd.data.cuts.manifests import read_cuts
from asrkd.models.directory import load_model
from asrkd.models.encoder import Tap
from asrkd.models.inference import encode_cuts
from asrkd.quantizer.storage import load_quantizer
from asrkd.targets.store.arrays import ArrayStore
from asrkd.teachers.asrkd_model import AsrkdTeacher
from asrkd.teachers.embedding_sample import Sample, sample_embeddings
from asrkd.teachers.loading import open_teacher
from tests.stop_after import StopAfter

QUICK = quantizer_request(2, 2, steps=3)  # as the fixture `stores` has it


@pytest.fixture
def question(teacher, corpus, tmp_path) -> DistillRequest:
    """Asks about the training cuts, in the shards of the fixture `stores`."""
    return DistillRequest(teacher, (corpus / "cuts_train.jsonl.gz",), tmp_path / "unused", cuts_per_shard=12)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_indexes_are_the_quantizers_of_the_teachers_embeddings(stores, teacher, corpus):
    store, quantizer = (
        ArrayStore(stores / "codebook", "codebook"),
        load_quantizer(stores / "quantizer").quantizer,
    )
    error = spread = 0.0
    for answer in encode_cuts(load_model(teacher), read_cuts(corpus / "cuts_train.jsonl.gz")[:6], [Tap(2)]):
        indexes, embeddings = store.read(answer.cut.id), answer.tapped[Tap(2)]
        assert indexes.shape == (len(answer.log_probs), 2)
        assert indexes.dtype == torch.uint8
        assert torch.equal(indexes, quantizer.encode(embeddings).to(torch.uint8))
        error += float((quantizer.decode(indexes) - embeddings).square().sum())
        spread += float((embeddings - quantizer.mean).square().sum())
    assert error < 0.5 * spread  # the mean alone would give all of the spread


def test_a_codebook_contract_names_layer_and_quantizer(stores):
    contract = json.loads((stores / "codebook/contract.json").read_text())
    assert contract["layer"] == 2
    assert contract["quantizer"] == {
        "sha256": load_quantizer(stores / "quantizer").identity, "num_codebooks": 2, "codebook_size": 256,
    }  # fmt: skip


def test_a_store_takes_one_byte_per_codebook_and_frame(stores):
    store = ArrayStore(stores / "codebook", "codebook")
    frames = sum(store.entry(cut_id)[1].length for cut_id in store.index.ids())
    payload = sum(path.stat().st_size for path in stores.glob("codebook/shard-*.safetensors"))
    index = sum(path.stat().st_size for path in stores.glob("codebook/shard-*.index.jsonl.gz"))
    assert 2 * frames < payload < 2 * frames + 80 * len(store.shards)
    assert index < 40 * len(store.index) + 250 * len(store.shards)


def test_a_quantizer_is_made_once_with_reproducible_bytes(question, stores, tmp_path):
    about = replace(question, out=stores / "quantizer")
    assert "already complete" in distill_quantizer.quantizer(about, QUICK, StopRequest())
    distill_quantizer.quantizer(replace(about, out=tmp_path / "q"), QUICK, StopRequest())
    assert contents(tmp_path / "q") == contents(stores / "quantizer")
    with pytest.raises(AsrkdError, match="layer was 2, is now 1"):
        distill_quantizer.quantizer(about, replace(QUICK, layer=1), StopRequest())


def test_layer_and_codebooks_fit_a_quantizer_by_the_store(question, stores, tmp_path):
    about = replace(question, out=tmp_path / "codes")
    report = distill.codebook(about, QUICK, StopRequest())
    assert report == f"{tmp_path / 'codes'}: 30 cuts, 2 codebooks of layer 2"
    assert contents(tmp_path / "codes-quantizer") == contents(stores / "quantizer")
    made, expected = contents(tmp_path / "codes"), contents(stores / "codebook")
    assert made.pop("sources.json") != expected.pop("sources.json")  # it says where the teacher is
    assert made == expected
    again = distill.codebook(about, QUICK, StopRequest())
    assert "already complete" in again


def test_too_little_speech_and_absent_layers_leave_nothing(question, corpus, tmp_path):
    about = replace(question, cuts=(corpus / "cuts_dev.jsonl.gz",), out=tmp_path / "new" / "codes")
    with pytest.raises(AsrkdError, match="--layer 3: .*layers 1 to 2"):
        distill.codebook(about, replace(QUICK, layer=3), StopRequest())
    with pytest.raises(AsrkdError, match="--layer 0: .*layers 1 to 2"):
        distill_quantizer.quantizer(about, replace(QUICK, layer=0), StopRequest())
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(AsrkdError, match="frames, expected at least 512"):
        distill_quantizer.quantizer(about, QUICK, StopRequest())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("asked", "said"),
    [(1, "embeddings of 1 of 30 cuts"), (30, "embeddings of 30 of 30 cuts"), (34, "step 4 of 6")],
)
def test_a_quantizer_that_is_stopped_goes_on_to_the_same_bytes(question, stores, tmp_path, asked, said):
    about = replace(question, out=tmp_path / "q")
    with pytest.raises(StoppedInTime, match=said):
        distill_quantizer.quantizer(about, QUICK, StopAfter(asked - 1))
    assert "unfinished (no stamp.json)" in check(tmp_path / "q").problems[0]
    assert "already" not in distill_quantizer.quantizer(about, QUICK, StopRequest())
    assert contents(tmp_path / "q") == contents(stores / "quantizer")


def test_the_teacher_is_not_asked_again_about_what_is_kept(question, tmp_path, monkeypatch):
    about = replace(question, out=tmp_path / "q")
    with pytest.raises(StoppedInTime):
        distill_quantizer.quantizer(about, QUICK, StopAfter(31))
    asked = []
    embeddings = AsrkdTeacher.embeddings
    ask = lambda self, cuts, taps: asked.extend(cuts) or embeddings(self, cuts, taps)  # noqa: E731
    monkeypatch.setattr(AsrkdTeacher, "embeddings", ask)
    distill_quantizer.quantizer(about, QUICK, StopRequest())
    assert asked == []
    assert sorted(path.name for path in (tmp_path / "q").iterdir()) == [
        "contract.json", "quantizer.json", "quantizer.safetensors", "stamp.json",
    ]  # fmt: skip


def test_a_whole_quantizer_killed_late_needs_only_its_stamp(question, stores, tmp_path):
    shutil.copytree(stores / "quantizer", tmp_path / "q")
    (tmp_path / "q/stamp.json").unlink()
    (tmp_path / "q/unfinished").mkdir()
    weights = (tmp_path / "q/quantizer.safetensors").stat().st_mtime_ns
    distill_quantizer.quantizer(replace(question, out=tmp_path / "q"), QUICK, StopRequest())
    assert (tmp_path / "q/quantizer.safetensors").stat().st_mtime_ns == weights
    assert contents(tmp_path / "q") == contents(stores / "quantizer")


def test_what_is_said_of_a_quantizer_is_what_its_stamp_holds(question, stores):
    said = distill_quantizer.quantizer(replace(question, out=stores / "quantizer"), QUICK, StopRequest())
    stamp = json.loads((stores / "quantizer/stamp.json").read_text())
    assert f"relative squared error {stamp['held_out_errors'][-1]:.3f}" in said
    assert f"{512 - sum(stamp['used_entries'])} entries unused" in said
    assert f"index entropy {sum(stamp['index_entropy_bits']) / 2:.2f} of 8.00 bits" in said


@pytest.mark.parametrize("part_every_s", [0.0, 60.0])
def test_parts_of_a_sample_join_and_long_cuts_are_capped(teacher, corpus, tmp_path, part_every_s):
    model, cuts = open_teacher(teacher), read_cuts(corpus / "cuts_train.jsonl.gz")
    whole = torch.cat([answer.tapped[Tap(2)] for answer in model.embeddings(cuts, [Tap(2)])])
    sample = Sample(cuts, Tap(2), 10_000, seed=1)
    found = sample_embeddings(tmp_path, model, sample, StopRequest(), part_every_s)
    assert torch.equal(found, whole)
    assert len(list(tmp_path.iterdir())) == (len(cuts) if part_every_s == 0 else 1)
    few = sample_embeddings(tmp_path / "few", model, replace(sample, frames_per_cut=3), StopRequest())
    assert len(few) == 3 * len(cuts)
    assert all((row == whole).all(dim=1).any() for row in few)


def test_a_quantizer_of_another_teacher_is_refused(question, stores, retouched, tmp_path):
    about = replace(question, teacher=retouched, out=tmp_path / "codes")
    with pytest.raises(
        AsrkdError, match="was trained on another teacher .*train one with: asrkd distill quantizer"
    ):
        distill.codebook(about, stores / "quantizer", StopRequest())
    assert not (tmp_path / "codes").exists()


@pytest.mark.parametrize(
    ("codebooks", "utterances", "steps", "complaint"),
    [(65, 10, None, "1 to 64"), (2, 0, None, "--utterances 0"), (2, 10, 0, "must be positive")],
)
def test_a_request_out_of_range_is_refused(codebooks, utterances, steps, complaint):
    with pytest.raises(AsrkdError, match=complaint):
        quantizer_request(2, codebooks, utterances=utterances, steps=steps)
