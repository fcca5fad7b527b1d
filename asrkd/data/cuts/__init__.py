"""Cuts: records, manifests, packed lists, and folds."""
