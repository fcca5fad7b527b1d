"""The command line: quick help, one line for a mistake, exit statuses, and stopping on a signal."""

import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from asrkd import __version__
from asrkd.cli import main
from asrkd.data.cuts.manifests import read_cuts, write_cuts
from asrkd.training.checkpoint import list_checkpoints
from asrkd.training.metrics import read_metrics
from tests import forked

COMMANDS = [
    "",
    "prepare",
    "train",
    "distill",
    "distill nbest",
    "distill quantizer",
    "distill codebook",
    "distill posterior",
    "distill hidden",
    "distill convert",
    "targets",
    "targets export",
    "targets import",
    "targets weights",
    "targets sizes",
    "quantizer",
    "quantizer export",
    "quantizer import",
    "quantizer plot",
    "score",
    "check",
    "selftest",
    "compare",
    "report",
    "record",
    "restore",
    "doctor",
]

HELP = """
import sys
from asrkd.cli import main
for command in sys.argv[1:]:
    sys.argv = ["asrkd", *command.split(), "--help"]
    try:
        main.run()
    except SystemExit as stop:
        assert stop.code == 0, command
    heavy = set(
        "torch torchaudio transformers lhotse k2 numba numpy scipy rapidfuzz jiwer jinja2 yaml sentencepiece "
        "safetensors soundfile kenlm submitit tensorboard".split()
    ) & set(sys.modules)
    assert not heavy, (command, heavy)
"""
# typer itself loads rich and pydantic, to print a help text or to run a command.
IMPORT = """
import sys
from asrkd.cli import main
others = {name.split(".")[0] for name in sys.modules} - set(sys.stdlib_module_names)
assert not {"rich", "pydantic", "numpy", "scipy", "lhotse", "torch"} & others, others
rooms = {name.split(".")[1] for name in sys.modules if name.startswith("asrkd.")}
assert rooms == {"cli", "core"}, rooms
"""
HELP_CPU_S = 0.5  # of one --help, the interpreter's start included


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """The exit status of `asrkd ARGUMENTS`, in this process."""
    monkeypatch.setattr(sys, "argv", ["asrkd", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        main.run()
    assert isinstance(stop.value.code, int)
    return stop.value.code


def contents(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def test_no_help_waits_for_torch():
    done = subprocess.run(
        [sys.executable, "-c", HELP, *COMMANDS], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.returncode == 0
    for word in ("prepare", "train", "distill", "score", "compare", "doctor"):
        assert word in done.stdout


def test_the_command_line_loads_light_modules_only():
    done = subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, text=True, check=False)
    assert (done.stderr, done.returncode) == ("", 0)


@pytest.mark.parametrize("command", ["", "distill nbest", "score"])
def test_help_takes_less_than_half_a_second_of_a_processor(command):
    def cpu_s() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        words = [sys.executable, "-m", "asrkd", *command.split(), "--help"]
        subprocess.run(words, stdout=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime

    assert min(cpu_s() for _ in range(3)) < HELP_CPU_S  # the least: others may slow a processor down


def test_every_command_is_in_the_list_above():
    plain = [
        command for group in (main.app, main.scoring, main.recording) for command in group.registered_commands
    ]
    names = {command.name or command.callback.__name__ for command in plain}
    names |= {group.name for group in main.app.registered_groups if isinstance(group.name, str)}
    for group in ("distill", "targets", "quantizer"):
        names |= {f"{group} {command.name}" for command in getattr(main, group).registered_commands}
    assert names == set(COMMANDS) - {""}


@pytest.mark.parametrize("command", ["train", "distill quantizer", "distill nbest", "score"])
def test_the_help_of_the_launcher_names_jobs_only_where_the_command_has_them(command, monkeypatch, capsys):
    assert run(monkeypatch, *command.split(), "--help") == 0
    text = " ".join(capsys.readouterr().out.replace("\u2502", " ").split())
    has_jobs = "Number of processes; does not change" in text
    assert has_jobs == (command in ("distill nbest", "score"))
    assert ("run as --jobs jobs of the cluster" in text) == has_jobs
    assert ("run as one job of the cluster" in text) == (not has_jobs)


def test_the_version(monkeypatch, capsys):
    assert run(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"asrkd {__version__}\n"


@pytest.fixture
def mistakes(teacher, corpus, config, tmp_path) -> dict[str, list[object]]:
    """For each command a call with one mistake in it; all inputs are outside tmp_path/work."""
    cuts, out = corpus / "cuts_dev.jsonl.gz", tmp_path / "work" / "out"
    ask = ["--teacher", teacher, "--cuts", cuts, "--out", out]
    missing = ["--teacher", tmp_path / "nowhere", "--cuts", cuts, "--out", out]
    return {
        "prepare": ["prepare", "tsv", tmp_path / "nowhere", "--out", out],
        "prepare unknown": ["prepare", "klingon", tmp_path, "--out", out],
        "prepare limit": ["prepare", "digits", "--out", out, "--time-limit", "soon"],
        "prepare subset": ["prepare", "subset", cuts, "--out", tmp_path / "x.jsonl", "--transcripts", "0.2"],
        "train": ["train", config, "--out", out, "--set", "optim.lrr=1"],
        "train seed": ["train", config, "--out", out, "--seed", "-1"],
        "train config": ["train", tmp_path / "nowhere.yaml", "--out", out],
        "train device": ["train", config, "--out", out, "--device", "gpu"],
        "train limit": ["train", config, "--out", out, "--time-limit", "soon"],
        "train pause": ["train", config, "--out", out, "--checkpoint-every", "often"],
        "nbest": ["distill", "nbest", *missing],
        "nbest beam": ["distill", "nbest", *ask, "--beam", 2, "--nbest", 3],
        "nbest search": ["distill", "nbest", *ask, "--search", "magic"],
        "quantizer": ["distill", "quantizer", *missing, "--layer", 1],
        "quantizer layer": ["distill", "quantizer", *ask, "--layer", 9],
        "quantizer codebooks": ["distill", "quantizer", *ask, "--layer", 1, "--codebooks", 65],
        "codebook": ["distill", "codebook", *missing, "--quantizer", tmp_path],
        "codebook quantizer": ["distill", "codebook", *ask, "--quantizer", tmp_path / "nowhere"],
        "codebook layer": ["distill", "codebook", *ask, "--layer", 9, "--codebooks", 1],
        "codebook beside": ["distill", "codebook", *missing, "--layer", 1, "--codebooks", 1],
        "posterior": ["distill", "posterior", *missing],
        "posterior top-k": ["distill", "posterior", *ask, "--top-k", 0],
        "posterior dtype": ["distill", "posterior", *ask, "--dtype", "int8"],
        "hidden": ["distill", "hidden", *missing, "--layer", 1],
        "hidden layer": ["distill", "hidden", *ask, "--layer", 9],
        "hidden tap": ["distill", "hidden", *ask, "--layer", 1, "--tap", "middle"],
        "hidden resample": ["distill", "hidden", *ask, "--layer", 1, "--resample"],
        "convert": ["distill", "convert", tmp_path / "nowhere.pt", "--out", out],
        "convert bundle": ["distill", "convert", cuts, "--out", out, "--bundle", "HUBERT_TINY"],
        "nbest shard": ["distill", "nbest", *ask, "--shard", "3/2"],
        "export": ["targets", "export", tmp_path / "nowhere", "--cuts", cuts, "--out", out],
        "export format": ["targets", "export", teacher, "--cuts", cuts, "--out", out, "--format", "fairseq"],
        "import": ["targets", "import", cuts, "--out", out],
        "import missing": ["targets", "import", tmp_path / "nowhere.jsonl", "--out", out],
        "weights": ["targets", "weights", tmp_path / "nowhere"],
        "weights beta": ["targets", "weights", teacher, "--beta", -1],
        "sizes": ["targets", "sizes", tmp_path / "nowhere"],
        "quantizer export": ["quantizer", "export", tmp_path / "nowhere", "--out", tmp_path / "q.pt"],
        "quantizer import": [
            "quantizer",
            "import",
            tmp_path / "nowhere.pt",
            "--teacher",
            teacher,
            "--layer",
            1,
            "--out",
            out,
        ],  # fmt: skip
        "quantizer plot": ["quantizer", "plot", teacher, "--out", tmp_path / "work" / "error.svg"],
        "check": ["check", tmp_path / "nowhere"],
        "check cuts": ["check", teacher, "--cuts", cuts],
        "selftest": ["selftest", "--out", out, "--kills", -1],
        "selftest foreign": ["selftest", "--out", teacher],
        "score": ["score", tmp_path / "nowhere", "--cuts", cuts, "--out", out],
        "score shard": ["score", teacher, "--cuts", cuts, "--out", out, "--shard", "0/2"],
        "score cuts": ["score", teacher, "--cuts", tmp_path / "nowhere", "--out", out],
        "score foreign": ["score", teacher, "--cuts", cuts, "--out", teacher],
        "score alignment": ["score", teacher, "--cuts", cuts, "--out", out, "--alignment", "kaldi"],
        "score normalizer": ["score", teacher, "--cuts", cuts, "--out", out, "--normalizer", "whisper"],
        "score both": ["score", teacher, "--ref", cuts, "--hyp", cuts, "--out", out],
        "score ref": ["score", "--ref", tmp_path / "nowhere", "--hyp", cuts, "--out", out],
        "score hyp": ["score", "--hyp", cuts, "--out", out],
        "score utt2spk": ["score", teacher, "--cuts", cuts, "--utt2spk", cuts, "--out", out],
        "score beam": ["score", "--ref", cuts, "--hyp", cuts, "--out", out, "--beam", 4],
        "compare": ["compare", teacher, "--out", out],
        "compare blocks": ["compare", teacher, "--blocks", "word", "--out", out],
        "report": ["report", teacher, "--out", out],
        "record": ["record", tmp_path / "nowhere", "--out", out],
        "record score": ["record", teacher, "--score", "nowhere", "--out", out],
        "restore": ["restore", tmp_path / "nowhere.json", "--out", out],
        "restore cuts": ["restore", cuts, "--out", out],
    }


MISTAKES = [
    "prepare",
    "prepare unknown",
    "prepare limit",
    "prepare subset",
    "train",
    "train seed",
    "train config",
    "train device",
    "train limit",
    "train pause",
    "nbest",
    "nbest beam",
    "nbest search",
    "quantizer",
    "quantizer layer",
    "quantizer codebooks",
    "codebook",
    "codebook quantizer",
    "codebook layer",
    "codebook beside",
    "posterior",
    "posterior top-k",
    "posterior dtype",
    "hidden",
    "hidden layer",
    "hidden tap",
    "hidden resample",
    "convert",
    "convert bundle",
    "nbest shard",
    "export",
    "export format",
    "import",
    "import missing",
    "weights",
    "weights beta",
    "sizes",
    "quantizer export",
    "quantizer import",
    "quantizer plot",
    "check",
    "check cuts",
    "selftest",
    "selftest foreign",
    "score",
    "score shard",
    "score cuts",
    "score foreign",
    "score alignment",
    "score normalizer",
    "score both",
    "score ref",
    "score hyp",
    "score utt2spk",
    "score beam",
    "compare",
    "compare blocks",
    "report",
    "record",
    "record score",
    "restore",
    "restore cuts",
]


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line_with_exit_1_and_no_change(
    monkeypatch, capsys, mistakes, teacher, tmp_path, name
):
    before = contents(tmp_path), contents(teacher)
    assert run(monkeypatch, *mistakes[name]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("asrkd: ")
    assert captured.err.count("\n") == 1
    assert "Error(" not in captured.err
    assert (contents(tmp_path), contents(teacher)) == before


def test_the_list_of_mistakes_is_whole(mistakes):
    assert list(mistakes) == MISTAKES
    groups = {"distill", "targets", "quantizer"}
    called = {" ".join(call[:2]) if call[0] in groups else call[0] for call in mistakes.values()}
    assert called == set(COMMANDS) - {"", "doctor"} - groups


@pytest.mark.parametrize(
    "arguments",
    [
        ["prepar"],
        ["train"],
        ["train", "x.yaml"],
        ["train", "x.yaml", "--out", "x", "--steps", "3"],
        ["distill", "posteriors"],
        ["distill", "posterior"],
        ["targets", "export", "x"],
        ["distill", "nbest", "--teacher", "x", "--cuts", "y", "--out", "z", "--beam", "many"],
        ["distill", "quantizer", "--teacher", "x", "--cuts", "y", "--out", "z"],
        ["distill", "codebook", "--teacher", "x", "--cuts", "y", "--out", "z"],
        ["distill", "codebook", "--teacher", "x", "--cuts", "y", "--out", "z", "--layer", "1"],
        [
            "distill",
            "codebook",
            "--teacher",
            "x",
            "--cuts",
            "y",
            "--out",
            "z",
            "--quantizer",
            "q",
            "--layer",
            "1",
            "--codebooks",
            "2",
        ],
        ["score", "x", "--out", "y"],
        ["score", "--cuts", "x", "--out", "y"],
        ["score", "--ref", "x", "--hyp", "y"],
        ["compare"],
        ["report", "x"],
    ],
)
def test_wrong_usage_is_exit_2(monkeypatch, capsys, arguments):
    assert run(monkeypatch, *arguments) == 2
    assert "asrkd: " not in capsys.readouterr().err


def test_train_distill_score_and_compare_say_what_they_wrote(monkeypatch, capsys, config, corpus, tmp_path):
    """The commands of a recipe one after the other, each at its tiniest."""
    cuts, out = corpus / "cuts_dev.jsonl.gz", tmp_path / "teacher"
    ask = ["--teacher", out, "--cuts", cuts]
    for arguments, said in (
        (["train", config, "--out", out, "--seed", 3, "--threads", 1, "--device", "cpu"], f"{out}: 8 steps"),
        (
            ["distill", "nbest", *ask, "--out", tmp_path / "nbest", "--beam", 2, "--nbest", 2],
            "/nbest: 6 cuts, WER ",
        ),
        (
            [
                "score",
                out,
                "--cuts",
                cuts,
                "--out",
                out / "score-test",
                "--search",
                "prefix-beam",
                "--beam",
                2,
            ],
            "%WER ",
        ),
        (["compare", out, "--out", tmp_path / "results.json"], "teacher"),
    ):
        assert run(monkeypatch, *arguments) == 0
        assert said in capsys.readouterr().out
    assert '"seed": 3' in (tmp_path / "results.json").read_text()
    assert (
        run(monkeypatch, "distill", "nbest", *ask, "--out", tmp_path / "nbest", "--beam", 2, "--nbest", 2)
        == 0
    )
    assert "already complete" in capsys.readouterr().out


def test_transcripts_are_scored_without_model_or_torch(tmp_path):
    for name, text in (("ref", "a NO YES\nb ON\n"), ("hyp", "a YES OFF\nb ON\n")):
        (tmp_path / name).write_text(text)
    command = f"score --ref {tmp_path}/ref --hyp {tmp_path}/hyp --out {tmp_path}/out --alignment sclite"
    code = HELP.replace(', "--help"]', "]").replace("numpy scipy rapidfuzz ", "")
    done = subprocess.run([sys.executable, "-c", code, command], capture_output=True, text=True, check=False)
    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout == f"%WER 66.67 [ 2 / 3, 1 ins, 1 del, 0 sub ] sclite {tmp_path}/out\n"


def test_quantizer_and_codebook_take_their_options(monkeypatch, capsys, teacher, corpus, tmp_path):
    cuts = tmp_path / "cuts.jsonl"
    write_cuts(cuts, read_cuts(corpus / "cuts_train.jsonl.gz"))
    ask = ["--teacher", teacher, "--cuts", cuts]
    made = [
        "--out",
        tmp_path / "q",
        "--layer",
        1,
        "--codebooks",
        1,
        "--utterances",
        28,
        "--seed",
        2,
        "--steps",
        2,
    ]
    assert run(monkeypatch, "distill", "quantizer", *ask, *made) == 0
    assert "relative squared error" in capsys.readouterr().out
    assert (
        run(monkeypatch, "distill", "codebook", *ask, "--quantizer", tmp_path / "q", "--out", tmp_path / "c")
        == 0
    )
    assert f"{tmp_path}/c: 30 cuts, 1 codebook of layer 1" in capsys.readouterr().out


def test_a_time_limit_stops_with_exit_75_and_resume_completes(monkeypatch, capsys, config, tmp_path):
    train = ["train", config, "--out", tmp_path / "run", "--threads", 1, "--device", "cpu"]
    assert run(monkeypatch, *train, "--time-limit", "0") == 75
    captured = capsys.readouterr()
    assert captured.err.splitlines()[-1].startswith("asrkd: stopped by time limit: ")
    assert "--resume" in captured.err.splitlines()[-1]
    assert run(monkeypatch, *train) == 1
    assert "--resume" in capsys.readouterr().err
    assert run(monkeypatch, *train, "--resume") == 0
    assert "8 steps" in capsys.readouterr().out


def test_a_disk_that_cannot_be_written_is_a_line(monkeypatch, capsys, teacher, corpus, tmp_path):
    (tmp_path / "file").write_text("")
    arguments = [
        "score",
        teacher,
        "--cuts",
        corpus / "cuts_dev.jsonl.gz",
        "--out",
        tmp_path / "file" / "score",
    ]
    assert run(monkeypatch, *arguments) == 1
    err = capsys.readouterr().err
    assert err.startswith("asrkd: ")
    assert "file" in err
    assert err.count("\n") == 1


def test_a_bug_is_a_traceback_and_not_a_line(monkeypatch, teacher):
    from asrkd.commands import compare

    monkeypatch.setattr(compare, "compare", lambda *_: 1 / 0)
    monkeypatch.setattr(sys, "argv", ["asrkd", "compare", str(teacher)])
    with pytest.raises(ZeroDivisionError):
        main.run()


@pytest.mark.slow
def test_a_terminated_run_exits_75_and_resume_completes_it(config, tmp_path):
    out = tmp_path / "run"
    command = [
        sys.executable,
        "-m",
        "asrkd",
        "train",
        str(config),
        "--out",
        str(out),
        "--set",
        "phases.0.steps=60",
        "--set",
        "validation.every_steps=60",
        "--threads",
        "1",
        "--device",
        "cpu",
    ]
    process = forked.Popen(command, stderr=subprocess.PIPE, text=True)
    give_up_at = time.monotonic() + 120
    while not read_metrics(out / "metrics.jsonl") and time.monotonic() < give_up_at:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 75, err
    assert err.splitlines()[-1].startswith("asrkd: stopped by SIGTERM: ")
    assert len(list_checkpoints(out / "checkpoints")) == 1
    assert not (out / "model.safetensors").exists()
    done = forked.run([*command, "--resume"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "60 steps" in done.stdout
    shutil.rmtree(out)


def interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_an_interrupted_training_says_how_to_resume(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("asrkd.commands.train.train", interrupt)
    out = tmp_path / "my run"
    words = ("train", "x.yaml", "--out", out, "--checkpoint-every", "5m")
    assert run(monkeypatch, *words) == 130
    assert capsys.readouterr().err == (
        "asrkd: interrupted before the first checkpoint (--checkpoint-every 5m); "
        "the same command starts again from step 0\n"
    )
    (out / "checkpoints").mkdir(parents=True)
    (out / "checkpoints/step-00000003.safetensors").touch()
    resumed = f"asrkd train x.yaml --out '{out}' --checkpoint-every 5m --resume"
    for more in ((), ("--resume",)):
        assert run(monkeypatch, *words, *more) == 130
        assert capsys.readouterr().err == f"asrkd: interrupted; resume with: {resumed}\n"


@pytest.mark.parametrize(
    ("stage", "words"),
    [
        ("score.score", ("score", "model", "--cuts", "cuts.jsonl")),
        (
            "distill.hidden",
            ("distill", "hidden", "--teacher", "model", "--cuts", "cuts.jsonl", "--layer", "1"),
        ),
        ("prepare.prepare", ("prepare", "tsv", "corpus")),
    ],
)
def test_other_interrupted_commands_are_run_again(stage, words, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(f"asrkd.commands.{stage}", interrupt)
    assert run(monkeypatch, *words, "--out", tmp_path / "out") == 130
    assert capsys.readouterr().err == "asrkd: interrupted; run the same command again to resume\n"


def test_search_options_reach_score_and_mistakes_are_lines(teacher, corpus, tmp_path, monkeypatch, capsys):
    asked = ("score", teacher, "--cuts", corpus / "cuts_dev.jsonl.gz", "--out", tmp_path / "score")
    assert run(monkeypatch, *asked, "--search", "attention", "--beam", 2) == 1
    assert "no attention decoder, which --search attention needs" in capsys.readouterr().err
    assert run(monkeypatch, *asked, "--eos-factor", 1.5) == 1
    assert "--eos-factor has no effect with --search greedy; remove it" in capsys.readouterr().err
    assert run(monkeypatch, *asked, "--length-norm", "sqrt") == 1
    assert "--length-norm sqrt: expected one of" in capsys.readouterr().err
    finished = ("score", "--ref", "a", "--hyp", "b", "--out", tmp_path / "score", "--lm-weight", 0.5)
    assert run(monkeypatch, *finished) == 1
    assert "remove --lm-weight" in capsys.readouterr().err
