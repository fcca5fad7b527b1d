"""Stores of a teacher's outputs: shards, contract, provenance."""
