"""Page of `asrkd report`: sections, figures and templates."""
