"""The stages `record` and `restore`: a run as a file, and what can be done with the folder made from it."""

import json
import os
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from lhotse import MonoCut
from lhotse.supervision import AlignmentItem
from typer.testing import CliRunner

from asrkd.cli.main import app
from asrkd.commands.check import check
from asrkd.commands.compare import CompareRequest, compare
from asrkd.commands.distill import nbest
from asrkd.commands.distill_request import DistillRequest
from asrkd.commands.record import record
from asrkd.commands.report import ReportRequest, report
from asrkd.commands.restore import restore
from asrkd.commands.score import ScoreRequest, score
from asrkd.commands.train import TrainOptions, train
from asrkd.core.errors import AsrkdError
from asrkd.core.stopping import StopRequest
from asrkd.data.cuts.manifests import read_cuts, write_cuts
from asrkd.decoding import SearchOptions
from asrkd.evaluation.records.making import MOST_UPDATES, make_record
from asrkd.evaluation.records.record import read_record
from asrkd.scoring.score_corpus import parse_rules
from asrkd.training.metrics import read_metrics

SETTINGS = ("optim.lr=0.02", "augment={specaugment: null}", "phases.0.steps=40", "validation.every_steps=20")
OF_SCORES = ("score.json", "utterances.jsonl", "request.json", "stamp.json", "ref.trn", "hyp.trn", "text")


@pytest.fixture(scope="module")
def runs(lasting_config, corpus, tmp_path_factory) -> Path:
    """A folder with two seeds of a baseline, of which seed 1 has scores by two searches, on two sets."""
    folder = tmp_path_factory.mktemp("runs")
    write_cuts(corpus / "cuts_again.jsonl.gz", map(timed, read_cuts(corpus / "cuts_dev.jsonl.gz")))
    for seed in (1, 2):
        out = folder / f"{seed}/baseline"
        training(lasting_config, out, f"seed={seed}")
        scoring(out, corpus, "dev", "score-test")
    scoring(folder / "1/baseline", corpus, "dev", "score-beam", search="prefix-beam")
    scoring(
        folder / "1/baseline", corpus, "again", "score-basic", rules=parse_rules("sclite", "basic", "char")
    )
    scoring(folder / "1/baseline", corpus, "again", "score-timed", search="prefix-beam")
    return folder


def timed(cut: MonoCut) -> MonoCut:
    """The cut with times of its words, a tenth of a second each."""
    (spoken,) = cut.supervisions
    words = [AlignmentItem(word, n / 10, 0.1) for n, word in enumerate(spoken.text.split())]
    return replace(cut, supervisions=[replace(spoken, alignment={"word": words})])


def training(config: Path, out: Path, *overrides: str, from_record: Path | None = None):
    options = TrainOptions("cpu", threads=1, from_record=from_record)
    return train(config, out, [*SETTINGS, *overrides], options, StopRequest())


def scoring(model: Path, corpus: Path, split: str, name: str, **more):
    cuts = corpus / f"cuts_{split}.jsonl.gz"
    return score(ScoreRequest(model, cuts, model / name, **more), StopRequest())


@pytest.fixture
def restored(runs, corpus, tmp_path) -> Path:
    """The same folder, made from the records of both seeds."""
    manifests = [corpus / f"cuts_{split}.jsonl.gz" for split in ("dev", "again")]
    for seed in (1, 2):
        record(runs / f"{seed}/baseline", (), tmp_path / f"{seed}.json")
        out = tmp_path / f"restored/{seed}/baseline"
        restore(tmp_path / f"{seed}.json", manifests[: 3 - seed], out, StopRequest())
    return tmp_path / "restored"


