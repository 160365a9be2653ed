"""One module or package per outside thing."""
