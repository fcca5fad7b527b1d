"""asrkd: ask a strong recognizer once, keep its answers, train small ones against them."""

__version__ = "0.1.0"
