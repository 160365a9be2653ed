"""Other systems, run in the same script on the same machine; skipped with a reason where they can't be had."""
