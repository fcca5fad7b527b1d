"""Corpora of several kinds, read into lhotse cuts."""
