"""One trainer for teachers, baselines and students: plan, batches, steps, checkpoints, log."""
