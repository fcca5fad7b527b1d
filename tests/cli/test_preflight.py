"""Mistakes that a launch finds before any job: same refusal as the command's own, with nothing submitted."""

import json
from pathlib import Path

import pytest

from asrkd.cli import main
from asrkd.cli.launching.launch import Launch
from asrkd.commands import distill
from asrkd.commands.distill_request import DistillRequest
from asrkd.core.errors import AsrkdError
from asrkd.core.stopping import StopRequest
from asrkd.decoding import SearchOptions

LAUNCH = ("--launcher", "slurm")


class Launched(Exception):
    """The command would have submitted its jobs."""


@pytest.fixture
def launch(monkeypatch):
    """Runs a command with --launcher; raises Launched where it would submit jobs."""

    def submit(*_arguments):
        raise Launched

    monkeypatch.setattr(Launch, "_run", submit)

    def run(*words: object) -> None:
        arguments = [str(word) for word in words]
        monkeypatch.setattr("sys.argv", ["asrkd", *arguments, *LAUNCH])
        main.app([*arguments, *LAUNCH], standalone_mode=False)

    return run


@pytest.fixture
def whisper(tmp_path) -> Path:
    """The description of a Whisper, without weights."""
    folder = tmp_path / "whisper"
    folder.mkdir()
    described = {"model_type": "whisper", "architectures": ["WhisperForConditionalGeneration"]}
    (folder / "config.json").write_text(json.dumps(described))
    return folder


@pytest.fixture
def ask(teacher, corpus):
    """Words of `asrkd distill KIND` with the teacher and its cuts."""
    return lambda kind, *more: [
        *("distill", kind, "--teacher", teacher, "--cuts", corpus / "cuts_train.jsonl.gz", *more)
    ]


def test_a_right_request_is_launched(launch, ask, teacher, corpus, config, tmp_path):
    for words in (
        ask("nbest", "--out", tmp_path / "n"),
        ask("posterior", "--out", tmp_path / "p"),
        ask("hidden", "--layer", 1, "--out", tmp_path / "h"),
        ask("quantizer", "--layer", 1, "--out", tmp_path / "q"),
        ask("codebook", "--layer", 1, "--codebooks", 2, "--out", tmp_path / "c"),
        ["score", teacher, "--cuts", corpus / "cuts_dev.jsonl.gz", "--out", tmp_path / "s"],
        ["train", config, "--out", tmp_path / "t"],
        ["prepare", "digits", "--minutes", "1", "--out", tmp_path / "d"],
    ):
        with pytest.raises(Launched):
            launch(*words)
    assert {path.name for path in tmp_path.iterdir()} == {"config.yaml"}


@pytest.mark.parametrize(
    ("kind", "more", "complaint"),
    [
        (
            "nbest",
            ["--beam", 4, "--nbest", 2, "--cuts-per-shard", 12],
            "created with other settings: search.num_best was 4, is now 2",
        ),
        ("nbest", ["--beam", 4, "--nbest", 4, "--cuts-per-shard", 5], "cuts_per_shard was 12, is now 5"),
        ("codebook", ["--layer", 1, "--codebooks", 2, "--cuts-per-shard", 12], "layer was 2, is now 1"),
        ("quantizer", ["--layer", 2, "--codebooks", 2, "--steps", 4], "phase_one_steps was 3, is now 4"),
        ("posterior", ["--top-k", 0], "--top-k 0: expected 1 or more"),
        ("hidden", ["--layer", 0], "--layer 0: expected 1 or more"),
        ("nbest", ["--search", "beam"], "--search beam: expected one of"),
    ],
)
def test_a_folder_of_other_settings_is_refused_first(launch, ask, stores, kind, more, complaint):
    with pytest.raises(AsrkdError, match=complaint):
        launch(*ask(kind, "--out", stores / kind, *more))


def test_the_folder_that_the_command_would_complete_is_launched(launch, ask, stores):
    for kind, more in (
        ("nbest", ["--beam", 4, "--nbest", 4]),
        ("codebook", ["--quantizer", stores / "quantizer"]),
    ):
        with pytest.raises(Launched):
            launch(*ask(kind, "--out", stores / kind, "--cuts-per-shard", 12, *more))


@pytest.mark.parametrize("kind", ["nbest", "posterior"])
def test_an_encoder_is_refused_by_its_kind(launch, corpus, whisper, tmp_path, kind):
    cuts, stop = (corpus / "cuts_train.jsonl.gz",), StopRequest()
    for name in (whisper, Path("torchaudio:HUBERT_BASE")):
        complaint = (
            f"asrkd reads only the encoder of this one .* cannot be the teacher of: asrkd distill {kind}"
        )
        with pytest.raises(AsrkdError, match=complaint):
            launch("distill", kind, "--teacher", name, "--cuts", cuts[0], "--out", tmp_path / "store")
        with pytest.raises(AsrkdError, match=complaint):  # before it is fetched or loaded
            if kind == "posterior":
                distill.posterior(DistillRequest(name, cuts, tmp_path / "store"), 4, "float16", stop)
            else:
                options = SearchOptions(2, 2)
                distill.nbest(DistillRequest(name, cuts, tmp_path / "store"), "greedy", options, stop)


def test_a_name_on_a_hub_is_no_folder(launch, ask, tmp_path):
    words = ask("hidden", "--layer", 1, "--out", tmp_path / "h")
    words[words.index("--teacher") + 1] = "openai/whisper-small"
    with pytest.raises(AsrkdError, match="openai/whisper-small: no such model folder; no model is fetched"):
        launch(*words)


def test_prepare_score_and_train_check_themselves(launch, teacher, corpus, config, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "thesis.tex").touch()
    dev = corpus / "cuts_dev.jsonl.gz"
    for words, complaint in (
        (
            ["prepare", "tsv", tmp_path / "nowhere", "--out", tmp_path / "d"],
            "nowhere: no such file or folder",
        ),
        (["prepare", "digits", "--out", tmp_path / "data"], "holds 'thesis.tex'"),
        (
            ["score", teacher, "--cuts", tmp_path / "x.jsonl", "--out", tmp_path / "s"],
            "x.jsonl: no such file",
        ),
        (["score", teacher, "--cuts", dev, "--out", tmp_path / "data"], "holds 'thesis.tex'"),
        (["train", config, "--out", tmp_path / "t", "--set", "optim.lr=-1"], "optim.lr"),
        (
            ["train", config, "--out", tmp_path / "t", "--set", "data.dev=gone.jsonl"],
            "data.dev: gone.jsonl: no such",
        ),
        (["train", config, "--out", teacher], "created with other settings: experiment"),
    ):
        with pytest.raises(AsrkdError, match=complaint):
            launch(*words)


def test_a_changed_size_of_the_vocabulary_is_found_before_any_job(launch, tmp_path):
    from asrkd.commands.proving.pipeline import write_corpus

    write_corpus(tmp_path)
    words = ["prepare", "tsv", tmp_path / "corpus", "--tokens", "bpe", "--out", tmp_path / "data"]
    main.app([*map(str, words), "--vocab-size", "30"], standalone_mode=False)
    with pytest.raises(AsrkdError, match="created with other settings: vocab_size was 30, is now 40"):
        launch(*words, "--vocab-size", 40)
