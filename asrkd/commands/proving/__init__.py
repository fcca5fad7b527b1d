"""Proofs by faults, on a file system, that nothing is lost; used by `asrkd selftest` and `make prove`."""
