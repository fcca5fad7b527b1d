"""`asrkd check`: nothing is wrong with what is whole; of the rest it tells cut, cause and cure."""

import gzip
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asrkd.cli.main import run
from asrkd.commands.check import CheckReport, check
from asrkd.commands.prepare import prepare
from asrkd.commands.prepare_options import PrepareOptions
from asrkd.commands.score import ScoreRequest, score
from asrkd.commands.score_transcripts import TranscriptsRequest, score_transcripts
from asrkd.core import files
from asrkd.core.errors import AsrkdError
from asrkd.core.shared_work import Workers
from asrkd.core.stopping import StopRequest
from asrkd.data.cuts.manifests import read_cuts, write_cuts
from asrkd.targets.nbest import WordErrors
from asrkd.targets.store.nbest import NbestStore
from tests.nbest_lists import write_nbest_shard


def problems(path: Path, *cuts: Path, deep: bool = False) -> list[str]:
    return list(check(path, cuts, deep=deep).problems)


@pytest.fixture
def tree(stores, teacher, corpus, tmp_path) -> Path:
    """A copy of corpus, teacher and stores that lie to one another as the originals do."""
    root = tmp_path / "tree"
    for source in (stores, teacher.parent, corpus):
        shutil.copytree(source, root / source.name)
    (root / "names").write_text(f"{stores.name} {teacher.parent.name} {corpus.name}")
    return root


def parts(tree: Path) -> tuple[Path, Path, Path]:
    """(stores, teacher, corpus)."""
    stores, trained, corpus = (tree / name for name in (tree / "names").read_text().split())
    return stores, trained / "teacher", corpus


def test_whole_and_fresh_artifacts_pass_also_after_a_move(stores, teacher, corpus, tree):
    moved_stores, moved_teacher, moved_corpus = parts(tree)
    for path in (
        stores / "nbest", stores / "codebook", stores / "quantizer", teacher,
        moved_stores / "nbest", moved_stores / "codebook", moved_teacher,
    ):  # fmt: skip
        assert problems(path, deep=True) == [], path
    said = check(moved_stores / "codebook").text()
    assert f"{moved_stores / 'codebook'}: 30 cuts in 3 shards" in said
    assert f"compared with {moved_corpus / 'cuts_train.jsonl.gz'}" in said
    assert said.endswith("nothing wrong")


def test_a_retrained_teacher_makes_its_stores_stale(tree, retouched):
    stores, teacher, _ = parts(tree)
    shutil.copy(retouched / "model.safetensors", teacher / "model.safetensors")
    for name in ("nbest", "codebook"):
        (problem,) = problems(stores / name)
        assert f"{stores / name}: stale: its teacher {teacher} has changed since" in problem
        assert f"rm -r {stores / name} && asrkd distill {name} --teacher " in problem
        assert f"--out {stores / name}" in problem


def test_a_quantizer_that_was_made_anew_makes_the_store_stale(tree):
    stores, _, _ = parts(tree)
    weights = stores / "quantizer/quantizer.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    (problem,) = problems(stores / "codebook")
    assert f"stale: its quantizer {stores / 'quantizer'} has changed since" in problem
    (problem,) = problems(stores / "quantizer")
    assert "torn or replaced" in problem


def test_changed_cuts_are_named_by_line(tree):
    stores, _, corpus = parts(tree)
    manifest = corpus / "cuts_train.jsonl.gz"
    cuts = list(read_cuts(manifest))
    faster = replace(cuts[3].perturb_speed(1.1), id=cuts[3].id)
    cuts[3] = faster
    write_cuts(manifest, cuts[:-1] + [replace(cuts[-1], id="stranger")])
    for name in ("nbest", "codebook"):
        other, missing, stale = problems(stores / name)
        assert f"{manifest}:4: cut train-003: its targets were made of other audio (digest " in other
        assert f"{manifest}:30: cut stranger: has no targets in {stores / name}" in missing
        assert "stale: 1 of its cuts are no longer in its manifests" in stale