def test_a_restored_folder_has_the_files_of_the_trained_one_but_for_weights(runs, restored):
    trained, made = (folder / "1/baseline" for folder in (runs, restored))
    names = ["config.json", "lineage.json", "stamp.json"]
    names += [f"score-{name}/{file}" for name in ("test", "beam", "basic", "timed") for file in OF_SCORES]
    for name in names:
        assert (made / name).read_bytes() == (trained / name).read_bytes(), name
    assert "emission_times" in (made / "score-timed/utterances.jsonl").read_text()
    kept = ("kind", "step", "loss", "lr", "epoch", "wer", "errors", "words", "train_seconds")
    logs = [
        [{key: row[key] for key in kept if key in row} for row in read_metrics(folder / "metrics.jsonl")]
        for folder in (trained, made)
    ]
    assert logs[0] == logs[1]
    assert not list(made.rglob("*.safetensors"))


def test_a_record_has_no_reference_and_the_same_bytes_each_time(runs, corpus, tmp_path):
    out = tmp_path / "row.json"
    first = record(runs / "1/baseline", (), out)
    text = out.read_text()
    assert first.text().startswith(
        f"{out}: baseline with seed 1, 40 steps, score-basic, score-beam, score-test, score-timed, "
    )
    scores = json.loads(text)["scores"]
    assert scores["score-basic"]["set"] == "again"
    ids = [cut.id for cut in read_cuts(corpus / "cuts_dev.jsonl.gz").records]
    assert sorted(scores["score-test"]["hypotheses"]) == sorted(ids)
    wrong = {hypothesis for each in scores.values() for hypothesis in each["hypotheses"].values()}
    references = {cut.texts[0] for cut in read_cuts(corpus / "cuts_dev.jsonl.gz").records}
    assert all(f'"{reference}"' not in text for reference in references - wrong) and references - wrong
    before = out.stat().st_mtime_ns
    again = record(runs / "1/baseline", (), out)
    assert "already complete" in again.text() and out.stat().st_mtime_ns == before
    record(runs / "1/baseline", (), tmp_path / "other.json")
    assert (tmp_path / "other.json").read_text() == text
    moved = json.loads(text) | {"train_seconds": 1e6, "source": None, "command": "asrkd train elsewhere"}
    moved["lineage"]["experiment"]["data"]["train"] = "elsewhere/cuts.jsonl.gz"
    out.write_text(json.dumps(moved))
    assert "already complete" in record(runs / "1/baseline", (), out).text()
    moved["lineage"]["experiment"]["optim"]["clip_norm"] = 7.0
    out.write_text(json.dumps(moved))
    assert "already complete" not in record(runs / "1/baseline", (), out).text()
    assert out.read_text() == text
    record(runs / "2/baseline", ("score-test",), out)
    assert read_record(out).seed == 2 and list(read_record(out).scores) == ["score-test"]


def test_compare_and_report_show_the_same_of_restored_folders(runs, restored, corpus, tmp_path):
    folders = {
        name: [path / f"{seed}/baseline" for seed in (1, 2)] for name, path in (("a", runs), ("b", restored))
    }
    results, pages = [], []
    for name, models in folders.items():
        copies = [shutil.copytree(model, tmp_path / name / f"{i}/student") for i, model in enumerate(models)]
        found = asdict(compare(CompareRequest([*models, *copies]), None))
        for system in found["systems"]:
            for run in system["runs"]:
                del run["score"], run["model"]
        results.append(found)
        report(ReportRequest(models, tmp_path / f"{name}.html", cuts=corpus / "cuts_dev.jsonl.gz"))
        pages.append((tmp_path / f"{name}.html").read_text().replace(str(models[0].parents[1]), ""))
    assert results[0] == results[1]
    assert results[0]["systems"][0]["weight_bytes"] > 1000
    assert pages[0] == pages[1]


def test_a_restored_folder_can_be_recorded_again_and_has_the_same_record(runs, restored, tmp_path):
    record(restored / "1/baseline", (), tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "1.json").read_bytes()
    with pytest.raises(AsrkdError, match=r"has no score-dev \(it has score-basic, .*; make it again: rm -r "):
        record(restored / "1/baseline", ["score-dev"], tmp_path / "again.json")


