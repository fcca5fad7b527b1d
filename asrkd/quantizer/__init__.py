"""Direct-sum quantizer of MVQ-KD: an embedding is encoded in a few bytes, one per codebook."""
