"""N-best lists by teachers that did not see a cut, or that hear it in noise: who is asked, what is told."""

import json
import os
import shutil
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from asrkd.cli.main import run
from asrkd.commands.check import check
from asrkd.commands.distill import nbest
from asrkd.commands.distill_request import DistillRequest
from asrkd.commands.train import TrainOptions, train
from asrkd.core.errors import AsrkdError, StoppedInTime
from asrkd.core.stopping import StopRequest
from asrkd.data.cuts.folds import fold_of
from asrkd.data.cuts.manifests import read_cuts, write_cuts
from asrkd.data.cuts.records import cut_record
from asrkd.data.features.reading import load_features
from asrkd.decoding import SearchOptions
from asrkd.models.directory import load_model
from asrkd.models.inference import encode_cuts
from asrkd.targets.store.nbest import NbestStore
from asrkd.targets.writers.nbest import DecodingConditions
from asrkd.teachers.folds import FoldTeachers, fold_teachers, fold_warning
from asrkd.teachers.noisy_copies import Noise, NoisyCopies, noise_of
from tests.conftest import make_cuts
from tests.pipeline.test_distill import forward_log_prob

OPTIONS = SearchOptions(beam=4, num_best=3)


def speakers(cuts) -> list:
    """Five speakers in turns."""
    cuts = list(cuts)
    for number, cut in enumerate(cuts):
        cut.supervisions[0].speaker = f"speaker-{number % 5}"
    return cuts


@pytest.fixture(scope="module")
def manifest(corpus, tmp_path_factory) -> Path:
    """The training cuts with speakers."""
    path = tmp_path_factory.mktemp("speakers") / "cuts.jsonl.gz"
    write_cuts(path, speakers(read_cuts(corpus / "cuts_train.jsonl.gz")))
    return path


@pytest.fixture(scope="module")
def teachers(lasting_config, manifest, tmp_path_factory) -> list[Path]:
    """Three, each trained for four steps without a fold of speakers."""
    folder = tmp_path_factory.mktemp("folds")
    for number in range(3):
        own = [f"data.train={manifest}", "data.folds.count=3", f"data.folds.left_out={number}"]
        options = TrainOptions("cpu", threads=1)
        train(lasting_config, folder / str(number), [*own, "phases.0.steps=4"], options, StopRequest())
    return [folder / str(number) for number in range(3)]


def ask(
    teacher: Path, manifest: Path, out: Path, hearing: DecodingConditions, **changes: object
) -> NbestStore:
    question = DistillRequest(teacher, (manifest,), out, cuts_per_shard=7)
    stop = changes.pop("stop", None) or StopRequest()
    nbest(replace(question, **changes), "prefix-beam", OPTIONS, stop, hearing)
    return NbestStore(out)


def noise_cuts(folder: Path) -> Path:
    """Two cuts of steady noise with the corpus's kind of features."""
    cuts = make_cuts(folder, "noise", 2)
    write_cuts(folder / "noise.jsonl", cuts)
    return folder / "noise.jsonl"


def test_folds_are_disjoint_whole_and_keep_speakers_together(manifest):
    cuts = [cut_record(cut) for cut in read_cuts(manifest)]
    by_speaker = {record.speakers[0]: fold_of(record, 3, "speaker") for record in cuts}
    assert all(fold_of(record, 3, "speaker") == by_speaker[record.speakers[0]] for record in cuts)
    sizes = Counter(fold_of(record, 3, "cut") for record in cuts)
    assert sorted(sizes) == [0, 1, 2] and sum(sizes.values()) == len(cuts)
    nobody = cuts[0]._replace(speakers=(None,))
    with pytest.raises(AsrkdError, match="cut train-000: has no speaker.*folds by: cut"):
        fold_of(nobody, 3, "speaker")


