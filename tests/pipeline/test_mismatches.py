"""Ways in which a store and the cuts of a run can fail to match: each stops it before step 1."""

import gzip
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from lhotse import MonoCut

from asrkd.commands.train import TrainOptions, train
from asrkd.core.errors import AsrkdError
from asrkd.core.stopping import StopRequest
from asrkd.data.cuts.manifests import read_cuts, write_cuts
from asrkd.targets.store.arrays import ArrayStore

OBJECTIVES = {
    "nbest": "[{{ctc: {{targets: {0}/nbest}}}}]",
    "codebook": "[{{codebook: {{targets: {0}/codebook, layer: 1}}}}]",
}
both = pytest.mark.parametrize("kind", OBJECTIVES)


def start(config: Path, stores: Path, kind: str, out: Path, cuts: Path | None = None) -> None:
    overrides = [f"phases=[{{steps: 2, objectives: {OBJECTIVES[kind].format(stores)}}}]"]
    overrides += [] if cuts is None else [f"data.train={cuts}"]
    train(config, out, overrides, TrainOptions("cpu", threads=1), StopRequest())


def refused(config: Path, stores: Path, kind: str, tmp_path: Path, cuts: Path | None = None) -> str:
    """The one line that a training is refused with, having written nothing."""
    with pytest.raises(AsrkdError) as error:
        start(config, stores, kind, tmp_path / "run", cuts)
    assert not (tmp_path / "run").exists()
    assert "\n" not in str(error.value)
    return str(error.value)


def named(cut: MonoCut, other: MonoCut) -> MonoCut:
    """``other`` under the name of ``cut``, its features and words as they were: only the audio is another."""
    return replace(other, id=cut.id, features=cut.features, supervisions=cut.supervisions)


def shifted(cut: MonoCut) -> MonoCut:
    assert cut.recording is not None
    return replace(cut, recording=replace(cut.recording, id="another-recording"))


# What happens to cut 7, given the list.
AUDIO: dict[str, Callable[[list[MonoCut]], MonoCut]] = {
    "speed": lambda cuts: _prepared_anew(cuts[7], replace(cuts[7]).perturb_speed(1.1)),
    "speed, of the same length": lambda cuts: _of_length(cuts[7]),
    "volume": lambda cuts: named(cuts[7], replace(cuts[7]).perturb_volume(2.0)),
    "resampling": lambda cuts: named(cuts[7], cuts[7].drop_features().resample(16000)),
    "truncation": lambda cuts: cuts[7].truncate(duration=cuts[7].duration - 0.04, preserve_id=True),
    "a later start": lambda cuts: cuts[7].truncate(offset=0.04, preserve_id=True),
    "another recording": lambda cuts: shifted(cuts[7]),
    "other samples in the file": lambda cuts: replace(cuts[7], custom={"audio_sha256": "f" * 64}),
    "another channel": lambda cuts: replace(cuts[7], channel=1),
}


def _prepared_anew(cut: MonoCut, other: MonoCut) -> MonoCut:
    """``other`` under the name of ``cut``, with features of its own length."""
    num_frames = round(other.duration * 100)
    features = replace(cut.features, num_frames=num_frames, duration=other.duration)
    return replace(other, id=cut.id, features=features)


def _of_length(cut: MonoCut) -> MonoCut:
    """Perturbed by 1.1 and as long as the original was, the hash kept: what only the transforms tell."""
    faster = replace(cut).perturb_speed(1.1)  # lhotse takes the features from the cut that it is called on
    assert faster.recording is not None
    recording = replace(
        faster.recording, num_samples=cut.recording.num_samples, duration=cut.recording.duration
    )
    return replace(cut, recording=recording)


@both
@pytest.mark.parametrize("change", AUDIO)
def test_a_cut_of_other_audio_is_named_with_what_was_expected(config, stores, corpus, tmp_path, kind, change):
    cuts = list(read_cuts(corpus / "cuts_train.jsonl.gz"))
    cuts[7] = AUDIO[change](cuts)
    write_cuts(tmp_path / "cuts.jsonl.gz", cuts)
    message = refused(config, stores, kind, tmp_path, tmp_path / "cuts.jsonl.gz")
    # Of another rate the features differ too, and that is found first.
    if change != "resampling":
        assert f"{stores / kind}: the targets of cut train-007 were made of other audio (digest " in message
        assert f"rm -r {stores / kind} && asrkd distill {kind} --teacher" in message


@both
def test_two_cuts_that_changed_places_are_found(config, stores, corpus, tmp_path, kind):
    cuts = list(read_cuts(corpus / "cuts_train.jsonl.gz"))
    cuts[3], cuts[4] = replace(cuts[4], id=cuts[3].id), replace(cuts[3], id=cuts[4].id)
    write_cuts(tmp_path / "cuts.jsonl.gz", cuts)
    message = refused(config, stores, kind, tmp_path, tmp_path / "cuts.jsonl.gz")
    assert "the targets of cut train-003 were made of other audio" in message


