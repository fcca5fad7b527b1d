"""The stage `score`: counts that jiwer would give, files that others read, and refusals."""

import ast
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import jiwer
import pytest

from asrkd.commands import score as stage
from asrkd.commands.score import ScoreReport, ScoreRequest, score
from asrkd.core.errors import AsrkdError, StoppedInTime
from asrkd.core.shared_work import ShardOf, WorkResult
from asrkd.core.stopping import StopRequest
from asrkd.data.cuts.manifests import read_cuts, write_cuts
from asrkd.decoding import SearchOptions
from asrkd.models.directory import load_model
from asrkd.models.inference import encode_cuts
from asrkd.scoring.score_corpus import parse_rules
from asrkd.scoring.score_folder import read_score, require_comparable
from asrkd.targets.store.nbest import NbestStore
from tests.stop_after import StopAfter


@pytest.fixture
def request_(teacher, corpus, tmp_path) -> ScoreRequest:
    return ScoreRequest(teacher, corpus / "cuts_dev.jsonl.gz", tmp_path / "score")


def run(request_: ScoreRequest, stop: StopRequest | None = None, **changes: object) -> ScoreReport:
    return score(replace(request_, **changes), stop or StopRequest())


def hypotheses(out: Path) -> dict[str, dict]:
    lines = [line for path in sorted(out.glob("hypotheses/*")) for line in path.read_text().splitlines()]
    return {row["id"]: row for row in map(json.loads, lines)}


def references(corpus: Path) -> dict[str, str]:
    return {cut.id: cut.supervisions[0].text for cut in read_cuts(corpus / "cuts_dev.jsonl.gz")}


