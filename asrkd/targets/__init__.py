"""Training targets of a student: transcripts, stores of a teacher's outputs, and live teachers."""
