"""Parts of the command ``sweep``: grid, runs as child processes, halving, results."""