def contents(out: Path) -> dict[str, bytes]:
    return {str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("search", ["greedy", "prefix-beam"])
def test_counts_are_jiwers_over_the_whole_corpus(request_, corpus, search):
    report = run(request_, search=search)
    found = hypotheses(request_.out)
    refs = references(corpus)
    ids = sorted(refs)
    expected = jiwer.process_words([refs[i] for i in ids], [found[i]["text"] for i in ids])
    assert expected.wer > 0
    scored = json.loads((request_.out / "score.json").read_text())
    utterances = read_score(request_.out).utterances
    assert scored["wer"] == pytest.approx(expected.wer)
    assert scored["cer"] == pytest.approx(jiwer.cer([refs[i] for i in ids], [found[i]["text"] for i in ids]))
    for kind in ("hits", "substitutions", "deletions", "insertions"):
        assert scored["counts"][kind] == getattr(expected, kind)
        assert sum(getattr(utterance.counts, kind) for utterance in utterances) == getattr(expected, kind)
    assert scored["search"]["name"] == search
    line = re.fullmatch(
        r"%WER (\S+) \[ (\d+) / (\d+), (\d+) ins, (\d+) del, (\d+) sub \] levenshtein "
        + re.escape(str(request_.out)),
        report.text(),
    )
    assert line is not None
    assert float(line[1]) == pytest.approx(100 * expected.wer, abs=0.005)
    words = sum(len(text.split()) for text in refs.values())
    errors = expected.insertions + expected.deletions + expected.substitutions
    counted = (errors, words, expected.insertions, expected.deletions, expected.substitutions)
    assert tuple(map(int, line.groups()[1:])) == counted


def test_greedy_texts_are_collapsed_best_tokens(request_, teacher, corpus):
    run(request_)
    model = load_model(teacher)
    for answer in encode_cuts(model, read_cuts(corpus / "cuts_dev.jsonl.gz")):
        path = [0, *answer.log_probs.argmax(-1).tolist()]
        tokens = [token for before, token in zip(path, path[1:], strict=False) if token not in (0, before)]
        assert hypotheses(request_.out)[answer.cut.id]["text"] == model.tokens.decode(tokens)


def test_beam_search_is_at_least_as_likely_as_greedy(request_, tmp_path):
    run(request_)
    run(request_, search="prefix-beam", out=tmp_path / "beam")
    greedy, beam = hypotheses(request_.out), hypotheses(tmp_path / "beam")
    assert all(beam[i]["log_prob"] >= greedy[i]["log_prob"] - 1e-9 for i in greedy)


def test_the_hypothesis_is_the_first_of_the_nbest_list(request_, question_store):
    run(request_, search="prefix-beam", options=SearchOptions(beam=4))
    store = NbestStore(question_store)
    for cut_id, row in hypotheses(request_.out).items():
        nbest = store.read(cut_id)
        assert (row["text"], row["log_prob"]) == (nbest.texts[0], pytest.approx(nbest.log_probs[0]))


@pytest.fixture
def question_store(teacher, corpus, tmp_path) -> Path:
    from asrkd.commands.distill import nbest
    from asrkd.commands.distill_request import DistillRequest

    question = DistillRequest(teacher, (corpus / "cuts_dev.jsonl.gz",), tmp_path / "nbest")
    nbest(question, "prefix-beam", SearchOptions(beam=4, num_best=2), StopRequest())
    return tmp_path / "nbest"


def test_recogs_and_trn_parse_back(request_, corpus):
    run(request_)
    found = {i: row["text"].split() for i, row in hypotheses(request_.out).items()}
    refs = {i: text.split() for i, text in references(corpus).items()}
    parsed: dict[str, dict[str, list[str]]] = {"ref": {}, "hyp": {}}
    for line in (request_.out / "recogs-dev.txt").read_text().splitlines():
        cut_id, side, words = re.fullmatch(r"(\S+):\t(ref|hyp)=(\[.*\])", line).groups()
        parsed[side][cut_id] = ast.literal_eval(words)
    assert parsed == {"ref": refs, "hyp": found}
    for name, texts in (("ref", refs), ("hyp", found)):
        lines = (request_.out / f"{name}.trn").read_text().splitlines()
        assert lines == [" ".join([*texts[i], f"(s-{i})"]) for i in sorted(texts)]
    assert (request_.out / "errs-dev.txt").is_file()


def test_the_same_request_gives_the_same_bytes(request_, tmp_path):
    run(request_)
    run(request_, out=tmp_path / "again")
    assert contents(request_.out) == contents(tmp_path / "again")


@pytest.mark.slow
def test_two_jobs_give_the_bytes_of_one(request_, tmp_path, monkeypatch):
    monkeypatch.setattr(stage, "CUTS_PER_SHARD", 2)
    run(request_)
    run(request_, out=tmp_path / "two", jobs=2)
    assert contents(request_.out) == contents(tmp_path / "two")


def test_parts_in_any_order_give_the_bytes_of_one_process(request_, tmp_path, monkeypatch):
    monkeypatch.setattr(stage, "CUTS_PER_SHARD", 1)
    run(request_)
    for number, missing in ((3, 4), (1, 2), (2, 0)):
        report = run(request_, out=tmp_path / "parts", shard_of=ShardOf(number, 3))
        assert (report.progress.missing, report.counts is None) == (missing, missing > 0)
    assert (
        f"{tmp_path / 'parts'}: this part is done; 2 of 6 shards"
        in ScoreReport(tmp_path / "parts", None, WorkResult(2, 4, 6)).text()
    )
    assert contents(request_.out) == contents(tmp_path / "parts")


def test_a_long_decoding_shows_how_far_it_is(request_, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(stage, "CUTS_PER_SHARD", 2)
    run(request_, shard_of=ShardOf(1, 2))
    assert "score teacher: 1/4 cuts, " in capsys.readouterr().err
    run(request_)
    shown = capsys.readouterr().err
    assert "score teacher: 6/6 cuts" in shown
    assert "x real time" in shown


def test_alignment_and_normalizer_are_chosen_and_kept(request_, tmp_path):
    plain = run(request_)
    chosen = run(request_, out=tmp_path / "chosen", rules=parse_rules("sclite", "basic"))
    assert " ] levenshtein " in plain.text()
    assert " ] sclite " in chosen.text()
    before, after = read_score(request_.out), read_score(tmp_path / "chosen")
    assert (after.alignment, after.normalizer.name) == ("sclite", "basic")
    assert [u.reference for u in after.utterances] == [u.reference.lower() for u in before.utterances]
    with pytest.raises(
        AsrkdError, match="normalizer basic 2 .*, but .* has none 1 .*; score both with the same options"
    ):
        require_comparable([before, after])
    with pytest.raises(AsrkdError, match="created with other settings: alignment was 'levenshtein'"):
        run(request_, rules=parse_rules("sclite", "none"))


def test_a_cut_of_unknown_speaker_counts_for_its_recording(request_, corpus, tmp_path):
    cuts = read_cuts(corpus / "cuts_dev.jsonl.gz")
    changed_ = [replace(cut, supervisions=[replace(cut.supervisions[0], speaker=None)]) for cut in cuts]
    write_cuts(tmp_path / "cuts.jsonl", changed_)
    run(request_, cuts=tmp_path / "cuts.jsonl")
    utterances = read_score(request_.out).utterances
    assert [u.speaker for u in utterances] == [u.recording for u in utterances] == [cut.id for cut in cuts]
    assert [u.duration_s for u in utterances] == [pytest.approx(cut.duration) for cut in cuts]


def test_hypotheses_of_other_cuts_are_not_counted(request_, monkeypatch):
    monkeypatch.setattr(stage, "CUTS_PER_SHARD", 3)
    run(request_)
    (request_.out / "stamp.json").unlink()
    first, second = sorted((request_.out / "hypotheses").iterdir())
    shutil.copy(first, second)
    with pytest.raises(AsrkdError, match="00001-of-00002.jsonl: its hypotheses are of other cuts; remove it"):
        run(request_)
    assert not (request_.out / "stamp.json").exists()


@pytest.mark.parametrize(
    ("written", "instead"), [('"text"', '"words"'), ('"text": "', '"text": 5, "was": "'), ('"text": "', "{")]
)
def test_hypotheses_without_texts_are_a_line_with_the_way_on(request_, written, instead):
    run(request_)
    (request_.out / "stamp.json").unlink()
    (path,) = (request_.out / "hypotheses").iterdir()
    path.write_text(path.read_text().replace(written, instead, 1))
    with pytest.raises(AsrkdError) as raised:
        run(request_)
    assert str(path) in str(raised.value)
    assert str(raised.value).endswith(f"; remove it, and score again: rm {path}")


def test_a_complete_score_is_not_computed_again(request_):
    first = run(request_)
    before = contents(request_.out)
    shutil.rmtree(request_.out / "hypotheses")
    again = run(request_)
    assert again.progress is None
    assert again.counts == first.counts
    assert again.text().endswith("(already complete)")
    assert {n: b for n, b in before.items() if "hypotheses" not in n} == contents(request_.out)


def test_a_stop_keeps_shards_and_a_rerun_has_the_same_bytes(request_, tmp_path, monkeypatch):
    monkeypatch.setattr(stage, "CUTS_PER_SHARD", 4)
    run(request_, out=tmp_path / "whole")
    with pytest.raises(StoppedInTime, match="4 of 6 cuts are done"):
        run(request_, StopAfter(3))  # after each of three cuts it is asked, and after the shard
    assert not (request_.out / "score.json").exists()
    run(request_)
    assert contents(request_.out) == contents(tmp_path / "whole")


def changed(corpus: Path, path: Path, **changes: object) -> Path:
    """The dev cuts with other features, or another text of the first."""
    cuts = list(read_cuts(corpus / "cuts_dev.jsonl.gz"))
    if "text" in changes:
        cuts[0].supervisions[0].text = changes["text"]
    else:
        cuts = [replace(cut, features=replace(cut.features, **changes)) for cut in cuts]
    write_cuts(path, cuts)
    return path


def test_another_request_names_the_first_difference(request_, corpus, tmp_path):
    run(request_)
    before = contents(request_.out)
    with pytest.raises(AsrkdError, match="search.name was 'greedy', is now 'prefix-beam'"):
        run(request_, search="prefix-beam")
    with pytest.raises(AsrkdError, match="references has changed "):
        run(request_, cuts=changed(corpus, tmp_path / "cuts.jsonl", text="OFF OFF"))
    assert contents(request_.out) == before


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"num_features": 80}, "cuts.jsonl: num_features of the features is 80, the model .* reads 8"),
        (
            {"sampling_rate": 16000},
            "cuts.jsonl: sampling_rate of the features is 16000, the model .* reads 8000",
        ),
        ({"text": None}, "cut dev-000: has no transcript"),
    ],
)
def test_unfit_cuts_are_refused_and_nothing_is_written(request_, corpus, tmp_path, changes, complaint):
    cuts = changed(corpus, tmp_path / "cuts.jsonl", **changes)
    with pytest.raises(AsrkdError, match=complaint):
        run(request_, cuts=cuts)
    assert not request_.out.exists()


