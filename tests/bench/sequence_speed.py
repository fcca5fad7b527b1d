"""A training step on five hypotheses an utterance against one on one, and their loss in one pass or five."""

import time
from collections.abc import Callable, Iterator

import torch

from asrkd.data.features.reading import FeatureConfig
from asrkd.models.config import Architecture, ConformerConfig
from asrkd.models.recognizer import Recognizer, num_parameters
from asrkd.objectives.ctc import alignable, ctc_sum, separate_sum
from asrkd.targets.sequences import SequenceTargets, collate
from tests.bench.row import Row

FEATURES = FeatureConfig(type="kaldi-fbank", num_features=80, frame_shift=0.01, sampling_rate=16000)
UTTERANCES, TURNS, HYPOTHESES = 6, 5, 5
# Sizes, characters, feature frames, tokens of a hypothesis.
STUDENTS = {
    "demo student": (
        {"num_layers": 3, "dim": 32, "num_heads": 2, "feed_forward_dim": 64, "front_end_channels": 4},
        *(20, 400, 25),
    ),
    "student": (
        {"num_layers": 8, "dim": 128, "feed_forward_dim": 512, "front_end_channels": 16},
        30,
        1000,
        100,
    ),
}


def measure() -> Iterator[Row]:
    """Seconds of each, in turns, the quickest of each counting."""
    for name, (sizes, num_tokens, frames, length) in STUDENTS.items():
        architecture = Architecture(
            conformer=ConformerConfig(**sizes), features=FEATURES, num_tokens=num_tokens
        )
        lists = [_lists(count, num_tokens, length) for count in (HYPOTHESES, 1)]
        yield from _of_student(name, Recognizer(architecture), frames, lists)


def _of_student(name: str, student: Recognizer, frames: int, lists: list[SequenceTargets]) -> Iterator[Row]:
    features, num_frames = torch.randn(UTTERANCES, frames, 80), torch.full((UTTERANCES,), frames)

    def step(targets: SequenceTargets) -> None:
        output = student(features, num_frames)
        ctc_sum(output.log_probs(), output.num_frames, targets).backward()

    five, one = lists
    what = f"step of the {name} ({num_parameters(student) / 1e6:.2f} M), s, 5 hypotheses by 1"
    yield Row(what, *quickest(lambda: step(five), lambda: step(one)), "<= 1.6")
    with torch.no_grad():
        output = student(features, num_frames)
    log_probs, counts = output.log_probs().requires_grad_(), output.num_frames
    keep = alignable(five, counts).nonzero().flatten()
    taken = quickest(
        lambda: ctc_sum(log_probs, counts, five).backward(),
        lambda: separate_sum(log_probs, counts, five, keep).backward(),
    )
    yield Row("CTC of its 5 hypotheses, s, one pass by separate losses", *taken, "< 1")


def _lists(count: int, num_tokens: int, length: int) -> SequenceTargets:
    """Hypotheses that differ from the first in one token, anywhere."""
    generator = torch.Generator().manual_seed(1)
    lists = []
    for _ in range(UTTERANCES):
        best = torch.randint(1, num_tokens, (length,), generator=generator).tolist()
        places = torch.randint(length, (count - 1,), generator=generator).tolist()
        others = [[*best[:n], 1 + best[n] % (num_tokens - 1), *best[n + 1 :]] for n in places]
        lists.append([best, *others])
    return collate(lists)


def quickest(ours: Callable[[], None], theirs: Callable[[], None]) -> tuple[float, float]:
    """Seconds of the quickest call of either, in turns."""
    taken: tuple[list[float], list[float]] = ([], [])
    for turn in range(TURNS + 1):
        for call, seconds in zip((ours, theirs), taken, strict=True):
            started_at = time.perf_counter()
            call()
            if turn:  # the first warms up
                seconds.append(time.perf_counter() - started_at)
    return min(taken[0]), min(taken[1])
