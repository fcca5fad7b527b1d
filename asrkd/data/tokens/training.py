"""Token inventories made from transcripts, the same from the same transcripts."""

import io
from collections.abc import Iterable

import sentencepiece

from asrkd.core.errors import AsrkdError
from asrkd.data.tokens.inventory import BLANK, BpeTokens, CharTokens, normalize_spaces

# icefall's first three BPE pieces; attention decoders start and end with the second.
UNKNOWN = "<unk>"
SPECIAL_PIECES = (BLANK, "<sos/eos>", UNKNOWN)


def train_char(texts: Iterable[str]) -> CharTokens:
    """The characters of ``texts`` in the order of their code points, and the space."""
    characters = set().union(*map(normalize_spaces, texts), " ")
    return CharTokens([BLANK, *sorted(characters)])


def train_bpe(texts: Iterable[str], vocab_size: int) -> BpeTokens:
    """A BPE model of ``texts``: Unicode is left as it is, every character is covered.

    One thread and no sampling, so that equal texts in equal order give equal
    bytes. ``<sos/eos>`` and ``<unk>`` follow the blank, as in icefall; where a text
    holds one of these names, it is spelled like any other word.

    Raises:
        AsrkdError: ``texts`` cannot fill, or do not fit into, ``vocab_size`` tokens.
    """
    model = io.BytesIO()
    lines = [normalize_spaces(text) for text in texts]
    # The trainer takes the name of the unknown piece for the piece itself, and leaves its letters out.
    needed = UNKNOWN if any(UNKNOWN in line for line in lines) else ""
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines),
            model_writer=model,
            model_type="bpe",
            vocab_size=vocab_size,
            character_coverage=1.0,
            normalization_rule_name="identity",
            max_sentence_length=1 << 20,  # bytes; longer ones would be left out without a word
            control_symbols=list(SPECIAL_PIECES[:2]),
            unk_id=SPECIAL_PIECES.index(UNKNOWN),
            required_chars=needed,
            bos_id=-1,
            eos_id=-1,
            pad_id=-1,
            num_threads=1,
            minloglevel=2,
        )
    except RuntimeError as error:
        reason = str(error).split("] ")[-1]
        raise AsrkdError(f"--vocab-size {vocab_size}: no BPE model of these transcripts: {reason}") from None
    return BpeTokens(model.getvalue())
