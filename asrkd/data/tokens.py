"""Token inventories: characters or BPE pieces, with the blank at id 0; training, encoding, and files.

A text is words separated by single spaces: :meth:`Tokens.encode` normalizes
other whitespace and changes nothing else, so that
``decode(encode(text)) == text`` for every normalized text that it accepts.

Files are those of icefall and sherpa-onnx: ``tokens.txt`` with a line
``symbol id`` for each token, ``<blk> 0`` first and the space written
``<space>``; for BPE also the sentencepiece model, ``bpe.model``.
"""

import io
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path

import sentencepiece

from asrkd.core import files
from asrkd.core.errors import AsrkdError

BLANK_ID = 0  # blank of every inventory; the sentence boundary of decoders and language models
BLANK = "<blk>"
SPACE = "<space>"
UNKNOWN = "<unk>"
# First three BPE pieces, as in icefall; attention decoders start and end with the second.
SPECIAL_PIECES = (BLANK, "<sos/eos>", UNKNOWN)
TOKENS_FILE = "tokens.txt"
MODEL_FILE = "bpe.model"
BLANK_NAMES = (BLANK, "<blank>", "<eps>")
_SILENT = 3  # sentencepiece's log level for fatal errors only
WORD_START = "\u2581"  # sentencepiece's symbol for the space before a word


def normalize_spaces(text: str) -> str:
    """Return the same words with single spaces between them and none around them."""
    return " ".join(text.split())


class Tokens(ABC):
    """Token inventory; id 0 is the blank, which is in no encoded text."""

    symbols: tuple[str, ...]  # by id, the blank first

    @property
    def size(self) -> int:
        """Number of ids, with the blank."""
        return len(self.symbols)

    @abstractmethod
    def encode(self, text: str) -> list[int]:
        """Return the ids of a text, each in 1..size-1.

        Raises:
            AsrkdError: the text holds a symbol that no token spells; the message names it.
        """

    @abstractmethod
    def decode(self, ids: Sequence[int]) -> str:
        """Return the text that ids spell.

        Raises:
            ValueError: an id is the blank or outside the inventory.
        """

    @abstractmethod
    def identity(self) -> str:
        """Return a hex digest of the encoding: equal for equal inventories."""

    @property
    def silent(self) -> tuple[int, ...]:
        """Ids that a transducer does not emit: the blank, and a piece for unknown symbols."""
        return tuple(index for index, symbol in enumerate(self.symbols) if symbol in (BLANK, UNKNOWN))

    def save(self, folder: Path) -> None:
        """Write ``tokens.txt`` (and ``bpe.model``) into ``folder``."""
        with files.create(folder / TOKENS_FILE) as stream:
            for index, symbol in enumerate(self.symbols):
                stream.write(f"{SPACE if symbol == ' ' else symbol} {index}\n")

    @staticmethod
    def load(source: Path) -> "Tokens":
        """Read an inventory from a folder, or from a ``tokens.txt`` or ``*.model`` file.

        Raises:
            AsrkdError: there is no inventory, or its ids cannot be read.
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
    """Character inventory: one token for each Unicode code point."""

    def __init__(self, symbols: Sequence[str], where: str = "tokens") -> None:
        """Take ``symbols`` by id; ``where`` is their file, for messages.

        Raises:
            AsrkdError: no blank at 0, a duplicate symbol, or pieces of a BPE model.
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
            raise AsrkdError(f"{where}: duplicate symbol")

    def encode(self, text: str) -> list[int]:
        """Return the ids of the characters of a text; AsrkdError at one outside the inventory."""
        try:
            return [self._ids[character] for character in normalize_spaces(text)]
        except KeyError as error:
            raise unknown_symbol(str(error.args[0]), text) from None

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text that ids spell."""
        self._check(ids)
        return normalize_spaces("".join(self.symbols[index] for index in ids))

    def identity(self) -> str:
        """Return a hex digest of the symbols in their order."""
        return files.sha256_of({"kind": "char", "symbols": self.symbols})


class BpeTokens(Tokens):
    """BPE inventory: the pieces of a sentencepiece model."""

    def __init__(self, model: bytes, where: str = MODEL_FILE) -> None:
        """Take a serialized sentencepiece model; ``where`` is its file, for messages.

        Raises:
            AsrkdError: not a model, or its piece 0 is not the blank.
        """
        self.model = model
        sentencepiece.SetMinLogLevel(_SILENT)  # the error below replaces its log
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
        """Return the ids of the pieces of a text; AsrkdError at a symbol that no piece spells."""
        text = normalize_spaces(text)
        ids: list[int] = self._processor.encode(text)
        if WORD_START in text:
            raise unknown_symbol(WORD_START, text)
        for index, piece in zip(ids, self._processor.encode(text, out_type=str), strict=True):
            if index == 0 or self._processor.is_unknown(index):
                raise unknown_symbol(piece, text)
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text that ids spell."""
        self._check(ids)
        return normalize_spaces(self._processor.decode([int(index) for index in ids]))

    def identity(self) -> str:
        """Return a hex digest of the model: models with equal pieces may still split texts differently."""
        return files.sha256_of({"kind": "bpe", "model": self.model.hex()})

    def save(self, folder: Path) -> None:
        """Write ``bpe.model`` and ``tokens.txt`` into ``folder``."""
        with files.create_bytes(folder / MODEL_FILE) as stream:
            stream.write(self.model)
        super().save(folder)


