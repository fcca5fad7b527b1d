"""Looking artefacts over: what `asrkd check` knows of each kind."""