def test_word_errors_of_other_transcripts_are_named_by_cut(tree):
    stores, _, corpus = parts(tree)
    store, manifest = stores / "nbest", corpus / "cuts_train.jsonl.gz"
    assert f"{store}: transcripts unchanged since word errors were counted" in check(store).notes
    cuts = list(read_cuts(manifest))
    write_cuts(manifest, cuts[5:20])  # stale for a store of all, but not for its errors
    assert check(store, [manifest]).problems == ()
    assert f"{store}: word errors of 15 cuts counted again" in check(store, [manifest]).notes
    cuts[5].supervisions[0].text = None  # what lost its transcript is no fault
    cuts[7].supervisions[0].text = "ONE TWO THREE"
    write_cuts(manifest, cuts)
    (problem,) = problems(store)
    assert f"{store}: the word errors of cut train-007 were counted against another transcript" in problem
    assert "3 in 3 by the present transcript; make the store again: rm -r" in problem
    assert problems(store, manifest) == [problem]
    for cut in cuts:
        cut.supervisions[0].text = "ONE TWO THREE FOUR"  # none had four words
    write_cuts(manifest, cuts)
    assert problems(store)[-1] == "... and 25 more cuts: whose word errors are of another transcript"


def test_deep_check_recounts_word_errors(tree):
    """The transcripts are those of then; a list says that it has an error more than it has."""
    stores, _, corpus = parts(tree)
    store = NbestStore(stores / "nbest")
    cuts = list(read_cuts(corpus / "cuts_train.jsonl.gz"))[:12]
    lists = [store.read(cut.id) for cut in cuts]
    first, *rest = lists[3].hypotheses
    wrong = replace(first, errors=WordErrors(first.errors.total + 1))
    lists[3] = replace(lists[3], hypotheses=(wrong, *rest))
    write_nbest_shard(store.shards[0], files.sha256(store.path / "contract.json"), cuts, lists)
    assert problems(store.path) == []
    (problem,) = problems(store.path, deep=True)
    assert "the word errors of cut train-003 were counted against another transcript" in problem
    assert any("word errors of cut train-003" in own for own in check(store.path, rescore=5).problems)


def test_the_first_problems_are_listed_and_the_rest_counted(tree):
    stores, _, corpus = parts(tree)
    manifest = corpus / "cuts_train.jsonl.gz"
    cuts = [replace(cut, custom={"audio_sha256": "0"}) for cut in read_cuts(manifest)]
    write_cuts(manifest, cuts)
    found = problems(stores / "nbest")
    assert len(found) == 6
    assert found[-1] == "... and 25 more cuts: with targets of another cut"


@pytest.mark.parametrize("name", ["nbest", "codebook"])
def test_every_byte_is_looked_at_only_when_asked_to(tree, name):
    stores, _, _ = parts(tree)
    payload = next(path for path in sorted((stores / name).glob("shard-*")) if ".index." not in path.name)
    data = bytearray(payload.read_bytes())
    data[-3] ^= 1
    payload.write_bytes(data)
    assert problems(stores / name) == []
    (problem,) = problems(stores / name, deep=True)
    assert f"{payload}: its bytes differ from those that were written; remove it: rm {payload}" in problem


def test_an_unfinished_store_names_progress_and_command(tree):
    stores, _, _ = parts(tree)
    (stores / "nbest/stamp.json").unlink()
    (problem,) = problems(stores / "nbest")
    told = "3 shards are written, unfinished (no stamp.json); finish it with: asrkd distill nbest"
    assert problem.startswith(f"{stores / 'nbest'}: {told}")
    assert problem.endswith(str(stores / "nbest"))  # the command can be copied to the end of the line


