"""`score` and `distill nbest` with searches over decoders: stored scores, contracts, refusals."""

import json
import os
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from asrkd.cli.main import run
from asrkd.commands.distill import nbest
from asrkd.commands.distill_request import DistillRequest
from asrkd.commands.score import ScoreRequest, score
from asrkd.core.errors import AsrkdError
from asrkd.core.stopping import StopRequest
from asrkd.data.cuts.manifests import read_cuts
from asrkd.data.features.reading import FeatureConfig
from asrkd.data.tokens import Tokens, train_char
from asrkd.decoding import SearchOptions
from asrkd.decoding.options import DecoderOptions
from asrkd.decoding.recognition import search_for
from asrkd.models.config import (
    EncoderDecoderArchitecture,
    EncoderDecoderConfig,
    LanguageModelArchitecture,
    TransformerLayers,
)
from asrkd.models.directory import load_language_model, load_model, save_model
from asrkd.models.inference import encode_cuts
from asrkd.models.recognizer import LanguageModel, Recognizer
from asrkd.targets.store.nbest import NbestStore
from asrkd.targets.store.provenance import remake_command
from tests.decoding.test_language_models import FakeKenlm
from tests.models.small import DECODERS, ENCODERS, LAYERS

FEATURES = FeatureConfig(type="kaldi-fbank", num_features=8, frame_shift=0.01, sampling_rate=8000)
WEIGHT = 0.4


def save_recognizer(folder: Path, tokens: Tokens, *, ctc: bool) -> Path:
    """A Conformer with a Transformer decoder, its weights random; its own answers are what is stored."""
    parts = EncoderDecoderConfig(encoder=ENCODERS["conformer"], decoder=DECODERS["transformer"], ctc=ctc)
    architecture = EncoderDecoderArchitecture(parts=parts, features=FEATURES, num_tokens=tokens.size)
    torch.manual_seed(5)
    model = Recognizer(architecture)
    torch.nn.init.normal_(model.decoder.out.weight, std=1.5)  # else all tokens are about as likely
    save_model(folder, architecture, model.state_dict(), tokens, {})
    return folder


def save_lm(folder: Path, tokens: Tokens) -> Path:
    layers = TransformerLayers(**LAYERS)
    architecture = LanguageModelArchitecture(language_model=layers, num_tokens=tokens.size)
    torch.manual_seed(6)
    save_model(folder, architecture, LanguageModel(architecture).state_dict(), tokens, {})
    return folder


@pytest.fixture(scope="module")
def models(corpus, tmp_path_factory) -> Path:
    """Folders `joint`, `attention` (no CTC head), `lm`, and `stranger`, a language model of other tokens."""
    folder, tokens = tmp_path_factory.mktemp("models"), Tokens.load(corpus)
    save_recognizer(folder / "joint", tokens, ctc=True)
    save_recognizer(folder / "attention", tokens, ctc=False)
    save_lm(folder / "lm", tokens)
    save_lm(folder / "stranger", train_char(["SOMETHING ELSE"]))
    return folder


def ask(
    models: Path, corpus: Path, out: Path, name: str, options: SearchOptions, model="joint"
) -> NbestStore:
    question = DistillRequest(models / model, (corpus / "cuts_dev.jsonl.gz",), out, cuts_per_shard=4)
    nbest(question, name, options, StopRequest())
    return NbestStore(out)


def forced(model: torch.nn.Module, encoded: Tensor, tokens: tuple[int, ...]) -> float:
    """log P of one hypothesis by the decoder's own teacher forcing."""
    told = torch.tensor([tokens], dtype=torch.int64)
    one = torch.tensor([0])
    logits = model(encoded[None], torch.tensor([len(encoded)]), told, torch.tensor([len(tokens)]), one)
    rows = logits[0].double().log_softmax(dim=-1)
    return sum(rows[place, token].item() for place, token in enumerate((*tokens, 0)))


