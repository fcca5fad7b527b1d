"""Diagnostics of stores: counted by hand and by brute force; cross-entropies against what training logged."""

import json
import math
import shutil
from itertools import accumulate

import pytest
import torch

from asrkd.commands.targets import WeighRequest, weigh
from asrkd.commands.train import TrainOptions, train
from asrkd.core import files
from asrkd.core.errors import AsrkdError
from asrkd.core.output_folder import stamp
from asrkd.core.stopping import StopRequest
from asrkd.data.cuts.manifests import read_cuts
from asrkd.evaluation.report.codebook_diagnostics import measure_codebooks
from asrkd.evaluation.report.codebook_loss import figure, measure_codebook_loss
from asrkd.evaluation.report.hidden_diagnostics import histogram as hidden_histogram
from asrkd.evaluation.report.nbest_diagnostics import histogram, measure_weights, oracle, weights
from asrkd.targets.sources.settings import WeightSettings
from asrkd.targets.store.arrays import write_array_shard
from asrkd.targets.store.hidden_statistics import measure_hidden
from asrkd.targets.store.nbest_statistics import measure_nbest
from asrkd.targets.store.used_stores import used_stores
from asrkd.training.metrics import read_metrics
from tests.nbest_lists import nbest, write_nbest_store

LISTS = [([1, 0, 2], 4), ([0, 3], 2), ([2, 2, 2, 1], 5), ([4], 4)]


def nbest_store(folder, corpus, lists):
    cuts = read_cuts(corpus / "cuts_train.jsonl.gz")[: len(lists)]
    filled = [
        nbest([f"T{n}" for n in range(len(errors or [0]))], [-1.0] * len(errors or [0]), errors, words)
        for errors, words in lists
    ]
    return write_nbest_store(folder, cuts, filled)


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 1, 0, 2], [2, 0, 3, 1]])
def test_the_oracle_of_n_is_the_best_of_the_first_n(tmp_path, corpus, order):
    lists = [LISTS[number] for number in order]
    found = measure_nbest(nbest_store(tmp_path / "nbest", corpus, lists))
    padded = [errors + [99] * (4 - len(errors)) for errors, _ in lists]
    least = [sum(column) for column in zip(*(accumulate(row, min) for row in padded), strict=True)]
    assert found.oracle_wer == pytest.approx([count / 15 for count in least])
    assert found.oracle_wer == pytest.approx([7 / 15, 6 / 15, 6 / 15, 5 / 15])
    assert found.errors == {0: 2, 1: 2, 2: 4, 3: 1, 4: 1}
    assert found.errors_of_best == {0: 1, 1: 1, 2: 1, 4: 1}
    assert (found.num_cuts, found.num_hypotheses) == (4, 10)


def test_shares_in_the_histogram_are_of_all_hypotheses(tmp_path, corpus):
    found = measure_nbest(nbest_store(tmp_path / "nbest", corpus, [([0, 30], 4), ([9, 0], 2)]))
    drawn = histogram(found)
    assert "0 errors: 50.0% of all hypotheses, 50.0% of the best ones" in drawn
    assert "8+ errors: 50.0% of all hypotheses, 50.0% of the best ones" in drawn
    assert "oracle of 2: 0.00%" in oracle(found)


def test_a_store_without_transcripts_has_no_error_counts(tmp_path, corpus):
    assert measure_nbest(nbest_store(tmp_path / "nbest", corpus, [(None, None)])) is None


def test_weights_are_counted_as_multiples_of_seq_kds(tmp_path, corpus):
    store = nbest_store(tmp_path / "nbest", corpus, [([0, 2], 4), ([4, 0, 0], 4), (None, None)])
    spread = measure_weights(store, 2, WeightSettings(beta=1))
    # exp(-.5) = .61, exp(-1) = .37; the list without a transcript has no errors to weigh it by
    assert (spread.counts[10], spread.counts[6], spread.counts[3], spread.num_hypotheses) == (2, 1, 1, 4)
    assert "weight up to ≥1: 50.0%" in weights(spread, "err-kd")
    assert measure_weights(store, 2, WeightSettings(posterior=True)).num_hypotheses == 5


