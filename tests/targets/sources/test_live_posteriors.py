"""Posteriors of a store and of its teacher beside the student: one loss, one student, one set of refusals."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from asrkd.commands import check, distill
from asrkd.commands.distill_request import DistillRequest
from asrkd.commands.train import TrainOptions, train
from asrkd.core.errors import AsrkdError
from asrkd.core.stopping import StopRequest
from asrkd.data.cuts.manifests import read_cuts
from asrkd.data.tokens import Tokens, train_char
from asrkd.models.directory import load_model
from asrkd.models.encoder import Tap
from asrkd.models.inference import encode_cuts
from asrkd.models.recognizer import RecognizerOutput
from asrkd.objectives.kl import Kl, KlConfig
from asrkd.objectives.representation import Representation, RepresentationConfig
from asrkd.objectives.softmax import Softmax, SoftmaxConfig
from asrkd.targets.posteriors import TopK
from asrkd.targets.sources.dense import hidden_source, posterior_source
from asrkd.targets.sources.settings import LiveTargets
from asrkd.targets.store.arrays import ArrayStore
from asrkd.training.metrics import read_metrics

OBJECTIVES = "[ctc, {softmax: {targets: taught, scale: 0.5}}]"


def distilled(teacher: Path, corpus: Path, out: Path, top_k: TopK, dtype: str) -> str:
    request = DistillRequest(teacher, (corpus / "cuts_train.jsonl.gz",), out, cuts_per_shard=12)
    distill.posterior(request, top_k, dtype, StopRequest())
    return str(out)


def student(config: Path, out: Path, taught: object, objectives: str = OBJECTIVES) -> Path:
    overrides = [
        f"phases=[{{steps: 3, objectives: {objectives}}}]",
        f"stores={json.dumps({'taught': taught})}",
        "validation.every_steps=3",
    ]
    train(config, out, overrides, TrainOptions("cpu", threads=1), StopRequest())
    return out


def logged(out: Path, key: str) -> list[float]:
    records = [record for record in read_metrics(out / "metrics.jsonl") if record["kind"] == "validation"]
    return [value for record in records for name, value in record.items() if name.split("-")[0] == key]


def targets_of(source, cuts):
    return source.finish(source.fetch(cuts).to(torch.device("cpu")))


def test_a_full_store_holds_all_log_probabilities_in_order_and_no_tokens(teacher, corpus, tmp_path):
    store = ArrayStore(Path(distilled(teacher, corpus, tmp_path / "all", "all", "float32")), "posterior")
    model = load_model(teacher)
    assert store.contract["top_k"] == "all"
    assert store.contract["num_tokens"] == model.tokens.size
    for outputs in encode_cuts(model, read_cuts(corpus / "cuts_train.jsonl.gz")[10:14]):
        kept = store.read_all(outputs.cut.id)
        assert list(kept) == ["values"]
        assert torch.equal(kept["values"], outputs.log_probs)
    assert check.check(tmp_path / "all").problems == ()


def test_a_full_store_is_half_as_large_as_one_of_as_many_ranked_tokens(teacher, corpus, tmp_path):
    ranked, full = (
        Path(distilled(teacher, corpus, tmp_path / str(top_k), top_k, "float16")) for top_k in (99, "all")
    )
    num_bytes = [sum(path.stat().st_size for path in store.glob("*.safetensors")) for store in (ranked, full)]
    num_tokens = load_model(teacher).tokens.size
    expected = (2 * num_tokens + 2 * (num_tokens + 1)) / (2 * num_tokens)  # two bytes each, and the tail's
    assert num_bytes[0] / num_bytes[1] == pytest.approx(expected, rel=0.01)


def test_losses_of_stores_are_those_of_the_live_teacher_and_of_the_paper(teacher, corpus, tmp_path):
    tokens, cuts = Tokens.load(corpus), read_cuts(corpus / "cuts_train.jsonl.gz")[:5]
    answers = [outputs.log_probs for outputs in encode_cuts(load_model(teacher), cuts)]
    generator = torch.Generator().manual_seed(7)
    logits = torch.randn(5, max(map(len, answers)), tokens.size, generator=generator)
    output = RecognizerOutput(logits, torch.tensor([len(frames) for frames in answers]), {})
    total = 0.0
    for row, frames in zip(logits, answers, strict=True):
        for one, other in zip(row.double(), frames.double(), strict=False):
            total += sum(
                (p - q) ** 2
                for p, q in zip(one.softmax(-1).tolist(), other.softmax(-1).tolist(), strict=True)
            )
    learner = SimpleNamespace(frame_shift=0.04, has_ctc=True)
    for top_k, dtype in (("all", "float16"), (99, "float16"), ("all", "float32")):
        store = distilled(teacher, corpus, tmp_path / f"{top_k}-{dtype}", top_k, dtype)
        stored = posterior_source(store, tokens)
        live = posterior_source(LiveTargets(teacher=str(teacher)), tokens)
        losses = [
            float(objective(output, targets_of(source, cuts)))
            for objective in (
                Softmax(SoftmaxConfig(targets=""), live, learner),
                Kl(KlConfig(targets=""), live, learner),
            )
            for source in (stored, live)
        ]
        assert losses[0] == pytest.approx(losses[1], rel=1e-3)
        assert losses[1] == pytest.approx(total, rel=1e-5)
        assert losses[2] == pytest.approx(losses[3], rel=1e-3)


def test_the_representation_loss_of_a_half_precision_store_is_that_of_the_live_teacher(
    teacher, corpus, tmp_path
):
    cuts = read_cuts(corpus / "cuts_train.jsonl.gz")
    distill.hidden(
        DistillRequest(teacher, (corpus / "cuts_train.jsonl.gz",), tmp_path / "hidden"),
        2, "float16", StopRequest(),
    )  # fmt: skip
    sources = [
        hidden_source(str(tmp_path / "hidden")), hidden_source(LiveTargets(teacher=str(teacher), layer=2))
    ]  # fmt: skip
    model = load_model(teacher).recognizer
    settings = RepresentationConfig(targets="store", layer=1)
    torch.manual_seed(1)
    objective = Representation(settings, sources[0], model)
    counts = targets_of(sources[1], cuts[:6]).num_frames
    layer = torch.randn(6, int(counts.max()), 16, generator=torch.Generator().manual_seed(2))
    output = RecognizerOutput(torch.zeros(()), counts, {Tap(1): layer})
    losses = [float(objective(output, targets_of(source, cuts[:6]))) for source in sources]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_a_student_of_a_store_is_the_live_teachers(config, teacher, corpus, tmp_path):
    store = distilled(teacher, corpus, tmp_path / "posterior", "all", "float32")
    runs = [
        student(config, tmp_path / name, taught)
        for name, taught in (("stored", store), ("live", {"teacher": str(teacher)}))
    ]
    weights = [(run / "model.safetensors").read_bytes() for run in runs]
    assert weights[0] == weights[1]
    losses = [logged(run, "loss_softmax") for run in runs]
    assert losses[0] == losses[1] != []
    lineage = json.loads((tmp_path / "live/lineage.json").read_text())
    assert list(lineage["live_targets"]["teachers"]) == [str(teacher)]


def test_dev_cuts_missing_in_a_store_get_its_tokens_live(config, teacher, corpus, tmp_path):
    some = distilled(teacher, corpus, tmp_path / "some/posterior", 2, "float32")
    both = tuple(corpus / f"cuts_{split}.jsonl.gz" for split in ("train", "dev"))
    distill.posterior(DistillRequest(teacher, both, tmp_path / "both/posterior"), 2, "float32", StopRequest())
    losses = [
        logged(student(config, tmp_path / f"by-{number}", store), "loss_softmax")
        for number, store in enumerate((some, str(tmp_path / "both/posterior")))
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    assert 0 < losses[0][0] < 2


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"teacher": "/nowhere"}, "/nowhere: no such model folder"),
        ({"layer": 1}, "targets of .*: layer has no effect on posteriors; remove it"),
        ({"tap": "after_norm"}, "targets of .*: tap has no effect on posteriors; remove it"),
        ({"quantizer": "QUANTIZER"}, "targets of .*: quantizer has no effect on posteriors; remove it"),
        ({"resample": True}, "--resample: .* reads stored features, not audio; remove it"),
    ],
)
def test_live_settings_without_sense_are_refused_in_a_line(
    config, teacher, stores, tmp_path, changes, complaint
):
    places = {"QUANTIZER": str(stores / "quantizer")}
    changes = {key: places.get(value, value) for key, value in changes.items()}
    with pytest.raises(AsrkdError, match=complaint) as refusal:
        student(config, tmp_path / "student", {"teacher": str(teacher)} | changes)
    assert "\n" not in str(refusal.value)
    assert not (tmp_path / "student").exists()


def test_a_layer_that_a_live_teacher_lacks_is_refused_by_its_keys(teacher):
    with pytest.raises(AsrkdError, match="^targets of .*: layer 9: the encoder has layers 1 to 2"):
        hidden_source(LiveTargets(teacher=str(teacher), layer=9))


def test_a_live_teacher_of_other_tokens_or_of_none_is_refused(teacher, tmp_path):
    train_char(["NO YES ON OFF XYZ"]).save(tmp_path)
    tokens = Tokens.load(tmp_path)
    with pytest.raises(AsrkdError, match="targets of .*: its posteriors are over other tokens"):
        posterior_source(LiveTargets(teacher=str(teacher)), tokens)
    with pytest.raises(AsrkdError, match="probabilities of tokens need a model trained by asrkd"):
        posterior_source(LiveTargets(teacher="torchaudio:HUBERT_BASE"), tokens)  # before it is fetched