def test_train_calls_a_restored_folder_complete_and_refuses_other_settings(lasting_config, restored):
    out = restored / "1/baseline"
    assert ": already complete, " in training(lasting_config, out).text()
    with pytest.raises(AsrkdError, match=r"another run: optim.lr was 0.02, is now 0.1; .*remove it: rm -r "):
        training(lasting_config, out, "optim.lr=0.1")
    with pytest.raises(AsrkdError, match="another run: seed was 1, is now 2"):
        training(lasting_config, out, "seed=2")


def test_weights_are_missed_with_the_command_that_trains_again(restored, corpus, tmp_path):
    model, cuts = restored / "1/baseline", corpus / "cuts_dev.jsonl.gz"
    (model / "command.json").write_text('{"command": "asrkd train conf.yaml --seed 1"}')
    remedy = f"make it again: rm -r {model} && asrkd train conf.yaml --seed 1 --out {model}"
    with pytest.raises(AsrkdError) as refused:
        nbest(DistillRequest(model, (cuts,), tmp_path / "n"), "greedy", SearchOptions(), StopRequest())
    assert str(refused.value) == f"{model}: restored from a record, without weights; {remedy}"
    with pytest.raises(AsrkdError) as refused:
        scoring(model, corpus, "dev", "score-wide", search="prefix-beam", options=SearchOptions(beam=2))
    assert str(refused.value).endswith(f"(it has score-basic, score-beam, score-test, score-timed); {remedy}")
    checked = check(model)
    assert not checked.problems and f"without weights; {remedy}" in checked.notes[0]
    assert not check(model / "score-test").problems


def test_score_takes_the_hypotheses_of_the_record(runs, restored, corpus):
    out = restored / "1/baseline/score-test"
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    shutil.rmtree(out)
    text = scoring(restored / "1/baseline", corpus, "dev", "score-test").text()
    assert "already" not in text
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert "(already complete)" in scoring(restored / "1/baseline", corpus, "dev", "score-test").text()


def test_other_transcripts_and_other_audio_are_refused(restored, corpus, tmp_path):
    cuts = list(read_cuts(corpus / "cuts_dev.jsonl.gz"))
    changed = {
        "transcripts": [
            replace(cuts[0], supervisions=[replace(cuts[0].supervisions[0], text="OFF")]),
            *cuts[1:],
        ],
        "audio": [replace(cuts[0], custom={"audio_sha256": "f" * 64}), *cuts[1:]],
    }
    for name, items in changed.items():
        write_cuts(tmp_path / name / "cuts_dev.jsonl.gz", items)
        with pytest.raises(AsrkdError, match=f"its {name} are not those of the recorded score-"):
            restore(
                tmp_path / "2.json",
                [tmp_path / name / "cuts_dev.jsonl.gz"],
                tmp_path / name / "model",
                StopRequest(),
            )
        assert not (tmp_path / name / "model/score-test").exists()


def test_scores_of_sets_without_cuts_are_left_out_and_named(restored, corpus, tmp_path):
    out = tmp_path / "model"
    text = restore(tmp_path / "1.json", [corpus / "cuts_dev.jsonl.gz"], out, StopRequest()).text()
    assert text.endswith("; score-beam, score-test; without --cuts of their sets: score-basic, score-timed")
    assert not (out / "score-basic").exists()
    with pytest.raises(
        AsrkdError, match="no score of a set 'train'; expected cuts_again.jsonl.gz, cuts_dev.jsonl.gz"
    ):
        restore(tmp_path / "1.json", [corpus / "cuts_train.jsonl.gz"], tmp_path / "n", StopRequest())
    shutil.copy(corpus / "cuts_dev.jsonl.gz", tmp_path)
    twice = [corpus / "cuts_dev.jsonl.gz", tmp_path / "cuts_dev.jsonl.gz"]
    with pytest.raises(AsrkdError, match=f"--cuts {twice[1]}: .*'dev'"):
        restore(tmp_path / "1.json", twice, tmp_path / "n", StopRequest())
    assert not (tmp_path / "n").exists()


