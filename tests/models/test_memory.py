"""Sequences that share utterances: who is asked by whom, against rows that are copied."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asrkd.models.memory import Memory


@settings(max_examples=60, deadline=None)
@given(belongs=st.lists(st.integers(0, 3), min_size=1, max_size=9))
def test_lookups_by_utterance_return_to_their_sequences(belongs):
    values = torch.arange(4.0)[:, None] * 100
    memory = Memory.of(values).take(torch.tensor(belongs))
    asking = torch.arange(len(belongs) * 2.0).view(-1, 2, 1) + 1
    grid = memory.by_utterance(asking)
    assert grid.shape[0] == len(set(belongs)) == len(memory.utterances[0])
    answers = memory.by_sequence(grid + memory.utterances[0][:, None])
    expected = asking + 100.0 * torch.tensor(belongs)[:, None, None]
    assert torch.equal(answers, expected)
    assert memory.rows[0].flatten().tolist() == [100.0 * number for number in belongs]


def test_utterances_without_sequences_are_dropped():
    memory = Memory.of(torch.arange(5.0)).take(torch.tensor([4, 1, 1])).take(torch.tensor([2, 1]))
    assert memory.utterances[0].tolist() == [1.0]
    assert memory.rows[0].tolist() == [1.0, 1.0]


def test_reordering_within_utterances_copies_nothing():
    memory = Memory.of(torch.arange(2.0)).take(torch.tensor([0, 0, 1, 1]))
    assert memory.take(torch.tensor([1, 1, 3, 2])) is memory
