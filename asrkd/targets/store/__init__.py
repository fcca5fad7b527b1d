"""Target stores: shards of a teacher's outputs, with contract and provenance."""