def test_entropy_use_and_dead_entries_of_codebooks_by_hand(tmp_path, corpus):
    cuts = read_cuts(corpus / "cuts_train.jsonl.gz")[:2]
    folder = tmp_path / "codebook"
    quantizer = {"num_codebooks": 2, "codebook_size": 256}
    files.write_json(
        folder / "contract.json", {"kind": "codebook", "quantizer": quantizer, "frame_shift": 0.04}
    )
    arrays = [
        {"values": torch.tensor(rows, dtype=torch.uint8)} for rows in ([[0, 7], [1, 7]], [[2, 7], [255, 7]])
    ]
    path = folder / "shard-00000-of-00001.safetensors"
    write_array_shard(path, files.sha256(folder / "contract.json"), cuts, arrays)
    stamp(folder, {"num_shards": 1, "num_cuts": 2})
    first, second = measure_codebooks(folder).use
    assert (first.entropy_bits, first.used, first.largest_share) == (pytest.approx(2.0), 4, 0.25)
    assert (second.entropy_bits, second.used, second.largest_share) == (pytest.approx(0.0), 1, 1.0)
    assert first.perplexity == pytest.approx(4.0)
    assert measure_codebooks(folder).chance == pytest.approx(5.545, abs=1e-3)


@pytest.fixture(params=["independent", "joint"])
def student(request, config, stores, corpus, tmp_path):
    """Trained for three updates, and validated on the cuts of the store, so that its log has the loss."""
    objectives = (
        f"[ctc, {{codebook: {{targets: {stores}/codebook, layer: 2, delay: 1, head: {request.param}}}}}]"
    )
    overrides = [
        f"phases=[{{steps: 3, objectives: {objectives}}}]",
        f"data.dev={corpus}/cuts_train.jsonl.gz",
        "validation.every_steps=3",
    ]
    train(config, tmp_path / "student", overrides, TrainOptions("cpu", threads=1), StopRequest())
    return tmp_path / "student"


def measured(student, cuts):
    experiment = json.loads((student / "config.json").read_text())["experiment"]
    (used,) = used_stores(student).stores
    return measure_codebook_loss(student, experiment, used, cuts)


def test_codebook_cross_entropies_have_the_logged_mean(student, corpus):
    found = measured(student, read_cuts(corpus / "cuts_train.jsonl.gz"))
    logged = [record for record in read_metrics(student / "metrics.jsonl") if record["kind"] == "validation"]
    assert len(found.nats) == 2
    assert sum(found.nats) / 2 == pytest.approx(logged[-1]["loss_codebook"], rel=1e-4)
    assert found.num_cuts == 30
    drawn = figure(found, [8.0, 4.0], "Cross-entropy")
    assert f"codebook 2: {found.nats[1]:.2f} nats" in drawn
    assert f"knowing the frequencies alone {4 * math.log(2):.2f}" in drawn


def test_without_a_checkpoint_cross_entropy_is_left_out(student, corpus):
    shutil.rmtree(student / "checkpoints")
    with pytest.raises(AsrkdError, match="the checkpoint with the classifiers is no longer there"):
        measured(student, read_cuts(corpus / "cuts_dev.jsonl.gz"))


def test_a_store_of_unknown_teacher_gives_no_cross_entropy(student, corpus, stores, tmp_path):
    copied = tmp_path / "moved" / "codebook"
    shutil.copytree(stores / "codebook", copied)
    (copied / "sources.json").unlink()
    experiment = json.loads((student / "config.json").read_text())["experiment"]
    (used,) = used_stores(student).stores
    with pytest.raises(AsrkdError, match="does not record its teacher"):
        measure_codebook_loss(student, experiment, type(used)(used.name, copied, "codebook", None), [])


