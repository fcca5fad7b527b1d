"""Comparison of scored systems: roles, statistics, and tables and sentences of the results."""
