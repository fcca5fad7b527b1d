"""Writers of shards, run by the worker processes of ``asrkd distill``."""
