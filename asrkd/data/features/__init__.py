"""Features: log-mel energies, computed into shards and read back."""
