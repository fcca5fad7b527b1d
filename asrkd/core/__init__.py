"""Foundations that know nothing of speech: errors, files, configs, processes, randomness."""
