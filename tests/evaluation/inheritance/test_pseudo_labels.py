"""Errors in training labels, and the way from a model to the stores it was trained on."""

import shutil

import pytest

from asrkd.core import files
from asrkd.core.errors import AsrkdError
from asrkd.data.cuts.manifests import read_cuts
from asrkd.data.cuts.records import transcript
from asrkd.evaluation.inheritance.error_places import Confusion
from asrkd.evaluation.inheritance.pseudo_labels import Example, read_pseudo_labels
from asrkd.scoring.units import find_unit
from asrkd.targets.store.nbest import NbestStore
from asrkd.targets.store.used_stores import used_stores
from tests.nbest_lists import nbest, write_nbest_store


@pytest.fixture
def store(tmp_path, corpus):
    """Three cuts; 'YES' heard as 'NO' in two hypotheses of the first and in one of the second."""
    cuts = read_cuts(corpus / "cuts_train.jsonl.gz")[:3]
    lists = [
        nbest(["YES ON", "NO ON", "NO ON NO"], [-0.1, -1.0, -2.0]),
        nbest(["NO NO OFF", "YES YES"], [-0.1, -1.0]),
        nbest(["ON"], [-0.1]),
    ]
    return write_nbest_store(tmp_path / "nbest", cuts, lists)


@pytest.fixture
def transcripts(store):
    first, second, _ = NbestStore(store).index.ids()
    return {first: "yes on", second: "yes yes off"}


def test_each_hypothesis_confusion_is_counted_once(store, transcripts):
    found = read_pseudo_labels(store, transcripts, 4, str.lower, "levenshtein")
    assert (found.num_cuts, found.num_hypotheses, found.num_wrong) == (2, 5, 4)
    assert found.hypotheses == {
        Confusion("yes", "no"): 3,
        Confusion(None, "no"): 1,
        Confusion("off", None): 1,
    }
    first = next(iter(transcripts))
    assert found.examples[Confusion("yes", "no")] == Example(first, 1, "yes on", "no on")


def test_confusions_are_counted_in_the_unit_of_the_score(corpus, tmp_path):
    cuts = read_cuts(corpus / "cuts_train.jsonl.gz")[:1]
    store = write_nbest_store(tmp_path / "zh", cuts, [nbest(["我门去", "我们去了 吗"], [-0.1, -1.0])])
    found = read_pseudo_labels(store, {cuts[0].id: "我们 去"}, 2, str, "levenshtein", find_unit("char"))
    assert found.hypotheses == {
        Confusion("们", "门"): 1,
        Confusion(None, "了"): 1,
        Confusion(None, "吗"): 1,
    }


def test_only_the_hypotheses_that_training_used_count(store, transcripts):
    found = read_pseudo_labels(store, transcripts, 1, str.lower, "levenshtein")
    assert found.num_hypotheses == 2
    assert found.hypotheses == {Confusion("yes", "no"): 1}


def lineage(folder, stores, objectives):
    record = {"target_stores": stores, "experiment": {"phases": [{"objectives": objectives}]}}
    files.write_json(folder / "lineage.json", record)
    return folder


def test_stores_are_found_after_a_move_with_their_model(tmp_path, store):
    digest = files.sha256(store / "contract.json")
    objectives = [{"ctc": {"targets": "exp/old/nbest", "num_hypotheses": 2}, "codebook": None}]
    model = lineage(tmp_path / "student", {"exp/old/nbest": digest}, objectives)
    (used,) = used_stores(model).stores
    assert (used.path, used.kind, used.num_hypotheses) == (store, "nbest", 2)


def test_another_store_under_the_same_name_is_not_taken_for_it(tmp_path, store):
    objectives = [{"ctc": {"targets": "nbest", "num_hypotheses": 2}}]
    model = lineage(tmp_path / "student", {"nbest": "0" * 64}, objectives)
    assert used_stores(model).stores == [] and used_stores(model).missing == ["nbest"]


def test_a_model_without_a_lineage_has_no_stores(tmp_path):
    assert used_stores(tmp_path).stores == []


def test_a_strange_lineage_is_named(tmp_path):
    files.write_json(tmp_path / "lineage.json", {"target_stores": {"a": "b"}})
    (tmp_path / "a").mkdir()
    files.write_json(tmp_path / "lineage.json", {"other": 1})
    with pytest.raises(AsrkdError, match=r"lineage\.json: not as asrkd train writes it"):
        used_stores(tmp_path)


def test_a_damaged_store_is_an_error(store, transcripts):
    shutil.rmtree(store / "shard-00000-of-00001.jsonl", ignore_errors=True)
    (store / "shard-00000-of-00001.jsonl").unlink()
    with pytest.raises(AsrkdError, match="missing"):
        read_pseudo_labels(store, transcripts, 1, str, "levenshtein")


def test_transcripts_of_cuts_are_what_they_are_held_against(corpus, store):
    transcripts = {cut.id: transcript(cut) for cut in read_cuts(corpus / "cuts_train.jsonl.gz")}
    assert read_pseudo_labels(store, transcripts, 4, str, "levenshtein").num_cuts == 3
