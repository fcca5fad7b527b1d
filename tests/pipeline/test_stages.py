"""What stands under stages: configs that can be read, shell scripts, and the tiniest tables of methods."""

import json
import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from lhotse import CutSet

from asrkd.core.config import load
from asrkd.data.cuts.manifests import read_cuts
from asrkd.data.cuts.records import cuts_digest
from asrkd.evaluation.compare.comparison import read_comparison
from asrkd.training.config import TrainConfig
from tests import forked
from tests.running_stages import ROOT, check_order, environment, make, record, run_recorded

CONFIGS = sorted((ROOT / "stages/corpora").glob("*/conf/*.yaml"))
SCRIPTS = sorted((ROOT / "stages").rglob("*.sh"))
ROWS = ["baseline", "mvq-1", "mvq-16", "l2", "live"]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_configs_of_all_recipes_can_be_read(path):
    experiment = load(TrainConfig, path)
    for phase in experiment.phases:
        for entry in phase.objectives:
            targets = getattr(entry.settings, "targets", "transcript")
            assert targets == "transcript" or targets in experiment.stores.values()


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_scripts_of_all_recipes_are_shell(path):
    subprocess.run(["bash", "-n", str(path)], check=True)


def test_the_head_of_every_script_is_whole():
    for path in SCRIPTS:
        numbered = path.name[0].isdigit() or path.name in ("run.sh", "prepare.sh", "tables.sh")
        header = path.read_text().partition("set -euo")[0]
        for word in ("Usage", "Reads", "Writes", "Takes", "Showed") if numbered else ():
            assert f"\n# {word}:" in header, f"{path}: {word}"


def test_every_file_of_stages_that_a_script_names_exists():
    names = {path.relative_to(ROOT) for path in (ROOT / "stages").rglob("*")}
    words = [
        (path, word.strip("`()}\"',;:."))
        for path in (*SCRIPTS, *CONFIGS, ROOT / "Makefile", ROOT / "stages/README.md")
        for word in path.read_text().split()
    ]
    named = [
        (path, word) for path, word in words if word.startswith("stages/") and not set(word) & set("$*{<[")
    ]
    assert len(named) > 30
    for path, word in named:
        assert "NAME" in word or Path(word.replace("CORPUS", "digits")) in names | {Path("stages")}, (
            f"{path}: {word}"
        )


@pytest.mark.slow
def test_the_tiny_tables_of_mvq_kd_have_every_row_and_store(tmp_path):
    wanted = {"MVQ_ROWS": " ".join(ROWS), "MVQ_DECIDING": "l2", "MVQ_MORE_SEEDS": "2"}
    done = make(tmp_path, "mvq-digits", *(f"{name}={value}" for name, value in wanted.items()))
    assert done.returncode == 0, done.stderr[-2000:]
    mvq = tmp_path / "demo/mvq"
    first, several = (read_comparison(mvq / f"{name}.json").systems for name in ("compare", "seeds"))
    assert [system.name for system in first] == ["teacher", *ROWS]
    assert {system.params for system in first[1:]} == {first[1].params}  # no head is exported
    assert len(several) == 3 and "l2" in [system.name for system in several]
    one, other = ((mvq / f"seed-1/{row}/model.safetensors").read_bytes() for row in ("l2", "live"))
    assert one == other  # a teacher on the fly computes what was stored
    lines = {line.split()[0]: line.split() for line in (mvq / "storage.txt").read_text().splitlines()}
    assert list(lines) == ["targets", "codebook-1", "codebook-16", "hidden"]
    smaller = {name: float(values[2]) for name, values in lines.items() if name != "targets"}
    assert smaller["codebook-1"] > smaller["codebook-16"] > 10 > 1 >= smaller["hidden"] > 0.9
    for name, values in lines.items():
        store = mvq / name
        if name != "targets":
            assert int(values[1]) == sum(path.stat().st_size for path in store.iterdir())
            assert values[3] == (mvq / f"{name}.seconds").read_text().strip()
            assert len(values) == (4 if name == "hidden" else 5)  # with the quantizer's seconds
    check_done(tmp_path, "mvq/run.sh", **wanted)


