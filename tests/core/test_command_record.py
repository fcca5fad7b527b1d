"""The command that a folder was made by: as it was typed, and it makes the same folder when it is pasted."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asrkd.commands.check import check
from asrkd.commands.prepare import prepare
from asrkd.commands.prepare_options import PrepareOptions
from asrkd.core import output_folder
from asrkd.core.artifacts import COMMAND
from asrkd.core.command_record import read_command
from asrkd.core.errors import AsrkdError
from asrkd.core.shared_work import Workers
from asrkd.core.stopping import StopRequest
from asrkd.evaluation.compare.systems import Roles, read_systems
from tests import forked


def asrkd(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    return forked.run(
        [sys.executable, "-m", "asrkd", *words], cwd=folder, capture_output=True, text=True, check=False
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture
def corpus_of_tones(tmp_path: Path) -> Path:
    """A table and two recordings in a folder with a blank."""
    folder = tmp_path / "my corpus"
    folder.mkdir()
    rng = np.random.default_rng(1)
    for name in ("a", "b"):
        soundfile.write(folder / f"{name}.wav", 0.1 * rng.standard_normal(8000), 8000, subtype="PCM_16")
    rows = ["utt_id\taudio\tspeaker\ttext\tsplit", "u1\ta.wav\ts\tON\ttrain", "u2\tb.wav\ts\tNO\ttrain"]
    (folder / "transcripts.tsv").write_text("\n".join(rows) + "\n")
    return folder


def test_the_recorded_command_reproduces_a_prepared_folder(tmp_path, corpus_of_tones):
    typed = [
        "prepare",
        "tsv",
        "my corpus",
        "--speeds",
        "0.9",
        "--jobs",
        "1",
        "--speeds=1.1",
        "--untranscribed",
    ]
    done = asrkd(tmp_path, *typed, "--num-mel-bins", "20", "--out", "it's data")
    assert done.returncode == 0, done.stderr
    kept = json.loads((tmp_path / "it's data" / COMMAND).read_text())["command"]
    # By hand: arguments, then options as the command declares them, without the output and the jobs.
    assert kept == "asrkd prepare tsv 'my corpus' --num-mel-bins 20 --speeds 0.9 --speeds 1.1 --untranscribed"
    again = asrkd(tmp_path, *shlex.split(kept)[1:], "--out", "again", "--jobs", "2")
    assert again.returncode == 0, again.stderr
    assert contents(tmp_path / "again") == contents(tmp_path / "it's data")


def test_a_folder_with_changed_audio_names_its_command(tmp_path, corpus_of_tones, monkeypatch):
    assert asrkd(tmp_path, "prepare", "tsv", "my corpus", "--out", "my data").returncode == 0
    (corpus_of_tones / "a.wav").unlink()
    monkeypatch.chdir(tmp_path)
    (problem,) = check(Path("my data")).problems
    remedy = "rm -r 'my data' && asrkd prepare tsv 'my corpus' --out 'my data'"
    assert problem.endswith(f"a.wav does not exist; put it back, or make the folder again: {remedy}")


def test_a_folder_made_by_a_call_has_no_command(tmp_path, corpus_of_tones):
    out = tmp_path / "data"
    prepare("tsv", corpus_of_tones, out, PrepareOptions(), workers=Workers(), stop=StopRequest())
    assert not (out / COMMAND).exists() and read_command(out) is None
    for torn in ("", "{", "[]", '{"command": 3}'):
        (out / COMMAND).write_text(torn)
        assert read_command(out) is None
    (corpus_of_tones / "a.wav").unlink()
    (problem,) = check(out).problems
    assert problem.endswith("prepare the corpus again with: asrkd prepare ... --out ...")


def test_scores_and_models_say_their_commands_too(tmp_path, config, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train = ["train", str(config), "--set", "phases.0.steps=2", "--threads", "1", "--device", "cpu"]
    done = asrkd(tmp_path, *train, "--out", "my model", "--resume")
    assert done.returncode == 0, done.stderr
    trained = f"asrkd train {config} --set phases.0.steps=2 --device cpu --threads 1 --out 'my model'"
    assert read_command(Path("my model")) == trained
    (tmp_path / "my model/model.safetensors").unlink()
    with pytest.raises(AsrkdError) as error:
        read_unfinished(Path("my model"))
    assert str(error.value).endswith(f"finish it with: {trained} --resume")

    for name, words in (("ref", "u1 a b\n"), ("hyp", "u1 a c\n")):
        (tmp_path / name).write_text(words)
    score = ["score", "--ref", "ref", "--hyp", "hyp", "--alignment", "sclite", "--out", "scored"]
    assert asrkd(tmp_path, *score).returncode == 0
    (tmp_path / "scored/score.json").write_text("{}")
    with pytest.raises(AsrkdError) as error:
        read_systems([Path("scored")], "score-test", Roles())
    again = "asrkd score --ref ref --hyp hyp --alignment sclite --out scored"
    assert str(error.value).endswith(f"make the score again: rm -r scored && {again}")
    subprocess.run(["rm", "-r", "scored"], check=True)
    assert asrkd(tmp_path, *shlex.split(again)[1:]).returncode == 0
    assert output_folder.read_stamp(Path("scored"), "")["substitutions"] == 1


def read_unfinished(folder: Path) -> None:
    from asrkd.models.directory import load_any_model

    load_any_model(folder)
