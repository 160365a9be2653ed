"""Schema of the embedded discovery file, as numbered migrations."""