@pytest.mark.parametrize("change", ["hypothesis", "normalizer", "counts"])
def test_an_edited_record_is_refused(restored, corpus, tmp_path, change):
    fields = json.loads((tmp_path / "2.json").read_text())
    recorded = fields["scores"]["score-test"]
    if change == "hypothesis":
        recorded["hypotheses"] = dict.fromkeys(recorded["hypotheses"], "MAYBE")
    elif change == "counts":
        recorded["counts"]["hits"] += 1
    else:
        recorded["request"]["normalizer"]["sha256"] = "0" * 64
    (tmp_path / "2.json").write_text(json.dumps(fields))
    with pytest.raises(AsrkdError, match="restore it .*with the asrkd that recorded it"):
        restore(tmp_path / "2.json", [corpus / "cuts_dev.jsonl.gz"], tmp_path / "model", StopRequest())
    assert not (tmp_path / "model/score-test/stamp.json").exists()


EDITS = {
    ("scores", "score-test", "counts"): ({}, r"scores\.score-test\.counts\.hits is missing; use a file"),
    ("scores", "score-test", "request", "alignment"): ("diff", "this asrkd has no alignment 'diff'; restore"),
    ("scores", "score-test", "references_sha256"): ("0" * 64, "references to other words .*is 000000000000"),
    ("scores", "score-test", "hypotheses", "unknown"): ("ONE", "hypotheses, which are not those of the"),
    ("stamp", "validation", "wer"): (0.0125, r"stamp\.validation\.wer is 0\.0125, in the log .*; use a file"),
    ("stamp", "validation", "words"): (7, r"stamp\.validation\.words is 7, in the log"),
    ("log", -1, "wer"): (0.0125, r"log: wer at step 40 is 0\.0125, of \d+ errors in \d+ words; use a file"),
    ("log", -1, "errors"): (7000, r"log: wer at step 40 is .*, of 7000 errors in"),
}


@pytest.mark.parametrize("place", EDITS, ids=lambda place: "-".join(map(str, place[-2:])))
def test_an_edited_number_of_a_record_is_named(restored, corpus, tmp_path, place):
    fields = inner = json.loads((tmp_path / "2.json").read_text())
    *outer, last = place
    for key in outer:
        inner = inner[key]
    inner[last], message = EDITS[place]
    (tmp_path / "2.json").write_text(json.dumps(fields))
    with pytest.raises(AsrkdError, match=message):
        restore(tmp_path / "2.json", [corpus / "cuts_dev.jsonl.gz"], tmp_path / "model", StopRequest())
    assert not (tmp_path / "model/score-test/stamp.json").exists()


def test_updates_of_another_form_are_refused(restored, tmp_path):
    fields = json.loads((tmp_path / "2.json").read_text())
    count = len(fields["updates"]["step"])
    changes = [({"lr": []}, "differ in length"), ({"step": [None] * count}, "whole numbers as step")]
    for change, complaint in [*changes, ({"loss": ["x"] * count}, "updates.loss")]:
        (tmp_path / "2.json").write_text(json.dumps(fields | {"updates": fields["updates"] | change}))
        with pytest.raises(AsrkdError, match=complaint):
            read_record(tmp_path / "2.json")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{}", "not a run record of this version"),
        ('{"kind": "asrkd-run", "version": 99}', "not a run record of this version"),
        ('{"kind": "asrkd-run", "version": 1}', "is missing; use a file written by asrkd record"),
        ("{", "torn or not JSON"),
    ],
)
def test_a_file_that_is_no_record_is_refused(runs, tmp_path, text, complaint):
    (tmp_path / "row.json").write_text(text)
    with pytest.raises(AsrkdError, match=complaint):
        restore(tmp_path / "row.json", [], tmp_path / "out", StopRequest())
    with pytest.raises(AsrkdError, match=complaint):
        record(runs / "1/baseline", [], tmp_path / "row.json")
    assert (tmp_path / "row.json").read_text() == text and not (tmp_path / "out").exists()


