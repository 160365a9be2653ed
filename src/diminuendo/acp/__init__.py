"""The Agent Client Protocol: editors talk to Podium's agents, over stdio or a WebSocket."""
