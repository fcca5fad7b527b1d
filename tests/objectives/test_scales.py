"""A scale means the same for any targets: factors by hand, invariances, and targets that teach nothing."""

import math
from types import SimpleNamespace

import pytest
import torch

from asrkd.commands import distill
from asrkd.commands.distill_request import DistillRequest
from asrkd.commands.train import TrainOptions, train
from asrkd.core.errors import AsrkdError
from asrkd.core.stopping import StopRequest
from asrkd.models.directory import load_model
from asrkd.models.encoder import Tap
from asrkd.models.recognizer import RecognizerOutput
from asrkd.objectives.codebook import FACTOR, Codebook, CodebookConfig
from asrkd.objectives.embedding import Embedding, EmbeddingConfig
from asrkd.objectives.representation import Representation, RepresentationConfig
from asrkd.targets.frame_weights import WeightSpread, frame_weights
from asrkd.targets.frames import FrameTargets
from asrkd.training.metrics import read_metrics

COUNTS = [4, 2]


def randn(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def student(frame_shift: float = 0.04) -> SimpleNamespace:
    encoder = SimpleNamespace(check_taps=lambda taps: None, layer_dim=lambda tap: 6)
    return SimpleNamespace(frame_shift=frame_shift, encoder=encoder)


def objective(kind: str, frame_shift: float = 0.04, **settings: object):
    torch.manual_seed(0)
    source, learner = SimpleNamespace(dim=5, frame_shift=0.04), student(frame_shift)
    if kind == "weighted":
        return Representation(RepresentationConfig(targets="store", layer=1), source, learner)
    config = EmbeddingConfig(targets="store", layer=1, distance=kind, **settings)
    return Embedding(config, source, learner)


def batches(spread: float = 1.0, offset: float = 0.0) -> list[FrameTargets]:
    """Two batches of targets, with NaN in their padding."""
    made = []
    for seed in (1, 2):
        values = spread * randn(2, 4, 5, seed=seed) + offset
        values[1, 2:] = float("nan")
        made.append(FrameTargets(values, torch.tensor(COUNTS), 0.04))
    return made


def real_frames(targets: list[FrameTargets]) -> list[list[float]]:
    return [
        batch.values[row, t].tolist() for batch in targets for row in range(2) for t in range(COUNTS[row])
    ]


@pytest.mark.parametrize("kind", ["squared", "absolute", "weighted"])
def test_the_factor_is_twenty_over_the_loss_of_the_mean(kind):
    built, targets = objective(kind), batches()
    built.measure(targets)
    frames = real_frames(targets)
    mean = [sum(frame[d] for frame in frames) / 12 for d in range(5)]
    total = 0.0
    for frame in frames:
        weight = 1 / (1 + math.exp(-sum(frame) / 5)) if kind == "weighted" else 1.0
        for d in range(5):
            error = weight * (frame[d] - mean[d])
            total += abs(error) if kind == "absolute" else error**2
    assert float(built.factor) == pytest.approx(20 * 60 / total, rel=1e-5)
    assert built.project.bias.tolist() == pytest.approx(mean, abs=1e-6)


@pytest.mark.parametrize("kind", ["squared", "absolute"])
def test_the_share_of_a_teacher_does_not_depend_on_its_spread_and_offset(kind):
    shares = []
    for spread, offset in ((1.0, 0.0), (50.0, -300.0)):
        built, targets = objective(kind), batches(spread, offset)
        built.measure(targets)
        with torch.no_grad():
            built.project.weight.mul_(spread)  # a student that explains as much of the larger teacher
            output = RecognizerOutput(torch.zeros(()), torch.tensor(COUNTS), {Tap(1): randn(2, 4, 6, seed=3)})
            loss = built(output, targets[0]) / built.count(targets[0], output.num_frames)
        shares.append(float(loss * built.factor))
    assert shares[0] == pytest.approx(shares[1], rel=1e-4)


def test_teacher_frames_that_are_stacked_have_the_mean_each():
    built = objective("squared", frame_shift=0.08)
    built.measure(batches())
    mean = torch.tensor(real_frames(batches())).mean(dim=0)
    torch.testing.assert_close(built.project.bias, mean.repeat(2))


def test_clamped_values_are_measured_as_they_are_learned():
    built = objective("squared", clamp=(-0.5, 0.25))
    built.measure(batches())
    frames = torch.tensor(real_frames(batches())).clamp(-0.5, 0.25)
    expected = (frames - frames.mean(dim=0)).square().mean()
    assert float(built.factor) == pytest.approx(20 / float(expected), rel=1e-5)


@pytest.mark.parametrize("value", [0.0, 7.0])
def test_a_layer_that_never_changes_is_refused(value):
    frozen = [FrameTargets(torch.full((2, 4, 5), value), torch.tensor(COUNTS), 0.04)]
    with pytest.raises(AsrkdError, match="objectives, embedding: store: .* the same values at all 6"):
        objective("squared").measure(frozen)
    with pytest.raises(AsrkdError, match="within clamp, the same values at all 12 .* or other bounds"):
        objective("squared", clamp=(8.0, 9.0)).measure(batches())


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_values_that_are_not_finite_are_refused_unless_a_clamp_bounds_them(value):
    (first, *others) = batches()
    first.values[0, 0, 0] = value
    with pytest.raises(AsrkdError, match="store: NaN or infinite values in 1 of the .* --dtype float32"):
        objective("squared").measure([first, *others])
    if value == float("inf"):
        objective("squared", clamp=(-0.5, 0.25)).measure([first, *others])


@pytest.mark.parametrize(("num_codebooks", "factor"), [(1, FACTOR), (4, 2 * FACTOR), (16, 4 * FACTOR)])
def test_the_factor_of_codebooks_grows_with_the_root_of_their_number(num_codebooks, factor):
    source = SimpleNamespace(num_codebooks=num_codebooks, codebook_size=8, frame_shift=0.04)
    settings = CodebookConfig(targets="store", layer=1)
    assert Codebook(settings, source, student()).factor == pytest.approx(factor)
    assert Codebook(settings, source, student(0.08)).factor == pytest.approx(factor * math.sqrt(2))


def test_a_scale_of_0_15_is_what_0_6_of_a_mean_over_four_codebooks_was():
    source = SimpleNamespace(num_codebooks=4, codebook_size=8, frame_shift=0.04)
    built = Codebook(CodebookConfig(targets="store", layer=1), source, student())
    assert 0.15 * built.factor == 0.6


def test_weights_after_a_layer_norm_are_refused_and_those_before_it_reported(
    config, teacher, corpus, tmp_path, monkeypatch
):
    for place in ("before_norm", "after_norm"):
        request = DistillRequest(teacher, (corpus / "cuts_train.jsonl.gz",), tmp_path / place)
        distill.hidden(request, 2, "float16", StopRequest(), place)
    options = TrainOptions("cpu", threads=1)

    def run(place: str, **settings: object):
        more = "".join(f", {key}: {str(value).lower()}" for key, value in settings.items())
        entry = f"{{representation: {{targets: {tmp_path}/{place}, layer: 2{more}}}}}"
        phases = f"phases=[{{steps: 2, objectives: [{entry}]}}]"
        train(config, tmp_path / f"run-{place}", [phases], options, StopRequest())

    run("before_norm")
    log = read_metrics(tmp_path / "run-before_norm/metrics.jsonl")
    (notes,) = (row["notes"] for row in log if "notes" in row)
    assert notes[0].startswith(f"objectives, representation: {tmp_path}/before_norm: frame weights 0.")
    monkeypatch.setattr("asrkd.targets.frame_weights.LEAST_SPREAD", 0.5)
    with pytest.raises(AsrkdError, match="nearly all alike .*asrkd distill hidden --tap before_norm"):
        run("after_norm")
    assert not (tmp_path / "run-after_norm").exists()
    run("after_norm", frame_weighting=False)
    assert load_model(tmp_path / "run-after_norm")


def test_the_spread_of_weights_is_that_of_sigmoids_by_hand():
    hidden = torch.tensor([[0.0, 2.0], [-1.0, 1.0], [3.0, 3.0]])
    weights = [1 / (1 + math.exp(-mean)) for mean in (1.0, 0.0, 3.0)]
    assert frame_weights(hidden).tolist() == pytest.approx(weights)
    spread = WeightSpread.of(frame_weights(hidden))
    mean = sum(weights) / 3
    assert spread.mean == pytest.approx(mean)
    assert spread.deviation == pytest.approx(math.sqrt(sum((w - mean) ** 2 for w in weights) / 3))
    assert (spread.low, spread.high) == (pytest.approx(0.5), pytest.approx(weights[2]))
    assert not spread.is_degenerate
    assert WeightSpread.of(torch.tensor([0.5, 0.501, 0.499])).is_degenerate
