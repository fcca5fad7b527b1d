"""Costs of recognition: multiply-adds, computing time and memory."""
