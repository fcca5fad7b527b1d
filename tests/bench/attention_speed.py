"""A training step of an attention student on five hypotheses an utterance against one on one."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch

from asrkd.core.config import load
from asrkd.data.features.reading import FeatureConfig
from asrkd.models.config import recognizer_architecture
from asrkd.models.recognizer import Recognizer, num_parameters
from asrkd.objectives.attention import Attention, AttentionConfig
from asrkd.targets.sequences import SequenceTargets, collate
from asrkd.training.config import TrainConfig
from tests.bench.row import Row
from tests.bench.sequence_speed import quickest

FEATURES = FeatureConfig(type="kaldi-fbank", num_features=80, frame_shift=0.01, sampling_rate=16000)
CONF = Path(__file__).parents[2] / "stages/corpora/digits/conf"
UTTERANCES, FRAMES, LENGTH, NUM_TOKENS = 8, 300, 25, 28
STUDENTS = [("transformer-teacher", 1.0), ("transformer-a", 1.0), ("las-teacher", 0.4), ("las-small", 0.4)]


def measure() -> Iterator[Row]:
    """Seconds of each, in turns, the quickest of each counting."""
    for name, teacher_forcing in STUDENTS:
        model = load(TrainConfig, CONF / f"{name}.yaml").model
        student = Recognizer(recognizer_architecture(model, FEATURES, NUM_TOKENS)).train()
        objective = Attention(AttentionConfig(teacher_forcing=teacher_forcing), student).train()
        five, one = (partial(_step, student, objective, _lists(count)) for count in (5, 1))
        what = f"step of {name} ({num_parameters(student) / 1e6:.2f} M), s, 5 hypotheses by 1"
        yield Row(what, *quickest(five, one), "<= 2.5")


def _step(student: Recognizer, objective: Attention, targets: SequenceTargets) -> None:
    features, num_frames = torch.zeros(UTTERANCES, FRAMES, 80), torch.full((UTTERANCES,), FRAMES)
    student.zero_grad(set_to_none=True)
    objective(student(features, num_frames), targets).backward()


def _lists(count: int) -> SequenceTargets:
    generator = torch.Generator().manual_seed(1)
    drawn = torch.randint(1, NUM_TOKENS, (UTTERANCES, count, LENGTH), generator=generator)
    return collate(drawn.tolist())