def test_references_without_words_have_no_rate(request_, corpus, tmp_path):
    cuts = list(read_cuts(corpus / "cuts_dev.jsonl.gz"))
    for cut in cuts:
        cut.supervisions[0].text = " "
    write_cuts(tmp_path / "cuts.jsonl", cuts)
    with pytest.raises(
        AsrkdError, match="cuts.jsonl: no words in the references of 6 utterances .'dev-000', "
    ):
        run(request_, cuts=tmp_path / "cuts.jsonl")
    assert not request_.out.exists()


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"jobs": 0}, "--jobs 0: expected 1 or more"),
        ({"search": "beam"}, "--search beam: expected one of"),
        ({"model": Path("nowhere")}, "nowhere: no such model folder"),
        ({"cuts": Path("nowhere.jsonl")}, "nowhere.jsonl: no such file"),
        ({"device": "tpu"}, "--device tpu"),
    ],
)
def test_a_mistake_is_a_line_and_leaves_nothing(request_, changes, complaint):
    with pytest.raises(AsrkdError, match=complaint) as error:
        run(request_, **changes)
    assert "\n" not in str(error.value)
    assert not request_.out.exists()


def test_speakers_unreadable_by_sclite_drop_only_the_trn(request_, corpus, tmp_path, capsys):
    cuts = list(read_cuts(corpus / "cuts_dev.jsonl.gz"))
    cuts[2].supervisions[0].speaker = "Mrs (Smith)"
    write_cuts(tmp_path / "cuts.jsonl", cuts)
    report = run(request_, cuts=tmp_path / "cuts.jsonl")
    assert report.counts.num_words > 0
    assert "asrkd: no trn files: cut 'dev-002'" in capsys.readouterr().err
    assert not list(request_.out.glob("*.trn"))