def test_an_unfinished_store_counts_shards_in_parts(tree):
    stores, _, _ = parts(tree)
    (stores / "nbest/stamp.json").unlink()
    (stores / "nbest/parts").mkdir()
    for cuts in ("000000-000010", "000010-000020"):
        (stores / f"nbest/parts/shard-00001-of-00003.jsonl.gz.{cuts}.part").write_bytes(b"")
    (problem,) = problems(stores / "nbest")
    assert "3 shards are written, and parts of 1 more, unfinished" in problem


def test_changed_transcripts_or_stores_make_a_model_stale(config, tree, tmp_path):
    from asrkd.commands.train import TrainOptions, train

    stores, _, corpus = parts(tree)
    objectives = f"[{{codebook: {{targets: {stores}/codebook, layer: 1}}}}, ctc]"
    overrides = [
        f"phases=[{{steps: 2, objectives: {objectives}}}]",
        f"data.train={corpus}/cuts_train.jsonl.gz",
    ]
    train(config, tmp_path / "student", overrides, TrainOptions("cpu", threads=1), StopRequest())
    assert problems(tmp_path / "student") == []
    cuts = list(read_cuts(corpus / "cuts_train.jsonl.gz"))
    cuts[0].supervisions[0].text = "OFF ON"
    write_cuts(corpus / "cuts_train.jsonl.gz", cuts)
    (problem,) = problems(tmp_path / "student")
    assert f"stale: the transcripts of {corpus / 'cuts_train.jsonl.gz'} changed since" in problem
    (stores / "codebook/contract.json").write_text("{}")
    _, problem = problems(tmp_path / "student")
    assert f"stale: {stores / 'codebook/contract.json'} has changed since" in problem


def test_a_score_is_stale_when_its_model_was_trained_anew(tree, retouched):
    _, teacher, corpus = parts(tree)
    score(ScoreRequest(teacher, corpus / "cuts_dev.jsonl.gz", teacher / "score-dev"), StopRequest())
    assert problems(teacher / "score-dev") == []
    (line,) = [line for line in check(teacher / "score-dev").notes if "words" in line]
    assert "words of 6 utterances aligned by levenshtein, normalizer none 1 (" in line
    shutil.copy(retouched / "model.safetensors", teacher / "model.safetensors")
    (problem,) = problems(teacher / "score-dev")
    assert f"stale: {teacher / 'model.safetensors'} has changed since" in problem


