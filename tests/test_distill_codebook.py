"""The stages `distill quantizer` and `distill codebook`: the teacher's embeddings in a few bytes a frame."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from asrkd import distill
from asrkd.distill_options import Question, quantizer_request
from asrkd.errors import AsrkdError, StoppedInTime
from asrkd.manifests import read_cuts
from asrkd.models.conformer import Tap
from asrkd.models.directory import load_model
from asrkd.models.inference import answers
from asrkd.quantizer.storage import load_quantizer
from asrkd.stopping import StopRequest
from asrkd.targets.array_store import ArrayStore

QUICK = quantizer_request(2, 2, steps=3)  # as the fixture `stores` has it


class StopAtOnce(StopRequest):
    def reason(self) -> str:
        return "a test"


@pytest.fixture
def question(teacher, corpus, tmp_path) -> Question:
    """Asks about the training cuts, in the shards of the fixture `stores`."""
    return Question(teacher, (corpus / "cuts_train.jsonl.gz",), tmp_path / "unused", cuts_per_shard=12)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_indexes_are_the_quantisers_of_the_teachers_embeddings(stores, teacher, corpus):
    store, quantizer = (
        ArrayStore(stores / "codebook", "codebook"),
        load_quantizer(stores / "quantizer").quantizer,
    )
    error = spread = 0.0
    for answer in answers(load_model(teacher), read_cuts(corpus / "cuts_train.jsonl.gz")[:6], [Tap(2)]):
        indexes, embeddings = store.read(answer.cut.id), answer.tapped[Tap(2)]
        assert indexes.shape == (len(answer.log_probs), 2)
        assert indexes.dtype == torch.uint8
        assert torch.equal(indexes, quantizer.encode(embeddings).to(torch.uint8))
        error += float((quantizer.decode(indexes) - embeddings).square().sum())
        spread += float((embeddings - quantizer.mean).square().sum())
    assert error < 0.5 * spread  # the mean alone would give all of the spread


def test_the_contract_of_a_codebook_store_names_layer_and_quantiser(stores):
    contract = json.loads((stores / "codebook/contract.json").read_text())
    assert contract["layer"] == 2
    assert contract["quantizer"] == {
        "sha256": load_quantizer(stores / "quantizer").identity, "num_codebooks": 2, "codebook_size": 256,
    }  # fmt: skip


def test_a_store_takes_a_byte_a_codebook_and_frame_and_little_besides(stores):
    store = ArrayStore(stores / "codebook", "codebook")
    frames = sum(store.entry(cut_id)[1].length for cut_id in store.index.ids())
    payload = sum(path.stat().st_size for path in stores.glob("codebook/shard-*.safetensors"))
    index = sum(path.stat().st_size for path in stores.glob("codebook/shard-*.index.jsonl.gz"))
    assert 2 * frames < payload < 2 * frames + 80 * len(store.shards)
    assert index < 40 * len(store.index) + 250 * len(store.shards)


def test_a_quantiser_is_made_once_and_is_the_same_bytes_elsewhere(question, stores, tmp_path):
    about = replace(question, out=stores / "quantizer")
    assert "already complete" in distill.quantizer(about, QUICK, StopRequest())
    distill.quantizer(replace(about, out=tmp_path / "q"), QUICK, StopRequest())
    assert contents(tmp_path / "q") == contents(stores / "quantizer")
    with pytest.raises(AsrkdError, match="layer was 2 then and is 1 now"):
        distill.quantizer(about, replace(QUICK, layer=1), StopRequest())


def test_layer_and_codebooks_make_the_quantiser_beside_the_store(question, stores, tmp_path):
    about = replace(question, out=tmp_path / "codes")
    report = distill.codebook(about, QUICK, StopRequest())
    assert report == f"{tmp_path / 'codes'}: 30 cuts, 2 codebooks of layer 2"
    assert contents(tmp_path / "codes-quantizer") == contents(stores / "quantizer")
    made, expected = contents(tmp_path / "codes"), contents(stores / "codebook")
    assert made.pop("sources.json") != expected.pop("sources.json")  # it says where the teacher is
    assert made == expected
    again = distill.codebook(about, QUICK, StopRequest())
    assert "already complete" in again


def test_too_little_speech_for_a_quantiser_and_a_layer_that_is_not_there_leave_nothing(
    question, corpus, tmp_path
):
    about = replace(question, cuts=(corpus / "cuts_dev.jsonl.gz",), out=tmp_path / "new" / "codes")
    with pytest.raises(AsrkdError, match="--layer 3: .*layers 1 to 2"):
        distill.codebook(about, replace(QUICK, layer=3), StopRequest())
    with pytest.raises(AsrkdError, match="--layer 0: .*layers 1 to 2"):
        distill.quantizer(about, replace(QUICK, layer=0), StopRequest())
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(AsrkdError, match="frames, expected at least 512"):
        distill.quantizer(about, QUICK, StopRequest())
    assert list(tmp_path.iterdir()) == []


def test_a_quantiser_that_is_stopped_leaves_nothing_and_can_be_made_later(question, tmp_path):
    about = replace(question, out=tmp_path / "q")
    with pytest.raises(StoppedInTime, match="not kept"):
        distill.quantizer(about, QUICK, StopAtOnce())
    assert list(tmp_path.iterdir()) == []


def test_a_quantiser_of_another_teacher_is_refused(question, stores, retouched, tmp_path):
    about = replace(question, teacher=retouched, out=tmp_path / "codes")
    with pytest.raises(
        AsrkdError, match="was trained on another teacher .*make one with: asrkd distill quantizer"
    ):
        distill.codebook(about, stores / "quantizer", StopRequest())
    assert not (tmp_path / "codes").exists()


@pytest.mark.parametrize(
    ("codebooks", "utterances", "steps", "complaint"),
    [(3, 10, None, "power of two"), (2, 0, None, "--utterances 0"), (2, 10, 0, "must be positive")],
)
def test_a_request_out_of_range_is_refused(codebooks, utterances, steps, complaint):
    with pytest.raises(AsrkdError, match=complaint):
        quantizer_request(2, codebooks, utterances=utterances, steps=steps)
