"""Proof, on the file system at hand, that nothing is lost: what `asrkd selftest` and `make prove` run."""