@both
def test_a_cut_without_targets_is_named(config, stores, corpus, tmp_path, kind):
    cuts = list(read_cuts(corpus / "cuts_train.jsonl.gz"))
    write_cuts(tmp_path / "cuts.jsonl.gz", [*cuts, replace(cuts[0], id="stranger")])
    message = refused(config, stores, kind, tmp_path, tmp_path / "cuts.jsonl.gz")
    assert f"{stores / kind}: no targets for cut stranger; " in message


@pytest.fixture
def copied(stores, teacher, tmp_path) -> Path:
    """Stores of one's own, beside the teacher that they name."""
    shutil.copytree(teacher.parent, tmp_path / teacher.parent.name)
    return Path(shutil.copytree(stores, tmp_path / stores.name))


def rewrite_index(index: Path, change: Callable[[dict[str, object]], None], row: int) -> None:
    with gzip.open(index, "rt") as stream:
        rows = [json.loads(line) for line in stream]
    change(rows[row])
    with gzip.open(index, "wt") as stream:
        stream.writelines(json.dumps(row) + "\n" for row in rows)


def test_a_number_of_frames_outside_the_rule_is_named_by_cut(config, copied, tmp_path):
    frames = ArrayStore(copied / "codebook", "codebook").entry("train-002")[1].length
    index = copied / "codebook/shard-00000-of-00003.index.jsonl.gz"
    rewrite_index(index, lambda row: row.update(length=frames - 1), 3)
    message = refused(config, copied, "codebook", tmp_path)
    assert f"the targets of cut train-002 have {frames - 1} frames, expected {frames} for " in message


@both
@pytest.mark.parametrize("change", ["teacher", "quantizer"])
def test_a_shard_of_another_teacher_or_quantizer_is_named(config, copied, tmp_path, kind, change):
    other = Path(shutil.copytree(copied / kind, tmp_path / "other"))
    contract = json.loads((other / "contract.json").read_text())
    contract[change] = {"sha256": "another", "weights_sha256": "another"}
    (other / "contract.json").write_text(json.dumps(contract))
    from asrkd.core import files

    for path in sorted(other.glob("*.index.jsonl.gz")):
        rewrite_index(path, lambda row: row.update(contract=files.sha256(other / "contract.json")), 0)
    for path in other.glob("shard-00001-*"):
        shutil.copy(path, copied / kind / path.name)
    message = refused(config, copied, kind, tmp_path)
    assert "shard-00001-of-00003" in message
    assert "made under another contract" in message
    assert "another teacher, quantizer or search (its first cut: train-012)" in message


@both
def test_a_stale_store_can_be_kept_by_an_option(config, copied, retouched, teacher, tmp_path, kind):
    weights = tmp_path / teacher.parent.name / "teacher/model.safetensors"
    shutil.copy(retouched / "model.safetensors", weights)
    message = refused(config, copied, kind, tmp_path)
    assert f"{copied / kind}: stale: its teacher {weights.parent} has changed since" in message
    assert f"(or keep it: rm {copied / kind / 'sources.json'})" in message
    (copied / kind / "sources.json").unlink()
    start(config, copied, kind, tmp_path / "run")


def test_an_unspellable_hypothesis_is_named_by_cut(config, stores, corpus, tmp_path):
    from asrkd.data.tokens import train_char

    texts = [cut.supervisions[0].text for cut in read_cuts(corpus / "cuts_train.jsonl.gz")]
    tokens = tmp_path / "tokens"
    train_char(["NYE S"]).save(tokens)
    assert any("O" in text for text in texts)
    cuts = [replace(cut) for cut in read_cuts(corpus / "cuts_dev.jsonl.gz")]
    for cut in cuts:
        cut.supervisions[0].text = "YES"
    write_cuts(tmp_path / "dev.jsonl.gz", cuts)
    with pytest.raises(AsrkdError, match=r"cut train-\d+: .*'O'"):
        train(
            config,
            tmp_path / "run",
            [
                f"phases=[{{steps: 2, objectives: {OBJECTIVES['nbest'].format(stores)}}}]",
                f"data.tokens={tokens}",
                f"data.dev={tmp_path}/dev.jsonl.gz",
            ],
            TrainOptions("cpu", threads=1),
            StopRequest(),
        )
    assert not (tmp_path / "run").exists()


@both
def test_incomplete_and_unfinished_stores_are_refused(config, copied, tmp_path, kind):
    (copied / kind / "stamp.json").unlink()
    assert f"unfinished (no stamp.json); finish it with: asrkd distill {kind}" in refused(
        config, copied, kind, tmp_path
    )
