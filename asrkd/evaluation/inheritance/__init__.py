"""Which errors of a teacher its students make too, word by word."""
