"""asrkd: ask a strong recogniser once, keep its answers, train small ones against them."""

__version__ = "0.1.0"
