"""A quantizer in training, one step at a time: small codebooks first, then their products.

Source and departures: see :mod:`asrkd.quantizer.fit.training`.

Letters: F frames in all, B of a batch, N codebooks, K entries, D dimensions.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from asrkd.quantizer.direct_sum import DirectSumQuantizer
from asrkd.quantizer.fit.least_squares import CenterStatistics
from asrkd.quantizer.fit.losses import ENTROPY_SCALE, classifier_losses
from asrkd.quantizer.fit.product import product_quantizer
from asrkd.quantizer.options import QuantizerOptions
from asrkd.quantizer.search.search import STANDARD, beam_indexes, refine_rounds
from asrkd.quantizer.search.tables import dots_of, squared_errors

SETTLING = 0.25  # the last part of phase two
SETTLING_PASSES = 2


@dataclass(frozen=True)
class _Phase:
    start: int  # steps before it
    steps: int
    learning_rate: float
    fade: float  # of the statistics, every step: about 1 / (1 - fade) batches count
    solve_every: int  # steps; to solve takes time of order (N K)^3
    ridge: float  # frames
    shrinks: bool  # toward zero; else entries stay near where they were


def _phases(options: QuantizerOptions) -> tuple[_Phase, _Phase]:
    """Both phases."""
    first, second, rate = options.phase_one_steps, options.phase_two_steps, options.learning_rate
    # Indexes change quickly in phase one: there a memory of 0.98 gave an error of 0.154 against 0.150.
    return (
        _Phase(0, first, rate, fade=0.95, solve_every=5, ridge=2.0, shrinks=False),
        _Phase(first, second, rate / 2, fade=0.99, solve_every=25, ridge=8.0, shrinks=True),
    )


class QuantizerLearner:
    """Adam for the classifiers, least squares for the centers.

    All that decides what comes next is in :meth:`state`: a learner that is
    given another's goes on as that would have, to the same bits.

    Attributes:
        step: steps made, over both phases.
    """

    def __init__(self, frames: Tensor, options: QuantizerOptions, generator: torch.Generator) -> None:
        """Draw the first parameters.

        Args:
            frames: (F, D), of mean zero and unit size.
            options: sizes, steps and learning rate.
            generator: on the CPU; draws first parameters, batches and passes.
        """
        self.step = 0
        self._frames, self._options, self._generator = frames, options, generator
        self._take(_random_quantizer(frames, options, generator), 0)

    @property
    def is_done(self) -> bool:
        """Whether all steps of both phases were made."""
        return self.step >= self._options.steps

    def advance(self) -> float:
        """Make a step; the relative error of its batch before it."""
        frames, passes = self._draw()
        indexes = self._settle(frames) if self._is_settling else self._predict_and_learn(frames, passes)
        self._statistics.fade(self._phase.fade)
        self._statistics.add(frames, indexes)
        error = squared_errors(frames, self._centers, indexes).sum() / frames.square().sum()
        self.step += 1
        made = self.step - self._phase.start
        if made % self._phase.solve_every == 0 or made == self._phase.steps:
            self._solve()
        if self.step == self._options.phase_one_steps:
            pairs = self._statistics.pair_counts()
            self._take(product_quantizer(self._quantizer, self._options.codebook_size, pairs), 1)
        return float(error)

    def quantizer(self) -> DirectSumQuantizer:
        """What was learned so far, without gradients."""
        return self._quantizer.eval().requires_grad_(False)

    def state(self) -> dict[str, Tensor]:
        """Everything that changes, on the CPU: parameters, moments, statistics, draws, step.

        Tensors by name, parameters and moments in the parameters' own shapes
        (...), statistics as :meth:`CenterStatistics.state` has them.
        """
        state = {f"weights/{name}": value for name, value in self._quantizer.state_dict().items()}
        for number, moments in self._optimizer.state_dict()["state"].items():
            state |= {f"moments/{number}/{name}": torch.as_tensor(value) for name, value in moments.items()}
        state |= {f"statistics/{name}": value for name, value in self._statistics.state().items()}
        state |= {"generator": self._generator.get_state(), "step": torch.tensor(self.step)}
        return {name: value.detach().cpu().contiguous() for name, value in state.items()}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Become what gave ``state``, as :meth:`state` has it: tensors (...) by name.

        Raises:
            KeyError, RuntimeError, ValueError: it is of other options, or not a state.
        """
        step = int(state["step"])
        phase = int(step >= self._options.phase_one_steps)
        quantizer = _empty_quantizer(self._frames, self._options, phase)
        quantizer.load_state_dict(_below(state, "weights/"))
        self._take(quantizer, phase)
        optimizer = self._optimizer.state_dict()
        for name, value in _below(state, "moments/").items():
            number, _, moment = name.partition("/")
            optimizer["state"].setdefault(int(number), {})[moment] = value
        self._optimizer.load_state_dict(optimizer)
        self._statistics.restore(_below(state, "statistics/"))
        self._generator.set_state(state["generator"])
        self.step = step

    def _take(self, quantizer: DirectSumQuantizer, phase: int) -> None:
        """Learn ``quantizer`` from now on, from scratch but for its parameters."""
        self._quantizer, self._phase = quantizer, _phases(self._options)[phase]
        quantizer.centers.requires_grad_(False)
        quantizer.centers_scale.requires_grad_(False)
        classifiers = [*quantizer.to_logits.parameters(), quantizer.logits_scale]
        rate = self._phase.learning_rate
        self._optimizer = torch.optim.Adam(classifiers, lr=rate, betas=(0.9, 0.98), eps=1e-9)
        self._statistics = CenterStatistics(quantizer.centers)
        self._centers = quantizer.scaled_centers()

    def _draw(self) -> tuple[Tensor, int]:
        """(B, D) frames, and by how many passes their indexes are refined: 1 or 2, equally often."""
        size = (self._options.batch_frames,)
        drawn = torch.randint(len(self._frames), size, generator=self._generator)
        passes = 1 + int(torch.randint(2, (), generator=self._generator))
        return self._frames[drawn.to(self._frames.device)], passes

    @property
    def _is_settling(self) -> bool:
        """Whether only the centers still change, for indexes as they are when frames are encoded."""
        return self.step >= self._options.steps - int(SETTLING * self._options.phase_two_steps)

    @torch.no_grad()
    def _settle(self, frames: Tensor) -> Tensor:
        """(B, N) indexes of (B, D) frames from a beam, which the classifiers need not know."""
        dots, tables = dots_of(frames, self._centers), self._quantizer.tables()
        first = beam_indexes(dots, tables, STANDARD.beam)
        return refine_rounds(dots, tables, first, SETTLING_PASSES)[0][-1].long()

    def _predict_and_learn(self, frames: Tensor, passes: int) -> Tensor:
        """(B, N) refined indexes of (B, D) frames, which the classifiers then predict a little better."""
        logits = self._quantizer.logits(frames)  # (B, N, K)
        dots = dots_of(frames, self._centers)
        rounds, _ = refine_rounds(dots, self._quantizer.tables(), logits.detach().argmax(dim=-1), passes)
        indexes = rounds[-1].long()
        self._learn(logits, indexes)
        return indexes

    def _learn(self, logits: Tensor, indexes: Tensor) -> None:
        """Let the classifiers predict the refined indexes a little better."""
        phase = self._phase
        halvings = (self.step - phase.start) // max(1, phase.steps // 4)
        self._optimizer.param_groups[0]["lr"] = phase.learning_rate * 0.5**halvings
        prediction, logits_entropy = classifier_losses(logits, indexes)
        self._optimizer.zero_grad(set_to_none=True)
        (prediction + ENTROPY_SCALE * logits_entropy).backward()
        self._optimizer.step()

    @torch.no_grad()
    def _solve(self) -> None:
        """Put the centers where they are best for the indexes that were seen."""
        centers, phase = self._quantizer.centers, self._phase
        prior = torch.zeros_like(centers) if phase.shrinks else centers
        centers.copy_(self._statistics.solve(prior, phase.ridge))
        self._centers = self._quantizer.scaled_centers()


def _empty_quantizer(frames: Tensor, options: QuantizerOptions, phase: int) -> DirectSumQuantizer:
    """Zeros: 2 N codebooks of as many entries as give K in pairs, or N of K."""
    sizes = (options.num_codebooks, options.codebook_size)
    if phase == 0:
        sizes = (2 * options.num_codebooks, 1 + math.isqrt(options.codebook_size - 1))
    return DirectSumQuantizer(frames.shape[1], *sizes).to(frames.device)


@torch.no_grad()
def _random_quantizer(
    frames: Tensor, options: QuantizerOptions, generator: torch.Generator
) -> DirectSumQuantizer:
    """For phase one: classifiers as torch would draw them, but seeded; centers equal to them."""
    quantizer, bound = _empty_quantizer(frames, options, 0), frames.shape[1] ** -0.5
    for parameter in (quantizer.to_logits.weight, quantizer.to_logits.bias):
        drawn = torch.empty(parameter.shape).uniform_(-bound, bound, generator=generator)
        parameter.copy_(drawn)
    quantizer.centers.copy_(quantizer.to_logits.weight.view_as(quantizer.centers))
    return quantizer


def _below(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name[len(prefix) :]: value for name, value in state.items() if name.startswith(prefix)}
