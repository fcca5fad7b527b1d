"""Token inventories: text to ids and back, with the blank at 0."""

from asrkd.data.tokens.inventory import BpeTokens, CharTokens, Tokens, normalize_spaces
from asrkd.data.tokens.training import SPECIAL_PIECES, train_bpe, train_char

__all__ = [
    "SPECIAL_PIECES",
    "BpeTokens",
    "CharTokens",
    "Tokens",
    "normalize_spaces",
    "train_bpe",
    "train_char",
]
