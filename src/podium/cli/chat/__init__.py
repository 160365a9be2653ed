"""Talking to an agent on a terminal."""
