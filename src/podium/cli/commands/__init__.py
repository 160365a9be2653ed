"""The commands: one module each, whose click command is called `command`."""
