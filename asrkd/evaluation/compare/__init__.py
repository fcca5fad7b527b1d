"""Scored systems beside each other: who they are, what their scores show, and how to say it."""
