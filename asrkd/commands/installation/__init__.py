"""Installation of asrkd: its two stacks, their packages, and the machine."""
