"""Cuts: records, manifests, and folds."""
