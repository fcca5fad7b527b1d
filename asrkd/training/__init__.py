"""Training of teachers, baselines and students: plan, batches, updates, validation, checkpoints, log."""
