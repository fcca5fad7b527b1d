"""``tokens.txt`` as sherpa-onnx reads it, and the symbols that it would lose.

It writes a space for the symbol U+2581, whereas asrkd's own file writes
``<space>``, which would be printed as it stands.
"""

from collections.abc import Sequence

from asrkd.core.errors import AsrkdError
from asrkd.data.tokens import BLANK, SPACE, WORD_START

# Symbols that the offline CTC search drops from its results, whatever their ids.
DROPPED_BY_OFFLINE_CTC = ("SIL", "</s>")
BLANKS = (BLANK, "<eps>", "<blank>")  # names by which a CTC search finds the blank
# A file whose symbols have no byte above this one, and this one somewhere, is read as byte-level BPE.
BYTE_BPE = 0xC6


def tokens_text(symbols: Sequence[str], where: str, *, offline_ctc: bool) -> str:
    """Return the lines of ``tokens.txt`` for the symbols of an inventory, by id.

    Args:
        symbols: V symbols, the blank first.
        where: the model, for messages.
        offline_ctc: whether the model is an offline CTC model, whose search drops some symbols.

    Raises:
        AsrkdError: sherpa-onnx would not find the blank, or would lose a symbol.
    """
    if symbols[0] not in BLANKS:
        raise AsrkdError(
            f"{where}: token 0 is {symbols[0]!r}, sherpa-onnx finds the blank as one of {', '.join(BLANKS)}; "
            "prepare the corpus again with asrkd's tokens, and train on it"
        )
    lost = [symbol for symbol in symbols if offline_ctc and symbol in DROPPED_BY_OFFLINE_CTC]
    if lost:
        raise AsrkdError(
            f"{where}: sherpa-onnx's offline CTC search drops tokens that are spelled {lost[0]!r}; train "
            "with another inventory, or export a streaming or a transducer model"
        )
    return "".join(f"{_written(symbol, symbols)} {index}\n".lstrip() for index, symbol in enumerate(symbols))


def _written(symbol: str, symbols: Sequence[str]) -> str:
    if symbol != " ":
        return symbol
    return "" if WORD_START in symbols else WORD_START  # a line of an id alone is a space as well


def spelled(symbol: str) -> str:
    """Return the text of a symbol of an inventory or of sherpa-onnx's results: spaces as spaces."""
    return " " if symbol == SPACE else symbol.replace(WORD_START, " ")


def looks_like_byte_bpe(symbols: Sequence[str]) -> bool:
    """Return whether sherpa-onnx would take the symbols for bytes, and lose letters such as U+0189."""
    largest = max(byte for symbol in symbols for byte in symbol.replace(" ", WORD_START).encode())
    return largest == BYTE_BPE
