"""Target sources: transcripts, stores, and live teachers as the targets of a batch."""
