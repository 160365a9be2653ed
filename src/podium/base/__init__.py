"""Ports the daemons share, each with its implementations."""
