"""What Diminuendo decides: pure code, no I/O, no clock, no randomness. Time comes in with the events, in epoch milliseconds."""
