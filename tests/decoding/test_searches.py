"""The searches by name."""

import subprocess
import sys

import pytest
import torch

from asrkd.decoding import SEARCHES, EncoderOutputs, SearchOptions


def test_importing_the_searches_does_not_import_k2():
    code = "import sys, asrkd.decoding; sys.exit('k2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_search_has_its_name():
    of_transducers = {"transducer-greedy", "transducer-beam", "transducer-k2"}
    assert set(SEARCHES) == {"greedy", "prefix-beam", "k2", "attention", "joint"} | of_transducers


@pytest.mark.parametrize("name", ["greedy", "prefix-beam", "k2"])
def test_every_search_reads_what_leaves_no_choice(name):
    if name == "k2":
        pytest.importorskip("k2", reason="needs k2: run the tests on the k2 stack, STACK=k2 make test")
    alignment = torch.tensor([[0, 2, 2, 0, 2, 1], [1, 0, 0, 3, 3, 3]])
    log_probs = torch.full((2, 6, 4), -100.0).scatter(2, alignment[..., None], 0.0).log_softmax(-1)
    inputs = EncoderOutputs(torch.tensor([6, 3]), log_probs)
    found = SEARCHES[name].run(inputs, SearchOptions(beam=2, num_best=1))
    certain = pytest.approx(0.0, abs=1e-6)
    assert [[(best.tokens, best.log_prob) for best in hypotheses] for hypotheses in found] == [
        [((2, 2, 1), certain)],
        [((1,), certain)],
    ]
    assert [hypotheses[0].parts for hypotheses in found] == [
        {"ctc": certain, "length": 3},
        {"ctc": certain, "length": 1},
    ]