def test_training_without_a_fold_reports_and_excludes_it(lasting_config, manifest, tmp_path, capfd):
    own = [f"data.train={manifest}", "data.folds.count=2", "data.folds.left_out=1", "phases.0.steps=1"]
    train(lasting_config, tmp_path / "run", own, TrainOptions("cpu", threads=1), StopRequest())
    kept = [cut for cut in read_cuts(manifest) if fold_of(cut_record(cut), 2, "speaker") == 0]
    hours = sum(cut.duration for cut in kept) / 3600
    said = f"fold 1 of 2 by speaker left out, {len(kept)} of 30 cuts ({hours:.3f} h) remain"
    assert said in capfd.readouterr().err


def test_each_cut_is_decoded_by_the_teacher_that_did_not_see_it(teachers, manifest, tmp_path):
    folds = fold_teachers([teachers[2], teachers[0], teachers[1]])  # in any order
    assert folds.paths == tuple(teachers)
    store = ask(teachers[0], manifest, tmp_path / "store", DecodingConditions(folds=folds))
    asked = set()
    for cut in read_cuts(manifest):
        own = fold_of(cut_record(cut), 3, "speaker")
        asked.add(own)
        (alone,) = encode_cuts(load_model(teachers[own]), [cut])
        best = store.read(cut.id).hypotheses[0]
        assert best.log_prob == pytest.approx(forward_log_prob(alone.log_probs, list(best.tokens)), abs=1e-4)
    assert len(asked) > 1
    hashes = [load_model(path).weights_sha256 for path in teachers]
    assert store.contract["teacher"]["folds"] == {"by": "speaker", "weights_sha256": hashes}
    report = check(tmp_path / "store", rescore=100)
    assert report.problems == ()


def test_a_retrained_fold_teacher_makes_the_store_stale(teachers, manifest, tmp_path, retouched):
    ask(teachers[0], manifest, tmp_path / "store", DecodingConditions(folds=fold_teachers(teachers)))
    sources = json.loads((tmp_path / "store" / "sources.json").read_text())
    sources["folds"][1] = str(retouched)
    (tmp_path / "store" / "sources.json").write_text(json.dumps(sources))
    (problem,) = [own for own in check(tmp_path / "store").problems if "stale" in own]
    assert f"its teacher {retouched} has changed since" in problem


def test_teachers_that_are_not_one_for_each_fold_are_refused(teachers, teacher):
    with pytest.raises(AsrkdError, match="2 teachers for 3 folds, none trained without fold 1; train one"):
        fold_teachers([teachers[0], teachers[2]])
    with pytest.raises(AsrkdError, match="its training left out none; train it with"):
        fold_teachers([teachers[0], teacher])
    with pytest.raises(AsrkdError, match="2 teachers for 3 folds, none"):
        fold_teachers([teachers[1], teachers[1]])


def test_a_single_fold_teacher_warns_about_its_training_cuts(
    teachers, manifest, tmp_path, monkeypatch, capsys
):
    cuts = list(read_cuts(manifest))
    learned = [cut for cut in cuts if fold_of(cut_record(cut), 3, "speaker") != 0]
    unseen = [cut for cut in cuts if fold_of(cut_record(cut), 3, "speaker") == 0]
    assert learned and unseen
    write_cuts(tmp_path / "some.jsonl", [*learned[:4], *unseen])
    write_cuts(tmp_path / "unseen.jsonl", unseen)

    def said(own: Path, *others: Path) -> str:
        words = ["asrkd", "distill", "nbest", "--cuts", str(own), "--beam", "1", "--nbest", "1"]
        words += [word for path in (teachers[0], *others) for word in ("--teacher", str(path))]
        out = tmp_path / f"{own.stem}-{len(others)}"
        monkeypatch.setattr(sys, "argv", [*words, "--out", str(out), "--search", "greedy"])
        with pytest.raises(SystemExit) as stop:
            run()
        assert stop.value.code in (0, None)
        return "".join(line for line in capsys.readouterr().err.splitlines(True) if "fold" in line)

    line = said(tmp_path / "some.jsonl")
    assert line.count("\n") == 1
    assert f"{teachers[0]}: was trained without fold 0 of 3 by speaker, and on 4 of these" in line
    assert f"these {4 + len(unseen)} cuts" in line and "give the teachers of all 3 folds" in line
    assert said(tmp_path / "unseen.jsonl") == ""
    assert said(tmp_path / "some.jsonl", *teachers[1:]) == ""


