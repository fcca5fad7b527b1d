"""The direct-sum quantizer of MVQ-KD: an embedding becomes a few bytes, one per codebook."""
