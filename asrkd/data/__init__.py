"""Data: corpora, cuts, features, and tokens."""
