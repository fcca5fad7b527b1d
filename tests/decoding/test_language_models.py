"""Word n-grams over tokens: an ARPA file made by hand, and sums worked out from its figures."""

import gzip
import math
import sys
from types import SimpleNamespace

import pytest
import torch

from asrkd.core.errors import AsrkdError
from asrkd.data.tokens import CharTokens
from asrkd.decoding import EncoderOutputs, attention_beam
from asrkd.decoding.arpa import arpa_words
from asrkd.decoding.forced_score import forced_log_prob
from asrkd.decoding.language_models import WordNgram
from asrkd.decoding.options import DecoderOptions, SearchOptions
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


def test_fusion_at_word_ends_is_exact_for_each_hypothesis(lm):
    table = torch.zeros(4, 4)
    options = SearchOptions(beam=200, num_best=200, decoder=DecoderOptions(lm_weight=0.5))
    frames = torch.zeros(1, 4, 4)
    inputs = EncoderOutputs(torch.tensor([4]), encoded=frames, decoder=Bigram(table), lm=lm)
    [found] = attention_beam.search(inputs, options)
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


class FakeKenlm:
    """A stand-in for the package: a model that knows two words, and to which all is equally likely."""

    reason = ""
    Config = State = SimpleNamespace

    class Model:
        def __init__(self, path: str, config: object) -> None:
            if FakeKenlm.reason:
                raise RuntimeError(FakeKenlm.reason)

        def __contains__(self, word: str) -> bool:
            return word in ("a", "ab")

        def BeginSentenceWrite(self, context: object) -> None:
            pass

        def BaseScore(self, context: object, word: str, after: object) -> float:
            return -1.0


@pytest.fixture
def fake(monkeypatch):
    monkeypatch.setitem(sys.modules, "kenlm", FakeKenlm)
    return FakeKenlm


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_an_arpa_file_of_unspellable_words_is_refused(tmp_path, fake, compress):
    path = tmp_path / "words.arpa"
    path.write_bytes(compress(ARPA.encode()))
    WordNgram(path, TOKENS)
    capitals = CharTokens(["<blk>", " ", "A", "B"])
    said = r"the recognizer's tokens \(A, B, \.\.\.\) spell none of its 2 words, such as 'a'; .*case"
    with pytest.raises(AsrkdError, match=said) as error:
        WordNgram(path, capitals)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("word", "pieces", "is_spelled"),
    [
        ("ab", ["<blk>", "\u2581a", "b"], True),
        ("ab", ["<blk>", "\u2581", "a", "b"], True),
        ("aab", ["<blk>", "\u2581a", "ab"], True),
        ("ba", ["<blk>", "\u2581a", "b"], False),  # the piece with a space cannot stand inside
        ("abb", ["<blk>", "\u2581ab"], False),
        ("<blk>", ["<blk>", "\u2581a"], False),
    ],
)
def test_words_are_spelled_by_an_initial_piece_and_others(tmp_path, fake, word, pieces, is_spelled):
    path = tmp_path / "one.arpa"
    path.write_text(f"\\data\\\nngram 1=1\n\n\\1-grams:\n-1.0 <UNK>\n-1.0\t{word}\n\n\\end\\\n")
    if is_spelled:
        WordNgram(path, SimpleNamespace(symbols=pieces))
    else:
        with pytest.raises(AsrkdError, match="spell none of its 1 words"):
            WordNgram(path, SimpleNamespace(symbols=pieces))


def test_files_that_list_no_words_are_left_to_kenlm(tmp_path):
    for name, content in {
        "binary": b"mmap lm http://kheafield.com/code format version 5\n\0\\data\\\n\\1-grams:\n-1 zz\n",
        "torn.gz": gzip.compress(ARPA.encode())[:20],
        "empty": b"",
        "bigrams": b"\\data\\\n\\2-grams:\n-1 zz yy\n",
    }.items():
        (tmp_path / name).write_bytes(content)
        assert list(arpa_words(tmp_path / name)) == []
    (tmp_path / "words.arpa").write_text("\n" + ARPA)
    assert list(arpa_words(tmp_path / "words.arpa")) == ["a", "ab"]


def test_the_reason_of_kenlm_for_a_bad_file_is_reported(tmp_path, fake, monkeypatch):
    path = tmp_path / "words.arpa"
    path.write_text(ARPA)
    monkeypatch.setattr(
        fake, "reason", "in void lm::Read<" + "lm::ngram::trie::Quant, " * 40 + ">\n no bigrams"
    )
    with pytest.raises(AsrkdError, match=r"can read \(.* no bigrams\)$") as error:
        WordNgram(path, TOKENS)
    assert len(str(error.value)) < 300 + 2 * len(str(path)) + 100


def test_one_that_knows_no_word_that_was_found_is_told_once(tmp_path, fake, capsys):
    path = tmp_path / "words.bin"
    path.write_bytes(b"mmap lm")
    strange, known = WordNgram(path, TOKENS), WordNgram(path, TOKENS)
    strange.warn()  # nothing was found yet
    for _ in range(2):
        strange.observe(["", "b bb"])
        known.observe(["b ab"])
        strange.warn()
        known.warn()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"asrkd: --lm {path}: its vocabulary has none of the decoded words, such as 'b'")


def test_without_kenlm_the_command_that_installs_it_is_told(tmp_path, monkeypatch):
    path = tmp_path / "words.arpa"
    path.write_text(ARPA)
    monkeypatch.setitem(sys.modules, "kenlm", None)
    with pytest.raises(AsrkdError, match="pip install kenlm"):
        WordNgram(path, TOKENS)
