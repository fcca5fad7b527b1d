"""Transducer losses against an exact recursion, every alignment, and later versions of k2."""

import itertools
import math
import sys
from types import SimpleNamespace

import pytest
import torch
from pydantic import ValidationError

from asrkd.core.errors import AsrkdError
from asrkd.core.installed import version
from asrkd.models import transducer_loss
from asrkd.models.config import TransducerConfig
from asrkd.models.recognizer import RecognizerOutput
from asrkd.models.transducer import NOTHING
from asrkd.objectives import pruned_transducer
from asrkd.objectives.pruned_transducer import Lattices, PruneSettings, smoothed_log_probs
from asrkd.objectives.transducer import TransducerLoss, TransducerLossConfig
from asrkd.targets.sequences import SequenceTargets, collate
from tests.models.small import recognizer

NUM_FRAMES = torch.tensor([6, 3, 4])
TARGETS = collate([[[1, 2, 3], [4]], [[5, 5]], [[]]], [[0.25, 2.0], [1.0], [0.5]])
has_k2 = pytest.mark.skipif(version("k2") is None, reason="needs k2")
LOSSES = ["full", pytest.param("pruned", marks=has_k2)]


def student(context_size: int = 2, num_tokens: int = 7):
    sizes = TransducerConfig(context_size=context_size, predictor_dim=8, joiner_dim=5)
    return recognizer("conformer", None, num_tokens=num_tokens, transducer=sizes)


def objective(model, loss: str = "full", **settings) -> TransducerLoss:
    """In evaluation, in which the pruned loss is all there is; with a prune range that prunes nothing."""
    torch.manual_seed(5)
    built = TransducerLoss(TransducerLossConfig(loss=loss, **{"prune_range": 5} | settings), model)
    return built.eval()


@pytest.fixture
def encoded() -> torch.Tensor:
    """(N=3, T=6, D=16)"""
    return torch.randn(3, 6, 16, generator=torch.Generator().manual_seed(1))


def output(encoded: torch.Tensor) -> RecognizerOutput:
    return RecognizerOutput(None, NUM_FRAMES, {}, encoded)


def log_probs_at(model, encoded: torch.Tensor, owner: int, tokens: list[int]) -> list[list[list[float]]]:
    """log P(k | t, u) of every frame and place, one at a time, by the context of each place."""
    transducer, table = model.transducer.double(), []
    for t in range(int(NUM_FRAMES[owner])):
        row = []
        for place in range(len(tokens) + 1):
            size = transducer.config.context_size
            before = [*[NOTHING] * (size - 1), 0, *tokens[:place]][-size:]
            predicted = transducer.predictor.after(torch.tensor([before]))[0]
            logits = transducer.join(transducer.frames(encoded[owner, t].double()), predicted)
            row.append(logits.log_softmax(-1).tolist())
        table.append(row)
    transducer.float()
    return table


def recursion(table: list[list[list[float]]], tokens: list[int]) -> float:
    """log P(tokens | audio), equations 16 to 18 of the paper."""
    alpha = {(0, 0): 0.0}
    for t, u in itertools.product(range(len(table)), range(len(tokens) + 1)):
        ways = []
        if t:
            ways.append(alpha[t - 1, u] + table[t - 1][u][0])
        if u:
            ways.append(alpha[t, u - 1] + table[t][u - 1][tokens[u - 1]])
        if ways:
            alpha[t, u] = math.log(sum(map(math.exp, ways)))
    return alpha[len(table) - 1, len(tokens)] + table[-1][len(tokens)][0]


def by_alignments(table: list[list[list[float]]], tokens: list[int]) -> float:
    """The same, as a sum over the frames at which the tokens may be emitted."""
    total = 0.0
    for frames in itertools.combinations_with_replacement(range(len(table)), len(tokens)):
        log_prob = sum(table[t][place][tokens[place]] for place, t in enumerate(frames))
        log_prob += sum(row[sum(t <= now for t in frames)][0] for now, row in enumerate(table))
        total += math.exp(log_prob)
    return math.log(total)


def expected(model, encoded: torch.Tensor) -> float:
    each = [(0, [1, 2, 3], 0.25), (0, [4], 2.0), (1, [5, 5], 1.0), (2, [], 0.5)]
    total = 0.0
    for owner, tokens, weight in each:
        table = log_probs_at(model, encoded, owner, tokens)
        assert recursion(table, tokens) == pytest.approx(by_alignments(table, tokens), rel=1e-9)
        total -= weight * recursion(table, tokens)
    return total


