"""Command line: options, launchers, and one function per command that calls its module in asrkd.commands."""