@pytest.mark.slow
def test_the_tiny_tables_of_seq_kd_and_err_kd_have_every_row(
    tmp_path,
):
    rows = ["baseline", "k5-b5", "err-2", "fifth-k5-b5"]
    wanted = {"SEQUENCE_ROWS": " ".join(rows), "SEQUENCE_STUDENTS": "ctc-small", "SEQUENCE_DECIDING": ""}
    wanted |= {"SEQUENCE_MORE_SEEDS": "2", "SEQUENCE_WITH_LM": "baseline"}
    done = make(tmp_path, "sequence-tables", *(f"{name}={value}" for name, value in wanted.items()))
    assert done.returncode == 0, done.stderr[-2000:]
    sequence = tmp_path / "demo/sequence"
    student = sequence / "ctc-small"
    tables = {path.stem: read_comparison(path).systems for path in student.glob("*.json")}
    assert [system.name for system in tables["compare"]] == ["teacher", *rows]
    assert [system.name for system in tables["err"]] == ["k5-b5", "err-2"]
    assert [system.name for system in tables["lm"]] == ["teacher", "baseline"]
    assert (student / "seed-2/err-2/score-test/stamp.json").is_file()  # the one beta is the best one
    assert "seeds" not in tables and "seeds-err" not in tables  # what they compare with has one seed
    models = {row: (student / f"seed-1/{row}/model.safetensors").read_bytes() for row in rows}
    assert len(set(models.values())) == len(rows)  # no option of a row is without effect
    small, others, fifth = (
        CutSet.from_file(tmp_path / f"data/cuts_train_{name}.jsonl.gz").to_eager()
        for name in ("small", "others", "fifth")
    )
    assert not set(small.speakers) & set(others.speakers)
    train_cuts = json.loads((sequence / "ctc/teacher/lineage.json").read_text())["train_cuts"]
    assert train_cuts == cuts_digest(read_cuts(tmp_path / "data/cuts_train_others.jsonl.gz"))
    texts = {cut.id: cut.supervisions[0].text for cut in fifth}
    assert list(texts) == list(small.ids) and 0 < sum(map(bool, texts.values())) < len(texts) / 2
    assert done.stdout.count("==> ") == len(list(student.glob("*.txt")))  # every table is shown
    check_done(tmp_path, "sequence/run.sh", **wanted)


def test_an_unknown_row_is_refused_and_nothing_is_trained(tmp_path):
    for row in ("k5b5", "baselin", "err", "fifth-k5"):
        command = ["bash", "stages/sequence/40_student.sh", "digits", "ctc-small", row]
        places = os.environ | {"EXP": str(tmp_path / "exp"), "DATA": str(tmp_path)}
        done = subprocess.run(command, cwd=ROOT, env=places, capture_output=True, text=True, check=False)
        assert done.returncode == 2 and "expected baseline, kN-bM, err-B" in done.stderr
    assert not list(tmp_path.iterdir())


def check_done(tmp_path: Path, script: str, **variables: str) -> None:
    """Another run would make tables, and train, distill and score nothing."""
    again = record(tmp_path, script, "digits", **variables)
    assert again.of("compare") and again.of("train") and again.of("score")
    unfinished = set(again.unfinished()) - set(again.of("compare"))
    assert not unfinished


