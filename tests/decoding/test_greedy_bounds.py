"""Greedy search over a decoder against one utterance and one step at a time."""

import torch

from asrkd.decoding.greedy import decoder_greedy_tokens, greedy_tokens
from asrkd.models.stepwise import BOUNDARY
from tests.models.small import recognizer

NUM_FRAMES = torch.tensor([7, 2, 9, 4])


def alone(decoder, encoded: torch.Tensor) -> list[int]:
    state, token, found = decoder.start(encoded, torch.tensor([encoded.shape[1]])), BOUNDARY, []
    while len(found) < encoded.shape[1]:
        log_probs, state = decoder.step(torch.tensor([token]), state)
        token = int(log_probs.argmax())
        if token == BOUNDARY:
            break
        found.append(token)
    return found


def test_greedy_ends_at_eos_or_bound_whatever_the_neighbors():
    encoded = 3 * torch.randn(4, 9, 16, generator=torch.Generator().manual_seed(6))
    seen = set()
    for kind in ("transformer", "las"):
        for bias in (-3.0, 0.0, 1.0):
            decoder = recognizer("transformer", kind).decoder
            with torch.no_grad():
                decoder.out.bias[BOUNDARY] += bias
            found = decoder_greedy_tokens(decoder, encoded, NUM_FRAMES)
            expected = [alone(decoder, encoded[row : row + 1, :n]) for row, n in enumerate(NUM_FRAMES)]
            assert found == expected
            seen |= {len(tokens) - int(n) for tokens, n in zip(found, NUM_FRAMES, strict=True)}
    assert 0 in seen and min(seen) < 0  # some were cut short, some ended


def test_greedy_takes_the_decoder_or_else_the_ctc_head():
    features, counts = torch.randn(2, 30, 20), torch.tensor([30, 12])
    both, head = recognizer("conformer", "las", ctc=True), recognizer("conformer", None, ctc=True)
    output = both(features, counts)
    assert greedy_tokens(both, output) == decoder_greedy_tokens(
        both.decoder, output.memory(), output.num_frames
    )
    assert len(greedy_tokens(head, head(features, counts))) == 2
