"""`asrkd check --rescore`: a teacher stands by what it said, and what it did not say is found out."""

import json
import math
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from asrkd.cli.main import run
from asrkd.commands.check import check
from asrkd.commands.checks.findings import Findings
from asrkd.commands.checks.rescore import _language_model
from asrkd.commands.checks.teacher_scores import ScoreCombination, sequence_log_probs
from asrkd.commands.distill import nbest
from asrkd.commands.distill_request import DistillRequest
from asrkd.core import files
from asrkd.core.errors import AsrkdError
from asrkd.core.stopping import StopRequest
from asrkd.data.cuts.manifests import read_cuts
from asrkd.data.tokens import Tokens
from asrkd.decoding import SearchOptions
from asrkd.decoding.forced_score import forced_log_prob
from asrkd.decoding.options import DecoderOptions
from asrkd.targets.nbest import Nbest, StoredHypothesis
from asrkd.targets.store.nbest import NbestStore
from asrkd.targets.store.provenance import read_sources
from tests.decoding.test_decoder_searches import save_lm, save_recognizer
from tests.models.small import recognizer
from tests.nbest_lists import write_nbest_shard


def rewritten(store: Path, corpus: Path, change, split: str = "train") -> None:
    """Write the lists of a store anew, as ``change`` makes them: whole, but not what the teacher said."""
    opened = NbestStore(store)
    cuts = {cut.id: cut for cut in read_cuts(corpus / f"cuts_{split}.jsonl.gz")}
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


def test_the_teachers_scores_agree_singly_and_in_batches(store):
    report = check(store, rescore=40)
    assert report.problems == ()
    said = report.text()
    assert "hypotheses of" in said and "cuts scored again by" in said
    for way in ("one by one", "in batches of 16", "in batches of 16, bf16"):
        assert f"ctc {way}: largest difference" in said
    assert "oracle WER of the first N: 1: " in said
    differences = [float(line.split("difference ")[1].split(" ")[0]) for line in report.notes[-3:]]
    assert differences[0] < 1e-4 and differences[1] < 1e-3 < differences[2]


def test_a_wrong_score_is_found_and_its_cut_named(store, corpus):
    def change(own: Nbest) -> Nbest:
        first, *rest = own.hypotheses
        return Nbest((replace(first, log_prob=first.log_prob + 0.01), *rest), own.num_words)

    rewritten(store, corpus, change)
    problems = check(store, rescore=4).problems
    assert len(problems) == 2  # of both ways that must agree
    assert "ctc scores one by one differ from the stored ones by up to 0.01 nats (cut train-" in problems[0]
    assert "make the store again: rm -r" in problems[0]


def test_repetitive_and_unsorted_lists_are_named_by_cut(store, corpus):
    def change(own: Nbest) -> Nbest:
        return Nbest((*own.hypotheses[1:], own.hypotheses[0], own.hypotheses[0]), own.num_words)

    rewritten(store, corpus, change)
    problems = check(store, deep=True).problems
    assert any("train-000: has a duplicate hypothesis; make the store again" in own for own in problems)
    assert any("train-000: its hypotheses are not sorted" in own for own in problems)
    assert problems[-1].endswith("more cuts: lists")


def test_what_cannot_be_scored_again_is_one_line(store, stores, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["asrkd", "check", "--rescore", str(stores / "codebook")])
    with pytest.raises(SystemExit) as stop:
        run()
    assert stop.value.code == 1
    assert capsys.readouterr().err == (
        f"asrkd: {stores / 'codebook'}: --rescore is for stores of asrkd distill nbest; remove --rescore\n"
    )
    with pytest.raises(AsrkdError, match="--hypotheses 0: expected 1 or more"):
        check(store, rescore=0)
    (store / "sources.json").unlink()
    assert "the path of its teacher was not recorded; make it again" in check(store, rescore=5).problems[0]


def test_hypotheses_without_rescore_is_wrong_usage(store, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["asrkd", "check", str(store), "--hypotheses", "5"])
    with pytest.raises(SystemExit) as stop:
        run()
    assert stop.value.code == 2


def test_a_teacher_that_is_gone_is_named(store, tmp_path):
    sources = json.loads((store / "sources.json").read_text())
    (store / "sources.json").write_text(json.dumps(sources | {"teacher": str(tmp_path / "gone")}))
    (problem,) = check(store, rescore=5).problems
    assert "its teacher" in problem and "no longer exists" in problem


@pytest.fixture(scope="module")
def joint(corpus, tmp_path_factory) -> Path:
    """A model folder with a CTC head and a decoder."""
    return save_recognizer(tmp_path_factory.mktemp("joint"), Tokens.load(corpus), ctc=True)


