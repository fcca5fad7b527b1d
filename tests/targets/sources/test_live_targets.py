"""Teachers asked while the student is trained: as good as a store, and no trace of them."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from asrkd.commands import check, distill
from asrkd.commands.distill_request import DistillRequest
from asrkd.commands.train import TrainOptions, train
from asrkd.core.errors import AsrkdError, StoppedInTime
from asrkd.core.stopping import StopRequest
from asrkd.data.cuts.manifests import read_cuts
from asrkd.targets.sources.codebook import CodebookSource, codebook_source
from asrkd.targets.sources.settings import LiveTargets
from asrkd.training.metrics import read_metrics

STEPS = 4
ALONE = TrainOptions("cpu", threads=1)
EMBEDDING = "[ctc, {embedding: {targets: taught, layer: 2, tap: before_norm, scale: 0.5}}]"
CODEBOOK = "[ctc, {codebook: {targets: taught, layer: 1, scale: 0.5}}]"


class StopAfterSteps(StopRequest):
    """Asks to stop after so many updates."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.left = steps

    def reason(self) -> str | None:
        self.left -= 1
        return "a test" if self.left == 0 else None


@pytest.fixture(scope="module")
def hidden(teacher: Path, corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hidden states of layer 2, in float32, of the training cuts."""
    out = tmp_path_factory.mktemp("hidden") / "hidden"
    distill.hidden(
        DistillRequest(teacher, (corpus / "cuts_train.jsonl.gz",), out), 2, "float32", StopRequest()
    )
    return out


def student(
    config: Path,
    out: Path,
    objectives: str,
    taught: object,
    options: TrainOptions = ALONE,
    stop: StopRequest | None = None,
) -> Path:
    """Train for four updates, the second half of them with the targets called ``taught``."""
    phases = f"phases=[{{steps: 2, objectives: [ctc]}}, {{steps: {STEPS - 2}, objectives: {objectives}}}]"
    overrides = [phases, f"stores={json.dumps({'taught': taught})}", "validation.every_steps=2"]
    train(config, out, overrides, options, stop or StopRequest())
    return out


def weights(out: Path) -> bytes:
    return (out / "model.safetensors").read_bytes()


def asked(teacher: Path, **more: object) -> dict[str, object]:
    return {"teacher": str(teacher)} | more


def test_hidden_states_asked_for_teach_what_stored_ones_teach(config, teacher, hidden, tmp_path):
    """The student's input is masked, the teacher's is not, or the two could not agree."""
    stored = student(config, tmp_path / "stored", EMBEDDING, str(hidden))
    live = student(config, tmp_path / "live", EMBEDDING, asked(teacher, layer=2))
    assert weights(stored) == weights(live)
    losses = [_logged(out, "loss_embedding") for out in (stored, live)]
    assert losses[0] == losses[1] and len(losses[0]) == 1


def test_live_codebook_indexes_equal_the_stores(config, teacher, stores, corpus, tmp_path):
    cuts = read_cuts(corpus / "cuts_train.jsonl.gz")[3:9]
    live = codebook_source(LiveTargets(teacher=str(teacher), quantizer=str(stores / "quantizer")))
    stored = CodebookSource(str(stores / "codebook"))
    found, expected = live.finish(live.fetch(cuts).to(torch.device("cpu"))), stored.fetch(cuts)
    assert torch.equal(found.values, expected.values)
    assert torch.equal(found.num_frames, expected.num_frames)
    assert found.frame_shift == expected.frame_shift
    spec = asked(teacher, quantizer=str(stores / "quantizer"))
    one = student(config, tmp_path / "stored", CODEBOOK, str(stores / "codebook"))
    other = student(config, tmp_path / "live", CODEBOOK, spec)
    assert weights(one) == weights(other)


@pytest.mark.slow
def test_workers_and_stops_do_not_change_live_targets(config, teacher, tmp_path):
    spec = asked(teacher, layer=2)
    whole = student(config, tmp_path / "whole", EMBEDDING, spec)
    workers = TrainOptions("cpu", threads=1, workers=2)
    assert weights(student(config, tmp_path / "workers", EMBEDDING, spec, workers)) == weights(whole)
    again = TrainOptions("cpu", threads=1, resume=True)
    with pytest.raises(StoppedInTime):
        student(config, tmp_path / "stopped", EMBEDDING, spec, again, StopAfterSteps(3))
    assert weights(student(config, tmp_path / "stopped", EMBEDDING, spec, again)) == weights(whole)


def test_a_live_teacher_leaves_no_weights_and_its_hash(config, teacher, stores, tmp_path):
    spec = asked(teacher, quantizer=str(stores / "quantizer"))
    live = student(config, tmp_path / "live", CODEBOOK, spec)
    stored = student(config, tmp_path / "stored", CODEBOOK, str(stores / "codebook"))
    last = f"checkpoints/step-{STEPS:08d}.safetensors"
    names = [
        [key.replace("codebook-teacher", "codebook") for key in _keys(run / last)] for run in (live, stored)
    ]
    assert sorted(names[0]) == sorted(names[1])
    assert _keys(live / "model.safetensors") == _keys(stored / "model.safetensors")
    lineage = json.loads((live / "lineage.json").read_text())
    assert list(lineage["live_targets"]["teachers"]) == [str(teacher)]
    assert list(lineage["live_targets"]["quantizers"]) == [str(stores / "quantizer")]
    assert "live_targets" not in json.loads((stored / "lineage.json").read_text())


def test_a_changed_live_teacher_blocks_resume_and_is_stale(config, teacher, retouched, tmp_path):
    own = tmp_path / "teacher"
    shutil.copytree(teacher, own)
    out, spec = tmp_path / "student", asked(own, layer=2)
    with pytest.raises(StoppedInTime):
        student(config, out, EMBEDDING, spec, stop=StopAfterSteps(3))
    shutil.copy(retouched / "model.safetensors", own / "model.safetensors")
    with pytest.raises(AsrkdError, match="live_targets"):
        student(config, out, EMBEDDING, spec, TrainOptions("cpu", threads=1, resume=True))
    shutil.copy(teacher / "model.safetensors", own / "model.safetensors")
    student(config, out, EMBEDDING, spec, TrainOptions("cpu", threads=1, resume=True))
    shutil.copy(retouched / "model.safetensors", own / "model.safetensors")
    problems = check.check(out, deep=False).problems
    assert any(f"stale: {own}/model.safetensors has changed since" in str(problem) for problem in problems)


@pytest.mark.parametrize(
    ("objectives", "spec", "complaint"),
    [
        (EMBEDDING, {"layer": 2, "teacher": "/nowhere"}, "/nowhere: no such model folder"),
        (EMBEDDING, {}, "expected a layer of the teacher; add layer"),
        (EMBEDDING, {"layer": 9}, "layer 9: the encoder has layers 1 to 2"),
        (
            EMBEDDING,
            {"layer": 2, "quantizer": "QUANTIZER"},
            "a quantizer is for .* codebook alone",
        ),
        (EMBEDDING, {"layr": 2}, "unknown key; did you mean 'layer'"),
        (CODEBOOK, {}, "expected a quantizer beside the teacher; make one with: asrkd distill quantizer"),
        (CODEBOOK, {"quantizer": "QUANTIZER", "layer": 1}, "layer 1, but .* is of layer 2"),
        (CODEBOOK, {"quantizer": "QUANTIZER", "teacher": "RETOUCHED"}, "was trained on another teacher"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused_in_a_line(
    config, teacher, retouched, stores, tmp_path, objectives, spec, complaint
):
    places = {"QUANTIZER": str(stores / "quantizer"), "RETOUCHED": str(retouched)}
    spec = asked(teacher) | {key: places.get(value, value) for key, value in spec.items()}
    with pytest.raises(AsrkdError, match=complaint):
        student(config, tmp_path / "student", objectives, spec)
    assert not (tmp_path / "student").exists()


def test_dev_cuts_missing_in_a_store_are_decoded_live(config, teacher, stores, corpus, tmp_path):
    both = tuple(corpus / f"cuts_{split}.jsonl.gz" for split in ("train", "dev"))
    distill.codebook(
        DistillRequest(teacher, both, tmp_path / "codebook"), stores / "quantizer", StopRequest()
    )
    runs = [
        student(config, tmp_path / f"by-{store.parent.name}", CODEBOOK, str(store))
        for store in (stores / "codebook", tmp_path / "codebook")
    ]
    losses = [_logged(out, "loss_codebook") for out in runs]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    assert len(losses[0]) == 1 and 0 < losses[0][0] < 10
    assert weights(runs[0]) == weights(runs[1])


def test_without_the_teacher_the_missing_dev_loss_is_explained(config, stores, tmp_path, capfd):
    shutil.copytree(stores / "codebook", tmp_path / "elsewhere/codebook")
    (tmp_path / "elsewhere/codebook/sources.json").unlink()
    out = student(config, tmp_path / "student", CODEBOOK, str(tmp_path / "elsewhere/codebook"))
    assert _logged(out, "loss_codebook") == []
    said = [line for line in capfd.readouterr().err.splitlines() if "no loss of codebook on dev cuts" in line]
    assert len(said) == 1 and "does not record its teacher" in said[0]


def _logged(out: Path, key: str) -> list[float]:
    """A figure of every validation that has it, whatever the targets are called."""
    records = [record for record in read_metrics(out / "metrics.jsonl") if record["kind"] == "validation"]
    return [value for record in records for name, value in record.items() if name.split("-")[0] == key]


def _keys(path: Path) -> list[str]:
    with safe_open(str(path), framework="pt") as stream:
        return sorted(stream.keys())
