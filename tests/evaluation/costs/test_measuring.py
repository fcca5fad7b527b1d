"""Time and memory: systems take turns, medians count, and a process has what its model weighs."""

from pathlib import Path

import pytest
import torch
from lhotse import MonoCut, Recording
from safetensors.torch import save_file

from asrkd.core.errors import AsrkdError
from asrkd.data.cuts.manifests import read_cuts
from asrkd.data.features.reading import load_features
from asrkd.evaluation.costs import peak_memory, real_time
from asrkd.evaluation.costs.measuring import measure_costs, spread_by_duration
from asrkd.evaluation.costs.multiply_adds import count_multiply_adds
from asrkd.evaluation.costs.peak_memory import measure_memory
from asrkd.evaluation.costs.real_time import computing_seconds, recognize
from asrkd.models.config import Architecture
from asrkd.models.directory import load_model, save_model
from asrkd.models.recognizer import Recognizer


def test_systems_take_turns_and_the_median_round_counts(monkeypatch):
    clock, calls = [0.0], []
    taken = {"slow": iter([9, 9] + [5, 5] + [1, 1] + [30, 30]), "quick": iter([9, 9] + [1, 2] * 3)}

    def recognized(model: str, features: str) -> None:
        calls.append((model, features))
        clock[0] += next(taken[model])

    monkeypatch.setattr(real_time, "recognize", recognized)
    monkeypatch.setattr(real_time, "perf_counter", lambda: clock[0])
    found = computing_seconds({"slow": "slow", "quick": "quick"}, ["a", "b"], repeats=3)
    assert found == {"slow": 10, "quick": 3}  # rounds of 10, 2 and 60; the first one is not counted
    assert [features for _, features in calls] == ["a", "a", "b", "b"] * 4
    assert [model for model, _ in calls[:4]] == ["slow", "quick", "quick", "slow"]


def test_cuts_are_chosen_from_the_shortest_to_the_longest():
    recording = Recording("r", [], 8000, 8000 * 200, 200.0)
    cuts = [MonoCut(str(n), 0.0, 1.0 + n * 7 % 101, 0, recording=recording) for n in range(101)]
    assert [cut.duration for cut in spread_by_duration(cuts, 5)] == [1, 26, 51, 76, 101]
    assert [cut.duration for cut in spread_by_duration(cuts[:3], 5)] == [1, 8, 15]


def test_multiply_adds_are_those_of_all_cuts_over_their_seconds(teacher, corpus):
    costs, protocol = measure_costs({"t": teacher}, corpus / "cuts_dev.jsonl.gz")
    model, cuts = load_model(teacher), read_cuts(corpus / "cuts_dev.jsonl.gz")
    total = sum(
        count_multiply_adds(lambda cut=cut: recognize(model, load_features(cut))).total for cut in cuts
    )
    assert protocol.audio_seconds == pytest.approx(sum(cut.duration for cut in cuts))
    assert costs["t"].multiply_adds_per_second == pytest.approx(total / protocol.audio_seconds)
    assert "6 of the cuts" in protocol.text()


def test_what_was_timed_is_what_score_recognizes(teacher, corpus):
    from asrkd.decoding.greedy import ctc_best_paths
    from asrkd.models.inference import encode_cuts

    model, cuts = load_model(teacher), read_cuts(corpus / "cuts_dev.jsonl.gz")
    for answer in encode_cuts(model, cuts):
        (tokens,) = ctc_best_paths(answer.log_probs[None], torch.tensor([len(answer.log_probs)]))
        assert recognize(model, load_features(answer.cut)) == model.tokens.decode(tokens)


@pytest.mark.slow
def test_a_model_of_a_hundred_megabytes_takes_as_much_more(teacher, tmp_path):
    """Weights are read once and copied once into the model: between one and three times their size."""
    small = load_model(teacher)
    described = small.architecture.model_dump(mode="json")
    described["conformer"] |= {"dim": 768, "feed_forward_dim": 6144}
    architecture = Architecture.model_validate(described)
    weights = Recognizer(architecture).state_dict()
    size = sum(value.numel() * 4 for value in weights.values())
    assert size > 1e8
    save_model(tmp_path / "big", architecture, weights, small.tokens, {})
    utterances = [torch.zeros(40, 8), torch.ones(24, 8)]
    little, much = measure_memory(teacher, utterances), measure_memory(tmp_path / "big", utterances)
    assert size < much.peak - little.peak < 3 * size
    assert abs(much.idle - little.idle) < 2e7
    assert little.idle < little.peak < little.idle + 1e8


def test_what_the_process_complains_of_is_passed_on(teacher, tmp_path):
    with pytest.raises(AsrkdError, match="nowhere: memory cannot be measured: .*no such model folder"):
        measure_memory(tmp_path / "nowhere", [torch.zeros(40, 8)])


def test_without_proc_the_peak_is_asked_of_the_system(monkeypatch, teacher, tmp_path):
    monkeypatch.setattr(peak_memory, "STATUS", Path("/nowhere"))
    save_file({"a": torch.zeros(24, 8)}, str(tmp_path / "features.safetensors"))
    found = peak_memory._recognize_all(teacher, tmp_path / "features.safetensors")
    assert found.peak >= found.idle > 1e7