def test_every_row_is_trained_and_scored_once_and_in_order(tmp_path):
    """Stores and cuts come before the trainings that read them, trainings before their scores."""
    (tmp_path / "demo/mvq").mkdir(parents=True)
    wers = {"mvq-1": 0.3, "mvq-16": 0.1, "l1": 0.15, "l2": 0.2, "mvq-2": 0.1, "mvq-8": 0.2}
    for row, wer in wers.items():
        (tmp_path / f"demo/mvq/seed-1/{row}").mkdir(parents=True)
        (tmp_path / f"demo/mvq/seed-1/{row}/stamp.json").write_text(
            f'{{"validation": {{\n "wer": {wer}\n}}}}'
        )
    mvq = record(tmp_path, "mvq/run.sh", "digits", AT_ONCE="1", MVQ_MORE_SEEDS="2 3")
    assert (tmp_path / "demo/mvq/best").read_text() == "mvq-16\n"  # the first of equal ones
    trained = [words[words.index("--out") + 1] for words in mvq.commands if words[0] == "train"]
    first = [f"seed-{seed}/{row}" for seed in (1, 2, 3) for row in ("baseline", "mvq-4")]
    others = [f"seed-1/{row}" for row in ("mvq-1", "mvq-16", "l1", "l2", "mvq-2", "mvq-8", "live")]
    wanted = ["../teacher", *first, *others, "seed-2/mvq-16", "seed-3/mvq-16"]
    assert [os.path.relpath(out, tmp_path / "demo/mvq") for out in trained] == wanted
    complete = {str(tmp_path / f"demo/mvq/seed-1/{row}") for row in wers}  # they need no targets
    check_order([words for words in mvq.commands if not complete & set(words)])

    for row, wer in (("err-1", 0.3), ("err-2", 0.1), ("err-5", 0.2)):
        (tmp_path / f"demo/sequence/joint-small/seed-1/{row}/score-dev").mkdir(parents=True)
        score = tmp_path / f"demo/sequence/joint-small/seed-1/{row}/score-dev/score.json"
        score.write_text(f'{{\n "wer": {wer}\n}}')
    (tmp_path / "demo/sequence/joint").mkdir(parents=True)
    (tmp_path / "demo/sequence/joint-small/none.txt").touch()
    only = {"SEQUENCE_STUDENTS": "joint-small", "AT_ONCE": "1"}
    sequence = record(tmp_path, "sequence/run.sh", "digits", **only)
    trained = [words[words.index("--out") + 1] for words in sequence.commands if words[0] == "train"]
    first = [f"seed-1/{row}" for row in ("baseline", "k5-b5", "err-1", "err-2", "err-5")]
    more = [f"seed-{seed}/{row}" for seed in (2, 3) for row in ("baseline", "k5-b5", "err-2")]
    others = ["k1-b5", "k10-b10", "k1-b10", "k5-b10", "posterior", "fifth", "fifth-k5-b5"]
    wanted = ["../joint/teacher", *first, *more, *(f"seed-1/{row}" for row in others)]
    assert [os.path.relpath(out, tmp_path / "demo/sequence/joint-small") for out in trained] == wanted
    scored = [words[words.index("--out") + 1] for words in sequence.commands if words[0] == "score"]
    scores = {os.path.relpath(out, tmp_path / "demo/sequence") for out in scored}
    assert len(scored) == len(scores) == 2 + 2 * 12 + 3 + 2 * 6
    assert {"joint/teacher/score-test-attention", "joint-small/seed-1/err-5/score-dev"} <= scores
    check_order(sequence.commands)
    with_lm = record(tmp_path, "sequence/run.sh", "digits", SEQUENCE_WITH_LM="k5-b5", **only)
    added = {shlex.join(words) for words in with_lm.commands} - {
        shlex.join(words) for words in sequence.commands
    }
    assert sorted(line.split()[0] for line in added) == ["score", "score", "train"]

    fsdd = record(tmp_path, "sequence/run.sh", "fsdd", CORPUS="somewhere", **only)
    assert fsdd.commands[0][:3] == ["prepare", "tsv", "somewhere"]
    assert not any("/fifth" in word or "train_others" in word for words in fsdd.commands for word in words)


