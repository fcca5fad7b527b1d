"""Losses of transducers: exact ones in bounded memory, and k2's pruned ones."""
