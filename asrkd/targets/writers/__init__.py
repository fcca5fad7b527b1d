"""Writers of shards: what the worker processes of asrkd distill run."""
