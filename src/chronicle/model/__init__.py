"""What Chronicle is about, as values: changes, iterations, entries, plans, policies. No I/O, no clock, no randomness."""
