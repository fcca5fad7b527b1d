"""Search for codebook indexes: beam and refinement, in torch and by numba."""