def test_fsdd_validates_and_scores_on_two_sets_that_it_does_not_train_on(tmp_path):
    for system in ("teacher", "baseline", "seq-kd", "mvq-kd"):
        for set_name in ("dev", "heldout"):
            (tmp_path / f"demo/{system}/score-{set_name}").mkdir(parents=True)
            (tmp_path / f"demo/{system}/score-{set_name}/stamp.json").touch()
    demo = record(tmp_path, "demo/run.sh", "fsdd", AT_ONCE="1", CORPUS="somewhere")
    data = tmp_path / "data"
    rest, dev, heldout = (str(data / f"cuts_{name}.jsonl.gz") for name in ("train_rest", "dev", "heldout"))
    kinds = [words[1] for words in demo.commands if words[0] == "prepare"]
    assert kinds == ["tsv", "subset", "subset"]
    trainings = [words for words in demo.commands if words[0] == "train"]
    assert len(trainings) == 4
    for words in trainings:
        overrides = [value for option, value in zip(words, words[1:], strict=False) if option == "--set"]
        config = load(TrainConfig, ROOT / words[1], overrides).data
        assert str(config.train) == rest and list(map(str, config.dev_manifests)) == [dev, heldout]
        recipe = load(TrainConfig, ROOT / words[1]).data
        assert recipe.train.name == Path(rest).name
        assert [path.name for path in recipe.dev_manifests] == [Path(dev).name, Path(heldout).name]
    for words in demo.commands:
        if words[0] == "distill" and "--cuts" in words:
            assert words[words.index("--cuts") + 1] == rest
    scored = [words[words.index("--out") + 1] for words in demo.commands if words[0] == "score"]
    assert sorted(map(os.path.basename, scored)) == ["score-dev"] * 5 + ["score-heldout"] * 5
    (exported,) = [
        words[1] for words in demo.commands if words[0] == "export"
    ]  # a student, scored as it ships
    assert scored.count(f"{exported}/export/score-dev") == 1
    tables = [words[words.index("--out") + 1] for words in demo.commands if words[0] in ("compare", "report")]
    names = ["compare.json", "report.html", "compare-heldout.json", "report-heldout.html"]
    assert [os.path.basename(table) for table in tables] == names
    check_order(demo.commands)


def test_the_tables_of_methods_are_made_of_both_sets_of_fsdd(tmp_path):
    mvq, student = tmp_path / "demo/mvq", tmp_path / "demo/sequence/joint-small"
    for folder in (
        mvq / "seed-1/l2",
        mvq / "seed-2/l2",
        student / "seed-1/baseline",
        student / "seed-1/k5-b5",
    ):
        for score in ("score-dev", "score-heldout", "score-heldout-lm"):
            (folder / score).mkdir(parents=True)
            (folder / score / "stamp.json").touch()
    rows = record(tmp_path, "mvq/30_table.sh", "fsdd", "l2").of("compare")
    outs = ("compare", "compare-heldout", "seeds", "seeds-heldout")
    assert [line.rpartition("/")[2] for line in rows] == [f"{name}.json" for name in outs]
    assert ["score-heldout" in line for line in rows] == [False, True] * 2
    done = record(tmp_path, "sequence/60_tables.sh", "fsdd", "joint-small", "baseline", "k5-b5")
    lines = {line.rpartition("/")[2]: line for line in done.of("compare")}
    assert lines.keys() == {"compare.json", "compare-heldout.json", "lm-heldout.json"}
    assert "--score score-heldout-lm " in lines["lm-heldout.json"]
    stores = record(tmp_path, "mvq/10_targets.sh", "fsdd", "hidden").commands
    assert [word for word in stores[0] if "cuts_" in word] == [
        str(tmp_path / "data/cuts_train_rest.jsonl.gz"),
        *(f"--cuts={tmp_path}/data/cuts_{name}.jsonl.gz" for name in ("dev", "heldout")),
    ]


