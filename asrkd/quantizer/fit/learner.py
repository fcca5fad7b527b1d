"""Learner of a direct-sum quantizer, step by step: small codebooks first, then their products.

Source and departures: see :mod:`asrkd.quantizer.fit.training`. The losses of
the classifiers have the normalizations of the ``multi_quantization`` package:
mean log-probability of the refined indexes, and a small weight on the entropy
of mean probabilities, so that a classifier uses all entries on average. That
package adds the squared error relative to the variance about the mean of its
own centers; here centers are solved for, and errors are relative to the
variance about the data's true mean.

Notation: F frames in all, B of a batch, N codebooks, K entries, D dimensions.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from asrkd.quantizer.direct_sum import DirectSumQuantizer
from asrkd.quantizer.fit.least_squares import CenterStatistics
from asrkd.quantizer.fit.product import product_quantizer
from asrkd.quantizer.options import QuantizerOptions
from asrkd.quantizer.search.search import STANDARD, beam_indexes, refine_rounds
from asrkd.quantizer.search.tables import dots_of, squared_errors
from asrkd.quantizer.shannon import entropy_bits

SETTLING = 0.25  # last share of phase two, in which only the centers change
SETTLING_PASSES = 2
SOLVE_EVERY = 5, 25  # steps of each phase; solving takes O((N K)^3) time
ENTROPY_SCALE = 0.01  # as in multi_quantization


@dataclass(frozen=True)
class _Phase:
    start: int  # steps before it
    steps: int
    learning_rate: float
    fade: float  # factor on the statistics at every step: about 1 / (1 - fade) batches count
    solve_every: int  # steps
    ridge: float  # frames
    shrinks: bool  # the ridge draws toward zero; else toward the present centers


def _phases(options: QuantizerOptions) -> tuple[_Phase, _Phase]:
    first, second, rate = options.phase_one_steps, options.phase_two_steps, options.learning_rate
    # Indexes change quickly in phase one, so its statistics fade faster.
    return (
        _Phase(0, first, rate, fade=0.95, solve_every=SOLVE_EVERY[0], ridge=2.0, shrinks=False),
        _Phase(first, second, rate / 2, fade=0.99, solve_every=SOLVE_EVERY[1], ridge=8.0, shrinks=True),
    )


class QuantizerLearner:
    """Learner with Adam for the classifiers and least squares for the centers.

    :meth:`state` holds everything that decides the next steps: a learner restored
    from it continues to the same bits.

    Attributes:
        step: number of steps done, over both phases.
    """

    def __init__(self, frames: Tensor, options: QuantizerOptions, generator: torch.Generator) -> None:
        """Draw the initial parameters.

        Args:
            frames: (F, D) embeddings of mean zero and unit size.
            options: sizes, steps and learning rate.
            generator: generator on the CPU, which draws initial parameters, batches and passes.
        """
        self.step = 0
        self._frames, self._options, self._generator = frames, options, generator
        self._start_phase(_random_quantizer(frames, options, generator), 0)

    @property
    def is_done(self) -> bool:
        """Whether all steps of both phases are done."""
        return self.step >= self._options.steps

    def advance(self) -> float:
        """Do one step; return the relative error of its batch before it."""
        frames, passes = self._draw()
        indexes = self._settle(frames) if self._is_settling else self._predict_and_learn(frames, passes)
        self._statistics.fade(self._phase.fade)
        self._statistics.add(frames, indexes)
        error = squared_errors(frames, self._centers, indexes).sum() / frames.square().sum()
        self.step += 1
        done = self.step - self._phase.start
        if done % self._phase.solve_every == 0 or done == self._phase.steps:
            self._solve()
        if self.step == self._options.phase_one_steps:
            pairs = self._statistics.pair_counts()
            self._start_phase(product_quantizer(self._quantizer, self._options.codebook_size, pairs), 1)
        return float(error)

    def quantizer(self) -> DirectSumQuantizer:
        """Return the quantizer after the steps done so far, without gradients."""
        return self._quantizer.eval().requires_grad_(False)

    def state(self) -> dict[str, Tensor]:
        """Return everything that changes, on the CPU: parameters, moments, statistics, draws, step.

        Tensors by name: parameters and their moments, (...), and the tensors of
        :meth:`CenterStatistics.state`.
        """
        state = {f"weights/{name}": value for name, value in self._quantizer.state_dict().items()}
        for number, moments in self._optimizer.state_dict()["state"].items():
            state |= {f"moments/{number}/{name}": torch.as_tensor(value) for name, value in moments.items()}
        state |= {f"statistics/{name}": value for name, value in self._statistics.state().items()}
        state |= {"generator": self._generator.get_state(), "step": torch.tensor(self.step)}
        return {name: value.detach().cpu().contiguous() for name, value in state.items()}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Restore the state that :meth:`state` returned, tensors (...) by name.

        Raises:
            KeyError, RuntimeError, ValueError: the state is of other options, or not a state.
        """
        step = int(state["step"])
        phase = int(step >= self._options.phase_one_steps)
        quantizer = _empty_quantizer(self._frames, self._options, phase)
        quantizer.load_state_dict(_below(state, "weights/"))
        self._start_phase(quantizer, phase)
        optimizer = self._optimizer.state_dict()
        for name, value in _below(state, "moments/").items():
            number, _, moment = name.partition("/")
            optimizer["state"].setdefault(int(number), {})[moment] = value
        self._optimizer.load_state_dict(optimizer)
        self._statistics.restore(_below(state, "statistics/"))
        self._generator.set_state(state["generator"])
        self.step = step

    def _start_phase(self, quantizer: DirectSumQuantizer, phase: int) -> None:
        """Train ``quantizer`` from its present parameters, with a new optimizer and empty statistics."""
        self._quantizer, self._phase = quantizer, _phases(self._options)[phase]
        quantizer.centers.requires_grad_(False)
        quantizer.centers_scale.requires_grad_(False)
        classifiers = [*quantizer.to_logits.parameters(), quantizer.logits_scale]
        rate = self._phase.learning_rate
        self._optimizer = torch.optim.Adam(classifiers, lr=rate, betas=(0.9, 0.98), eps=1e-9)
        self._statistics = CenterStatistics(quantizer.centers)
        self._centers = quantizer.scaled_centers()

    def _draw(self) -> tuple[Tensor, int]:
        """Draw (B, D) frames, and the number of passes that refine their indexes: 1 or 2, equally often."""
        size = (self._options.batch_frames,)
        drawn = torch.randint(len(self._frames), size, generator=self._generator)
        passes = 1 + int(torch.randint(2, (), generator=self._generator))
        return self._frames[drawn.to(self._frames.device)], passes

    @property
    def _is_settling(self) -> bool:
        """Whether only the centers still change, for the indexes that encoding gives."""
        return self.step >= self._options.steps - int(SETTLING * self._options.phase_two_steps)

    @torch.no_grad()
    def _settle(self, frames: Tensor) -> Tensor:
        """Return (B, N) indexes of (B, D) frames from a beam; the classifiers do not learn them."""
        dots, tables = dots_of(frames, self._centers), self._quantizer.tables()
        first = beam_indexes(dots, tables, STANDARD.beam)
        return refine_rounds(dots, tables, first, SETTLING_PASSES)[0][-1].long()

    def _predict_and_learn(self, frames: Tensor, passes: int) -> Tensor:
        """Return (B, N) refined indexes of (B, D) frames, and train the classifiers on them."""
        logits = self._quantizer.logits(frames)  # (B, N, K)
        dots = dots_of(frames, self._centers)
        rounds, _ = refine_rounds(dots, self._quantizer.tables(), logits.detach().argmax(dim=-1), passes)
        indexes = rounds[-1].long()
        self._learn(logits, indexes)
        return indexes

    def _learn(self, logits: Tensor, indexes: Tensor) -> None:
        """Do one step of Adam on logits (B, N, K) toward indexes (B, N)."""
        phase = self._phase
        halvings = (self.step - phase.start) // max(1, phase.steps // 4)
        self._optimizer.param_groups[0]["lr"] = phase.learning_rate * 0.5**halvings
        prediction, logits_entropy = classifier_losses(logits, indexes)
        self._optimizer.zero_grad(set_to_none=True)
        (prediction + ENTROPY_SCALE * logits_entropy).backward()
        self._optimizer.step()

    @torch.no_grad()
    def _solve(self) -> None:
        """Set the centers to the least-squares solution for the indexes of recent batches."""
        centers, phase = self._quantizer.centers, self._phase
        prior = torch.zeros_like(centers) if phase.shrinks else centers
        centers.copy_(self._statistics.solve(prior, phase.ridge))
        self._centers = self._quantizer.scaled_centers()


