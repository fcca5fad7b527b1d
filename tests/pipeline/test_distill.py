"""The stage `distill nbest`: exact scores, and equal bytes whatever happens on the way."""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import jiwer
import pytest
import torch
from torch import Tensor

from asrkd.commands import distill
from asrkd.commands.distill_request import DistillRequest
from asrkd.core.errors import AsrkdError, StoppedInTime
from asrkd.core.stopping import StopRequest
from asrkd.data.cuts.manifests import read_cuts, write_cuts
from asrkd.decoding import SearchOptions
from asrkd.models.directory import load_model
from asrkd.models.inference import encode_cuts
from asrkd.targets.store.nbest import NbestStore
from tests.stop_after import StopAfter

OPTIONS = SearchOptions(beam=4, num_best=4)


@pytest.fixture(scope="module")
def question(teacher, corpus, tmp_path_factory) -> DistillRequest:
    """Asks about the six dev cuts, in three shards."""
    out = tmp_path_factory.mktemp("questions") / "unused"
    return DistillRequest(teacher, (corpus / "cuts_dev.jsonl.gz",), out, cuts_per_shard=2)


def ask(question: DistillRequest, out: Path, stop: StopRequest | None = None, **changes: object) -> str:
    return distill.nbest(replace(question, out=out, **changes), "prefix-beam", OPTIONS, stop or StopRequest())


@pytest.fixture(scope="module")
def whole(question, tmp_path_factory) -> Path:
    """An N-best store of the dev cuts, made without interruption."""
    out = tmp_path_factory.mktemp("whole") / "nbest"
    ask(question, out)
    return out


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def log_add(*values: float) -> float:
    top = max(values)
    return top if top == -math.inf else top + math.log(sum(math.exp(value - top) for value in values))


def forward_log_prob(log_probs: Tensor, tokens: list[int]) -> float:
    """log P(tokens | audio) by the forward variables of Graves et al. (2006), equations 6 to 8."""
    states = [0]
    for token in tokens:
        states += [token, 0]
    alpha = [-math.inf] * len(states)
    for t, row in enumerate(log_probs.double().tolist()):
        before, alpha = alpha, []
        for s, state in enumerate(states):
            if t == 0:
                arrive = 0.0 if s < 2 else -math.inf
            else:
                skip = before[s - 2] if s > 1 and state != 0 and state != states[s - 2] else -math.inf
                arrive = log_add(before[s], before[s - 1] if s else -math.inf, skip)
            alpha.append(arrive + row[state])
    return log_add(*alpha[-2:])


def test_hypotheses_are_unique_and_sorted_with_exact_scores(whole, teacher, corpus):
    store, model = NbestStore(whole), load_model(teacher)
    scored = 0
    for answer in encode_cuts(model, read_cuts(corpus / "cuts_dev.jsonl.gz")):
        nbest = store.read(answer.cut.id)
        assert 1 <= len(nbest.texts) <= 4
        assert len(set(nbest.texts)) == len(nbest.texts)
        assert nbest.log_probs == sorted(nbest.log_probs, reverse=True)
        for text, log_prob in zip(nbest.texts, nbest.log_probs, strict=True):
            assert log_prob == pytest.approx(
                forward_log_prob(answer.log_probs, model.tokens.encode(text)), abs=1e-4
            )
            scored += 1
    assert scored > 6


def test_scores_are_those_of_torchs_ctc_loss(whole, teacher, corpus):
    cut = read_cuts(corpus / "cuts_dev.jsonl.gz")[2]
    model = load_model(teacher)
    (answer,) = encode_cuts(model, [cut])
    nbest = NbestStore(whole).read(cut.id)
    for text, log_prob in zip(nbest.texts, nbest.log_probs, strict=True):
        tokens = torch.tensor(model.tokens.encode(text))
        sizes = torch.tensor([len(answer.log_probs)]), torch.tensor([len(tokens)])
        loss = torch.nn.functional.ctc_loss(answer.log_probs, tokens, *sizes, reduction="sum")
        assert log_prob == pytest.approx(-float(loss), rel=1e-4, abs=1e-4)


def test_errors_are_jiwers_and_the_report_adds_them_up(whole, question, corpus):
    store = NbestStore(whole)
    best = oracle = words = 0
    for cut in read_cuts(corpus / "cuts_dev.jsonl.gz"):
        reference, nbest = cut.supervisions[0].text, store.read(cut.id)
        counted = [jiwer.process_words(reference, text) for text in nbest.texts]
        errors = [c.substitutions + c.deletions + c.insertions for c in counted]
        assert nbest.errors == errors
        assert nbest.num_words == len(reference.split())
        best, oracle, words = best + errors[0], oracle + min(errors), words + nbest.num_words
    report = ask(question, whole)
    rates = f"WER {best / words:.2%} (best hypothesis), {oracle / words:.2%} (oracle)"
    assert report == f"{whole}: already complete, 6 cuts, {rates}"


def test_tokens_are_the_teachers_and_errors_are_jiwers_by_kind(whole, teacher, corpus):
    store, model = NbestStore(whole), load_model(teacher)
    for cut in read_cuts(corpus / "cuts_dev.jsonl.gz"):
        for hypothesis in store.read(cut.id).hypotheses:
            assert model.tokens.decode(list(hypothesis.tokens)) == hypothesis.text
            counts = jiwer.process_words(cut.supervisions[0].text, hypothesis.text)
            kinds = counts.substitutions, counts.deletions, counts.insertions
            assert hypothesis.errors.by_kind == kinds
            assert hypothesis.errors.total == sum(kinds)