def test_the_smallest_student_shares_its_baseline_with_the_tables_of_mvq_kd(tmp_path):
    (tmp_path / "demo/sequence/ctc-tiny").mkdir(parents=True)
    (tmp_path / "demo/sequence/ctc-tiny/none.txt").touch()
    only = {"SEQUENCE_STUDENTS": "ctc-tiny", "SEQUENCE_ROWS": "baseline k1-b5", "SEQUENCE_MORE_SEEDS": ""}
    rows = record(tmp_path, "sequence/run.sh", "digits", **only).of("train")
    mvq = record(tmp_path, "mvq/20_student.sh", "digits", "baseline", SEED="1").of("train")
    assert len(rows) == 3 and set(mvq) < set(rows)
    baseline = tmp_path / "demo/sequence/ctc-tiny/seed-1/baseline"
    assert os.path.realpath(baseline) == os.path.realpath(tmp_path / "demo/mvq/seed-1/baseline")


@pytest.mark.slow
def test_rows_go_on_from_their_records_within_a_budget(tmp_path):
    """A row whose record is of other settings is not restored; without time it is named below the table."""
    wanted = ("MVQ_ROWS=baseline mvq-1", "MVQ_DECIDING=", "MVQ_MORE_SEEDS=")
    first = make(tmp_path, "mvq-digits", *wanted)
    assert first.returncode == 0, first.stderr[-2000:]
    trained = {path.name: path for path in (tmp_path / "demo/mvq/seed-1").iterdir()}
    weights = {name: (path / "model.safetensors").read_bytes() for name, path in trained.items()}
    records = shutil.move(tmp_path / "demo/rows", tmp_path / "rows")
    shutil.move(tmp_path / "demo", tmp_path / "before")
    row = tmp_path / "rows/mvq/seed-1/mvq-1.json"
    fields = json.loads(row.read_text())
    fields["lineage"]["experiment"]["optim"]["lr"] = 0.5
    row.write_text(json.dumps(fields))

    within = make(tmp_path, "mvq-digits", *wanted, f"RECORDS={records}", "BUDGET=0s")
    assert within.returncode == 0, within.stderr[-2000:]
    assert "mvq-1.json: the record of another run: optim.lr was 0.5, is now " in within.stderr
    assert not list((tmp_path / "demo").rglob("*.safetensors"))
    assert within.stdout.count("not run: mvq-1 with seed 1\n") == 1
    tables = [read_comparison(tmp_path / f"{name}/mvq/compare.json") for name in ("before", "demo")]
    for before, after in zip(tables[0].systems, tables[1].systems, strict=False):
        assert (before.name, before.wer, before.interval) == (after.name, after.wer, after.interval)
    assert [system.name for system in tables[1].systems] == ["teacher", "baseline"]
    assert json.loads(row.read_text()) == fields

    fresh = make(tmp_path, "mvq-digits", *wanted, f"RECORDS={records}", "FRESH=1")
    assert fresh.returncode == 0, fresh.stderr[-2000:]
    for name, expected in weights.items():
        assert (tmp_path / f"demo/mvq/seed-1/{name}/model.safetensors").read_bytes() == expected
    assert json.loads(row.read_text())["lineage"]["experiment"]["optim"]["lr"] != 0.5


def test_a_corpus_reaches_the_recipe_by_its_own_name(tmp_path):
    corpus = f'{tmp_path}/it\'s my "corpus"; touch {tmp_path}/made'
    command = ["make", f"VENV={forked.environment()}", "fsdd"]
    variables = environment() | {"CORPUS": corpus}
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(f"asrkd: {corpus}: no such file or folder\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("variables", "complaint"),
    [
        ({"SEEDS": "1 01"}, "SEEDS=1 01: expected seeds"),
        ({"SEEDS": " "}, "SEEDS= : expected seeds"),
        ({"SIZE": "typo"}, "SIZE=typo: expected demo or tiny"),
        ({"AT_ONCE": "0"}, "AT_ONCE=0: expected a number of stages, 1 or more"),
        ({"BUDGET": "2"}, "BUDGET=2: expected a time, such as 150m"),
    ],
)
def test_a_wrong_variable_is_refused_before_any_command(tmp_path, variables, complaint):
    done = run_recorded(tmp_path, "demo/run.sh", "digits", **variables)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert (tmp_path / "record.txt").read_text() == ""


