"""Teachers whose layers can be asked for: asrkd's own models, torchaudio's, Hugging Face's."""
