"""Launching of a command as jobs of a cluster or of this machine."""
