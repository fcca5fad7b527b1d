"""Writers of frames: what cannot be stored as numbers is refused, with the cut and the remedy."""

from types import SimpleNamespace

import pytest
import torch

from asrkd.core.errors import AsrkdError
from asrkd.models.encoder import Tap
from asrkd.targets.writers import arrays

TAP = Tap(3, "before_norm")
SHARD = SimpleNamespace(cuts=["a"], model="teacher", device="cpu")


def hidden(monkeypatch, values: list[float], dtype: str) -> list:
    embedded = SimpleNamespace(
        cut=SimpleNamespace(id="a", duration=1.0), tapped={TAP: torch.tensor([values])}
    )
    taught = SimpleNamespace(embeddings=lambda cuts, taps: [embedded])
    monkeypatch.setattr(arrays, "open_teacher", lambda *_: taught)
    return list(arrays._hidden(SHARD, 0, TAP, dtype))


def test_values_beyond_half_precision_are_refused_and_stored_in_single(monkeypatch):
    with pytest.raises(
        AsrkdError, match="cut a: layer 3, before_norm: .*1e\\+05 are beyond .*--dtype float32"
    ):
        hidden(monkeypatch, [1e5, 1.0], "float16")
    assert len(hidden(monkeypatch, [1e5, 1.0], "float32")) == 1
    assert len(hidden(monkeypatch, [65504.0, 1.0], "float16")) == 1


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_no_numbers_are_refused_in_any_precision(monkeypatch, value):
    for dtype in ("float16", "float32"):
        with pytest.raises(
            AsrkdError, match="cut a: layer 3, before_norm: NaN or infinite values; .* damaged"
        ):
            hidden(monkeypatch, [value, 1e5], dtype)


@pytest.mark.parametrize("top_k", [2, "all"])
def test_posteriors_may_be_zero_and_never_nan(monkeypatch, top_k):
    def posteriors(values: list[float]) -> list:
        outputs = SimpleNamespace(cut=SimpleNamespace(id="a", duration=1.0), log_probs=torch.tensor([values]))
        monkeypatch.setattr(arrays, "load_model", lambda *_: None)
        monkeypatch.setattr(arrays, "encode_cuts", lambda *_: [outputs])
        return list(arrays._posteriors(SHARD, 0, top_k, "float16"))

    assert len(posteriors([0.0, -float("inf"), -1e6])) == 1
    with pytest.raises(AsrkdError, match="cut a: the posteriors of teacher: NaN or infinite values"):
        posteriors([0.0, float("nan"), -1.0])