def test_a_score_cannot_lead_out_of_the_folder(restored, tmp_path):
    fields = json.loads((tmp_path / "2.json").read_text())
    for name in ("../x", "a/b", "..", ".", "\0"):
        fields["scores"] = {name: next(iter(fields["scores"].values()))}
        (tmp_path / "2.json").write_text(json.dumps(fields))
        with pytest.raises(AsrkdError, match="not the name of a folder"):
            read_record(tmp_path / "2.json")


def test_a_restoration_that_was_killed_is_finished_with_the_same_bytes(restored, corpus, tmp_path):
    whole = restored / "2/baseline"
    parts = shutil.copytree(whole, tmp_path / "parts")
    for name in ("stamp.json", "metrics.jsonl", "score-test/stamp.json", "score-test/score.json"):
        (parts / name).unlink()
    with pytest.raises(AsrkdError, match="unfinished"):
        record(parts, (), tmp_path / "x.json")
    restore(tmp_path / "2.json", [corpus / "cuts_dev.jsonl.gz"], parts, StopRequest())
    names = [path.relative_to(whole) for path in whole.rglob("*") if path.is_file()]
    assert names and all((whole / name).read_bytes() == (parts / name).read_bytes() for name in names)


def test_a_trained_folder_is_not_overwritten(runs, restored, tmp_path):
    with pytest.raises(AsrkdError, match="holds a training; give another --out"):
        restore(tmp_path / "1.json", [], runs / "1/baseline", StopRequest())
    with pytest.raises(AsrkdError, match="created with other settings: .*seed was 2, is now 1"):
        restore(tmp_path / "1.json", [], runs / "2/baseline", StopRequest())


def test_scores_that_cannot_be_recorded_are_refused(runs, corpus, tmp_path):
    model = shutil.copytree(runs / "2/baseline", tmp_path / "baseline")
    with pytest.raises(AsrkdError, match=f"score-dev: no such score; make it with: asrkd score {model} "):
        record(model, ["score-dev"], tmp_path / "row.json")
    shutil.rmtree(model / "score-test/hypotheses")
    with pytest.raises(
        AsrkdError, match="not the hypotheses of all scored utterances; make the score again: rm -r"
    ):
        record(model, [], tmp_path / "row.json")
    (model / "model.safetensors").write_bytes(b"other")
    with pytest.raises(AsrkdError, match="is older than the weights of "):
        record(model, [], tmp_path / "row.json")
    assert not (tmp_path / "row.json").exists()


def test_a_run_is_restored_from_the_record_of_the_same_run_wherever_its_data_lie(
    restored, corpus, lasting_config, tmp_path
):
    moved = shutil.copytree(corpus, tmp_path / "moved")
    paths = [f"data.{split}={moved}/cuts_{split}.jsonl.gz" for split in ("train", "dev")]
    out, row = tmp_path / "out", tmp_path / "1.json"
    text = training(lasting_config, out, *paths, f"data.tokens={moved}", from_record=row).text()
    assert text.startswith(f"{out}: restored from {row}, without weights: 40 steps, ")
    assert not (out / "model.safetensors").exists()
    again = training(lasting_config, out, *paths, f"data.tokens={moved}", from_record=row)
    assert again.already_complete and again.restored_from is None