@pytest.mark.parametrize("context_size", [1, 2, 3])
@pytest.mark.parametrize("loss", LOSSES)
def test_the_loss_is_the_weighted_sum_over_all_alignments(loss, context_size, encoded):
    model = student(context_size)
    value = objective(model, loss)(output(encoded), TARGETS)
    assert float(value.detach()) == pytest.approx(expected(model, encoded), rel=1e-5)
    assert objective(model, loss).count(TARGETS, NUM_FRAMES) == 0.5 * (3 + 1) + 2


def gradients(model, built, encoded: torch.Tensor, targets: SequenceTargets = TARGETS) -> list[torch.Tensor]:
    frames = encoded.clone().requires_grad_()
    model.zero_grad()
    built(output(frames), targets).backward()
    return [frames.grad, *[parameter.grad.clone() for parameter in model.transducer.parameters()]]


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_are_finite_differences(loss, encoded):
    model = student()
    built = objective(model, loss)
    (grad, *_) = gradients(model, built, encoded)
    for place in [(0, 0, 3), (1, 2, 0), (2, 3, 15), (0, 5, 7)]:
        values = []
        for step in (1e-2, -1e-2):
            moved = encoded.clone()
            moved[place] += step
            values.append(float(built(output(moved), TARGETS).detach()))
        assert float(grad[place]) == pytest.approx((values[0] - values[1]) / 2e-2, abs=2e-3)
    assert not grad[1, 3:].any() and not grad[2, 4:].any()


@has_k2
def test_the_pruned_loss_with_all_places_has_the_exact_gradients(encoded):
    model = student()
    for one, other in zip(
        gradients(model, objective(model, "full"), encoded),
        gradients(model, objective(model, "pruned"), encoded),
        strict=True,
    ):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


@has_k2
def test_pruning_never_lowers_the_loss(encoded):
    model = student()
    values = [
        float(objective(model, "pruned", prune_range=size)(output(encoded), TARGETS).detach())
        for size in (2, 3, 4)
    ]
    assert values[0] > values[1] >= values[2] == pytest.approx(expected(model, encoded), rel=1e-5)


@pytest.mark.parametrize("largest", [1, 7 * 4 * 2])
def test_sequences_too_long_for_a_lattice_have_the_same_loss(largest, encoded, monkeypatch):
    """As decoding scores half an hour: sequence by sequence, some frames at a time."""
    model = student()
    monkeypatch.setattr(transducer_loss, "LARGEST_SEQUENCE", 1)
    monkeypatch.setattr(transducer_loss, "LARGEST", largest)
    each = [(0, [1, 2, 3]), (1, [5, 5]), (2, []), (0, [4])]
    tokens = torch.nn.utils.rnn.pad_sequence([torch.tensor(row, dtype=torch.long) for _, row in each], True)
    sequences = (tokens, torch.tensor([3, 2, 0, 1]), torch.tensor([owner for owner, _ in each]))
    with torch.no_grad():
        frames, predictions = model.transducer.frames(encoded), model.transducer.predictor(tokens)
        losses = transducer_loss.full_losses(model.transducer, frames, NUM_FRAMES, predictions, sequences)
    exact = [-recursion(log_probs_at(model, encoded, owner, row), row) for owner, row in each]
    assert losses.tolist() == pytest.approx(exact, rel=1e-5)


