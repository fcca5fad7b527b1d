"""Targets that a student is trained toward, from transcripts, stores or live teachers."""
