"""Targets: what a student is trained toward, from the transcript or from a store of a teacher's answers."""
