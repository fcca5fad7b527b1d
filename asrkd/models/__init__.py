"""Recognisers: a convolutional front end, a Conformer encoder, a CTC head, and their folders on disk."""