@pytest.mark.parametrize("name", ["attention", "joint"])
@pytest.mark.parametrize("with_lm", [False, True])
def test_stored_scores_are_those_of_teacher_forcing_and_of_ctc(models, corpus, tmp_path, name, with_lm):
    rules = DecoderOptions(max_length_ratio=0.3, ctc_weight=WEIGHT if name == "joint" else 0.3, lm_weight=0.5)
    rules = rules if with_lm else DecoderOptions(max_length_ratio=0.3, ctc_weight=rules.ctc_weight)
    options = SearchOptions(4, 4, decoder=rules, lm=models / "lm" if with_lm else None)
    store = ask(models, corpus, tmp_path / "nbest", name, options)
    model, lm = load_model(models / "joint"), load_language_model(models / "lm").model
    cuts = list(read_cuts(corpus / "cuts_dev.jsonl.gz"))
    for answer in encode_cuts(model, cuts):
        found = store.read(answer.cut.id).hypotheses
        assert len(found) >= 2
        for own in found:
            attention = forced(model.recognizer.decoder, answer.encoded, own.tokens)
            assert own.parts["attention"] == pytest.approx(attention, abs=1e-3)
            loss = torch.nn.functional.ctc_loss(
                answer.log_probs.double()[:, None], torch.tensor([own.tokens]), [len(answer.log_probs)],
                [len(own.tokens)], reduction="sum",
            )  # fmt: skip
            if name == "joint":
                assert own.parts["ctc"] == pytest.approx(-loss.item(), abs=1e-6)
                attention = WEIGHT * own.parts["ctc"] + (1 - WEIGHT) * attention
            assert own.log_prob == pytest.approx(attention, abs=1e-3)
            if with_lm:
                said = forced(lm.decoder, torch.zeros(0, 0), own.tokens)
                assert own.parts["lm"] == pytest.approx(said, abs=1e-3)
                assert own.score == pytest.approx(attention + 0.5 * said, abs=1e-3)


def test_a_contract_names_search_options_lm_and_scores(models, corpus, tmp_path):
    options = SearchOptions(3, 2, decoder=DecoderOptions(max_length_ratio=0.2, eos_factor=2.0))
    ask(models, corpus, tmp_path / "plain", "attention", options)
    plain = json.loads((tmp_path / "plain/contract.json").read_text())
    assert plain["search"] == {
        "name": "attention", "beam": 3, "num_best": 2, "max_tokens_per_frame": None, "length_norm": "none",
        "alpha": 0.6, "token_bonus": 0.0, "eos_factor": 2.0, "max_length_ratio": 0.2,
    }  # fmt: skip
    assert plain["score"].startswith("log P(token sequence and its end | audio) in nats")
    options = SearchOptions(3, 2, decoder=DecoderOptions(max_length_ratio=0.2), lm=models / "lm")
    ask(models, corpus, tmp_path / "fused", "attention", options)
    fused = json.loads((tmp_path / "fused/contract.json").read_text())
    assert fused["search"]["lm_weight"] == 0.3
    assert fused["search"]["lm"] == {"sha256": load_language_model(models / "lm").weights_sha256}
    assert json.loads((tmp_path / "fused/sources.json").read_text())["lm"] == os.path.relpath(
        models / "lm", tmp_path / "fused"
    )


def test_a_store_keeps_the_command_line_that_made_it(models, corpus, tmp_path, monkeypatch):
    monkeypatch.chdir(models)
    options = "--beam 3 --nbest 2 --search attention --lm lm --lm-weight 0.3"
    line = f"asrkd distill nbest --teacher joint --cuts {corpus / 'cuts_dev.jsonl.gz'} {options}"
    monkeypatch.setattr("sys.argv", [*line.split(), "--out", str(tmp_path / "fused"), "--jobs", "1"])
    with pytest.raises(SystemExit, match="0"):
        run()
    assert json.loads((tmp_path / "fused/sources.json").read_text())["command"] == line
    assert remake_command(tmp_path / "fused") == f"{line} --out {tmp_path / 'fused'}"


def test_a_contract_of_ctc_says_what_it_always_said(models, corpus, tmp_path):
    ask(models, corpus, tmp_path / "nbest", "prefix-beam", SearchOptions(3, 2))
    contract = json.loads((tmp_path / "nbest/contract.json").read_text())
    assert contract["search"] == {
        "name": "prefix-beam", "beam": 3, "num_best": 2, "max_tokens_per_frame": None
    }  # fmt: skip
    assert contract["score"] == "log P(token sequence | audio) in nats, over all alignments, exact"


@pytest.mark.parametrize("name", ["attention", "joint"])
def test_any_number_of_processes_stores_the_same_bytes(models, corpus, tmp_path, name):
    options = SearchOptions(3, 3, decoder=DecoderOptions(max_length_ratio=0.2))
    for jobs in (1, 2):
        question = DistillRequest(
            models / "joint",
            (corpus / "cuts_dev.jsonl.gz",),
            tmp_path / str(jobs),
            jobs=jobs,
            cuts_per_shard=2,
        )
        nbest(question, name, options, StopRequest())
    payloads = sorted(path.name for path in (tmp_path / "1").glob("shard-*.jsonl"))
    assert len(payloads) == 3
    for shard in payloads:
        assert (tmp_path / "1" / shard).read_bytes() == (tmp_path / "2" / shard).read_bytes()