def _empty_quantizer(frames: Tensor, options: QuantizerOptions, phase: int) -> DirectSumQuantizer:
    """Return a quantizer of zeros: 2 N codebooks of ceil(sqrt(K)) entries in phase 0, N of K in phase 1."""
    sizes = (options.num_codebooks, options.codebook_size)
    if phase == 0:
        sizes = (2 * options.num_codebooks, 1 + math.isqrt(options.codebook_size - 1))
    return DirectSumQuantizer(frames.shape[1], *sizes).to(frames.device)


@torch.no_grad()
def _random_quantizer(
    frames: Tensor, options: QuantizerOptions, generator: torch.Generator
) -> DirectSumQuantizer:
    """Draw a quantizer for phase one: classifiers from torch's distribution, centers equal to them."""
    quantizer, bound = _empty_quantizer(frames, options, 0), frames.shape[1] ** -0.5
    for parameter in (quantizer.to_logits.weight, quantizer.to_logits.bias):
        drawn = torch.empty(parameter.shape).uniform_(-bound, bound, generator=generator)
        parameter.copy_(drawn)
    quantizer.centers.copy_(quantizer.to_logits.weight.view_as(quantizer.centers))
    return quantizer


def classifier_losses(logits: Tensor, indexes: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the two losses of the classifiers, scalars ().

    Args:
        logits: (B, N, K) logits of the classifiers.
        indexes: (B, N) refined indexes, int64, which are the labels.

    Returns:
        -log P(index) in nats, mean over frames and codebooks; and 1 minus the entropy of the mean
        probabilities over ln K, in [0, 1], 0 if on average all entries are equally probable.
    """
    log_probs = logits.log_softmax(dim=-1)
    mean_probs = log_probs.exp().mean(dim=0)  # (N, K)
    prediction = -log_probs.gather(-1, indexes[..., None]).mean()
    return prediction, 1 - entropy_bits(mean_probs).mean() / math.log2(logits.shape[-1])


def _below(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name[len(prefix) :]: value for name, value in state.items() if name.startswith(prefix)}
