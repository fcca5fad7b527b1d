"""What `asrkd report` shows, and the page that shows it."""