@pytest.fixture
def hidden_store(tmp_path, corpus):
    """Hidden states of three cuts, whose frames have means 0, 1 and -1, with their weights by hand."""
    folder, cuts = tmp_path / "hidden", read_cuts(corpus / "cuts_train.jsonl.gz")[:3]
    contract = {"kind": "hidden", "layer": 3, "tap": "before_norm", "dim": 2, "frame_shift": 0.04}
    folder.mkdir()
    files.write_json(folder / "contract.json", contract)
    frames = torch.tensor([[2.0, -2.0], [0.5, 1.5], [-3.0, 1.0]], dtype=torch.float16)
    path = folder / "shard-00000-of-00001.safetensors"
    write_array_shard(path, files.sha256(folder / "contract.json"), cuts, [{"values": frames}] * 3)
    stamp(folder, {"num_shards": 1, "num_cuts": 3})
    return folder, [1 / (1 + math.exp(-mean)) for mean in (0.0, 1.0, -1.0)]


def test_frame_weights_of_a_store_by_hand_and_their_histogram(hidden_store):
    folder, by_hand = hidden_store
    measured = measure_hidden(folder)
    assert sorted(measured.weights.tolist()) == pytest.approx(sorted(by_hand * 3), abs=1e-6)
    deviation = math.sqrt(sum((weight - 0.5) ** 2 for weight in by_hand) / 3)
    assert measured.text() == (
        f"layer 3, before_norm, 2 values a frame: frame weights 0.500 \u00b1 {deviation:.4f}, 0.269 to 0.731 "
        "for nine of ten frames (9 frames of 3 cuts)"
    )
    drawn = hidden_histogram(measured)
    assert drawn.count(": 33.3% of the frames") == 3
    assert drawn.count(": 0.0% of the frames") == 17


def test_weights_of_no_frames_and_of_nan_are_refused(tmp_path, corpus):
    for name, frames, problem in (
        ("none", torch.zeros(0, 2), "has no frames"),
        ("nan", torch.tensor([[float("inf"), -float("inf")]]), "has values that are NaN or infinite"),
    ):
        folder = tmp_path / name
        folder.mkdir()
        files.write_json(folder / "contract.json", {"kind": "hidden", "dim": 2, "frame_shift": 0.04})
        cuts = read_cuts(corpus / "cuts_train.jsonl.gz")[:1]
        path = folder / "shard-00000-of-00001.safetensors"
        write_array_shard(path, files.sha256(folder / "contract.json"), cuts, [{"values": frames.half()}])
        stamp(folder, {"num_shards": 1, "num_cuts": 1})
        with pytest.raises(
            AsrkdError, match=f"{folder}: {problem}; .* --dtype float32, and make it again: rm"
        ):
            weigh(WeighRequest(folder))


def test_weights_of_what_has_none_are_refused_by_its_kind(stores, tmp_path):
    with pytest.raises(
        AsrkdError, match="holds 'codebook' targets, which have no weights; expected 'nbest' or"
    ):
        weigh(WeighRequest(stores / "codebook"))
    with pytest.raises(AsrkdError, match="absent: no such store; make one with: asrkd distill nbest"):
        weigh(WeighRequest(tmp_path / "absent"))


def test_targets_weights_shows_frame_weights_and_refuses_settings_of_hypotheses(hidden_store):
    folder, _ = hidden_store
    assert weigh(WeighRequest(folder)).startswith(
        f"{folder}: layer 3, before_norm, 2 values a frame: frame weights"
    )
    for settings, option in (({"betas": (1.0,)}, "--beta"), ({"overrides": ("num_hypotheses=2",)}, "--set")):
        with pytest.raises(AsrkdError, match=f"{option}: no effect on .*, which holds hidden states"):
            weigh(WeighRequest(folder, **settings))
