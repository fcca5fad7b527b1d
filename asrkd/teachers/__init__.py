"""Teachers and their embeddings: asrkd's own models, torchaudio's and Hugging Face's encoders."""
