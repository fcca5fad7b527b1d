"""Tokens against the identity decode(encode(x)) == x, hand-made inventories and sentencepiece itself."""

import io
import pickle
from pathlib import Path

import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st

from asrkd.core.errors import AsrkdError
from asrkd.data.tokens import BpeTokens, CharTokens, Tokens, train_bpe, train_char

TEXTS = ["ONE TWO THREE", "FOUR FIVE SIX", "SEVEN EIGHT NINE ZERO", "ÉTÉ"] * 3
BPE = train_bpe(TEXTS, 40)
ALPHABET = sorted(set("".join(TEXTS)))


@given(st.text())
def test_any_text_comes_back_from_its_characters(text):
    tokens = train_char([text])
    ids = tokens.encode(text)
    assert tokens.decode(ids) == " ".join(text.split())
    assert all(0 < index < tokens.size for index in ids)


@given(st.text(alphabet=ALPHABET))
def test_text_of_known_characters_survives_encode_and_decode(text):
    ids = BPE.encode(text)
    assert BPE.decode(ids) == " ".join(text.split())
    assert all(0 < index < BPE.size for index in ids)


def test_characters_have_the_ids_that_sorting_by_hand_gives():
    tokens = train_char(["BA  CAB", "A"])
    assert tokens.symbols == ("<blk>", " ", "A", "B", "C")
    assert tokens.encode(" CAB\tA ") == [4, 2, 3, 1, 2]


def test_the_file_is_the_one_icefall_reads(tmp_path):
    train_char(["BA B"]).save(tmp_path)
    assert (tmp_path / "tokens.txt").read_text() == "<blk> 0\n<space> 1\nA 2\nB 3\n"


@pytest.mark.parametrize("tokens", [train_char(TEXTS), BPE], ids=["char", "bpe"])
def test_what_was_saved_is_loaded(tokens, tmp_path):
    tokens.save(tmp_path)
    loaded = Tokens.load(tmp_path)
    assert type(loaded) is type(tokens)
    assert (loaded.symbols, loaded.identity()) == (tokens.symbols, tokens.identity())
    assert loaded.encode("NINE TWO") == tokens.encode("NINE TWO")
    assert pickle.loads(pickle.dumps(loaded)).encode("SIX") == tokens.encode("SIX")


def test_the_model_file_is_one_that_sentencepiece_itself_reads(tmp_path):
    BPE.save(tmp_path)
    processor = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "bpe.model"))
    assert processor.encode("FOUR TWO") == BPE.encode("FOUR TWO")
    lines = [line.split(" ") for line in (tmp_path / "tokens.txt").read_text().splitlines()]
    assert [(processor.piece_to_id(piece), processor.id_to_piece(int(i))) for piece, i in lines] == [
        (int(i), piece) for piece, i in lines
    ]


def test_training_twice_gives_the_same_bytes_and_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert train_bpe(TEXTS, 40).model == BPE.model
    assert list(tmp_path.iterdir()) == []
    assert BPE.size == 40
    assert BPE.symbols[:3] == ("<blk>", "<sos/eos>", "<unk>")


def test_different_inventories_have_different_identities():
    inventories = [BPE, train_bpe(TEXTS, 41), train_char(TEXTS), train_char(["A"]), train_char(["B"])]
    assert len({tokens.identity() for tokens in inventories}) == 5


@pytest.mark.parametrize("tokens", [train_char(TEXTS), BPE], ids=["char", "bpe"])
@pytest.mark.parametrize(("text", "named"), [("ONE Ñ", "'Ñ' .LATIN CAPITAL LETTER N WITH"), ("A", "'A'")])
def test_a_symbol_that_no_token_spells_is_named(tokens, text, named):
    with pytest.raises(AsrkdError, match=named):
        tokens.encode(text)


@pytest.mark.parametrize("tokens", [train_char(TEXTS), BPE], ids=["char", "bpe"])
@pytest.mark.parametrize("text", ["<blk>", "\u2581ONE", "<unk>"])
def test_the_names_of_special_tokens_are_not_encoded_to_them(tokens, text):
    with pytest.raises(AsrkdError, match="no token spells"):
        tokens.encode(text)


@pytest.mark.parametrize("tokens", [train_char(TEXTS), BPE], ids=["char", "bpe"])
@pytest.mark.parametrize("index", [0, -1, 1000])
def test_decoding_the_blank_or_an_unknown_token_raises(tokens, index):
    with pytest.raises(ValueError, match=f"token id {index}: expected 1.."):
        tokens.decode([3, index])


@pytest.mark.parametrize(("size", "reason"), [(5, "smaller than required_chars"), (5000, "too high")])
def test_an_impossible_vocabulary_is_refused_in_a_line(size, reason):
    with pytest.raises(AsrkdError, match=f"--vocab-size {size}: .*{reason}") as caught:
        train_bpe(TEXTS, size)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("A 0\n", "id 0 is .*expected the blank"),
        ("<blk> 0\nA 2\n", "tokens.txt:2: 'A 2': expected 'symbol 1'"),
        ("<blk> 0\nA 1\nA 2\n", "duplicate symbol"),
        ("<blk> 0\n\u2581THE 1\n", "not one character; put bpe.model beside it"),
        ("", "expected the blank"),
    ],
)
def test_a_wrong_tokens_file_is_refused(tmp_path, content, complaint):
    (tmp_path / "tokens.txt").write_text(content, encoding="utf-8")
    with pytest.raises(AsrkdError, match=complaint):
        Tokens.load(tmp_path)


@pytest.mark.parametrize("kept", range(1, 550, 9))
def test_a_torn_model_is_refused(tmp_path, kept):
    assert kept < len(BPE.model)
    BPE.save(tmp_path)
    (tmp_path / "bpe.model").write_bytes(BPE.model[:kept])
    with pytest.raises(AsrkdError, match="torn"):
        Tokens.load(tmp_path)


def test_a_model_without_a_blank_is_refused():
    stream = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS), model_writer=stream, vocab_size=40, model_type="bpe", minloglevel=2
    )
    with pytest.raises(AsrkdError, match="piece 0 is '<unk>', expected the blank"):
        BpeTokens(stream.getvalue())


def test_the_blank_of_an_icefall_model_is_never_an_answer():
    """icefall makes the blank a piece that a text can spell."""
    stream = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS),
        model_writer=stream,
        vocab_size=40,
        model_type="bpe",
        user_defined_symbols=["<blk>", "<sos/eos>"],
        unk_id=2,
        bos_id=-1,
        eos_id=-1,
        minloglevel=2,
    )
    tokens = BpeTokens(stream.getvalue())
    assert tokens.decode(tokens.encode("ONE TWO")) == "ONE TWO"
    with pytest.raises(AsrkdError, match="no token spells '<blk>'"):
        tokens.encode("ONE <blk> TWO")


def test_an_absent_inventory_says_who_makes_one(tmp_path):
    with pytest.raises(AsrkdError, match="tokens.txt: no such file; expected bpe.model or tokens.txt"):
        Tokens.load(tmp_path)


def test_words_emitted_with_too_many_spaces_are_read_as_words():
    tokens = CharTokens(["<blk>", " ", "A"])
    assert tokens.decode([1, 2, 1, 1, 2, 1]) == "A A"


def test_loading_takes_a_file_as_well(tmp_path: Path):
    BPE.save(tmp_path)
    assert Tokens.load(tmp_path / "bpe.model").identity() == BPE.identity()