def train_char(texts: Iterable[str]) -> CharTokens:
    """Collect the characters of ``texts`` and the space, in the order of their code points."""
    characters = set().union(*map(normalize_spaces, texts), " ")
    return CharTokens([BLANK, *sorted(characters)])


def train_bpe(texts: Iterable[str], vocab_size: int) -> BpeTokens:
    """Train a BPE model on ``texts``, without Unicode normalization and with every character covered.

    The training uses one thread and no sampling, so that equal texts in equal order give
    equal bytes. ``<sos/eos>`` and ``<unk>`` follow the blank, as in icefall. A text that
    holds one of these names spells it like any other word.

    Raises:
        AsrkdError: ``texts`` cannot fill ``vocab_size`` tokens, or need more.
    """
    model = io.BytesIO()
    lines = [normalize_spaces(text) for text in texts]
    # The trainer takes the name of the unknown piece for the piece itself, and leaves its letters out.
    required = UNKNOWN if any(UNKNOWN in line for line in lines) else ""
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines),
            model_writer=model,
            model_type="bpe",
            vocab_size=vocab_size,
            character_coverage=1.0,
            normalization_rule_name="identity",
            max_sentence_length=1 << 20,  # bytes; the trainer drops longer lines silently
            control_symbols=list(SPECIAL_PIECES[:2]),
            unk_id=SPECIAL_PIECES.index(UNKNOWN),
            required_chars=required,
            bos_id=-1,
            eos_id=-1,
            pad_id=-1,
            num_threads=1,
            minloglevel=2,
        )
    except RuntimeError as error:
        cause = str(error).split("] ")[-1]
        raise AsrkdError(f"--vocab-size {vocab_size}: no BPE model of these transcripts: {cause}") from None
    return BpeTokens(model.getvalue())


def unknown_symbol(symbol: str, text: str) -> AsrkdError:
    """Make the error for a ``symbol`` in ``text`` that no token spells."""
    names = ", ".join(unicodedata.name(character, f"U+{ord(character):04X}") for character in symbol)
    return AsrkdError(
        f"no token spells {symbol!r} ({names}) in {text[:60]!r}; use the inventory of this corpus"
    )


def _compare(tokens: BpeTokens, path: Path) -> None:
    """Raise AsrkdError unless ``tokens.txt`` has the model's pieces: a torn model may still load."""
    if not path.is_file():
        return
    listed = _read_symbols(path)
    extra = [symbol for symbol in listed[tokens.size :] if not symbol.startswith("#")]  # icefall's #0, #1
    if extra or tuple(listed[: tokens.size]) != tokens.symbols:
        raise AsrkdError(f"{path}: not the pieces of {MODEL_FILE} beside it: one is torn or was replaced")


def _read_symbols(path: Path) -> list[str]:
    symbols: list[str] = []
    for number, line in files.read_lines(path):
        symbol, _, index = line.rpartition(" ")
        if not symbol or index != str(len(symbols)):
            raise AsrkdError(f"{path}:{number}: {line!r}: expected 'symbol {len(symbols)}'")
        symbols.append(" " if symbol == SPACE else symbol)
    return symbols