def test_a_score_of_transcripts_is_checked_without_a_model(tmp_path):
    (tmp_path / "ref").write_text("a NO YES\nb ON\n")
    (tmp_path / "hyp").write_text("a NO YES\nb OFF ON\n")
    request = TranscriptsRequest(tmp_path / "ref", tmp_path / "hyp", tmp_path / "score")
    score_transcripts(request, StopRequest())
    assert problems(tmp_path / "score") == []
    lines = (tmp_path / "score/utterances.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "score/utterances.jsonl").write_text(lines[0])
    (problem,) = problems(tmp_path / "score")
    assert (
        "the counts of utterances.jsonl do not sum to those of score.json; make the score again: rm -r"
        in problem
    )
    files.write_json(tmp_path / "score/request.json", {})
    (tmp_path / "score/score.json").write_text("{}")
    (problem,) = problems(tmp_path / "score")
    assert "score.json: not as this asrkd writes it" in problem


def test_wrong_counts_are_found_by_jiwer(tmp_path):
    (tmp_path / "ref").write_text("a NO YES\nb ON\nc GO\n")
    (tmp_path / "hyp").write_text("a NO YES\nb OFF ON\nc\n")
    request = TranscriptsRequest(tmp_path / "ref", tmp_path / "hyp", tmp_path / "score")
    score_transcripts(request, StopRequest())
    assert check(tmp_path / "score").notes[-1].endswith("score: 2 errors by jiwer's count")
    rows = tmp_path / "score/utterances.jsonl"
    rows.write_text(rows.read_text().replace("OFF ON", "ON"))
    (problem,) = problems(tmp_path / "score")
    assert "records 2 errors, jiwer counts 1" in problem


@pytest.fixture
def prepared(tmp_path) -> Path:
    rows = ["utt_id\taudio\tspeaker\ttext\tsplit"]
    rng = np.random.default_rng(1)
    for number in range(3):
        soundfile.write(tmp_path / f"{number}.wav", rng.uniform(-0.5, 0.5, 4000), 8000, subtype="PCM_16")
        rows.append(f"u{number}\t{number}.wav\ts{number}\tYES NO\ttrain")
    (tmp_path / "transcripts.tsv").write_text("\n".join(rows) + "\n")
    prepare(
        "tsv",
        tmp_path,
        tmp_path / "out",
        PrepareOptions(speeds=(0.9,)),
        workers=Workers(),
        stop=StopRequest(),
    )
    return tmp_path / "out"


def test_a_prepared_corpus_is_looked_over_down_to_its_samples(prepared):
    assert problems(prepared, deep=True) == []
    audio = prepared.parent / "1.wav"
    samples, rate = soundfile.read(audio)
    soundfile.write(audio, samples * 0.5, rate, subtype="PCM_16")
    assert problems(prepared) == []
    (problem,) = problems(prepared, deep=True)
    assert "cuts_train.jsonl.gz:3: cut u1: its audio changed since prepare" in problem
    audio.unlink()
    (problem,) = problems(prepared)
    assert "cut u1: " in problem
    assert "1.wav does not exist" in problem
    next(prepared.glob("features/train/*.lca")).unlink()
    assert any(".lca does not exist" in problem for problem in problems(prepared))


def test_torn_and_duplicate_lines_are_named_by_number(corpus, tmp_path):
    with gzip.open(corpus / "cuts_dev.jsonl.gz", "rt") as stream:
        lines = stream.read().splitlines()
    for record in lines[:1]:
        assert json.loads(record)["type"] == "MonoCut"
    path = tmp_path / "cuts.jsonl"
    path.write_text("\n".join([lines[0], lines[1], lines[0]]))
    others = [problem for problem in problems(path) if "does not exist" not in problem]
    assert others == [f"{path}:3: duplicate cut id 'dev-000'"]
    path.write_text(lines[0] + "\n" + lines[1][:50])
    assert any(f"{path}:2: torn or not JSON" in problem for problem in problems(path))
    path.write_text(lines[0] + '\n{"id": "x", "type": "PaddingCut"}\n')
    assert any(f"{path}:2: not a lhotse cut" in problem for problem in problems(path))


def test_a_moved_manifest_of_two_does_not_make_a_store_stale(teacher, corpus, tmp_path):
    from asrkd.commands.distill import nbest
    from asrkd.commands.distill_request import DistillRequest
    from asrkd.decoding import SearchOptions

    cuts = list(read_cuts(corpus / "cuts_dev.jsonl.gz"))
    both = (tmp_path / "a.jsonl", tmp_path / "b.jsonl")
    write_cuts(both[0], cuts[:4])
    write_cuts(both[1], cuts[4:])
    options = SearchOptions(beam=2, num_best=2)
    nbest(DistillRequest(teacher, both, tmp_path / "nbest"), "prefix-beam", options, StopRequest())
    both[1].rename(tmp_path / "elsewhere.jsonl")
    assert problems(tmp_path / "nbest") == []
    write_cuts(both[1], cuts[4:5])
    (problem,) = problems(tmp_path / "nbest")
    assert "stale: 1 of its cuts are no longer in its manifests" in problem


def test_a_stamp_that_counts_other_cuts_is_told(tree):
    stores, _, _ = parts(tree)
    files.write_json(stores / "nbest/stamp.json", {"num_shards": 3, "num_cuts": 31})
    (problem,) = problems(stores / "nbest")
    assert f"{stores / 'nbest'}: has 30 cuts, its stamp 31" in problem


@pytest.mark.parametrize(
    "broken",
    [
        '{"supervisions": [3]}',
        '{"features": {"sampling_rate": 8000}}',
        '{"recording": {"id": "r", "sampling_rate": 8000}}',
        '{"recording": {"id": "r", "sampling_rate": 8000, "sources": [{"type": "file"}]}}',
    ],
)
@pytest.mark.parametrize("deep", [False, True])
def test_a_line_that_train_refuses_is_no_traceback(corpus, tmp_path, broken, deep):
    with gzip.open(corpus / "cuts_dev.jsonl.gz", "rt") as stream:
        record = json.loads(stream.readline()) | json.loads(broken)
    (tmp_path / "cuts.jsonl").write_text(json.dumps(record))
    found = [problem for problem in problems(tmp_path / "cuts.jsonl", deep=deep) if "not a lhotse" in problem]
    assert found or not (deep or "recording" in broken)


def test_an_empty_manifest_and_records_of_another_form_are_told(tmp_path, teacher):
    (tmp_path / "cuts.jsonl").write_text("")
    assert problems(tmp_path / "cuts.jsonl") == [
        f"{tmp_path / 'cuts.jsonl'}: holds no cuts; "
        "prepare the corpus again with: asrkd prepare ... --out ..."
    ]
    for name, content in (("prepare.json", {}), ("lineage.json", {})):
        folder = tmp_path / name.split(".")[0]
        if name == "lineage.json":
            shutil.copytree(teacher, folder)
        files.write_json(folder / name, content)
        stamp = {"hits": 1, "splits": [{}], "num_tokens": 3, "params": 1, "steps": 1}
        files.write_json(folder / "stamp.json", stamp)
        (problem,) = problems(folder)
        assert f"{folder}: a record in it does not have the form that asrkd writes" in problem


def test_a_torn_quantizer_is_remade_by_the_named_command(tree, corpus):
    from asrkd.commands.distill_quantizer import quantizer
    from asrkd.commands.distill_request import DistillRequest, quantizer_request

    stores, teacher, moved = parts(tree)
    weights = stores / "quantizer/quantizer.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    (problem,) = problems(stores / "quantizer")
    assert "torn or replaced: make it again with: asrkd distill quantizer" in problem.replace("; ", ": ")
    question = DistillRequest(teacher, (moved / "cuts_train.jsonl.gz",), stores / "quantizer")
    quantizer(question, quantizer_request(2, 2, steps=3), StopRequest())
    assert weights.read_bytes() == whole
    assert problems(stores / "quantizer") == []


def test_what_is_no_artifact_is_refused_in_a_line(tmp_path):
    for path, words in ((tmp_path, "not an artifact of asrkd"), (tmp_path / "x", "no such file or folder")):
        with pytest.raises(AsrkdError, match=words):
            check(path)
    files.write_json(tmp_path / "prepare.json", {})
    with pytest.raises(
        AsrkdError, match="--cuts is for target stores and exports, this is a prepared corpus"
    ):
        check(tmp_path, [tmp_path / "cuts.jsonl"])


def test_check_prints_a_summary_and_exits_with_1_on_problems(tree, monkeypatch, capsys):
    stores, _, corpus = parts(tree)

    def asrkd(*words: str) -> tuple[int | str | None, str, str]:
        monkeypatch.setattr("sys.argv", ["asrkd", *words])
        with pytest.raises(SystemExit) as end:
            run()
        said = capsys.readouterr()
        return end.value.code, said.out, said.err

    code, out, _ = asrkd("check", str(stores / "nbest"))
    assert (code, out.splitlines()[-1]) == (0, f"{stores / 'nbest'}: nothing wrong")
    dev = str(corpus / "cuts_dev.jsonl.gz")
    code, out, err = asrkd("check", str(stores / "nbest"), "--cuts", dev)
    assert code == 1
    assert err.startswith(f"asrkd: {dev}:1: cut dev-000: has no targets")
    assert "6 problems" in out
    assert CheckReport(Path("x"), (), ("torn",)).text() == "x: 1 problem"
