"""The WebSocket of the client protocol, and what else is served over HTTP."""
