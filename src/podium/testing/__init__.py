"""Run an agent in-process, without a server, and assert on what it said."""