@pytest.mark.parametrize("status", [1, 75])
def test_the_exit_status_of_a_stage_is_that_of_the_run(tmp_path, status):
    done = run_recorded(tmp_path, "demo/run.sh", "digits", failing=f"train:{status}")
    assert done.returncode == status
    assert "asrkd distill" not in (tmp_path / "record.txt").read_text()


def test_a_table_that_was_killed_half_way_is_printed_again(tmp_path):
    (tmp_path / "demo").mkdir()
    assert run_recorded(tmp_path, "demo/run.sh", "digits", failing="compare:143").returncode == 143
    done = run_recorded(tmp_path, "demo/run.sh", "digits")
    assert done.returncode == 0
    assert "asrkd compare" in done.stdout


def test_stages_side_by_side_have_all_ended_when_one_fails_and_the_first_status_counts(tmp_path):
    script = """
        set -euo pipefail; source stages/corpora/digits/settings.sh
        corpus=digits; source stages/shared.sh
        work() {
            if [[ $1 == late ]]; then sleep 0.3; touch "$EXP/$1"; return 3; fi
            echo "$1" >> "$EXP/begun"; return "$2"
        }
        export -f work
        printf '%s\\n' "late 0" "first 75" "never 0" | side_by_side work
    """
    places = environment() | {"EXP": str(tmp_path), "DATA": str(tmp_path), "AT_ONCE": "2"}
    done = subprocess.run(
        ["bash", "-c", script], cwd=ROOT, env=places, capture_output=True, text=True, check=False
    )
    assert done.returncode == 75
    assert (tmp_path / "late").exists() and (tmp_path / "begun").read_text() == "first\n"


def test_ctc_students_share_a_teacher_of_the_same_cuts_with_the_tables_of_mvq_kd(tmp_path):
    wanted = {"SEQUENCE_STUDENTS": "ctc-tiny", "SEQUENCE_ROWS": "baseline k5-b5", "SEQUENCE_MORE_SEEDS": ""}
    for corpus, own in (("digits", True), ("fsdd", False)):
        folder = tmp_path / corpus
        folder.mkdir()
        done = record(folder, "sequence/run.sh", corpus, CORPUS="corpus", AT_ONCE="1", **wanted)
        (teacher,) = [line for line in done.of("train") if "teacher.yaml" in line]
        assert f"--out {folder}/demo/{'sequence/ctc/teacher' if own else 'teacher'} " in teacher
        assert (folder / "demo/sequence/ctc/teacher").is_symlink() != own
        (nbest,) = [line for line in done.of("distill") if "nbest" in line]
        assert f"--teacher {folder}/demo/sequence/ctc/teacher " in nbest


@pytest.mark.parametrize(("corpus", "resampled"), [("digits", False), ("fsdd", True)])
def test_tables_of_a_single_speaker_resample_utterances(tmp_path, corpus, resampled):
    for row in (
        "teacher",
        "mvq/seed-1/baseline",
        "sequence/joint/teacher",
        "sequence/joint-small/seed-1/baseline",
    ):
        for set_name in ("test", "dev"):
            (tmp_path / f"demo/{row}/score-{set_name}").mkdir(parents=True)
            (tmp_path / f"demo/{row}/score-{set_name}/stamp.json").touch()
    for script, *words in (
        ("mvq/30_table.sh", "baseline"),
        ("sequence/60_tables.sh", "joint-small", "baseline"),
    ):
        lines = record(tmp_path, script, corpus, *words).of("compare")
        assert lines and {"--blocks utterance" in line for line in lines} == {resampled}


def test_without_time_left_no_teacher_is_trained(tmp_path):
    wanted = {"SEQUENCE_STUDENTS": "joint-small", "SEQUENCE_ROWS": "baseline", "BUDGET": "0m"}
    for script in ("sequence/run.sh", "mvq/run.sh", "tutornet/run.sh", "transducer/run.sh", "scales/run.sh"):
        assert not record(tmp_path, script, "digits", **wanted).of("train", "distill", "compare")
