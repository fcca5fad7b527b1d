"""Targets: what a student is trained towards, from the transcript or from a store of a teacher's answers."""
