"""What spells texts: characters or BPE pieces, saved and loaded.

A text is words separated by single spaces: :meth:`Tokens.encode` puts any
other whitespace right and changes nothing else, so that
``decode(encode(text)) == text`` for every text it accepts.

On disk an inventory is what icefall and sherpa-onnx read: ``tokens.txt``, a
line of ``symbol id`` each, ``<blk> 0`` first and the space written
``<space>``; for BPE also the sentencepiece model, ``bpe.model``.
"""

import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import sentencepiece

from asrkd.core import files
from asrkd.core.errors import AsrkdError

BLANK = "<blk>"
SPACE = "<space>"
TOKENS_FILE = "tokens.txt"
MODEL_FILE = "bpe.model"
BLANK_NAMES = (BLANK, "<blank>", "<eps>")
_SILENT = 3  # level of sentencepiece's log that only fatal errors reach
WORD_START = "\u2581"  # how sentencepiece writes the space before a word


def normalize_spaces(text: str) -> str:
    """The same words with single spaces between them and none around them."""
    return " ".join(text.split())


class Tokens(ABC):
    """A token inventory; id 0 is the blank, which no text is encoded to."""

    symbols: tuple[str, ...]  # by id, the blank first

    @property
    def size(self) -> int:
        """How many ids there are, with the blank."""
        return len(self.symbols)

    @abstractmethod
    def encode(self, text: str) -> list[int]:
        """Ids of a text, each in 1..size-1.

        Raises:
            AsrkdError: the text holds something that no token spells; it is named.
        """

    @abstractmethod
    def decode(self, ids: Sequence[int]) -> str:
        """The text that ids spell.

        Raises:
            ValueError: an id is the blank or outside the inventory.
        """

    @abstractmethod
    def identity(self) -> str:
        """Hex digest of what decides the encoding: equal for equal inventories."""

    def save(self, folder: Path) -> None:
        """Write ``tokens.txt`` (and ``bpe.model``) into ``folder``."""
        with files.create(folder / TOKENS_FILE) as stream:
            for index, symbol in enumerate(self.symbols):
                stream.write(f"{SPACE if symbol == ' ' else symbol} {index}\n")

    @staticmethod
    def load(source: Path) -> "Tokens":
        """The inventory in a folder, or in a ``tokens.txt`` or ``*.model`` file.

        Raises:
            AsrkdError: there is none, or it is not one that ids can be read from.
        """
        path = source
        if source.is_dir():
            path = source / (MODEL_FILE if (source / MODEL_FILE).is_file() else TOKENS_FILE)
        if not path.is_file():
            raise AsrkdError(
                f"{path}: no such file; expected {MODEL_FILE} or {TOKENS_FILE}, which asrkd prepare makes"
            )
        if path.suffix == ".model":
            pieces = BpeTokens(path.read_bytes(), where=str(path))
            _compare(pieces, path.with_name(TOKENS_FILE))
            return pieces
        return CharTokens(_read_symbols(path), where=str(path))

    def _check(self, ids: Sequence[int]) -> None:
        for index in ids:
            if not 0 < index < self.size:
                raise ValueError(f"token id {index}: expected 1..{self.size - 1}")


class CharTokens(Tokens):
    """One token a character (Unicode code point)."""

    def __init__(self, symbols: Sequence[str], where: str = "tokens") -> None:
        """Take ``symbols`` by id; ``where`` they are from, for messages.

        Raises:
            AsrkdError: no blank at 0, a symbol twice, or pieces of a BPE model.
        """
        self.symbols = tuple(symbols)
        if not self.symbols or self.symbols[0] not in BLANK_NAMES:
            raise AsrkdError(f"{where}: id 0 is {self.symbols[:1]}, expected the blank, {BLANK!r}")
        for symbol in self.symbols[1:]:
            if len(symbol) != 1 and not symbol.startswith(("<", "#")):
                raise AsrkdError(
                    f"{where}: {symbol!r} is not one character; put {MODEL_FILE} beside it if it is a piece"
                )
        self._ids = {symbol: index for index, symbol in enumerate(self.symbols) if len(symbol) == 1}
        if len(set(self.symbols)) != len(self.symbols):
            raise AsrkdError(f"{where}: a symbol comes twice")

    def encode(self, text: str) -> list[int]:
        """Ids of the characters of a text; AsrkdError at one that is not in the inventory."""
        try:
            return [self._ids[character] for character in normalize_spaces(text)]
        except KeyError as error:
            raise unknown_symbol(str(error.args[0]), text) from None

    def decode(self, ids: Sequence[int]) -> str:
        """The text that ids spell."""
        self._check(ids)
        return normalize_spaces("".join(self.symbols[index] for index in ids))

    def identity(self) -> str:
        """Hex digest of the symbols in their order."""
        return files.sha256_of({"kind": "char", "symbols": self.symbols})


