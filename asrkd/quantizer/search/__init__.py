"""Search for codebook indexes: beam search and refinement, in torch and in numba."""
