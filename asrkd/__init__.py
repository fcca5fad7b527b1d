"""asrkd: distillation of speech recognizers from stored targets of a teacher."""

__version__ = "0.1.0"
