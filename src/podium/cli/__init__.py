"""The command line: one file per command, talking through the client."""
