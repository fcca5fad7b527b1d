"""What a store says of itself: whose answers, to what, and nothing that changes between equal runs."""

import json
from dataclasses import replace

import pytest
import torch

from asrkd.core import files
from asrkd.data.cuts.manifests import read_cuts
from asrkd.data.cuts.records import cut_digest
from asrkd.data.tokens import Tokens
from asrkd.models.directory import load_model
from asrkd.models.frame_timing import expected_frames
from asrkd.targets.store.contract import contract
from asrkd.teachers.asrkd_model import AsrkdTeacher
from asrkd.teachers.loading import open_teacher


def test_it_names_teacher_weights_and_cut_digests(teacher, corpus):
    cuts = list(read_cuts(corpus / "cuts_dev.jsonl.gz"))
    found = contract("nbest", open_teacher(teacher), cuts, {"search": {"name": "greedy"}})
    assert found["kind"] == "nbest"
    assert found["search"] == {"name": "greedy"}
    assert found["teacher"]["weights_sha256"] == files.sha256(teacher / "model.safetensors")
    assert found["teacher"]["tokens"] == Tokens.load(corpus).identity()
    assert found["cuts"] == {"count": 6, "digest": files.sha256_of([cut_digest(cut) for cut in cuts])}
    assert found["features"] == {
        "type": "kaldi-fbank", "num_features": 8, "frame_shift": 0.01, "sampling_rate": 8000,
    }  # fmt: skip
    assert found["frame_shift"] == 0.04
    assert found["computed_with"]["torch"] == torch.__version__
    assert found["computed_with"]["device"] == "cpu"


def test_the_length_rule_is_what_the_encoder_does(teacher, corpus):
    model, cuts = load_model(teacher), list(read_cuts(corpus / "cuts_dev.jsonl.gz"))
    agreed = contract("hidden", AsrkdTeacher(model), cuts, {})
    for num_frames in range(1, 40):
        output = model.recognizer(torch.zeros(1, num_frames, 8), torch.tensor([num_frames]))
        assert output.num_frames.tolist() == [expected_frames(agreed, num_frames / 100, 8000)]


@pytest.mark.parametrize("rule", [None, "ceil(feature frames / 4)", {"of": "samples", "divisor": 320}])
def test_a_length_rule_that_is_not_known_expects_nothing(rule):
    assert expected_frames({"length_rule": rule}, 1.0, 8000) is None


def test_equal_requests_have_equal_contracts_without_paths(teacher, corpus):
    model, cuts = open_teacher(teacher), list(read_cuts(corpus / "cuts_dev.jsonl.gz"))
    retouched = AsrkdTeacher(replace(load_model(teacher), weights_sha256="0"))
    first = contract("nbest", model, cuts, {"beam": 4})
    assert contract("nbest", model, cuts, {"beam": 4}) == first
    assert str(corpus.parent) not in json.dumps(first)
    louder = [replace(cuts[0].perturb_volume(2), id=cuts[0].id), *cuts[1:]]
    for other in (
        contract("nbest", model, cuts, {"beam": 5}),
        contract("nbest", model, cuts[::-1], {"beam": 4}),
        contract("nbest", model, cuts[:-1], {"beam": 4}),
        contract("nbest", model, louder, {"beam": 4}),
        contract("nbest", retouched, cuts, {"beam": 4}),
    ):
        assert other != first
