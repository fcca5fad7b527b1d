"""The page of `asrkd report`: its sections, figures and templates."""