@pytest.mark.parametrize("search", ["attention", "joint"])
def test_decoders_stand_by_their_scores_sequence_log_probs(joint, corpus, tmp_path, search):
    cuts = (corpus / "cuts_dev.jsonl.gz",)
    question = DistillRequest(joint, cuts, tmp_path / "store", cuts_per_shard=4)
    nbest(question, search, SearchOptions(beam=4, num_best=4), StopRequest())
    report = check(tmp_path / "store", rescore=100)
    assert report.problems == ()
    assert "attention one by one: largest difference" in report.text()
    assert ("ctc in batches of 16, bf16" in report.text()) == (search == "joint")


@pytest.fixture(scope="module")
def lm(corpus, tmp_path_factory) -> Path:
    """A language model over the corpus's tokens."""
    return save_lm(tmp_path_factory.mktemp("lm") / "lm", Tokens.load(corpus))


RANKED = DecoderOptions(length_norm="gnmt", token_bonus=0.2, lm_weight=0.6, max_length_ratio=0.3)


@pytest.fixture
def fused(joint, lm, corpus, tmp_path) -> Path:
    """A store by a joint search with a copy of the language model beside it, `lm`."""
    shutil.copytree(lm, tmp_path / "lm")
    question = DistillRequest(joint, (corpus / "cuts_dev.jsonl.gz",), tmp_path / "fused", cuts_per_shard=4)
    options = SearchOptions(beam=4, num_best=4, decoder=RANKED, lm=tmp_path / "lm")
    nbest(question, "joint", options, StopRequest())
    return tmp_path / "fused"


def test_the_lm_confirms_its_part_and_the_search_its_score(fused):
    report = check(fused, rescore=100)
    assert report.problems == ()
    for part in ("ctc", "attention", "joint", "lm", "score"):
        assert f"{part} one by one: largest difference" in report.text()


@pytest.mark.parametrize("part", ["lm", "score"])
def test_a_single_wrong_part_or_score_is_found(fused, corpus, part):
    def change(own: Nbest) -> Nbest:
        *others, last = own.hypotheses
        if part == "score":
            return Nbest((*others, replace(last, score=last.score - 0.01)), own.num_words)
        return Nbest((*others, replace(last, parts={**last.parts, "lm": last.parts["lm"] - 0.01})), 2)

    rewritten(fused, corpus, change, "dev")
    problems = [own for own in check(fused, rescore=100).problems if "differ" in own]
    assert [own.split(": ")[1].split(" differ")[0] for own in problems] == [
        f"{part} scores one by one", f"{part} scores in batches of 16",
    ]  # fmt: skip
    assert "by up to 0.01 nats (cut dev-" in problems[0]


