"""Looking artifacts over: what `asrkd check` knows of each kind."""
