"""Language models of ``--lm``: a model folder of ``asrkd train``, or a file of word n-grams.

Notation: N utterances, B sequences, V tokens with the boundary at 0.
"""

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
from asrkd.core.errors import AsrkdError, error_text, warn
from asrkd.data.tokens import WORD_START, Tokens
from asrkd.decoding.arpa import check_spelling
from asrkd.models.directory import load_language_model
from asrkd.models.recognizer import LoadedModel
from asrkd.models.stepwise import BOUNDARY, StepState, Stepwise

NATS = math.log(10)  # kenlm's logarithms are to the base 10
END = "</s>"


@dataclass(frozen=True)
class NgramState:
    """State of B sequences: kenlm's state after their complete words, and the partial word after them."""

    contexts: Sequence[Any]
    words: Sequence[str]
    device: torch.device

    def take(self, places: Tensor) -> "NgramState":
        """Select the states of the sequences at ``places`` (B',) int64, which may repeat."""
        chosen: list[int] = places.tolist()
        contexts, words = [self.contexts[place] for place in chosen], [self.words[place] for place in chosen]
        return NgramState(contexts, words, self.device)


class WordNgram:
    """Word n-gram model as a :class:`asrkd.models.stepwise.Stepwise` over a recognizer's tokens."""

    def __init__(self, path: Path, tokens: Tokens) -> None:
        """Load an ARPA file, or one in kenlm's binary format.

        Raises:
            AsrkdError: kenlm is not installed or cannot read the file, a token
                spells more than one word, or the tokens spell no word of an
                ARPA file (a binary file does not list its words: see
                :meth:`observe`).
        """
        if not path.is_file():
            raise AsrkdError(
                f"--lm {path}: no such file; expected an n-gram model, ARPA or kenlm's binary format"
            )
        self.kenlm = _import_kenlm(path)
        self.spelled = [symbol.replace(WORD_START, " ") for symbol in tokens.symbols]
        self.path, self._has_known, self._unknown = path, False, ""
        check_spelling(path, self.spelled)  # before kenlm reads the whole file
        config = self.kenlm.Config()
        config.show_progress = False
        try:
            self.model = self.kenlm.Model(str(path), config)
        except (OSError, RuntimeError) as error:
            raise AsrkdError(
                f"--lm {path}: not an n-gram model that kenlm can read ({error_text(error)})"
            ) from None
        for symbol, spelled in zip(tokens.symbols, self.spelled, strict=True):
            if " " in spelled[1:]:
                raise AsrkdError(
                    f"--lm {path}: token {symbol!r} spells several words; an n-gram needs tokens within words"
                )
        ends = [
            number for number, spelled in enumerate(self.spelled) if spelled[:1] == " " and number != BOUNDARY
        ]
        self.word_ends = torch.tensor(ends, dtype=torch.int64)

    def observe(self, texts: Iterable[str]) -> None:
        """Record whether decoded texts hold a word of the model's vocabulary, for :meth:`warn`."""
        words = (word for text in texts for word in text.split())
        while not self._has_known and (word := next(words, None)) is not None:
            self._has_known = word in self.model
            self._unknown = self._unknown or word

    def warn(self) -> None:
        """Warn on stderr, once per process, if no word of the observed texts is in the vocabulary."""
        if not self._has_known and self._unknown:
            warn(
                f"--lm {self.path}: its vocabulary has none of the decoded words, such as {self._unknown!r}, "
                "so all are scored as <unk>; was it trained on text in another letter case?"
            )
            self._has_known = True

    def start(self, encoded: Tensor, num_frames: Tensor) -> NgramState:
        """Return the state before the first token; of (N, T, D) and (N,) only N and the device matter."""
        context = self.kenlm.State()
        self.model.BeginSentenceWrite(context)
        count = len(num_frames)
        return NgramState([context] * count, [""] * count, encoded.device)

    def step(self, tokens: Tensor, state: StepState) -> tuple[Tensor, NgramState]:
        """Append ``tokens`` (B,); return log-probabilities (B, V), float32 in nats, and the state after.

        A token that starts a word is charged with the word before it, the
        boundary with the last word and the end of the sentence, other tokens
        with nothing.
        """
        assert isinstance(state, NgramState)
        appended = [
            self._append(context, word, token)
            for context, word, token in zip(state.contexts, state.words, tokens.tolist(), strict=True)
        ]
        after = NgramState([context for context, _ in appended], [word for _, word in appended], state.device)
        costs = [self._costs(context, word) for context, word in appended]
        word_end, sentence_end = torch.tensor(costs, dtype=torch.float32).view(-1, 2).unbind(dim=1)
        log_probs = torch.zeros(len(appended), len(self.spelled))
        log_probs[:, self.word_ends] = word_end[:, None]
        log_probs[:, BOUNDARY] = sentence_end
        return log_probs.to(state.device), after

    def _append(self, context: Any, word: str, token: int) -> tuple[Any, str]:
        """Return context and partial word after a token."""
        if token == BOUNDARY:  # start of the sentence
            return context, word
        spelled = self.spelled[token]
        if not spelled.startswith(" "):
            return context, word + spelled
        return (self._score(context, word)[1] if word else context), spelled[1:]

    def _costs(self, context: Any, word: str) -> tuple[float, float]:
        """Return log-probabilities in nats of the partial word as a whole one, and of it and the end."""
        log_prob, context = self._score(context, word) if word else (0.0, context)
        return log_prob, log_prob + self._score(context, END)[0]

    def _score(self, context: Any, word: str) -> tuple[float, Any]:
        """Return the log-probability of a word in nats, and the context after it."""
        after = self.kenlm.State()
        return NATS * self.model.BaseScore(context, word, after), after


def _import_kenlm(path: Path) -> Any:
    """Import kenlm; AsrkdError if it is not installed."""
    try:
        return importlib.import_module("kenlm")
    except (ImportError, OSError) as error:
        raise AsrkdError(
            f"--lm {path}: n-gram models need kenlm ({error_text(error)}); install it with: pip install kenlm"
        ) from None


def open_lm(path: Path, model: LoadedModel, device: str = "cpu") -> Stepwise:
    """Load the language model at ``path`` for use with a recognizer.

    Raises:
        AsrkdError: the language model cannot be read, or its tokens are not the recognizer's.
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
    """Return the hash of the language model at ``path``, as contracts record it.

    Raises:
        AsrkdError: there is no such file or folder, or the folder holds no language model.
    """
    if path.is_dir():
        return {"sha256": load_language_model(path).weights_sha256}
    if not path.is_file():
        raise AsrkdError(f"--lm {path}: no such file or folder")
    return {"sha256": files.sha256(path)}


@lru_cache(maxsize=2)
def _word_ngram(path: Path, model: LoadedModel) -> WordNgram:
    """Load a word n-gram model; cached."""
    return WordNgram(path, model.tokens)
