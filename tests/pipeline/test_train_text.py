"""The stage `train` on text: language models learn, their perplexity is true, stopping changes nothing."""

import math
from pathlib import Path

import pytest
import torch

from asrkd.commands.check import check
from asrkd.commands.train import TrainOptions, train
from asrkd.core.errors import AsrkdError, StoppedInTime
from asrkd.core.stopping import StopRequest
from asrkd.data.cuts.manifests import read_cuts
from asrkd.data.cuts.records import transcript
from asrkd.models.directory import load_language_model, load_model
from asrkd.models.stepwise import BOUNDARY
from asrkd.training.metrics import read_metrics
from tests.pipeline.test_train import weights
from tests.stop_after import StopAfter

CONFIG = """
data: {{train_text: {train}, dev_text: {dev}, tokens: {tokens}, max_tokens: 120, num_buckets: 2}}
model: {{language_model: {{num_layers: 1, dim: 16, num_heads: 2, feed_forward_dim: 24, dropout: 0.1}}}}
optim: {{lr: 0.02, warmup_steps: 3}}
validation: {{every_steps: 4}}
averaging: {{every_steps: 2, last: 2}}
phases: [{{steps: 8, objectives: [language_model]}}]
"""


@pytest.fixture
def config(corpus, tmp_path) -> Path:
    """A language model of the words that the corpus is made of."""
    (tmp_path / "dev.txt").write_text("YES NO\n\nON OFF YES\nNO\n")
    (tmp_path / "train.txt").write_text("\n".join(["YES NO ON", "OFF", "NO NO YES", "ON OFF ON OFF"] * 12))
    path = tmp_path / "config.yaml"
    files = {"train": tmp_path / "train.txt", "dev": tmp_path / "dev.txt", "tokens": corpus}
    path.write_text(CONFIG.format(**files))
    return path


def run(config: Path, out: Path, *overrides: str, resume: bool = False, stop: StopRequest | None = None):
    options = TrainOptions(device="cpu", threads=1, resume=resume)
    return train(config, out, overrides, options, stop or StopRequest())


def test_errors_of_text_are_counted_in_no_unit(config, tmp_path):
    with pytest.raises(AsrkdError, match="validation.unit: no effect on text"):
        run(config, tmp_path / "run", "validation.unit=char")


def nats(folder: Path, text: str) -> float:
    """-log P(text, end) of a folder's model, one token at a time."""
    loaded = load_language_model(folder)
    state = loaded.model.start(torch.zeros(1, 5, 3), torch.tensor([5]))
    total, given = 0.0, BOUNDARY
    for token in [*loaded.tokens.encode(text), BOUNDARY]:
        log_probs, state = loaded.model.step(torch.tensor([given]), state)
        total, given = total - float(log_probs[0, token]), token
    return total


def test_it_learns_and_perplexities_equal_single_sentences(config, tmp_path):
    report = run(config, tmp_path / "lm", "phases.0.steps=60", "validation.every_steps=60")
    validations = [r for r in read_metrics(tmp_path / "lm/metrics.jsonl") if r["kind"] == "validation"]
    assert validations[-1]["perplexity"] < validations[0]["perplexity"] / 2
    sentences = ["YES NO", "ON OFF YES", "NO"]
    total = sum(nats(tmp_path / "lm", text) for text in sentences)
    tokens, words = sum(len(text) + 1 for text in sentences), 6 + 3
    assert report.validation["loss"] == pytest.approx(total / tokens, rel=1e-4)
    assert report.validation["perplexity"] == pytest.approx(math.exp(total / tokens), rel=1e-4)
    assert report.validation["word_perplexity"] == pytest.approx(math.exp(total / words), rel=1e-4)
    assert "dev perplexity" in report.text()


