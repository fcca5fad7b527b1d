"""Inheritance of errors: the errors of a teacher that its students make too, word by word."""
