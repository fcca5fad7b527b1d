"""Corpora: each module turns one kind of corpus into lhotse cuts."""
