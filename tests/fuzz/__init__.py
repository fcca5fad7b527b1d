"""Fuzzing of asrkd's commands: mutated inputs of every kind, run in one process.

``python -m tests.fuzz --seconds 60`` or ``--inputs 10000 --seed 1``; ``--replay FOLDER`` runs a kept input.
Input N of a seed is the same whatever ran before it; tests/fuzz/verdict.py says what counts as a failure.
"""
