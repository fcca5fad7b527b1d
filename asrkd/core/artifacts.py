"""Names of the files in model folders and stores, each in one place."""

LINEAGE = "lineage.json"  # what a model was trained on
