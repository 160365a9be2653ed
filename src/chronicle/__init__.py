"""Chronicle: a directory that remembers every version of every file. Knows nothing of Podium."""
