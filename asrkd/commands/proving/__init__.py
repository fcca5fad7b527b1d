"""Proofs by fault injection that no work is lost; used by `asrkd selftest` and `make prove`."""