def test_the_probabilities_of_what_may_come_next_add_up_to_one(config, tmp_path):
    run(config, tmp_path / "lm")
    loaded = load_language_model(tmp_path / "lm")
    state = loaded.model.start(torch.zeros(3, 1, 1), torch.ones(3))
    log_probs, _ = loaded.model.step(torch.zeros(3, dtype=torch.long), state)
    torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(3))
    assert log_probs.shape == (3, loaded.tokens.size)


@pytest.mark.parametrize("questions", [1, 4, 7])
def test_a_stopped_and_resumed_run_ends_with_the_same_bytes(config, tmp_path, questions):
    run(config, tmp_path / "whole")
    with pytest.raises(StoppedInTime):
        run(config, tmp_path / "parts", stop=StopAfter(questions))
    run(config, tmp_path / "parts", resume=True)
    assert weights(tmp_path / "whole") == weights(tmp_path / "parts")
    assert run(config, tmp_path / "parts").already_complete


def test_transcripts_of_cuts_are_text_like_any_other(config, corpus, tmp_path):
    cuts = corpus / "cuts_train.jsonl.gz"
    (tmp_path / "same.txt").write_text("\n".join(transcript(cut) for cut in read_cuts(cuts)))
    last = []
    for path in (cuts, tmp_path / "same.txt"):
        out = tmp_path / f"of-{path.name}"
        last.append(run(config, out, f"data.dev_text={path}", "phases.0.steps=1").validation)
    # Ids decide the order within batches, so that the last bits depend on the processor.
    assert last[0] == pytest.approx(last[1], rel=1e-6)


def test_other_text_of_the_same_name_is_refused(config, tmp_path):
    run(config, tmp_path / "lm")
    with (tmp_path / "train.txt").open("a") as stream:
        stream.write("\nON")
    with pytest.raises(AsrkdError, match=r"train_text has changed \(sha256 was"):
        run(config, tmp_path / "lm")


def test_recognizers_and_language_models_are_told_apart(config, teacher, tmp_path):
    run(config, tmp_path / "lm", "phases.0.steps=1")
    with pytest.raises(AsrkdError, match="a language model, expected a recognizer"):
        load_model(tmp_path / "lm")
    with pytest.raises(AsrkdError, match="a recognizer, expected a language model"):
        load_language_model(teacher)


def test_check_finds_changed_text_of_a_language_model(config, tmp_path):
    run(config, tmp_path / "lm", "phases.0.steps=1")
    report = check(tmp_path / "lm", [], deep=True)
    assert not report.problems
    assert "train text as in" in report.text()
    (tmp_path / "train.txt").write_text("ON\n")
    (problem,) = check(tmp_path / "lm", [], deep=False).problems
    assert f"stale: {tmp_path / 'train.txt'} changed since training" in problem


def test_sentences_that_are_too_long_are_left_out_and_told(config, tmp_path, capsys):
    run(config, tmp_path / "lm", "data.max_sentence=5", "phases.0.steps=1")
    assert "36 sentences left out, of more than 5 tokens" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("data.train_text=nowhere.txt", "nowhere.txt: no such file"),
        (
            "phases=[{steps: 1, objectives: [attention]}]",
            "language_model is the only one of a language model",
        ),
        ("model={dim: 16, num_heads: 2}", "data: expected train and dev for this model"),
        ("augment={specaugment: null}", "augment: no effect on text"),
        ("data.max_token=3", "data.max_token: unknown key; did you mean 'max_tokens'"),
        ("data.max_sentence=1", "no sentence of 1 to 1 tokens"),
    ],
)
def test_a_mistake_in_the_config_is_a_line_and_makes_no_folder(config, tmp_path, override, complaint):
    with pytest.raises(AsrkdError, match=complaint) as error:
        run(config, tmp_path / "lm", override)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "lm").exists()


def test_a_symbol_that_no_token_spells_names_the_line(config, tmp_path):
    (tmp_path / "dev.txt").write_text("YES\nYES ÄH\n")
    with pytest.raises(AsrkdError, match=r"dev\.txt:2: .*Ä"):
        run(config, tmp_path / "lm")
