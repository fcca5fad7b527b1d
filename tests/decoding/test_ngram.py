"""Word n-grams over tokens: an ARPA file made by hand, and sums worked out from its figures."""

import gzip
import math
import sys
from types import SimpleNamespace

import pytest
import torch

from asrkd.decoding.attention_beam import attention_beam_search
from asrkd.decoding.decoder_options import DecoderOptions
from asrkd.decoding.forced_score import forced_log_prob
from asrkd.decoding.ngram import WordNgram
from asrkd.decoding.search_options import SearchOptions
from asrkd.errors import AsrkdError
from asrkd.tokens import CharTokens
from tests.decoding.tiny_models import Bigram

ARPA = """\\data\\
ngram 1=5
ngram 2=3

\\1-grams:
-1.0\t<unk>
-99\t<s>\t-0.3
-0.7\t</s>
-0.5\ta\t-0.2
-0.9\tab\t-0.4

\\2-grams:
-0.1\t<s> a
-0.25\ta ab
-0.05\tab </s>

\\end\\
"""
TOKENS = CharTokens(["<blk>", " ", "a", "b"])
SPACE, A, B = 1, 2, 3
# By hand, of the base-10 figures above: back-off weight of the context where there is no bigram.
SENTENCES = {
    (): -0.3 - 0.7,  # <s> has no bigram with </s>
    (A,): -0.1 + (-0.2 - 0.7),
    (A, SPACE, A, B): -0.1 - 0.25 - 0.05,
    (A, B): (-0.3 - 0.9) - 0.05,
    (A, B, SPACE, A): (-0.3 - 0.9) + (-0.4 - 0.5) + (-0.2 - 0.7),
    (B,): (-0.3 - 1.0) - 0.7,  # <unk> has no back-off weight
    (A, SPACE): -0.1 + (-0.2 - 0.7),  # a space at the end begins no word
    (SPACE, A): -0.1 + (-0.2 - 0.7),
    (A, SPACE, SPACE, A, B): -0.1 - 0.25 - 0.05,
}


@pytest.fixture
def lm(tmp_path):
    pytest.importorskip("kenlm", reason="needs kenlm: pip install kenlm")
    path = tmp_path / "words.arpa"
    path.write_text(ARPA)
    return WordNgram(path, TOKENS)


def test_sentences_have_the_sums_of_the_figures_in_the_file(lm):
    frames = torch.zeros(1, 1, 4)
    [scores] = forced_log_prob(lm, frames, torch.tensor([1]), [list(SENTENCES)])
    assert scores == pytest.approx([math.log(10) * value for value in SENTENCES.values()], abs=1e-5)


def test_bpe_pieces_end_the_word_before_them(tmp_path, lm):
    pieces = SimpleNamespace(symbols=("<blk>", "\u2581a", "b", "\u2581"))
    own = WordNgram(tmp_path / "words.arpa", pieces)
    paths = {(1,): (A,), (1, 1, 2): (A, SPACE, A, B), (1, 2, 3): (A, B), (3,): ()}
    [scores] = forced_log_prob(own, torch.zeros(1, 1, 4), torch.tensor([1]), [list(paths)])
    expected = [math.log(10) * SENTENCES[characters] for characters in paths.values()]
    assert scores == pytest.approx(expected, abs=1e-5)


def test_fusion_at_word_ends_gives_the_exact_part_of_every_hypothesis(lm):
    table = torch.zeros(4, 4)
    options = SearchOptions(beam=200, num_best=200, decoder=DecoderOptions(lm_weight=0.5))
    [found] = attention_beam_search(Bigram(table), torch.zeros(1, 4, 4), torch.tensor([4]), options, lm)
    by_tokens = {own.tokens: own for own in found}
    for tokens, value in SENTENCES.items():
        if len(tokens) <= 4:
            own, attention = by_tokens[tokens], -(len(tokens) + 1) * math.log(4)
            assert own.parts["lm"] == pytest.approx(math.log(10) * value, abs=1e-5)
            assert own.log_prob == pytest.approx(attention, abs=1e-5)
            assert own.score == pytest.approx(attention + 0.5 * math.log(10) * value, abs=1e-5)


def test_a_file_that_is_no_model_is_refused_in_a_line(tmp_path, lm):
    wrong = tmp_path / "wrong.arpa"
    wrong.write_text("not this\n")
    with pytest.raises(AsrkdError, match=r"wrong.arpa: not an n-gram model that kenlm can read"):
        WordNgram(wrong, TOKENS)
    with pytest.raises(AsrkdError, match="no such file"):
        WordNgram(tmp_path / "none.arpa", TOKENS)


def test_a_compressed_model_is_read(tmp_path, lm):
    path = tmp_path / "words.arpa.gz"
    path.write_bytes(gzip.compress(ARPA.encode()))
    [[score]] = forced_log_prob(WordNgram(path, TOKENS), torch.zeros(1, 1, 4), torch.tensor([1]), [[(A,)]])
    assert score == pytest.approx(math.log(10) * SENTENCES[(A,)], abs=1e-5)


def test_without_kenlm_the_command_that_installs_it_is_told(tmp_path, monkeypatch):
    path = tmp_path / "words.arpa"
    path.write_text(ARPA)
    monkeypatch.setitem(sys.modules, "kenlm", None)
    with pytest.raises(AsrkdError, match="pip install kenlm"):
        WordNgram(path, TOKENS)