def test_lineage_names_training_cuts_of_a_moved_manifest(teachers, manifest, tmp_path):
    shutil.copytree(teachers[1], tmp_path / "teacher")
    described = json.loads((tmp_path / "teacher/config.json").read_text())
    described["experiment"]["data"]["train"] = str(tmp_path / "moved.jsonl.gz")
    (tmp_path / "teacher/config.json").write_text(json.dumps(described))
    cuts = list(read_cuts(manifest))
    count = sum(fold_of(cut_record(cut), 3, "speaker") != 1 for cut in cuts)
    assert f"and on {count} of these 30 cuts" in fold_warning(tmp_path / "teacher", cuts)
    assert fold_warning(tmp_path / "teacher", cuts[1:]) is None  # not known to be those
    for cut in cuts:
        cut.supervisions[0].speaker = None
    assert fold_warning(tmp_path / "teacher", cuts) is None


def test_a_teacher_of_no_fold_says_nothing_of_what_it_learned(teacher, manifest):
    assert fold_warning(teacher, read_cuts(manifest)) is None


def test_a_fold_teacher_is_stale_only_if_other_folds_change(teachers, manifest):
    report = check(teachers[2])
    assert report.problems == ()
    assert f"train cuts as in {manifest}" in report.text()


@pytest.fixture(scope="module")
def noise(tmp_path_factory) -> Noise:
    return Noise(noise_cuts(tmp_path_factory.mktemp("noise")), (-5.0, 0.0), seed=3)


def test_a_noisy_copy_depends_on_seed_and_cut_alone(noise, manifest):
    first, second = list(read_cuts(manifest))[:2]
    copies = NoisyCopies(noise)
    once = copies(first)
    copies(second)
    torch.manual_seed(99)
    assert torch.equal(copies(first), once)
    assert torch.equal(NoisyCopies(noise)(first), once)
    assert not torch.equal(NoisyCopies(replace(noise, seed=4))(first), once)
    assert not torch.equal(once, load_features(first))
    assert (once >= load_features(first)).all()  # energies are added


def test_lists_of_noisy_copies_do_not_depend_on_jobs(noise, teacher, manifest, tmp_path):
    for name, jobs in (("one", 1), ("two", 2)):
        ask(teacher, manifest, tmp_path / name, DecodingConditions(noise), jobs=jobs)
    files = sorted(path.name for path in (tmp_path / "one").glob("*"))
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name


def test_the_contract_records_noise_and_scores_are_confirmed(noise, teacher, manifest, tmp_path):
    store = ask(teacher, manifest, tmp_path / "store", DecodingConditions(noise))
    assert store.contract["noise"]["snr_db"] == [-5.0, 0.0]
    assert store.contract["noise"]["seed"] == 3
    clean = ask(teacher, manifest, tmp_path / "clean", DecodingConditions())
    assert "noise" not in clean.contract
    lists = [[store.read(cut.id).log_probs, clean.read(cut.id).log_probs] for cut in read_cuts(manifest)]
    assert any(noisy != own for noisy, own in lists)
    assert check(tmp_path / "store", rescore=50).problems == ()
    sources = json.loads((tmp_path / "store" / "sources.json").read_text())
    assert sources["noise"] == os.path.relpath(noise.cuts, tmp_path / "store")
    assert sources["command"] is None  # no command made it
    store.verify(read_cuts(manifest))  # targets are of the clean cuts


