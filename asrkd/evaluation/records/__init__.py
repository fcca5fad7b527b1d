"""Run records: runs and their scores as JSON files, and the folders without weights restored from them."""
