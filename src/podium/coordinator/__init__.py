"""The daemon that owns the agents of one host."""
