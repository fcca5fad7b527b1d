"""Running a command as many jobs, of a cluster's scheduler or of this machine, and finishing it here."""