def test_a_retrained_language_model_makes_the_store_stale(fused, corpus):
    place = fused.parent / "lm"
    sources = json.loads((fused / "sources.json").read_text())
    assert sources["lm"] == "../lm"
    weights = bytearray((place / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (place / "model.safetensors").write_bytes(weights)
    (problem,) = check(fused).problems
    assert f"{fused}: stale: its language model {place} has changed since" in problem
    assert any("stale: its language model" in own for own in check(fused, rescore=5).problems)
    with pytest.raises(AsrkdError, match="stale: its language model"):
        NbestStore(fused).verify(read_cuts(corpus / "cuts_dev.jsonl.gz"))
    shutil.rmtree(place)
    assert check(fused).problems == ()
    assert "its language model" in check(fused, rescore=5).problems[0]


def test_a_store_without_the_path_of_its_lm_is_still_read(fused, corpus):
    """As asrkd wrote them before: the score is still held against the stored part."""
    sources = json.loads((fused / "sources.json").read_text())
    del sources["lm"]
    (fused / "sources.json").write_text(json.dumps(sources))
    report = check(fused, rescore=100)
    assert report.problems == ()
    assert "the path of its language model was not recorded" in report.text()
    assert "lm one by one" not in report.text() and "score one by one" in report.text()


def test_word_ngrams_are_asked_for_whole_sentences(joint, corpus, tmp_path):
    pytest.importorskip("kenlm", reason="needs kenlm: pip install kenlm")
    words = "-0.9\tYES\t-0.4\n-0.5\tNO\t-0.2\n"
    (tmp_path / "words.arpa").write_text(
        f"\\data\\\nngram 1=5\nngram 2=1\n\n\\1-grams:\n-1.0\t<unk>\n-99\t<s>\t-0.3\n-0.7\t</s>\n{words}\n"
        "\\2-grams:\n-0.1\tYES NO\n\n\\end\\\n"
    )
    question = DistillRequest(joint, (corpus / "cuts_dev.jsonl.gz",), tmp_path / "store", cuts_per_shard=4)
    options = SearchOptions(beam=4, num_best=4, lm=tmp_path / "words.arpa")
    nbest(question, "prefix-beam", options, StopRequest())
    report = check(tmp_path / "store", rescore=100)
    assert report.problems == ()
    assert "lm one by one: largest difference" in report.text()


def test_without_kenlm_ngrams_are_not_asked_and_that_is_said(fused, monkeypatch):
    arpa = fused.parent / "words.arpa"
    arpa.write_text("n-grams")
    sources = json.loads((fused / "sources.json").read_text())
    (fused / "sources.json").write_text(json.dumps(sources | {"lm": str(arpa)}))
    contract = json.loads((fused / "contract.json").read_text())
    contract["search"]["lm"]["sha256"] = files.sha256(arpa)
    files.write_json(fused / "contract.json", contract)
    monkeypatch.setitem(sys.modules, "kenlm", None)
    findings = Findings()
    asked = _language_model(SimpleNamespace(path=fused, contract=contract), read_sources(fused), findings)
    assert asked is None
    assert "is not checked: n-grams need kenlm" in findings.notes[0]


def by_hand(search: dict, stored: StoredHypothesis, now: dict) -> dict[str, float]:
    return {name: value for name, _, value in ScoreCombination(search).compare(stored, now)}


def test_scores_are_mixed_as_the_contract_says():
    parts = {"ctc": -4.0, "attention": -2.0, "lm": -10.0, "length": 3.0}
    stored = StoredHypothesis("ABC", -2.5, (1, 2, 3), parts, score=-1.0)
    search = {"ctc_weight": 0.25, "lm": {}, "lm_weight": 0.5, "token_bonus": 1.5, "length_norm": "length"}
    now = {"ctc": -4.0, "attention": -2.0, "lm": -12.0}
    # 0.25 * -4 + 0.75 * -2 = -2.5; (-2.5 + 0.5 * -12 + 1.5 * 3) / (3 + 1) = -1
    assert by_hand(search, stored, now) == pytest.approx(now | {"joint": -2.5, "score": -1.0})
    gnmt = search | {"length_norm": "gnmt", "alpha": 2.0}
    # (5 + 3 + 1) / 6 = 1.5, squared 2.25
    assert by_hand(gnmt, stored, now)["score"] == pytest.approx(-4.0 / 2.25)
    del now["lm"]  # it cannot be asked: what it said is taken
    assert by_hand(search, stored, now)["score"] == pytest.approx(-0.75)


@pytest.mark.parametrize(("weight", "impossible"), [(0.0, "ctc"), (1.0, "attention")])
def test_a_part_without_weight_may_find_a_hypothesis_impossible(weight, impossible):
    now = {"ctc": -3.0, "attention": -3.0} | {impossible: -math.inf}
    stored = StoredHypothesis("A", -3.0, (1,), {**now, "length": 1.0})
    assert by_hand({"ctc_weight": weight, "length_norm": "none"}, stored, now) == now | {"joint": -3.0}


@pytest.mark.parametrize("place", [0, 1, -1])
def test_a_score_that_is_no_number_is_found_wherever_it_is(store, corpus, place):
    def change(own: Nbest) -> Nbest:
        changed = list(own.hypotheses)
        changed[place] = replace(changed[place], log_prob=math.nan, parts={"ctc": math.nan})
        return Nbest(tuple(changed), own.num_words)

    rewritten(store, corpus, change)
    problems = check(store, rescore=40).problems
    assert problems
    for problem in problems:
        assert "the list of cut" in problem
        assert "log_prob is nan, expected a number" in problem


@pytest.mark.parametrize("decoder", ["transformer", "las"])
def test_a_decoder_scores_sequences_as_it_does_by_token(decoder):
    model = recognizer("transformer", decoder)
    encoded = torch.randn(2, 9, model.dim, generator=torch.Generator().manual_seed(1))
    encoded[1, 5:] = float("nan")
    hypotheses = [[[1, 2, 3], [], [4]], [[5, 5]]]
    num_frames = torch.tensor([9, 5])
    found = sequence_log_probs(model.decoder, encoded, num_frames, hypotheses)
    expected = forced_log_prob(model.decoder, encoded, num_frames, hypotheses)
    for own, wanted in zip(found, expected, strict=True):
        assert own == pytest.approx(wanted, abs=1e-5)
