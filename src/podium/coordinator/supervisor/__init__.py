"""Instances at work: the turn path, their processes, and all of them together."""