def test_untranscribed_cuts_have_hypotheses_without_errors(question, corpus, tmp_path):
    cuts = [replace(cut, supervisions=[]) for cut in read_cuts(corpus / "cuts_dev.jsonl.gz")]
    write_cuts(tmp_path / "cuts.jsonl", cuts)
    assert (
        ask(question, tmp_path / "store", cuts=(tmp_path / "cuts.jsonl",)) == f"{tmp_path / 'store'}: 6 cuts"
    )
    nbest = NbestStore(tmp_path / "store").read("dev-000")
    assert (nbest.errors, nbest.num_words) == (None, None)


def test_shards_follow_the_cuts_and_the_contract_the_request(whole):
    assert sorted(contents(whole)) == [
        "contract.json",
        *(f"shard-0000{n}-of-00003.{what}" for n in range(3) for what in ("index.jsonl.gz", "jsonl")),
        "sources.json", "stamp.json",
    ]  # fmt: skip
    contract = json.loads((whole / "contract.json").read_text())
    assert contract["kind"] == "nbest"
    assert contract["search"] == {
        "name": "prefix-beam", "beam": 4, "num_best": 4, "max_tokens_per_frame": None,
    }  # fmt: skip
    assert contract["score"].startswith("log P(token sequence | audio) in nats")


def test_a_shard_that_is_lost_is_made_anew_with_the_same_bytes(question, whole, tmp_path):
    out = Path(shutil.copytree(whole, tmp_path / "nbest"))
    (out / "shard-00001-of-00003.jsonl").unlink()
    kept = (out / "shard-00000-of-00003.jsonl").stat().st_mtime_ns
    assert "already complete" not in ask(question, out)
    assert contents(out) == contents(whole)
    assert (out / "shard-00000-of-00003.jsonl").stat().st_mtime_ns == kept


@pytest.mark.parametrize(("questions", "done"), [(0, 0), (1, 2), (2, 2), (3, 4)])
def test_a_stop_keeps_shards_and_a_rerun_has_the_same_bytes(question, whole, tmp_path, questions, done):
    out = tmp_path / "nbest"
    with pytest.raises(StoppedInTime, match=f"{done} of 6 cuts are done; run the same command"):
        ask(question, out, StopAfter(questions))
    assert len(list(out.glob("shard-*.jsonl"))) == done // 2
    assert not (out / "locks").exists()
    assert not (out / "stamp.json").exists()
    with pytest.raises(AsrkdError, match="unfinished"):
        NbestStore(out)
    ask(question, out)
    assert contents(out) == contents(whole)


@pytest.mark.slow
def test_two_jobs_write_the_bytes_of_one(question, whole, tmp_path):
    ask(question, tmp_path / "two", jobs=2)
    assert contents(tmp_path / "two") == contents(whole)


@pytest.mark.parametrize(
    ("changes", "options", "complaint"),
    [
        ({}, SearchOptions(3, 3), "search.beam was 4, is now 3"),
        ({}, SearchOptions(4, 2), "search.num_best was 4, is now 2"),
        ({"cuts_per_shard": 3}, OPTIONS, "cuts_per_shard was 2, is now 3"),
        ({"teacher": "other"}, OPTIONS, "teacher.weights_sha256 has changed "),
        ({"cuts": "train"}, OPTIONS, "cuts.count was 6, is now 30"),
    ],
)
def test_another_request_in_the_same_folder_is_refused(
    question, whole, retouched, corpus, changes, options, complaint
):
    if "teacher" in changes:
        changes = {"teacher": retouched}
    if "cuts" in changes:
        changes = {"cuts": (corpus / "cuts_train.jsonl.gz",)}
    before = contents(whole)
    with pytest.raises(AsrkdError, match=complaint):
        distill.nbest(replace(question, out=whole, **changes), "prefix-beam", options, StopRequest())
    assert contents(whole) == before


@pytest.mark.parametrize(
    ("changes", "search", "complaint"),
    [
        ({"jobs": 0}, "prefix-beam", "--jobs 0: expected 1 or more"),
        ({"cuts_per_shard": 0}, "prefix-beam", "--cuts-per-shard 0: expected 1 or more"),
        ({"device": "gpu"}, "prefix-beam", "--device gpu: expected cpu, cuda"),
        ({"teacher": Path("nowhere")}, "prefix-beam", "nowhere: no such model folder"),
        ({"cuts": (Path("nowhere.jsonl"),)}, "prefix-beam", "nowhere.jsonl: no such file"),
        ({}, "beam", "--search beam: expected one of greedy, prefix-beam, k2"),
    ],
)
def test_a_mistake_is_a_line_and_leaves_nothing(question, tmp_path, changes, search, complaint):
    asked = replace(question, out=tmp_path / "new" / "store", **changes)
    with pytest.raises(AsrkdError, match=complaint) as error:
        distill.nbest(asked, search, OPTIONS, StopRequest())
    assert "\n" not in str(error.value)
    with pytest.raises(AsrkdError):
        distill.codebook(asked, Path("nowhere"), StopRequest())
    assert list(tmp_path.iterdir()) == []


def test_a_cut_that_is_asked_about_twice_is_named(question, corpus, tmp_path):
    cuts = (corpus / "cuts_dev.jsonl.gz",) * 2
    with pytest.raises(AsrkdError, match="duplicate cut id 'dev-000': it is in an earlier --cuts too"):
        ask(question, tmp_path / "store", cuts=cuts)


def test_several_manifests_are_asked_about_in_their_order(question, corpus, tmp_path):
    cuts = read_cuts(corpus / "cuts_dev.jsonl.gz")
    write_cuts(tmp_path / "a.jsonl", cuts[:3])
    write_cuts(tmp_path / "b.jsonl", cuts[3:])
    ask(question, tmp_path / "store", cuts=(tmp_path / "a.jsonl", tmp_path / "b.jsonl"))
    assert list(NbestStore(tmp_path / "store").index.ids()) == [cut.id for cut in cuts]