@pytest.mark.parametrize("largest", [1, 7 * 6 * 2, 7 * 6 * 4 * 2])
def test_groups_of_sequences_change_neither_loss_nor_gradient(largest, encoded, monkeypatch):
    model = student()
    built = objective(model)
    whole, value = gradients(model, built, encoded), float(built(output(encoded), TARGETS).detach())
    monkeypatch.setattr(transducer_loss, "LARGEST", largest)
    assert float(built(output(encoded), TARGETS).detach()) == pytest.approx(value, rel=1e-6)
    for one, other in zip(whole, gradients(model, built, encoded), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("garbage", [float("nan"), float("inf"), 1e30])
def test_padding_changes_neither_value_nor_gradient(loss, garbage, encoded):
    model = student()
    built = objective(model, loss)
    clean, value = gradients(model, built, encoded), float(built(output(encoded), TARGETS).detach())
    hostile = encoded.clone()
    hostile[1, 3:], hostile[2, 4:] = garbage, garbage
    assert float(built(output(hostile), TARGETS).detach()) == pytest.approx(value, rel=1e-6)
    for one, other in zip(clean[1:], gradients(model, built, hostile)[1:], strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_transcript_repeated_as_hypotheses_is_the_transcript(loss, encoded):
    built = objective(student(), loss)
    once, thrice = collate([[[1, 2]], [[3]], []]), collate([[[1, 2]] * 3, [[3]], []])
    one, three = (built(output(encoded), targets) for targets in (once, thrice))
    torch.testing.assert_close(one, three)
    assert built.count(once, NUM_FRAMES) == pytest.approx(built.count(thrice, NUM_FRAMES)) == 3


@pytest.mark.parametrize("loss", LOSSES)
def test_sequences_with_more_tokens_than_frames_are_left_out(loss, encoded):
    built = objective(student(), loss)
    long = collate([[[1] * 7, [2]], [[3, 3, 3]], [[4] * 5]])
    kept = collate([[[2]], [[3, 3, 3]], []], [[0.5], [1.0], []])
    torch.testing.assert_close(built(output(encoded), long), built(output(encoded), kept))
    assert built.count(long, NUM_FRAMES) == 0.5 + 3
    assert built.dropped()._needed([1, 1, 1]) == 3  # where CTC needs five


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("targets", [[[], [], []], [[[]], [[]], [[]]], [[[1] * 9], [], []]])
def test_batches_without_tokens_train_nothing_else(loss, targets, encoded):
    model = student()
    built = objective(model, loss)
    value = built(output(encoded), collate(targets))
    assert float(value) >= 0 and built.count(collate(targets), NUM_FRAMES) == 0
    if targets == [[[]], [[]], [[]]]:
        by_hand = -sum(recursion(log_probs_at(model, encoded, owner, []), []) for owner in range(3))
        assert float(value.detach()) == pytest.approx(by_hand, rel=1e-5)
    else:
        assert float(value) == 0


def test_without_frames_nothing_is_aligned(encoded):
    empty = RecognizerOutput(None, torch.tensor([0, 3, 4]), {}, encoded)
    built = objective(student())
    torch.testing.assert_close(
        built(empty, TARGETS), built(empty, collate([[], [[5, 5]], [[]]], [[], [1.0], [0.5]]))
    )


@has_k2
def test_scales_move_in_the_warm_up_and_are_checkpointed(encoded):
    built = objective(student(), "pruned", warmup_updates=4)
    assert built.scales() == (0.0, 1.0)
    built.train()
    seen = []
    for _ in range(6):
        built.begin_update()
        seen.append(built.scales())
    assert seen[0] == pytest.approx((0.875, 0.325)) and seen[1] == pytest.approx((0.75, 0.55))
    assert seen[3:] == [(0.5, 1.0)] * 3
    other = objective(student(), "pruned", warmup_updates=4)
    other.load_state_dict(built.state_dict())
    assert int(other.num_updates) == 6


@has_k2
def test_the_simple_loss_is_a_transducer_that_adds(encoded):
    """Without smoothing, k2's simple loss is the exact one of logits am + lm."""
    model = student()
    built = objective(model, "pruned", lm_only_scale=0, am_only_scale=0, simple_scale=1, warmup_updates=0)
    tokens = [1, 2, 3]
    targets = collate([[tokens], [], []])
    value = float(built.train()(output(encoded), targets).detach())
    hidden = model.transducer.predictor.hidden(torch.tensor([tokens]))[0]
    logits = built.am(encoded[0])[:, None] + built.lm(hidden)[None]
    simple = -recursion(logits.log_softmax(-1).tolist(), tokens)
    exact = -recursion(log_probs_at(model, encoded, 0, tokens), tokens)
    assert value == pytest.approx(simple + exact, rel=1e-5)


@has_k2
@pytest.mark.parametrize("scales", [(0.25, 0.0), (0.3, 0.2), (0.0, 1.0), (0.0, 0.0)])
def test_the_smoothed_simple_loss_is_that_of_k2_with_its_gradients(scales):
    import k2

    rng = torch.Generator().manual_seed(2)
    owner, lengths, counts = torch.tensor([0, 0, 1]), torch.tensor([6, 6, 4]), torch.tensor([3, 1, 0])
    am = torch.randn(2, 6, 7, generator=rng).requires_grad_()
    lm = torch.randn(3, 4, 7, generator=rng).requires_grad_()
    tokens = torch.randint(1, 7, (3, 3), generator=rng)
    nothing = torch.zeros(0)
    lattices = Lattices(nothing, nothing, am, lm, lengths, tokens, counts, owner)
    boundary = torch.stack([counts * 0, counts * 0, counts, lengths], dim=1)
    px, py = smoothed_log_probs(lattices, PruneSettings(5, *scales))
    ours, (of_tokens, of_blank) = k2.mutual_information_recursion(px, py, boundary, return_grad=True)
    theirs, occupation = k2.rnnt_loss_smoothed(
        lm, am[owner], tokens, 0, *scales, boundary, reduction="none", return_grad=True
    )
    torch.testing.assert_close(-ours, theirs)
    torch.testing.assert_close((of_tokens, of_blank), occupation)
    weights = torch.tensor([0.5, 2.0, 1.0])
    torch.testing.assert_close(
        torch.autograd.grad((-ours * weights).sum(), (am, lm)),
        torch.autograd.grad((theirs * weights).sum(), (am, lm)),
    )


@has_k2
@pytest.mark.parametrize("largest", [1, 7 * 6 * 4 * 2])
def test_sequences_joined_in_groups_have_the_same_loss_and_gradients(largest, encoded, monkeypatch):
    model = student()
    built = objective(model, "pruned", prune_range=2)
    whole, value = gradients(model, built, encoded), float(built(output(encoded), TARGETS).detach())
    monkeypatch.setattr(pruned_transducer, "LARGEST", largest)
    assert float(built(output(encoded), TARGETS).detach()) == pytest.approx(value, rel=1e-6)
    for one, other in zip(whole, gradients(model, built, encoded), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)


def test_later_versions_of_k2_are_called_with_what_they_accept(encoded, monkeypatch):
    """Signatures of 1.24.4 and later; the losses are the exact one of torchaudio."""

    def mutual_information_recursion(px, py, boundary=None, return_grad=False):
        assert return_grad and px.dtype == py.dtype == torch.float32 and boundary.dtype == torch.int64
        assert px.shape[2] == py.shape[2] + 1 and px.shape[1] == py.shape[1] - 1
        return px.flatten(1)[:, 0] * 0, (torch.zeros_like(px), torch.zeros_like(py))

    def get_rnnt_prune_ranges(px_grad, py_grad, boundary, s_range):
        places = min(s_range, px_grad.shape[1] + 1)
        return torch.arange(places).expand(len(boundary), int(boundary[:, 3].max()), places)

    def rnnt_loss_pruned(
        logits, symbols, ranges, termination_symbol, boundary, rnnt_type="regular", delay_penalty=0.0,
        reduction="mean", use_hat_loss=False,
    ):  # fmt: skip
        assert reduction == "none" and termination_symbol == 0 and not use_hat_loss
        tokens = symbols[:, : int(boundary[:, 2].max())]
        return transducer_loss.exact_losses(logits, tokens, boundary[:, 3], boundary[:, 2])

    later = SimpleNamespace(**{name: each for name, each in locals().items() if callable(each)})
    monkeypatch.setitem(sys.modules, "k2", later)
    model = student()
    value = objective(model, "pruned")(output(encoded), TARGETS)
    assert float(value.detach()) == pytest.approx(expected(model, encoded), rel=1e-5)


def test_without_k2_the_pruned_loss_is_refused_and_auto_is_exact(monkeypatch):
    monkeypatch.setitem(sys.modules, "k2", None)
    with pytest.raises(
        AsrkdError, match="^objectives, transducer: loss: pruned needs k2: .* or set loss: full$"
    ):
        objective(student(), "pruned")
    monkeypatch.setattr("asrkd.objectives.transducer.version", lambda package: None)
    assert not objective(student(), "auto").is_pruned


def test_a_model_without_a_transducer_is_refused():
    with pytest.raises(AsrkdError, match="objectives, transducer: the model has no transducer; give it one"):
        objective(recognizer("conformer", None, ctc=True))


@pytest.mark.parametrize("wrong", [{"prune_range": 1}, {"lm_only_scale": 0.7, "am_only_scale": 0.4}])
def test_settings_that_k2_cannot_use_are_refused(wrong):
    with pytest.raises(ValidationError):
        TransducerLossConfig(**wrong)


def test_a_predictor_in_groups_of_four_channels():
    with pytest.raises(ValidationError, match="predictor_dim 6 must be a multiple of 4"):
        TransducerConfig(predictor_dim=6)
    assert TransducerConfig(predictor_dim=6, context_size=1).predictor_dim == 6
