"""Training of the direct-sum quantizer."""
