"""Command line: options, launchers, and one function per command, which calls a module of asrkd.commands."""
