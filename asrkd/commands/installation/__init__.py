"""What asrkd is installed with, and on: the two stacks, their packages, the machine."""