def test_a_language_model_ranks_what_a_ctc_beam_holds_anew(models, corpus, tmp_path):
    options = SearchOptions(4, 4, decoder=DecoderOptions(lm_weight=0.8), lm=models / "lm")
    fused = ask(models, corpus, tmp_path / "lm", "prefix-beam", options)
    plain = ask(models, corpus, tmp_path / "plain", "prefix-beam", SearchOptions(4, 4))
    for cut in read_cuts(corpus / "cuts_dev.jsonl.gz"):
        found, expected = fused.read(cut.id).hypotheses, plain.read(cut.id).hypotheses
        assert {own.text for own in found} == {own.text for own in expected}
        scores = [own.log_prob + 0.8 * own.parts["lm"] for own in found]
        assert scores == sorted(scores, reverse=True)


def test_a_model_is_scored_by_its_decoder(models, corpus, tmp_path):
    rules = DecoderOptions(max_length_ratio=0.2, length_norm="gnmt")
    options = SearchOptions(beam=2, decoder=rules)
    cuts = corpus / "cuts_dev.jsonl.gz"
    request = ScoreRequest(models / "attention", cuts, tmp_path / "score", "attention", options)
    report = score(request, StopRequest())
    assert report.counts.num_words > 0
    written = json.loads((tmp_path / "score/score.json").read_text())
    assert written["search"]["name"] == "attention" and written["search"]["length_norm"] == "gnmt"


@pytest.mark.parametrize(
    ("model", "name", "said"),
    [
        (
            "attention",
            "prefix-beam",
            "has no CTC head, which --search prefix-beam needs; use --search attention$",
        ),
        ("attention", "joint", "has no CTC head, which --search joint needs; use --search attention$"),
        ("attention", "beam", "--search beam: expected one of greedy, prefix-beam, k2, attention, joint"),
    ],
)
def test_a_search_without_its_model_part_is_refused(models, corpus, tmp_path, model, name, said):
    with pytest.raises(AsrkdError, match=said):
        ask(models, corpus, tmp_path / "nbest", name, SearchOptions(2, 2), model)
    assert not (tmp_path / "nbest").exists()


def test_a_ctc_model_has_no_decoder_to_search(teacher, corpus, tmp_path):
    request = ScoreRequest(teacher, corpus / "cuts_dev.jsonl.gz", tmp_path / "score", "attention")
    with pytest.raises(AsrkdError, match="no attention decoder.*use --search greedy or --search prefix-beam"):
        score(request, StopRequest())
    assert not (tmp_path / "score").exists()


@pytest.mark.parametrize(
    ("name", "rules", "lm", "said"),
    [
        (
            "prefix-beam",
            {"eos_factor": 1.5},
            None,
            "--eos-factor has no effect with --search prefix-beam; remove it$",
        ),
        (
            "prefix-beam",
            {"token_bonus": 1.0},
            None,
            "--token-bonus has no effect with .* without --lm; add --lm, or remove it",
        ),
        (
            "attention",
            {"lm_weight": 0.2},
            None,
            "--lm-weight has no effect with .* without --lm; add --lm, or remove it",
        ),
        (
            "attention",
            {"ctc_weight": 0.2},
            None,
            "--ctc-weight has no effect with --search attention; remove it$",
        ),
        ("greedy", {}, "lm", "--lm .*: has no effect with --search greedy; remove it"),
        ("attention", {}, "stranger", "its tokens are not those of"),
        ("attention", {}, "none.arpa", "none.arpa: no such file"),
        ("attention", {}, "joint", "a recognizer, expected a language model"),
    ],
)
def test_unused_options_and_unfit_language_models_are_refused(models, name, rules, lm, said):
    options = SearchOptions(2, 2, decoder=DecoderOptions(**rules), lm=models / lm if lm else None)
    with pytest.raises(AsrkdError, match=said):
        search_for(load_model(models / "joint"), name, options)


def test_an_n_gram_model_of_other_words_is_reported(models, corpus, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "kenlm", FakeKenlm)
    (tmp_path / "small letters.bin").write_bytes(b"mmap lm")
    rules = DecoderOptions(max_length_ratio=0.2)
    options = SearchOptions(beam=3, num_best=2, decoder=rules, lm=tmp_path / "small letters.bin")
    store = ask(models, corpus, tmp_path / "store", "attention", options)
    found = {text for cut in read_cuts(corpus / "cuts_dev.jsonl.gz") for text in store.read(cut.id).texts}
    assert any(found)  # else there would be nothing to tell
    assert (
        capsys.readouterr().err.count("small letters.bin: its vocabulary has none of the decoded words") == 1
    )
