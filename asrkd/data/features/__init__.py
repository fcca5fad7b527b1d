"""Features: log-mel energies, computed into shards and read as tensors."""