class BpeTokens(Tokens):
    """Pieces of a sentencepiece model."""

    def __init__(self, model: bytes, where: str = MODEL_FILE) -> None:
        """Take a serialized sentencepiece model; ``where`` it is from, for messages.

        Raises:
            AsrkdError: it is not one, or its piece 0 is not the blank.
        """
        self.model = model
        sentencepiece.SetMinLogLevel(_SILENT)  # what is wrong is told here, once
        try:
            self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
            count = self._processor.get_piece_size()
        except RuntimeError:
            count = 0
        if not count:
            raise AsrkdError(f"{where}: torn, or not a sentencepiece model")
        self.symbols = tuple(self._processor.id_to_piece(index) for index in range(count))
        if self.symbols[0] not in BLANK_NAMES:
            raise AsrkdError(
                f"{where}: piece 0 is {self.symbols[0]!r}, expected the blank, {BLANK!r}; "
                "make the model with: asrkd prepare --tokens bpe"
            )

    def encode(self, text: str) -> list[int]:
        """Ids of the pieces that the model cuts a text into; AsrkdError at what no piece spells."""
        text = normalize_spaces(text)
        ids: list[int] = self._processor.encode(text)
        if WORD_START in text:
            raise unknown_symbol(WORD_START, text)
        for index, piece in zip(ids, self._processor.encode(text, out_type=str), strict=True):
            if index == 0 or self._processor.is_unknown(index):
                raise unknown_symbol(piece, text)
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """The text that ids spell."""
        self._check(ids)
        return normalize_spaces(self._processor.decode([int(index) for index in ids]))

    def identity(self) -> str:
        """Hex digest of the model: two may have equal pieces and still cut texts differently."""
        return files.sha256_of({"kind": "bpe", "model": self.model.hex()})

    def save(self, folder: Path) -> None:
        """Write ``bpe.model`` and ``tokens.txt`` into ``folder``."""
        with files.create_bytes(folder / MODEL_FILE) as stream:
            stream.write(self.model)
        super().save(folder)


def unknown_symbol(symbol: str, text: str) -> AsrkdError:
    """The error for a ``symbol`` in ``text`` that no token spells."""
    names = ", ".join(unicodedata.name(character, f"U+{ord(character):04X}") for character in symbol)
    return AsrkdError(f"no token spells {symbol!r} ({names}) in {text[:60]!r}; the inventory is another's")


def _compare(tokens: BpeTokens, path: Path) -> None:
    """Refuse a model that is not that of the ``tokens.txt`` beside it: a torn model can still be read."""
    if not path.is_file():
        return
    listed = _read_symbols(path)
    extra = [symbol for symbol in listed[tokens.size :] if not symbol.startswith("#")]  # icefall's #0, #1
    if extra or tuple(listed[: tokens.size]) != tokens.symbols:
        raise AsrkdError(f"{path}: not the pieces of {MODEL_FILE} beside it: one is torn or another's")


def _read_symbols(path: Path) -> list[str]:
    symbols: list[str] = []
    for number, line in files.read_lines(path):
        symbol, _, index = line.rpartition(" ")
        if not symbol or index != str(len(symbols)):
            raise AsrkdError(f"{path}:{number}: {line!r}: expected 'symbol {len(symbols)}'")
        symbols.append(" " if symbol == SPACE else symbol)
    return symbols
