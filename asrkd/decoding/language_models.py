"""Language models that ``--lm`` names: a folder of `asrkd train`, or a file with word n-grams."""

import importlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from asrkd.core import files
from asrkd.core.errors import AsrkdError, warn
from asrkd.data.tokens import WORD_START, Tokens
from asrkd.decoding.arpa import require_words
from asrkd.models.directory import load_language_model
from asrkd.models.recognizer import LoadedModel
from asrkd.models.stepwise import BOUNDARY, StepState, Stepwise

NATS = math.log(10)  # kenlm's logarithms are to the base 10
END = "</s>"


@dataclass(frozen=True)
class NgramState:
    """Of B sequences: kenlm's state after their whole words, and the word that is being spelled."""

    contexts: Sequence[Any]
    words: Sequence[str]
    device: torch.device

    def take(self, places: Tensor) -> "NgramState":
        """The states of the sequences at ``places`` (B',) int64, which may repeat."""
        chosen: list[int] = places.tolist()
        contexts, words = [self.contexts[place] for place in chosen], [self.words[place] for place in chosen]
        return NgramState(contexts, words, self.device)


class WordNgram:
    """A language model as :class:`asrkd.models.stepwise.Stepwise` has it."""

    def __init__(self, path: Path, tokens: Tokens) -> None:
        """Read an ARPA file, or kenlm's binary form.

        Raises:
            AsrkdError: kenlm is not installed, the file is not one that it
                reads, a token spells more than one word, or an ARPA file has
                no word that the tokens spell (a binary one does not list
                its words: see :meth:`look_at`).
        """
        if not path.is_file():
            raise AsrkdError(
                f"--lm {path}: no such file; expected an n-gram model, ARPA or kenlm's binary form"
            )
        self.kenlm = _import_kenlm(path)
        self.spelled = [symbol.replace(WORD_START, " ") for symbol in tokens.symbols]
        self.path, self._has_known, self._unknown = path, False, ""
        require_words(path, self.spelled)  # before the long reading of all of it
        config = self.kenlm.Config()
        config.show_progress = False
        try:
            self.model = self.kenlm.Model(str(path), config)
        except (OSError, RuntimeError) as error:
            cause = " ".join(str(error).split())[-300:]  # C++ comes first, the reason last
            raise AsrkdError(f"--lm {path}: not an n-gram model that kenlm can read ({cause})") from None
        for symbol, spelled in zip(tokens.symbols, self.spelled, strict=True):
            if " " in spelled[1:]:
                raise AsrkdError(
                    f"--lm {path}: the token {symbol!r} spells more than a word, so words have no end"
                )
        ends = [
            number for number, spelled in enumerate(self.spelled) if spelled[:1] == " " and number != BOUNDARY
        ]
        self.word_ends = torch.tensor(ends, dtype=torch.int64)

    def look_at(self, texts: Iterable[str]) -> None:
        """Take notice of whether texts that were found have a word that the model knows."""
        words = (word for text in texts for word in text.split())
        while not self._has_known and (word := next(words, None)) is not None:
            self._has_known = word in self.model
            self._unknown = self._unknown or word

    def warn(self) -> None:
        """Say on stderr, once in a process, if no word of all that were looked at was known."""
        if not self._has_known and self._unknown:
            warn(
                f"--lm {self.path}: it knows none of the words that were found, such as "
                f"{self._unknown!r}: to it all are <unk>; was it made of text in another case?"
            )
            self._has_known = True

    def start(self, encoded: Tensor, num_frames: Tensor) -> NgramState:
        """The beginnings of N sentences; of (N, T, D) and (N,) it looks at N and the device alone."""
        context = self.kenlm.State()
        self.model.BeginSentenceWrite(context)
        count = len(num_frames)
        return NgramState([context] * count, [""] * count, encoded.device)

    def step(self, tokens: Tensor, state: StepState) -> tuple[Tensor, NgramState]:
        """Log-probability of what each next token ends, (B, V) float32 in nats, after ``tokens`` (B,)."""
        assert isinstance(state, NgramState)
        appended = [
            self._append(*own) for own in zip(state.contexts, state.words, tokens.tolist(), strict=True)
        ]
        after = NgramState([context for context, _ in appended], [word for _, word in appended], state.device)
        costs = [self._costs(context, word) for context, word in appended]
        word_end, sentence_end = torch.tensor(costs, dtype=torch.float32).view(-1, 2).unbind(dim=1)
        log_probs = torch.zeros(len(appended), len(self.spelled))
        log_probs[:, self.word_ends] = word_end[:, None]
        log_probs[:, BOUNDARY] = sentence_end
        return log_probs.to(state.device), after

    def _append(self, context: Any, word: str, token: int) -> tuple[Any, str]:
        """Context and word after a token, which may end the word."""
        if token == BOUNDARY:  # the sentence begins
            return context, word
        spelled = self.spelled[token]
        if not spelled.startswith(" "):
            return context, word + spelled
        return (self._score(context, word)[1] if word else context), spelled[1:]

    def _costs(self, context: Any, word: str) -> tuple[float, float]:
        """Log-probability in nats of the word, if there is one; of it and the sentence's end."""
        own, context = self._score(context, word) if word else (0.0, context)
        return own, own + self._score(context, END)[0]

    def _score(self, context: Any, word: str) -> tuple[float, Any]:
        after = self.kenlm.State()
        return NATS * self.model.BaseScore(context, word, after), after


def _import_kenlm(path: Path) -> Any:
    try:
        return importlib.import_module("kenlm")
    except (ImportError, OSError) as error:
        cause = " ".join(str(error).split())
        raise AsrkdError(
            f"--lm {path}: n-gram models need kenlm ({cause}); install it with: pip install kenlm"
        ) from None


def open_lm(path: Path, model: LoadedModel, device: str = "cpu") -> Stepwise:
    """The language model at ``path``, to be used beside a recognizer.

    Raises:
        AsrkdError: it cannot be read, or is one over other tokens.
    """
    if not path.is_dir():
        return _word_ngram(path, model)
    lm = load_language_model(path, device)
    if lm.tokens.identity() != model.tokens.identity():
        raise AsrkdError(
            f"--lm {path}: its tokens are not those of {model.path}; train it with the same data.tokens"
        )
    return lm.model


def lm_identity(path: Path) -> dict[str, str]:
    """What a contract says of the language model at ``path``: its hash.

    Raises:
        AsrkdError: there is none, or a folder that holds something else.
    """
    if path.is_dir():
        return {"sha256": load_language_model(path).weights_sha256}
    if not path.is_file():
        raise AsrkdError(f"--lm {path}: no such file or folder")
    return {"sha256": files.sha256(path)}


@lru_cache(maxsize=2)
def _word_ngram(path: Path, model: LoadedModel) -> WordNgram:
    return WordNgram(path, model.tokens)
