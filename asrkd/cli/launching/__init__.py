"""Launching: a command as jobs of a cluster or of this machine, finished by this process."""
