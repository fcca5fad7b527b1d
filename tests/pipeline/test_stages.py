"""What stands under stages: configs that can be read, shell scripts, and the tiniest tables of methods."""

import json
import os
import re
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

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "stages").glob("*/conf/*.yaml"))
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


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make in this environment, with outputs in ``folder``."""
    own = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}
    options = [f"VENV={forked.environment()}", "SIZE=tiny", f"DIGITS={folder}/data", f"DEMO={folder}/demo"]
    command = ["make", "--no-print-directory", *options, *arguments]
    return subprocess.run(command, cwd=ROOT, env=own, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_the_tiny_tables_of_mvq_kd_have_every_row_with_its_seeds_and_what_it_stores(tmp_path):
    wanted = ["mvq-digits", f"MVQ_ROWS={' '.join(ROWS)}", "MVQ_DECIDING=l2", "MVQ_MORE_SEEDS=2"]
    done = make(tmp_path, *wanted)
    assert done.returncode == 0, done.stderr[-2000:]
    mvq = tmp_path / "demo/mvq"
    first, several = (read_comparison(mvq / f"{name}.json").systems for name in ("compare", "seeds"))
    assert [system.name for system in first] == ["teacher", *ROWS]
    assert {system.params for system in first[1:]} == {first[1].params}  # no head is exported
    assert len(several) == 3 and "l2" in [system.name for system in several]
    one, other = ((mvq / f"seed-1/{row}/model.safetensors").read_bytes() for row in ("l2", "live"))
    assert one == other  # a teacher that is asked says what was stored
    lines = {line.split()[0]: line.split() for line in (mvq / "storage.txt").read_text().splitlines()}
    assert list(lines) == ["targets", "codebook-1", "codebook-16", "hidden"]
    smaller = {name: float(values[2]) for name, values in lines.items() if name != "targets"}
    assert smaller["codebook-1"] > smaller["codebook-16"] > 10 > 1 >= smaller["hidden"] > 0.9
    check_done(tmp_path, wanted)


@pytest.mark.slow
def test_the_tiny_tables_of_seq_kd_and_err_kd_have_every_row_and_a_teacher_that_has_not_heard_their_cuts(
    tmp_path,
):
    rows = ["baseline", "k5-b5", "err-2", "fifth-k5-b5"]
    wanted = ["sequence-digits", f"SEQUENCE_ROWS={' '.join(rows)}", "SEQUENCE_STUDENTS=ctc-small"]
    wanted += ["SEQUENCE_DECIDING=", "SEQUENCE_MORE_SEEDS=2", "SEQUENCE_WITH_LM=baseline"]
    done = make(tmp_path, *wanted)
    assert done.returncode == 0, done.stderr[-2000:]
    sequence = tmp_path / "demo/sequence"
    own = sequence / "ctc-small"
    tables = {path.stem: read_comparison(path).systems for path in own.glob("*.json")}
    assert [system.name for system in tables["compare"]] == ["teacher", *rows]
    assert [system.name for system in tables["err"]] == ["k5-b5", "err-2"]
    assert [system.name for system in tables["lm"]] == ["teacher", "baseline"]
    assert (own / "seed-2/err-2/score-test/stamp.json").is_file()  # the one beta is the best one
    assert "seeds" not in tables and "seeds-err" not in tables  # what they compare with has one seed
    models = {row: (own / f"seed-1/{row}/model.safetensors").read_bytes() for row in rows}
    assert len(set(models.values())) == len(rows)  # no option of a row is without effect
    small, others, fifth = (
        CutSet.from_file(tmp_path / f"data/cuts_train_{name}.jsonl.gz").to_eager()
        for name in ("small", "others", "fifth")
    )
    assert not set(small.speakers) & set(others.speakers)
    heard = json.loads((sequence / "ctc/teacher/lineage.json").read_text())["train_cuts"]
    assert heard == cuts_digest(read_cuts(tmp_path / "data/cuts_train_others.jsonl.gz"))
    told = {cut.id: cut.supervisions[0].text for cut in fifth}
    assert list(told) == list(small.ids) and 0 < sum(map(bool, told.values())) < len(told) / 2
    check_done(tmp_path, wanted)


def test_a_row_that_there_is_not_is_refused_and_nothing_is_trained(tmp_path):
    for row in ("k5b5", "baselin", "err", "fifth-k5"):
        command = ["bash", "stages/46_sequence_student.sh", "digits", "ctc-small", row]
        own = os.environ | {"EXP": str(tmp_path / "exp"), "DATA": str(tmp_path)}
        done = subprocess.run(command, cwd=ROOT, env=own, capture_output=True, text=True, check=False)
        assert done.returncode == 2 and "expected baseline, kN-bM, err-B" in done.stderr
    assert not list(tmp_path.iterdir())


def check_done(tmp_path: Path, wanted: list[str]) -> None:
    """Another make would make tables, and train, ask and score nothing."""
    planned = make(tmp_path, "-n", *wanted)
    assert planned.returncode == 0 and "_table" in planned.stdout
    assert not re.search(r"stages/(0|1|2|3|4|50|52)\d*_\w+\.sh", planned.stdout)


def test_a_corpus_reaches_the_recipe_by_its_own_name(tmp_path):
    corpus = f'{tmp_path}/it\'s my "corpus"; touch {tmp_path}/made'
    own = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}
    command = ["make", f"VENV={forked.environment()}", "data/fsdd/stamp.json"]
    given = own | {"CORPUS": corpus}
    done = subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(f"asrkd: {corpus}: no such file or folder\n")
    assert not list(tmp_path.iterdir())