@pytest.mark.parametrize("change", ["optim.lr=0.03", "seed=3", "data", "layers"])
def test_a_run_of_other_settings_or_data_is_not_restored(restored, corpus, lasting_config, tmp_path, change):
    overrides = [change]
    if change == "data":
        write_cuts(tmp_path / "cuts.jsonl.gz", list(read_cuts(corpus / "cuts_train.jsonl.gz"))[:-1])
        overrides = [f"data.train={tmp_path}/cuts.jsonl.gz"]
    if change == "layers":
        overrides, fields = [], json.loads((tmp_path / "1.json").read_text())
        fields["model"]["version"] -= 1
        (tmp_path / "1.json").write_text(json.dumps(fields))
    with pytest.raises(AsrkdError, match=r"1.json: the record of another run: .* without --from-record"):
        training(lasting_config, tmp_path / "out", *overrides, from_record=tmp_path / "1.json")
    assert not (tmp_path / "out").exists()


def test_a_student_is_restored_without_its_store_but_not_beside_another_one(lasting_config, stores, tmp_path):
    """The path of the store decides by its name; its contract decides where it exists."""

    def student(name: str, store: Path, row: Path | None = None):
        objectives = f"phases.0.objectives=[ctc: {{targets: {store}, num_hypotheses: 2}}]"
        return training(lasting_config, tmp_path / name, objectives, "phases.0.steps=2", from_record=row)

    student("student", stores / "nbest")
    row = tmp_path / "row.json"
    record(tmp_path / "student", [], row)
    assert student("a", tmp_path / "elsewhere/nbest", row).restored_from == row
    assert student("b", stores / "nbest", row).restored_from == row
    other = shutil.copytree(stores / "nbest", tmp_path / "nbest-10")
    with pytest.raises(AsrkdError, match="targets was 'nbest', is now 'nbest-10'"):
        student("c", other, row)
    changed = shutil.copytree(stores / "nbest", tmp_path / "changed/nbest")
    contract = json.loads((changed / "contract.json").read_text())
    (changed / "contract.json").write_text(json.dumps(contract))  # the same, of other bytes
    with pytest.raises(AsrkdError, match=r"target_stores.nbest has changed \(sha256 was "):
        student("d", changed, row)


def test_many_updates_are_averaged_in_groups(runs, tmp_path):
    model = shutil.copytree(runs / "2/baseline", tmp_path / "baseline")
    rows = [
        {"kind": "train", "step": 20 * n, "loss": float(n * n), "lr": 1 / n, "epoch": n // 9, "seconds": 1}
        for n in range(1, 1252)
    ]
    rows[100]["loss"] = float("nan")
    rows += [{"kind": "validation", "step": 25020, "wer": 0.5, "loss": float("inf")}]
    rows += [{"kind": "end", "step": 25020, "train_seconds": 7.25}]
    (model / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    made = make_record(model)
    assert {len(values) for values in made.updates.values()} == {417} and MOST_UPDATES == 500
    columns = [made.updates[name] for name in ("step", "loss", "lr", "epoch")]
    assert [column[0] for column in columns] == [60, (1 + 4 + 9) / 3, 1 / 3, 0]
    assert made.updates["loss"][33] == (100**2 + 102**2) / 2
    assert [column[-1] for column in columns] == [25020, (1249**2 + 1250**2 + 1251**2) / 3, 1 / 1251, 139]
    assert made.log == [{"kind": "validation", "step": 25020, "wer": 0.5}]
    assert made.train_seconds == 7.25


def test_the_command_line_records_and_restores(runs, corpus, tmp_path):
    row, out = tmp_path / "row.json", tmp_path / "out"
    words = ["record", str(runs / "2/baseline"), "--score", "score-test", "--out", str(row)]
    assert (
        CliRunner()
        .invoke(app, words, catch_exceptions=False)
        .stdout.startswith(f"{row}: baseline with seed 2")
    )
    words = ["restore", str(row), "--cuts", str(corpus / "cuts_dev.jsonl.gz"), "--out", str(out)]
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    assert done.stdout == f"{out}: baseline with seed 2, 40 steps, without weights; score-test\n"
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".partial")]
