"""How a language model does on sentences that it is not trained on."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from asrkd.objectives.attention import Attention, AttentionConfig
from asrkd.packed_cuts import CutsById
from asrkd.targets.sentences import Sentences, TextSource
from asrkd.targets.target_source import TargetSource
from asrkd.tokens import Tokens
from asrkd.training.held_out import HeldOut
from asrkd.training.learner import Learner, Term
from asrkd.training.plan import plan_in_order
from asrkd.training.precision import Precision
from asrkd.training.validation import Losses

_TEXT = "text"


class TextValidator:
    """Dev sentences, and what can be measured on them."""

    def __init__(self, sentences: Sentences, tokens: Tokens, max_tokens: float) -> None:
        """Prepare batches of at most ``max_tokens``, padding counted."""
        self.by_id, self.source = CutsById(sentences), TextSource(tokens)
        self.plan = plan_in_order(sentences.records, max_tokens)
        self.num_tokens = sum(sentence.duration for sentence in sentences.records)  # with ends
        self.num_words = sentences.num_words + len(sentences)  # likewise

    def held_out(self, terms: Sequence[Term], sources: Mapping[str, TargetSource]) -> list[HeldOut]:
        """None: the loss on dev sentences is what is measured anyway."""
        return []

    @torch.no_grad()
    def __call__(
        self, learner: Learner, terms: Sequence[HeldOut], precision: Precision, device: torch.device
    ) -> dict[str, Any]:
        """Perplexity with ``learner``'s weights.

        Returns:
            ``loss`` in nats a token, ends of sentences counted; ``perplexity``,
            its exponential; ``word_perplexity``, the same of words and ends,
            which can be compared between inventories of tokens.
        """
        learner.eval()
        objective = Attention(AttentionConfig(), learner.student).eval()
        measured = Losses(learner, precision, device, {_TEXT: objective}, {_TEXT: self.source})
        for _ in measured.over(self.by_id, self.plan):
            pass
        learner.train()
        loss = measured.means()[_TEXT]
        by_word = loss * self.num_tokens / self.num_words
        return {"loss": loss, "perplexity": _exp(loss), "word_perplexity": _exp(by_word)}


def _exp(nats: float) -> float:
    return math.exp(min(nats, 700.0))  # a model before its first step may be worse than floats can say
