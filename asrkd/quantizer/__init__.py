"""The direct-sum quantiser of MVQ-KD: an embedding becomes a few bytes, one per codebook."""
