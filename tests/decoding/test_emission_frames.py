"""The frames that emit tokens, against every alignment of small cases and models that leave no choice."""

import itertools

import pytest
import torch

from asrkd.decoding import EncoderOutputs, SearchOptions
from asrkd.decoding.best_alignment import aligned_frames
from asrkd.decoding.searches import SEARCHES
from asrkd.models.config import TransducerConfig
from asrkd.models.transducer import Transducer


def runs(alignment: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Tokens of an alignment, and where the run of each begins."""
    begun = [(s, t) for t, s in enumerate(alignment) if s and (t == 0 or alignment[t - 1] != s)]
    return tuple(s for s, _ in begun), tuple(t for _, t in begun)


def exhaustive(log_probs: torch.Tensor, tokens: tuple[int, ...]) -> tuple[int, ...] | None:
    """The first frames of the likeliest of all alignments of ``tokens``, each tried."""
    best, where = float("-inf"), None
    for alignment in itertools.product(range(log_probs.shape[1]), repeat=len(log_probs)):
        spelled, frames = runs(alignment)
        score = sum(log_probs[t, s].item() for t, s in enumerate(alignment))
        if spelled == tokens and score > best:
            best, where = score, frames
    return where


@pytest.mark.parametrize("seed", range(4))
def test_frames_are_those_of_the_likeliest_of_all_alignments(random_posteriors, seed):
    log_probs = random_posteriors(seed, (5, 6, 3))
    lengths = torch.tensor([6, 4, 5, 1, 6])
    for row, length in enumerate(lengths.tolist()):
        log_probs[row, length:] = float("nan")
    sequences = [(1, 2, 1), (1, 1), (), (2,), (2, 2, 2)]
    expected = [exhaustive(log_probs[row, :n], sequences[row]) for row, n in enumerate(lengths.tolist())]
    assert aligned_frames(log_probs, lengths, sequences) == expected


def test_a_sequence_that_needs_more_frames_has_none(random_posteriors):
    log_probs = random_posteriors(0, (3, 2, 3))
    assert aligned_frames(log_probs, torch.tensor([2, 2, 0]), [(1, 1), (1, 2), (1,)]) == [None, (0, 1), None]


@pytest.mark.parametrize("search", ["greedy", "prefix-beam"])
def test_a_ctc_search_names_the_frames_of_a_model_that_leaves_no_choice(search):
    alignments = torch.tensor([[0, 0, 3, 3, 0, 3, 1, 1], [2, 0, 0, 0, 0, 0, 0, 0]])
    log_probs = (torch.nn.functional.one_hot(alignments, 4) * 40.0).log_softmax(-1)
    inputs = EncoderOutputs(torch.tensor([8, 5]), log_probs)
    first, second = (lists[0] for lists in SEARCHES[search].run(inputs, SearchOptions(beam=3)))
    assert (first.tokens, first.frames) == ((3, 3, 1), (2, 5, 6))
    assert (second.tokens, second.frames) == ((2,), (0,))


def test_greedy_and_prefix_beam_agree_where_their_tokens_do(random_posteriors):
    inputs = EncoderOutputs(torch.tensor([30] * 6), random_posteriors(3, (6, 30, 5), spread=6.0))
    pairs = [SEARCHES[search].run(inputs, SearchOptions(beam=4)) for search in ("greedy", "prefix-beam")]
    same = [(a.frames, b.frames) for (a, *_), (b, *_) in zip(*pairs, strict=True) if a.tokens == b.tokens]
    assert same and all(greedy == beam for greedy, beam in same)


def emitting(frames: dict[int, int], num_frames: int) -> EncoderOutputs:
    """A transducer whose frame alone decides: it emits ``frames[t]`` at frame t, else blank."""
    sizes = TransducerConfig(context_size=1, predictor_dim=4, joiner_dim=4)
    model = Transducer(sizes, 4, 4).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.project.weight.copy_(torch.eye(4))
        model.out.weight.copy_(20.0 * torch.eye(4))
    encoded = torch.zeros(1, num_frames, 4)
    for t in range(num_frames):
        encoded[0, t, frames.get(t, 0)] = 3.0
    return EncoderOutputs(torch.tensor([num_frames]), encoded=encoded, transducer=model)


@pytest.mark.parametrize("search", ["transducer-greedy", "transducer-beam"])
def test_a_transducer_search_names_the_frames_of_a_model_that_leaves_no_choice(search):
    ((best, *_),) = SEARCHES[search].run(emitting({1: 2, 2: 2, 6: 3}, 9), SearchOptions(beam=3))
    assert (best.tokens, best.frames) == ((2, 2, 3), (1, 2, 6))
