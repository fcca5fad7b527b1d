"""Evaluation of finished systems: comparisons, costs, inherited errors, and the report."""
