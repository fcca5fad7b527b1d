"""Checks of artifacts for `asrkd check`, one module for each kind."""
