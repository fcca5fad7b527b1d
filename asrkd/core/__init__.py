"""Foundations without speech: errors, files, configs, processes, randomness."""
