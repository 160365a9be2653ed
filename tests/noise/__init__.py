"""The suite refuses noise: what a test leaves behind, or says without being asked, fails it."""