def test_a_stopped_noisy_store_goes_on_to_the_same_bytes(noise, teacher, manifest, tmp_path):
    class StopAtOnce(StopRequest):
        left = 2

        def reason(self) -> str | None:
            self.left -= 1
            return "a test" if self.left < 0 else None

    ask(teacher, manifest, tmp_path / "whole", DecodingConditions(noise))
    with pytest.raises(StoppedInTime):
        ask(teacher, manifest, tmp_path / "stopped", DecodingConditions(noise), stop=StopAtOnce())
    ask(teacher, manifest, tmp_path / "stopped", DecodingConditions(noise))
    for path in (tmp_path / "whole").glob("shard-*"):
        assert path.read_bytes() == (tmp_path / "stopped" / path.name).read_bytes()


def test_the_command_takes_noise_and_the_teachers_of_folds(
    teachers, noise, manifest, tmp_path, monkeypatch, capsys
):
    words = ["asrkd", "distill", "nbest", "--cuts", str(manifest), "--out", str(tmp_path / "store")]
    words += [word for path in teachers for word in ("--teacher", str(path))]
    words += ["--noise", str(noise.cuts), "--noise-snr-db", "0", "5", "--beam", "5", "--nbest", "2"]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as stop:
        run()
    assert stop.value.code in (0, None), capsys.readouterr().err
    contract = NbestStore(tmp_path / "store").contract
    assert (contract["search"]["beam"], contract["noise"]["snr_db"]) == (5, [0.0, 5.0])
    assert len(contract["teacher"]["folds"]["weights_sha256"]) == 3
    command = json.loads((tmp_path / "store" / "sources.json").read_text())["command"]
    assert f"--beam 5 --nbest 2 --noise {noise.cuts} --noise-snr-db 0.0 5.0" in command
    assert command.count("--teacher") == 3
    monkeypatch.setattr(sys, "argv", [*words[:3], *words[3:-4], "--noise-snr-db", "9", "5"])
    with pytest.raises(SystemExit) as stop:
        run()
    assert stop.value.code == 1
    assert "--noise-snr-db 9 5: expected the lowest ratio first" in capsys.readouterr().err


@pytest.mark.parametrize("option", [["--noise-snr-db", "0", "5"], ["--noise-seed", "1"]])
def test_what_is_said_of_noise_is_refused_where_there_is_none(option, tmp_path, monkeypatch, capsys):
    words = ["asrkd", "distill", "nbest", "--teacher", "t", "--cuts", "c", "--out", str(tmp_path / "store")]
    monkeypatch.setattr(sys, "argv", [*words, *option])
    with pytest.raises(SystemExit) as stop:
        run()
    assert stop.value.code == 1
    assert f"{option[0]}: has no effect without --noise" in capsys.readouterr().err
    assert not (tmp_path / "store").exists()


def test_noise_is_as_loud_as_before_where_it_is_not_said():
    assert noise_of(Path("n"), None, None) == Noise(Path("n"), (0.0, 10.0), 1)
    assert noise_of(Path("n"), (1.0, 2.0), 7) == Noise(Path("n"), (1.0, 2.0), 7)
    assert noise_of(None, None, None) is None


def test_noise_of_other_features_is_refused_at_once(teacher, manifest, corpus, tmp_path):
    cuts = list(read_cuts(corpus / "cuts_dev.jsonl.gz"))
    for cut in cuts:
        cut.features = replace(cut.features, num_features=80)
    write_cuts(tmp_path / "noise.jsonl", cuts)
    with pytest.raises(AsrkdError, match="noise has 80 features"):
        ask(teacher, manifest, tmp_path / "store", DecodingConditions(Noise(tmp_path / "noise.jsonl")))
    assert not (tmp_path / "store").exists()


def test_by_teacher_keeps_all_cuts_in_order_within_each(manifest):
    cuts = read_cuts(manifest)
    folds = FoldTeachers((Path("a"), Path("b"), Path("c")), "cut")
    parts = list(DecodingConditions(folds=folds).by_teacher(Path("a"), cuts))
    assert sorted(cut.id for _, own in parts for cut in own) == sorted(cut.id for cut in cuts)
    for path, own in parts:
        assert [cut.id for cut in own] == sorted(cut.id for cut in own)
        assert all(folds.of(cut_record(cut)) == path for cut in own)
