"""Asking a recognizer: an answer depends on its cut alone, and cuts that do not fit are refused."""

from dataclasses import replace

import pytest
import torch

from asrkd.core.errors import AsrkdError
from asrkd.data.cuts.manifests import read_cuts
from asrkd.data.features.reading import load_features
from asrkd.models.directory import load_model
from asrkd.models.encoder import Tap
from asrkd.models.inference import check_features, encode_cuts

TAP = Tap(2)


@pytest.fixture
def model(teacher):
    return load_model(teacher)


@pytest.fixture
def cuts(corpus):
    return read_cuts(corpus / "cuts_dev.jsonl.gz")


def test_outputs_are_bit_equal_alone_and_in_a_batch(model, cuts):
    together = list(encode_cuts(model, cuts, [TAP]))
    assert [answer.cut.id for answer in together] == [cut.id for cut in cuts]
    for answer in reversed(together):
        (alone,) = encode_cuts(model, [answer.cut], [TAP])
        assert torch.equal(alone.log_probs, answer.log_probs)
        assert torch.equal(alone.tapped[TAP], answer.tapped[TAP])


def test_outputs_do_not_depend_on_nan_padding(model, cuts):
    features = [load_features(cut) for cut in cuts]
    num_frames = torch.tensor([len(f) for f in features])
    padded = torch.nn.utils.rnn.pad_sequence(features, batch_first=True, padding_value=float("nan"))
    output = model.recognizer(padded, num_frames, [TAP])
    for row, answer in enumerate(encode_cuts(model, cuts, [TAP])):
        count = -(-len(features[row]) // 4)
        assert answer.log_probs.shape == (count, model.tokens.size)
        torch.testing.assert_close(output.log_probs()[row, :count], answer.log_probs, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(output.tapped[TAP][row, :count], answer.tapped[TAP], rtol=1e-4, atol=1e-4)


def test_log_probs_are_normalized_and_nothing_wants_a_gradient(model, cuts):
    (answer,) = encode_cuts(model, cuts[:1])
    torch.testing.assert_close(answer.log_probs.exp().sum(-1), torch.ones(len(answer.log_probs)))
    assert not answer.log_probs.requires_grad
    assert answer.tapped == {}


def test_no_cuts_have_no_answers(model):
    assert list(encode_cuts(model, [])) == []


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"num_features": 80}, "num_features of the features is 80, the model .* reads 8"),
        ({"frame_shift": 0.02}, "frame_shift of the features is 0.02, the model .* reads 0.01"),
        ({"type": "fbank"}, "type of the features is fbank, the model .* reads kaldi-fbank"),
    ],
)
def test_features_that_do_not_fit_are_refused_by_what_differs(model, cuts, change, complaint):
    others = [replace(cut, features=replace(cut.features, **change)) for cut in cuts]
    with pytest.raises(AsrkdError, match=f"cuts.jsonl: {complaint}; prepare the cuts"):
        check_features(model, others, "cuts.jsonl")
    check_features(model, cuts, "cuts.jsonl")


def test_cuts_without_features_and_with_mixed_ones_are_named(model, cuts):
    with pytest.raises(AsrkdError, match="cut dev-002 has no features"):
        check_features(model, [*cuts[:2], replace(cuts[2], features=None)], "cuts.jsonl")
    mixed = replace(cuts[3], features=replace(cuts[3].features, num_features=9))
    with pytest.raises(AsrkdError, match="cut dev-003 has features"):
        check_features(model, [*cuts[:3], mixed], "cuts.jsonl")


def test_features_that_are_gone_are_named(model, cuts):
    gone = replace(cuts[0], features=replace(cuts[0].features, storage_path="/nowhere"))
    with pytest.raises(AsrkdError, match="cut dev-000: features in /nowhere cannot be read") as error:
        list(encode_cuts(model, [gone]))
    assert "\n" not in str(error.value)
