"""Products of codebooks stand for the same sums, as the reference package numbers them."""

import dataclasses

import pytest
import torch

from asrkd.quantizer.direct_sum import DirectSumQuantizer
from asrkd.quantizer.fit.product import product_quantizer
from asrkd.quantizer.search.search import REFERENCE

FIRST = dataclasses.replace(REFERENCE, refinements=0)


@pytest.fixture
def small(generator):
    """Four codebooks of 16 entries, every parameter random."""
    made = DirectSumQuantizer(6, num_codebooks=4, codebook_size=16)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
        made.mean.copy_(torch.randn(6, generator=generator))
    return made


def test_entry_16_a_plus_b_is_entries_a_and_b(small, generator):
    indexes = torch.randint(16, (50, 4), generator=generator)
    pairs = 16 * indexes[:, 0::2] + indexes[:, 1::2]
    torch.testing.assert_close(product_quantizer(small).decode(pairs), small.decode(indexes))


def test_classifiers_propose_the_pair_of_what_they_proposed(small, generator):
    frames = torch.randn(50, 6, generator=generator)
    indexes = small.encode(frames, FIRST).long()
    pairs = 16 * indexes[:, 0::2] + indexes[:, 1::2]
    assert torch.equal(product_quantizer(small).encode(frames, FIRST).long(), pairs)


def test_log_probs_of_a_pair_are_the_sum_of_its_entries(small, generator):
    frames = torch.randn(20, 6, generator=generator)
    singles = small.logits(frames).log_softmax(-1)
    pairs = product_quantizer(small).logits(frames).log_softmax(-1)
    expected = singles[:, 2, 5] + singles[:, 3, 11]
    torch.testing.assert_close(pairs[:, 1, 16 * 5 + 11], expected, rtol=1e-4, atol=1e-4)


def test_of_more_pairs_than_are_wanted_the_most_used_are_kept(small, generator):
    counts = torch.randint(5, (2, 16, 16), generator=generator)
    whole, some = product_quantizer(small), product_quantizer(small, 200, counts)
    assert some.codebook_size == 200
    for n in range(2):
        ranked = sorted(range(256), key=lambda pair: (-int(counts[n, pair // 16, pair % 16]), pair))
        kept = sorted(ranked[:200])
        assert torch.equal(some.centers[n], whole.centers[n, kept])
        weights = [made.to_logits.weight.view_as(made.centers)[n] for made in (some, whole)]
        assert torch.equal(weights[0], weights[1][kept])
        biases = [made.to_logits.bias.view(2, -1)[n] for made in (some, whole)]
        assert torch.equal(biases[0], biases[1][kept])


def test_what_has_no_product_is_refused():
    with pytest.raises(ValueError, match="two codebooks or more, got 1"):
        product_quantizer(DirectSumQuantizer(3, num_codebooks=1, codebook_size=4))
    with pytest.raises(ValueError, match="codebook_size must be 2 to 256"):
        product_quantizer(DirectSumQuantizer(3, num_codebooks=2, codebook_size=32))
    with pytest.raises(ValueError, match="20 entries of 16 pairs"):
        product_quantizer(DirectSumQuantizer(3, num_codebooks=2, codebook_size=4), 20)
    with pytest.raises(ValueError, match="9 entries of 16 pairs: expected all, or fewer and pair_counts"):
        product_quantizer(DirectSumQuantizer(3, num_codebooks=2, codebook_size=4), 9)
