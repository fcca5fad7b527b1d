"""`asrkd check --rescore`: a teacher stands by what it said, and what it did not say is found out."""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from asrkd import files
from asrkd.auditing.teacher_scores import told_at_once
from asrkd.check import check
from asrkd.cli import run
from asrkd.decoding import SearchOptions
from asrkd.decoding.forced_score import forced_log_prob
from asrkd.distill import nbest
from asrkd.distill_options import Question
from asrkd.errors import AsrkdError
from asrkd.manifests import read_cuts
from asrkd.stopping import StopRequest
from asrkd.targets.nbest import Nbest
from asrkd.targets.nbest_store import NbestStore, write_nbest_shard
from asrkd.tokens import Tokens
from tests.models.small import recogniser
from tests.test_decoder_searches import save_recogniser


def rewritten(store: Path, corpus: Path, change) -> None:
    """Write the lists of a store anew, as ``change`` makes them: whole, but not what the teacher said."""
    opened = NbestStore(store)
    cuts = {cut.id: cut for cut in read_cuts(corpus / "cuts_train.jsonl.gz")}
    ids = list(opened.index.ids())
    lists = {cut_id: opened.read(cut_id) for cut_id in ids}
    for shard, path in enumerate(opened.shards):
        own = [cut_id for cut_id in ids if opened.index[cut_id][0] == shard]
        changed = [change(lists[cut_id]) for cut_id in own]
        write_nbest_shard(path, files.sha256(store / "contract.json"), [cuts[i] for i in own], changed)


@pytest.fixture
def store(stores, teacher, corpus, tmp_path) -> Path:
    """A copy of the N-best store that knows its sources."""
    shutil.copytree(stores / "nbest", tmp_path / "nbest")
    sources = json.loads((stores / "nbest" / "sources.json").read_text())
    sources |= {"teacher": str(teacher), "cuts": [str(corpus / "cuts_train.jsonl.gz")]}
    (tmp_path / "nbest" / "sources.json").write_text(json.dumps(sources))
    return tmp_path / "nbest"


def test_scores_that_are_the_teachers_agree_one_by_one_and_in_batches(store):
    report = check(store, rescore=40)
    assert report.problems == ()
    said = report.text()
    assert "hypotheses of" in said and "cuts scored again by" in said
    for way in ("one by one", "in batches of 16", "in batches of 16, bf16"):
        assert f"ctc {way}: largest difference" in said
    assert "WER of the least wrong of the first N: 1: " in said
    differences = [float(line.split("difference ")[1].split(" ")[0]) for line in report.looked_at[-3:]]
    assert differences[0] < 1e-4 and differences[1] < 1e-3 < differences[2]


def test_a_score_that_the_teacher_did_not_give_is_found_and_its_cut_named(store, corpus):
    def change(own: Nbest) -> Nbest:
        first, *rest = own.hypotheses
        return Nbest((replace(first, log_prob=first.log_prob + 0.01), *rest), own.num_words)

    rewritten(store, corpus, change)
    problems = check(store, rescore=4).problems
    assert len(problems) == 2  # of both ways that must agree
    assert "ctc scores one by one differ from the stored ones by up to 0.01 nats (cut train-" in problems[0]
    assert "make the store anew: rm -r" in problems[0]


def test_lists_that_repeat_or_are_not_sorted_are_told_by_their_cuts(store, corpus):
    def change(own: Nbest) -> Nbest:
        return Nbest((*own.hypotheses[1:], own.hypotheses[0], own.hypotheses[0]), own.num_words)

    rewritten(store, corpus, change)
    problems = check(store, deep=True).problems
    assert any("train-000: a hypothesis comes twice; make the store anew" in own for own in problems)
    assert any("train-000: its hypotheses are not sorted" in own for own in problems)
    assert problems[-1].endswith("more cuts: lists")


def test_what_cannot_be_scored_again_is_one_line(store, stores, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["asrkd", "check", "--rescore", str(stores / "codebook")])
    with pytest.raises(SystemExit) as stop:
        run()
    assert stop.value.code == 1
    assert capsys.readouterr().err == (
        f"asrkd: {stores / 'codebook'}: --rescore is for stores of asrkd distill nbest; leave it out\n"
    )
    with pytest.raises(AsrkdError, match="--hypotheses 0: expected 1 or more"):
        check(store, rescore=0)
    (store / "sources.json").unlink()
    assert "does not say who made it; make it anew" in check(store, rescore=5).problems[0]


def test_a_number_of_hypotheses_without_rescoring_is_wrong_usage(store, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["asrkd", "check", str(store), "--hypotheses", "5"])
    with pytest.raises(SystemExit) as stop:
        run()
    assert stop.value.code == 2


def test_a_teacher_that_is_gone_is_named(store, tmp_path):
    sources = json.loads((store / "sources.json").read_text())
    (store / "sources.json").write_text(json.dumps(sources | {"teacher": str(tmp_path / "gone")}))
    (problem,) = check(store, rescore=5).problems
    assert "its teacher" in problem and "is no longer there" in problem


@pytest.fixture(scope="module")
def joint(corpus, tmp_path_factory) -> Path:
    """A model folder with a CTC head and a decoder."""
    return save_recogniser(tmp_path_factory.mktemp("joint"), Tokens.load(corpus), ctc=True)


@pytest.mark.parametrize("search", ["attention", "joint"])
def test_decoders_stand_by_their_scores_told_at_once(joint, corpus, tmp_path, search):
    cuts = (corpus / "cuts_dev.jsonl.gz",)
    question = Question(joint, cuts, tmp_path / "store", cuts_per_shard=4)
    nbest(question, search, SearchOptions(beam=4, num_best=4), StopRequest())
    report = check(tmp_path / "store", rescore=100)
    assert report.problems == ()
    assert "attention one by one: largest difference" in report.text()
    assert ("ctc in batches of 16, bf16" in report.text()) == (search == "joint")


@pytest.mark.parametrize("decoder", ["transformer", "las"])
def test_a_decoder_told_at_once_says_what_it_says_token_by_token(decoder):
    model = recogniser("transformer", decoder)
    encoded = torch.randn(2, 9, model.dim, generator=torch.Generator().manual_seed(1))
    encoded[1, 5:] = float("nan")
    hypotheses = [[[1, 2, 3], [], [4]], [[5, 5]]]
    num_frames = torch.tensor([9, 5])
    found = told_at_once(model.decoder, encoded, num_frames, hypotheses)
    expected = forced_log_prob(model.decoder, encoded, num_frames, hypotheses)
    for own, wanted in zip(found, expected, strict=True):
        assert own == pytest.approx(wanted, abs=1e-5)
